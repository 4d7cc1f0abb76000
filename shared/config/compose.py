"""The only place that runs Hydra: conf/ becomes a stored snapshot.

Hydra's docs advise its Compose API only where `hydra.main` cannot be used. This is such a place: LiveKit's worker and our command own
the arguments, and what is composed here serves many calls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared import prompts, registry
from shared.config.origins import Key, Layer, chosen_at, entries, lines
from shared.config.selection import CONF, Selection, check_names, options
from shared.config.snapshot import KINDS, NO_PROFILE, VERSION, Snapshot, from_plain, load_snapshot
from shared.config.stored import digest_of, write
from shared.errors import ConfigError, near

if TYPE_CHECKING:
    from shared.config.model import Place, Root

CLOSED = {
    "agent": "AGENT",
    "env": "ENV",
    "profile": """METADATA='{"user_id":"12345","profile":"patient"}', for make config ARGS="--profile patient\"""",
    "policy": "conf/config.yaml, conf/env or, for policy.allow, conf/agent",
}
"""What SET may not override, and what to use: they have a place of their own, or are no business of a single run."""

_OWN = [
    "output",
    "launcher",
    "sweeper",
    "help",
    "hydra_help",
    "hydra_logging",
    "job_logging",
    "env",
]
_WITHOUT = [f"~hydra/{group}" for group in _OWN]
"""Hydra's config of its own runs: nothing is run here, and to compose it took a quarter of the time."""


def ensure_snapshot(
    agents: Sequence[str],
    env: str,
    overrides: Sequence[str],
    *,
    store: Path,
    developer: str,
    conf: Path = CONF,
) -> tuple[Snapshot, Path]:
    """The snapshot of these agents, those they hand over to, and all their profiles: the stored one, else composed and stored.

    Args:
        agents: Agent names; each has a file in `conf/agent`.
        env: `local`, `dev`, `staging` or `prod`.
        overrides: In Hydra's grammar, such as `llm.temperature=0.1`.
        store: Folder of the stored snapshots.
        developer: For the names that differ between developers.
        conf: Folder of the config.

    Raises:
        ConfigError: A file, name or override is wrong; quotes it.
    """
    check_names(conf, "env", [env])
    check_names(conf, "agent", agents)
    digest = digest_of(conf, agents, env, overrides, developer)
    path = store / f"{digest}.json"
    if path.is_file():
        return load_snapshot(path), path
    selections = [
        Selection(agent, env, profile, tuple(overrides), developer, conf)
        for agent in agents
        for profile in options(conf, "profile")
    ]
    raw = compose_snapshot(selections) | {"digest": digest}
    write(path, raw)
    return from_plain(raw), path


def compose_snapshot(selections: Sequence[Selection]) -> dict[str, Any]:
    """The JSON form of a snapshot, but for its digest, of these selections in one environment and of the agents they hand over to.

    Raises:
        ConfigError: As for `ensure_snapshot`.
    """
    from shared.config.model import plain_rules, slot_of

    roots: dict[str, dict[str, Root]] = {}
    waiting = list(selections)
    with _hydra(selections[0].conf):
        while waiting:
            one = waiting.pop(0)
            root = _compose(one)
            roots.setdefault(one.agent, {})[one.profile] = root
            for target in root.handoffs:
                check_names(one.conf, "agent", [target])
                if root.handoff_by == "dispatch":
                    continue
                handed = replace(one, agent=target)
                if one.profile not in roots.get(target, {}) and handed not in waiting:
                    waiting.append(handed)
    # what a host has once is nothing a profile may change
    general = next(iter(roots.values()))[NO_PROFILE]
    check_names(selections[0].conf, "profile", tuple(general.languages.values()))
    variants = {
        agent: {
            profile: {
                "session": root.session.model_dump(),
                "handoffs": root.handoffs,
                "handoff_by": root.handoff_by,
                **{kind: slot_of(kind, getattr(root, kind)) for kind in KINDS},
            }
            for profile, root in profiles.items()
        }
        for agent, profiles in roots.items()
    }
    return {
        "version": VERSION,
        "env": selections[0].env,
        "preload": _preload(variants),
        "server": general.server.model_dump(),
        "policy": {"on_misfit": general.policy.on_misfit},
        "endpoints": general.endpoints,
        "variants": variants,
        "languages": general.languages,
        "allow": {agent: plain_rules(profiles[NO_PROFILE]) for agent, profiles in roots.items()},
        "prompts": {agent: prompts.read(registry.AGENTS / agent) for agent in roots},
    }


def compose_each(selections: Iterable[Selection]) -> Iterator[tuple[Selection, Root | ConfigError]]:
    """Each selection's config, or what is wrong with it. All of one folder."""
    selections = list(selections)
    with _hydra(selections[0].conf):
        for selection in selections:
            try:
                yield selection, _compose(selection)
            except ConfigError as err:
                yield selection, err


def sources(selection: Selection) -> dict[Key, list[str]]:
    """Key to every place that sets it: lines of conf/ in the order they are merged, then overrides. The last one wins."""
    with _hydra(selection.conf):
        return _sources(selection)


@contextmanager
def _hydra(conf: Path) -> Iterator[None]:
    """Hydra at work on this folder. It has one for the whole process, so only this module's functions run inside."""
    from hydra import initialize_config_dir

    with initialize_config_dir(str(conf), version_base="1.3"):
        yield


