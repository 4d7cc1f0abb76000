"""The config of a call in conf's own shape, and where each of its values comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.config.compose import sources
from shared.config.origins import Key
from shared.config.selection import Selection
from shared.config.snapshot import KINDS, CallConfig, Slot, Snapshot

DEFAULT = "default of the code"
DISPATCH = "dispatch"


@dataclass(frozen=True)
class Value:
    """One value of a config.

    Attributes:
        origins: Every place that sets it, in the order they are merged; the last one won.
    """

    key: str
    value: Any
    origins: tuple[str, ...]


def as_conf(snapshot: Snapshot, config: CallConfig) -> dict[str, Any]:
    """A resolved config as conf/ would write it."""
    rules = snapshot.allow[config.agent]
    return {
        **{kind: _slot(getattr(config, kind)) for kind in KINDS},
        "session": asdict(config.session),
        "server": asdict(snapshot.server),
        "policy": {
            **snapshot.policy,
            "allow": {key: _written(asdict(rule)) for key, rule in rules.items()},
        },
        "languages": dict(snapshot.languages),
        "endpoints": dict(snapshot.endpoints),
        "handoffs": list(config.handoffs[config.agent]),
        "handoff_by": config.handoff_by[config.agent],
    }


def explain(
    snapshot: Snapshot, config: CallConfig, chosen: Mapping[str, Any], selection: Selection
) -> list[Value]:
    """Each value of `config` with its origins.

    Args:
        snapshot: Where `config` comes from.
        config: Of one call.
        chosen: The keys that its dispatch set.
        selection: What the snapshot was composed for, with the profile of `config`.
    """
    found = sources(selection)
    values = []
    for key, value in _leaves(as_conf(snapshot, config), ()):
        shown = ".".join(key)
        origins = [*found.get(key, []), *([DISPATCH] if shown in chosen else [])]
        values.append(Value(shown, value, tuple(origins or [DEFAULT])))
    return values


def _slot(slot: Slot | None) -> dict[str, Any]:
    if slot is None:
        return {"provider": "none"}
    return {"provider": slot.provider, "type": slot.type, **slot.keywords}


def _written(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule without what its type does not have."""
    has = {"str": ("choices", "pattern"), "bool": ()}.get(rule["type"], ("min", "max"))
    kept = {name: rule[name] for name in ("type", *has, "only")}
    return {name: value for name, value in kept.items() if value not in (None, "", ())}


def _leaves(value: Mapping[str, Any], above: Key) -> Iterator[tuple[Key, Any]]:
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, (*above, name))
        else:
            yield (*above, name), inner
