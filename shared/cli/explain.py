"""`switchboard explain`: where each value of a call comes from, and what of a dispatch is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence

from shared.cli.call import read_metadata
from shared.cli.config import check_plugins, selection_of, snapshot_of
from shared.config.environment import Settings
from shared.config.explain import Value
from shared.config.explain import explain as origins
from shared.config.judge import Judged, as_object, judge


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
        print(json.dumps(as_object(judged, values), ensure_ascii=False, default=list))
    else:
        _show(judged, values)
    if judged.refused:
        raise judged.refused[0]


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