def _compose(selection: Selection) -> Root:
    """One config, composed and checked."""
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from shared.config.model import checked, classes_of

    conf = selection.conf
    words = _words(selection)
    try:
        raw = OmegaConf.to_container(compose("config", words), resolve=True, throw_on_missing=True)
    except YAMLError as err:
        for file in sorted(conf.rglob("*.yaml")):
            entries(conf, file)  # says which one, and where
        raise ConfigError(f"conf for {selection}: {' '.join(str(err).split())}") from None
    except (HydraException, OmegaConfBaseException, ValueError) as err:
        raise ConfigError(_explain(err, selection)) from None
    assert isinstance(raw, dict)
    plain = {str(key): value for key, value in raw.items()}
    return checked(plain, _places(selection), partial(classes_of, conf))


def _sources(selection: Selection) -> dict[Key, list[str]]:
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    loader = GlobalHydra.instance().config_loader()
    merged = loader.compute_defaults_list("config", _words(selection), RunMode.RUN).defaults
    found = lines(
        [
            Layer(selection.conf, layer.config_path, layer.package or "")
            for layer in merged
            if layer.config_path and not layer.config_path.startswith("hydra/")
        ]
    )
    for override in selection.overrides:
        for key in _keys(override, selection.conf):
            found.setdefault(key, []).append(f"SET {override}")
    return found


def _places(selection: Selection) -> Place:
    """Says what to look at where a key is wrong: what set it, else what set the key above it."""
    found = cache(lambda: _sources(selection))

    def place(key: Key) -> str:
        while key and key not in found():
            key = key[:-1]
        return found()[key][-1] if key else f"conf for {selection}"

    return place


def _words(selection: Selection) -> list[str]:
    """The selection in Hydra's grammar.

    What an override sets is judged after composing, so each may name any key: Hydra's own answer to a typo is how to add it.
    """
    overrides = []
    for override in selection.overrides:
        key, value = _read(override)
        if override[0] == "~":
            overrides.append(override)
        elif known := options(selection.conf, key):
            if value not in known:
                raise ConfigError(_no_option(key, str(value), known))
            overrides.append(f"{key}={value}")
        else:
            overrides.append(f"++{override.lstrip('+')}")
    return [
        f"agent={selection.agent}",
        f"env={selection.env}",
        f"profile={selection.profile}",
        f"developer={selection.developer}",
        *overrides,
        *_WITHOUT,
    ]


def _keys(override: str, conf: Path) -> list[Key]:
    """The single values that an override sets; none for one that chooses an option."""
    name, value = _read(override)
    if override[0] == "~" or options(conf, name):
        return []

    def below(key: Key, inner: object) -> list[Key]:
        if not isinstance(inner, dict):
            return [key]
        return [
            found for part, deeper in inner.items() for found in below((*key, str(part)), deeper)
        ]

    return below(tuple(name.split(".")), value)


def _read(override: str) -> tuple[str, object]:
    """Key and value of one override."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    root = re.split(r"[./=@]", override.lstrip("+~"), maxsplit=1)[0]
    if root in (*CLOSED, "developer", "hydra") or "_target_" in override or "oc.env" in override:
        raise ConfigError(
            f"SET: {override!r} is not open to an override; use {CLOSED.get(root, 'a file in conf/')}"
        )
    if not root or ("=" not in override and override[0] != "~"):
        raise ConfigError(f"SET: {override!r} is no override, write it like llm.temperature=0.1")
    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException:
        parsed = None
    if parsed is None or parsed.is_sweep_override() or parsed.package is not None:
        raise ConfigError(
            f"SET: {override!r} cannot be read. A value with blanks, commas, brackets or = needs quotes of its own: SET=\"llm.model='a, b'\""
        )
    return parsed.key_or_group, parsed.value()


def _no_option(group: str, name: str, known: Sequence[str]) -> str:
    there = f"; there are: {', '.join(known)}{near(name, known)}" if known else ""
    return f"{group}={name}: no conf/{group}/{name}.yaml{there}"


def _explain(err: Exception, selection: Selection) -> str:
    """Hydra's own words without its advice to add what is misspelt, and with the nearest name."""
    conf = selection.conf
    if missing := re.search(r"In '(\S+)': Could not find '(\S+)/(\S+)'", str(err)):
        file, group, name = missing.groups()
        known = options(conf, group)
        hint = "" if known else "; write another option like 'override /tts: cartesia'"
        place = chosen_at(conf, group, name) or f"conf/{file}.yaml"
        return f"{place}: {_no_option(group, name, known)}{hint}"
    text = re.split(r"\n?To append to your", str(err.__cause__ or err))[0]
    said = " ".join(
        line.strip()
        for line in text.splitlines()
        if "full_key" not in line and "object_type" not in line
    )
    key = getattr(err, "full_key", None)
    place = _places(selection)(tuple(str(key).split("."))) if key else f"conf for {selection}"
    return f"{place}: {said}"


def _preload(variants: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """What every job needs: the plugins' modules and the agents' own."""
    slots = [v[kind] for profiles in variants.values() for v in profiles.values() for kind in KINDS]
    plugins = [
        f"livekit.plugins.{slot['provider']}"
        for slot in slots
        if slot and slot["provider"] != "inference"
    ]
    modules = [f"agents.{name}.{module}" for name in variants for module in ("metadata", "agent")]
    return list(dict.fromkeys([*plugins, *modules, "shared.host.job"]))
