"""`switchboard run`: from names and an environment to a running host."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

from shared import registry
from shared.config.compose import ensure_snapshot
from shared.config.endpoints import check_endpoints, local_endpoints
from shared.config.environment import LIVEKIT, LOCAL, PROVIDER_KEYS, Settings
from shared.config.snapshot import Snapshot
from shared.errors import StackError
from shared.gateway.page import build_page
from shared.local.stack import HeldStack, Ports, find, hold

REACH_LIMIT_S = 5.0


def run(settings: Settings, names: tuple[str, ...]) -> None:
    """Become the host of `names`, all agents where none is named. Does not return.

    Raises:
        ConfigError: A name, the conf, an override or a variable is wrong.
        StackError: The local stack cannot be started.
    """
    names = names or registry.names()
    environ = prepare(settings, names)
    # The lock on the stack stays held: its file descriptor goes over to the host.
    os.execve(sys.executable, [sys.executable, "-m", "shared.host", ",".join(names)], environ)


def prepare(settings: Settings, names: tuple[str, ...]) -> dict[str, str]:
    """The environment of a host of `names`. In local the stack is up then, and stays as long as this process or what it becomes.

    Raises:
        ConfigError: A name, the conf, an override or a variable is wrong.
        StackError: The local stack cannot be started.
    """
    for name in names:
        registry.folder(name)
    snapshot, path = ensure_snapshot(
        names,
        settings.env,
        settings.overrides,
        store=settings.var / "snapshots",
        developer=settings.developer,
    )
    if settings.env == LOCAL:
        held = _hold(settings, snapshot)
        endpoints = local_endpoints(held.stack.providers_url, settings.variables)
        check_endpoints(snapshot, endpoints)
        livekit = _local_livekit(settings, held)
        keys = dict.fromkeys(
            (name for names_of in PROVIDER_KEYS.values() for name in names_of),
            held.stack.providers_key,
        )
        if "OPENAI_API_KEY" in settings.variables:
            keys["OPENAI_API_KEY"] = settings.variables["OPENAI_API_KEY"]
    else:
        held, endpoints = None, dict(snapshot.endpoints)
        settings.require(slot.provider for slot in snapshot.slots)
        livekit = {name: settings.variables[name] for name in LIVEKIT}
        keys = {
            name: settings.variables[name]
            for names_of in PROVIDER_KEYS.values()
            for name in names_of
            if name in settings.variables
        }
    if held is None or settings.has_livekit:
        check_reachable(livekit["LIVEKIT_URL"])
    _say_where(settings, snapshot, livekit["LIVEKIT_URL"], endpoints)
    if held is not None and held.stack.gateway_url:
        print(f"talk to it in a browser: {held.stack.gateway_url}", file=sys.stderr)
    return settings.for_host(
        livekit=livekit,
        keys=keys,
        deployment=snapshot.server.deployment,
        snapshot=path,
        endpoints=endpoints,
        turn_detector=snapshot.needs_turn_detector,
        holds=held.fd if held else None,
    )


def _hold(settings: Settings, snapshot: Snapshot) -> HeldStack:
    if not settings.has_livekit and find(settings.var / "run") is None:
        try:
            build_page(lambda line: print(line, file=sys.stderr))
        except StackError as err:
            print(f"without the page: {err}", file=sys.stderr)
    return hold(
        settings.var / "run",
        ports=Ports(**snapshot.server.stack),
        with_server=not settings.has_livekit,
        with_gateway=not settings.has_livekit,
        progress=lambda line: print(line, file=sys.stderr),
    )


def _local_livekit(settings: Settings, held: HeldStack) -> dict[str, str]:
    if settings.has_livekit:
        settings.require(())
        return {name: settings.variables[name] for name in LIVEKIT}
    stack = held.stack
    return {
        "LIVEKIT_URL": stack.livekit_url,
        "LIVEKIT_API_KEY": stack.livekit_api_key,
        "LIVEKIT_API_SECRET": stack.livekit_api_secret,
    }


def check_reachable(url: str) -> None:
    """Refuse to start where nothing answers; LiveKit itself would try for two minutes.

    Raises:
        StackError: Names the address.
    """
    address = url.replace("ws", "http", 1) if url.startswith("ws") else url
    try:
        urllib.request.urlopen(address, timeout=REACH_LIMIT_S).close()
    except urllib.error.HTTPError:
        return  # somebody answers; what it is, registering will tell
    except (OSError, ValueError) as err:
        reason = getattr(err, "reason", err)
        raise StackError(
            f"no LiveKit server answers at LIVEKIT_URL {url} ({reason}). Check the address and that it runs.",
            code="stack.unreachable",
        ) from None


def _say_where(
    settings: Settings, snapshot: Snapshot, livekit_url: str, endpoints: Mapping[str, str]
) -> None:
    """Say on stderr where calls will go, before the first one does."""
    print(f"env {settings.env}, LiveKit {livekit_url}", file=sys.stderr)
    for name in sorted({slot.class_name for slot in snapshot.slots}):
        where = endpoints.get(name) or snapshot.endpoints.get(name) or "the provider itself"
        print(f"  {name}: {where}", file=sys.stderr)
