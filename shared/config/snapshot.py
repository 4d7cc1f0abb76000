"""The composed config as plain data: written once by `compose`, only read by hosts, jobs and dispatchers.

Knows the standard library only: a job loads it at its start.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared.config.policy import Rule, check_dispatch
from shared.errors import ConfigError

VERSION = 5
KINDS = ("stt", "tts", "llm", "vad")
"""The slots of a session, each a Hydra group."""

NO_PROFILE = "none"


@dataclass(frozen=True)
class Slot:
    """One plugin of a call.

    Attributes:
        kind: `stt`, `tts`, `llm` or `vad`.
        provider: The package under `livekit.plugins`, or `inference`.
        type: The class in it.
        keywords: What its constructor, or its `load`, is called with.
    """

    kind: str
    provider: str
    type: str
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """The key of this class in `endpoints`, such as `deepgram.STTv2`."""
        return f"{self.provider}.{self.type}"

    @property
    def module(self) -> str:
        """Where the class is found."""
        if self.provider == "inference":
            return "livekit.agents.inference"
        return f"livekit.plugins.{self.provider}"


@dataclass(frozen=True)
class SessionConfig:
    """How a session behaves; the names and meanings are LiveKit's (`AgentSession`, `TurnHandlingOptions`).

    Attributes:
        turn_detection: `stt`, `vad` or `inference`; `None` leaves the choice to LiveKit.
        user_away_timeout: Seconds of silence on both sides until the caller counts as away; `None` never.
    """

    turn_detection: str | None
    endpointing: Mapping[str, Any]
    interruption: Mapping[str, Any]
    preemptive_generation: Mapping[str, Any]
    user_away_timeout: float | None


@dataclass(frozen=True)
class ServerConfig:
    """How a host runs its agent servers.

    Attributes:
        deployment: LiveKit's deployment; a dispatch reaches only hosts of exactly the same one.
        max_jobs: Calls at once per agent name.
        load: `cpu` reports the machine's load to LiveKit and leaves calls to other hosts from `load_threshold` on; `none` reports 0 and goes by `max_jobs` alone.
        port: Of the host's own HTTP server (`/ready`); 0 is a free one.
        drain_timeout_s: Seconds that running calls get after SIGTERM.
        stack: Ports of the local stack (`livekit`, `media`, `providers`); 0 is a free one.
    """

    deployment: str
    max_jobs: int
    load: str
    load_threshold: float
    port: int
    idle_processes: int
    drain_timeout_s: int
    log_level: str
    log_json: bool
    stack: Mapping[str, int]


@dataclass(frozen=True)
class CallConfig:
    """The config of one call.

    Attributes:
        handoffs: Agent name to those it may hand the call over to, for every agent that the call can come to.
        handoff_by: Agent name to how it does: in its session, or by a dispatch.
    """

    agent: str
    env: str
    profile: str
    digest: str
    stt: Slot | None
    tts: Slot | None
    llm: Slot | None
    vad: Slot | None
    session: SessionConfig
    handoffs: Mapping[str, tuple[str, ...]]
    handoff_by: Mapping[str, str]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The plugins this call has."""
        return tuple(slot for slot in (self.stt, self.tts, self.llm, self.vad) if slot is not None)

    @property
    def classes(self) -> dict[str, str]:
        """Slot to the class that serves it."""
        return {slot.kind: slot.class_name for slot in self.slots}


@dataclass(frozen=True)
class Snapshot:
    """Everything that was composed for one environment.

    Attributes:
        digest: Of conf, overrides and versions: equal digest, equal config.
        preload: Modules that the jobs' forkserver imports.
        variants: Agent name to profile to its config.
        languages: Language, such as `es`, to the profile that speaks it.
        allow: Agent name to what is open to its dispatches, by key.
        endpoints: Plugin class to base URL, or to `in-process`.
        prompts: Agent name to the texts of its prompts, by name.
    """

    digest: str
    env: str
    preload: tuple[str, ...]
    server: ServerConfig
    policy: Mapping[str, Any]
    endpoints: Mapping[str, str]
    variants: Mapping[str, Mapping[str, CallConfig]]
    languages: Mapping[str, str]
    allow: Mapping[str, Mapping[str, Rule]]
    prompts: Mapping[str, Mapping[str, str]]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every plugin that some call of this snapshot may get, each once."""
        found: dict[str, Slot] = {}
        for profiles in self.variants.values():
            for config in profiles.values():
                for slot in config.slots:
                    found.setdefault(json.dumps(_plain(slot), sort_keys=True), slot)
        return tuple(found.values())

    @property
    def needs_turn_detector(self) -> bool:
        """Whether some call leaves the end of a turn to LiveKit's own model."""
        return any(
            config.session.turn_detection in (None, "inference")
            for profiles in self.variants.values()
            for config in profiles.values()
        )


