"""`switchboard config`: the config of one agent, resolved."""

from __future__ import annotations

import json

import yaml

from shared import registry
from shared.config.compose import ensure_snapshot
from shared.config.environment import LOCAL, Settings
from shared.config.explain import as_conf
from shared.config.selection import CONF, Selection, check_names
from shared.config.snapshot import CallConfig, Snapshot
from shared.errors import ConfigError


def config(settings: Settings, agent: str, profile: str, *, as_json: bool) -> None:
    """Print it, as YAML that could stand in conf/, or as JSON.

    Raises:
        ConfigError: A name, the conf or an override is wrong.
    """
    snapshot = snapshot_of(settings, agent, "config")
    check_names(CONF, "profile", [profile])
    call = snapshot.variants[agent][profile]
    check_plugins(settings, snapshot, call)
    whole = as_conf(snapshot, call)
    if as_json:
        print(json.dumps(whole, ensure_ascii=False))
        return
    print(f"# {agent} in {settings.env}, profile {profile}, digest {call.digest}")
    if settings.env == LOCAL:
        print("# The running local stack adds its addresses to the endpoints.")
    print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=120), end="")


def check_plugins(settings: Settings, snapshot: Snapshot, call: CallConfig) -> None:
    """Say now what would stop a host with this config.

    Raises:
        ConfigError: A plugin is not there, or its keywords are wrong.
    """
    from shared.config.check import misfits  # loads LiveKit

    selection = selection_of(settings, call)
    wrong = misfits(selection, call.slots, snapshot.allow[call.agent])
    if wrong:
        raise ConfigError(*map(str, wrong))


def selection_of(settings: Settings, call: CallConfig) -> Selection:
    """What this config was composed for."""
    return Selection(call.agent, call.env, call.profile, settings.overrides, settings.developer)


def snapshot_of(settings: Settings, agent: str, verb: str) -> Snapshot:
    """The snapshot that a host of this agent would get.

    Raises:
        ConfigError: A name, the conf or an override is wrong.
    """
    if not agent:
        names = registry.names()
        raise ConfigError(
            f"{verb} of whom? agents: {', '.join(names)}. Try: make {verb} AGENT={names[0]}",
            code="agent.missing",
        )
    registry.folder(agent)
    return ensure_snapshot(
        (agent,),
        settings.env,
        settings.overrides,
        store=settings.var / "snapshots",
        developer=settings.developer,
    )[0]
