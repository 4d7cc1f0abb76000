"""`switchboard doctor`: everything that would keep agents from working here, each with what to do about it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from shared import registry
from shared.cli.hosts import running_hosts
from shared.cli.probes import other_hosts, try_key, try_server, try_sound
from shared.cli.run import check_reachable
from shared.cli.server import Server
from shared.config import providers
from shared.config.compose import ensure_snapshot
from shared.config.endpoints import check_endpoints, local_endpoints
from shared.config.environment import LIVEKIT, LOCAL, PROVIDER_KEYS, Settings
from shared.config.snapshot import Slot, Snapshot
from shared.errors import ConfigError, DispatchError, ProviderError, StackError, SwitchboardError
from shared.local import stack
from shared.local.livekit import check_network, find_interfaces
from shared.records.store import Store

_PIN = re.compile(r"(?P<name>[\w.-]+)(\[[\w,-]+\])?==(?P<version>[\w.+!-]+)")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `note` is worth knowing and nothing wrong.
        code: Stable, such as `provider.key_refused`.
        error: What `doctor` ends with, where this is the first wrong thing.
    """

    level: Literal["ok", "note", "wrong"]
    code: str
    text: str
    error: type[SwitchboardError] | None = None


def doctor(settings: Settings, *, as_json: bool) -> None:
    """Look at everything and print what is found.

    Raises:
        SwitchboardError: Something is wrong; of the kind of the first finding.
    """
    # LiveKit's SDK logs what it is not asked for
    logging.getLogger().addHandler(logging.NullHandler())
    wrong = asyncio.run(_print(settings, as_json=as_json))
    if wrong:
        kind = wrong[0].error or ConfigError
        raise kind(f"ENV={settings.env}: {len(wrong)} to put right", code=wrong[0].code)


