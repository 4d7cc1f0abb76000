"""What becomes of a dispatch, and why: judged as dispatcher and host do, but on after the first refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared import registry
from shared.config.explain import Value
from shared.config.snapshot import CallConfig, Snapshot, allowed, resolve
from shared.errors import MetadataError, PolicyError, ProblemsError
from shared.metadata import merge
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import FromCaller, Personal, marked
from shared.metadata.parse import check_metadata, parse_object


@dataclass(frozen=True)
class Field:
    """One field of the metadata. Its value is not shown where it is personal."""

    name: str
    source: str
    value: object = None


@dataclass(frozen=True)
class Judged:
    """What becomes of a dispatch.

    Attributes:
        config: Of its call; what it would be without the dispatch where that is refused.
        chosen: The keys that the dispatch sets.
        fields: None where the metadata does not fit.
        refused: Metadata first.
    """

    config: CallConfig
    chosen: Mapping[str, Any]
    fields: Sequence[Field]
    refused: Sequence[ProblemsError]


def judge(snapshot: Snapshot, agent: str, raw: str) -> Judged:
    """Judge a dispatch."""
    model = registry.contract(agent)
    refused: list[ProblemsError] = []
    fields: dict[str, Any] = {}
    shown: list[Field] = []
    try:
        fields = parse_object(raw, model)
        check_metadata(fields, model)
        shown = _fields(merge.load(model, job=raw))
    except MetadataError as err:
        refused.append(err)
    profile, locale = (_text(fields.get(name)) for name in ("profile", "locale"))
    overrides = fields.get("config")
    try:
        config = resolve(snapshot, agent, profile=profile, locale=locale, overrides=overrides)
        chosen = allowed(snapshot, agent, profile, locale, overrides)[1]
    except PolicyError as err:
        refused.append(err)
        config, chosen = resolve(snapshot, agent), {}
    return Judged(config, chosen, shown, refused)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None  # judged as metadata


def _fields(loaded: merge.Loaded[CallMetadata]) -> list[Field]:
    model = type(loaded.metadata)
    fields = []
    for name in model.model_fields:
        source = loaded.sources[name]
        if source is merge.Source.DEFAULT:
            open_to_caller = name in marked(model, FromCaller)
            text = "not set" + (", the caller may bring it" if open_to_caller else "")
            fields.append(Field(name, text))
        else:
            hidden = name in marked(model, Personal)
            fields.append(Field(name, source, None if hidden else getattr(loaded.metadata, name)))
    return fields


def as_object(judged: Judged, values: Sequence[Value]) -> dict[str, object]:
    """For JSON; `values` are of its config, with their origins."""
    config = judged.config
    return {
        "agent": config.agent,
        "env": config.env,
        "profile": config.profile,
        "digest": config.digest,
        "taken": not judged.refused,
        "metadata": [
            {"field": f.name, "source": f.source, "value": f.value} for f in judged.fields
        ],
        "config": [{"key": v.key, "value": v.value, "origins": v.origins} for v in values],
        "refused": [
            {"pointer": p.pointer, "code": p.code, "text": p.text}
            for error in judged.refused
            for p in error.problems
        ],
    }