def resolve(
    snapshot: Snapshot,
    agent: str,
    *,
    profile: str | None = None,
    locale: str | None = None,
    overrides: object = None,
) -> CallConfig:
    """The config of one call of `agent`.

    Args:
        snapshot: What was composed.
        agent: One of its agents.
        profile: The profile that the dispatch names.
        locale: The caller's; its language chooses a profile where the dispatch names none.
        overrides: The `config` of the dispatch.

    Raises:
        PolicyError: The dispatch names a profile or sets a key that is not open to it.
    """
    base, chosen = allowed(snapshot, agent, profile, locale, overrides)
    return _with(base, chosen) if chosen else base


def allowed(
    snapshot: Snapshot, agent: str, profile: str | None, locale: str | None, overrides: object
) -> tuple[CallConfig, dict[str, Any]]:
    """The composed config that a dispatch names, and the keys that it sets on it.

    Raises:
        PolicyError: As for `resolve`.
    """
    profiles = snapshot.variants[agent]
    profile = profile or snapshot.languages.get((locale or "").partition("-")[0].lower())
    base = profiles.get(profile or NO_PROFILE) or profiles[NO_PROFILE]
    chosen = check_dispatch(
        agent,
        profile,
        {} if overrides is None else overrides,
        profiles=tuple(profiles),
        rules=snapshot.allow[agent],
        classes=base.classes,
    )
    return base, chosen


def _with(base: CallConfig, chosen: Mapping[str, Any]) -> CallConfig:
    """`base` with these keys set, and a digest of its own."""
    parts: dict[str, Any] = {}
    for key, value in chosen.items():
        root, name, *inner = key.split(".")
        part = parts.get(root) or getattr(base, root)
        if root != "session":
            parts[root] = replace(part, keywords={**part.keywords, name: value})
        elif inner:
            parts[root] = replace(part, **{name: {**getattr(part, name), inner[0]: value}})
        else:
            parts[root] = replace(part, **{name: value})
    return replace(base, digest=_digest(base.digest, json.dumps(chosen, sort_keys=True)), **parts)


def _digest(*names: str) -> str:
    return hashlib.sha256("\0".join(names).encode()).hexdigest()[:12]


def load_snapshot(path: Path) -> Snapshot:
    """Read a stored snapshot.

    Raises:
        ConfigError: There is none, or it was written by another version.
    """
    try:
        raw = json.loads(path.read_bytes())
    except (OSError, ValueError) as err:
        raise ConfigError(f"no config snapshot at {path}: {err}", code="config.snapshot") from None
    if raw.get("version") != VERSION:
        raise ConfigError(f"{path} was written by another version", code="config.snapshot")
    return from_plain(raw)


def from_plain(raw: Mapping[str, Any]) -> Snapshot:
    """A snapshot from its JSON form."""
    return Snapshot(
        digest=raw["digest"],
        env=raw["env"],
        preload=tuple(raw["preload"]),
        server=ServerConfig(**raw["server"]),
        policy=raw["policy"],
        endpoints=raw["endpoints"],
        variants={
            agent: {
                profile: _call_config(raw, agent, profile, variant)
                for profile, variant in profiles.items()
            }
            for agent, profiles in raw["variants"].items()
        },
        languages=raw["languages"],
        allow={
            agent: {key: Rule(**rule) for key, rule in rules.items()}
            for agent, rules in raw["allow"].items()
        },
        prompts=raw["prompts"],
    )


def _call_config(
    raw: Mapping[str, Any], agent: str, profile: str, variant: Mapping[str, Any]
) -> CallConfig:
    return CallConfig(
        agent=agent,
        env=raw["env"],
        profile=profile,
        digest=_digest(raw["digest"], agent, profile),
        session=SessionConfig(**variant["session"]),
        handoffs={
            name: tuple(profiles[NO_PROFILE]["handoffs"])
            for name, profiles in raw["variants"].items()
        },
        handoff_by={
            name: profiles[NO_PROFILE]["handoff_by"] for name, profiles in raw["variants"].items()
        },
        **{kind: Slot(**variant[kind]) if variant[kind] else None for kind in KINDS},
    )


def _plain(slot: Slot) -> dict[str, Any]:
    return {
        "kind": slot.kind,
        "provider": slot.provider,
        "type": slot.type,
        "keywords": dict(slot.keywords),
    }