async def _print(settings: Settings, *, as_json: bool) -> list[Finding]:
    found = []
    async for finding in examine(settings):
        found.append(finding)
        if not as_json:
            print(f"{finding.level:<5}  {finding.code}: {finding.text}", flush=True)
    wrong = [finding for finding in found if finding.level == "wrong"]
    if as_json:
        said = [{"level": f.level, "code": f.code, "text": f.text} for f in found]
        print(json.dumps({"env": settings.env, "ok": not wrong, "findings": said}))
    return wrong


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at one thing after the other; what needs a thing that is not there is left out."""
    yield network(find_interfaces())
    for finding in versions({dist.name.lower(): dist.version for dist in metadata.distributions()}):
        yield finding
    try:
        snapshot = ensure_snapshot(
            registry.names(),
            settings.env,
            settings.overrides,
            store=settings.var / "snapshots",
            developer=settings.developer,
        )[0]
        providers.check(snapshot)
    except ConfigError as err:
        for text in err.texts:
            yield _wrong(err, text)
        return
    yield Finding("ok", "config", f"conf is right for {', '.join(snapshot.variants)}")
    yield _variables(settings, snapshot)
    yield _records(settings)
    site = _site(settings, snapshot)
    if site is None:
        text = "no local stack runs, so server, providers and sound were not tried. Start one: make run"
        yield Finding("note", "stack.none", text)
        return
    if site.server is not None:
        async for finding in _livekit(settings, snapshot, site.server):
            yield finding
    for name, slot in {slot.class_name: slot for slot in snapshot.slots}.items():
        variable = PROVIDER_KEYS.get(slot.provider, ("",))[0]
        if key := site.keys.get(variable):
            yield await _key(slot, name, variable, key, site.endpoints)


@dataclass(frozen=True)
class _Site:
    """Where calls go: a server where its variables are set, addresses of plugin classes, and the variables with keys."""

    server: Server | None
    endpoints: Mapping[str, str]
    keys: Mapping[str, str]


def _wrong(err: SwitchboardError, text: str | None = None) -> Finding:
    return Finding("wrong", err.code, text or str(err), type(err))


def network(interfaces: Collection[str]) -> Finding:
    """Whether WebRTC finds an address among these interfaces."""
    try:
        check_network(interfaces)
    except StackError as err:
        return _wrong(err)
    return Finding("ok", "network", f"interfaces: {', '.join(sorted(interfaces))}")


def versions(installed: Mapping[str, str]) -> Iterator[Finding]:
    """What is installed beside what pyproject.toml pins, and LiveKit's plugins beside LiveKit's agents."""
    pinned = {
        pin["name"].lower(): pin["version"]
        for line in metadata.requires("switchboard") or ()
        if (pin := _PIN.match(line))
    }
    agents = installed["livekit-agents"]
    plugins = {name: agents for name in installed if name.startswith("livekit-plugins-")}
    others = [
        f"{name} is {installed[name]}, not {version}"
        for name, version in sorted({**plugins, **pinned}.items())
        if installed.get(name, version) != version
    ]
    for other in others:
        yield Finding("wrong", "version.other", f"{other}. Try: make install", ConfigError)
    if not others:
        yield Finding("ok", "versions", f"livekit-agents {agents} and {len(plugins)} plugins of it")


def _variables(settings: Settings, snapshot: Snapshot) -> Finding:
    """Names only, all that are missing at once."""
    try:
        if settings.env != LOCAL:
            settings.require(slot.provider for slot in snapshot.slots)
            return Finding("ok", "variables", "all there")
        if settings.has_livekit:
            settings.require(())
        check_endpoints(snapshot, local_endpoints("", settings.variables))
    except ConfigError as err:
        return _wrong(err)
    return Finding("ok", "variables", "none needed")


def _records(settings: Settings) -> Finding:
    """Whether the store answers; its URL may hold a password and is not said."""
    try:
        Store.open(settings.records_url).close()
    except SwitchboardError as err:
        return _wrong(err)
    return Finding("ok", "records", "the store answers")


def _site(settings: Settings, snapshot: Snapshot) -> _Site | None:
    """Where calls go; `None` in local while no stack runs and no server was exported."""
    own = [settings.variables.get(name, "") for name in LIVEKIT]
    server = Server(*own) if all(own) else None
    if settings.env != LOCAL:
        return _Site(server, snapshot.endpoints, settings.variables)
    running = stack.find(settings.var / "run")
    if running is None:
        addresses = local_endpoints("", settings.variables)
        return _Site(server, addresses, settings.variables) if server else None
    if not settings.has_livekit:
        server = Server(running.livekit_url, running.livekit_api_key, running.livekit_api_secret)
    endpoints = local_endpoints(running.providers_url, settings.variables)
    keys = {name: running.providers_key for names in PROVIDER_KEYS.values() for name in names}
    return _Site(server, {**snapshot.endpoints, **endpoints}, {**keys, **settings.variables})


async def _livekit(
    settings: Settings, snapshot: Snapshot, server: Server
) -> AsyncIterator[Finding]:
    try:
        check_reachable(server.url)
        rooms = await try_server(server)
    except StackError as err:
        yield _wrong(err)
        return
    yield Finding("ok", "livekit", f"{server.url} answers and takes the key")
    hosts = running_hosts(settings.var / "run")
    for agent in snapshot.variants:
        same = [
            host
            for host in hosts
            if agent in host.agents
            and (host.livekit_url, host.deployment) == (server.url, snapshot.server.deployment)
        ]
        if len(same) > 1:
            pids = ", ".join(str(host.pid) for host in same)
            text = (
                f"{agent} is served by several hosts of this clone (pids {pids}), which share its calls."
                " End all but one, or set them apart: SET=server.deployment=mine"
            )
            yield Finding("wrong", "host.same_name", text, DispatchError)
    ours = [f"{socket.gethostname()}-{host.pid}" for host in hosts]
    for agent, host in (await other_hosts(server, rooms, snapshot.variants, ours)).items():
        text = f"{agent} is in a call now that host {host} serves. Where you share no deployment with it, set server.deployment in conf/env."
        yield Finding("note", "host.elsewhere", text)
    try:
        await try_sound(server)
        yield Finding("ok", "sound", "a tone got through from one participant to another")
    except StackError as err:
        yield _wrong(err)


async def _key(
    slot: Slot, name: str, variable: str, key: str, endpoints: Mapping[str, str]
) -> Finding:
    try:
        asked = await try_key(slot, key, endpoints)
    except ProviderError as err:
        return _wrong(err)
    if asked is None:
        text = f"{name}: {variable} is set; whether it is right, a call will tell"
        return Finding("note", "provider.not_asked", text)
    return Finding("ok", "provider", f"{name}: {asked} takes the key")
