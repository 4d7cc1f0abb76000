"""`switchboard explain`: where each value of a call comes from, and what of a dispatch is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared import registry
from shared.cli.call import read_metadata
from shared.cli.config import check_plugins, selection_of, snapshot_of
from shared.config.environment import Settings
from shared.config.explain import Value
from shared.config.explain import explain as origins
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


def explain(settings: Settings, agent: str, metadata: str | None, *, as_json: bool) -> None:
    """Print it.

    Raises:
        ConfigError: A name, the conf or an override is wrong, or there is no such file.
        MetadataError: The dispatch would be refused for its metadata.
        PolicyError: The dispatch would be refused for what it asks for.
    """
    raw = read_metadata(metadata)
    snapshot = snapshot_of(settings, agent, "explain")
    judged = judge(snapshot, agent, raw)
    check_plugins(settings, snapshot, judged.config)
    selection = selection_of(settings, judged.config)
    values = origins(snapshot, judged.config, judged.chosen, selection)
    if as_json:
        print(json.dumps(_as_object(judged, values), ensure_ascii=False, default=list))
    else:
        _show(judged, values)
    if judged.refused:
        raise judged.refused[0]


def judge(snapshot: Snapshot, agent: str, raw: str) -> Judged:
    """Judge a dispatch as the dispatcher and the host do, but go on after the first refusal."""
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


def _show(judged: Judged, values: Sequence[Value]) -> None:
    config = judged.config
    print(f"{config.agent} in {config.env}, profile {config.profile}, digest {config.digest}")
    if judged.fields:
        print("\nmetadata")
        _table(
            [
                (field.name, "" if field.value is None else _plain(field.value), field.source)
                for field in judged.fields
            ]
        )
    print("\nconfig")
    _table([(v.key, _plain(v.value), " > ".join(reversed(v.origins))) for v in values])
    if judged.refused:
        print("\nrefused")
        _table(
            [(p.pointer or "the whole", p.code, p.text) for e in judged.refused for p in e.problems]
        )
    else:
        print("\nThe dispatch would be taken.")


def _table(rows: Sequence[tuple[str, str, str]]) -> None:
    first, second = (max((len(row[n]) for row in rows), default=0) for n in (0, 1))
    for one, two, three in rows:
        print(f"  {one:<{first}}  {two:<{second}}  {three}".rstrip())


def _plain(value: object) -> str:
    return (
        value
        if isinstance(value, str) and value
        else json.dumps(value, ensure_ascii=False, default=list)
    )


def _as_object(judged: Judged, values: Sequence[Value]) -> dict[str, object]:
    """The object that `--json` prints."""
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
