"""`switchboard records`: what became of calls."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Any

from shared.config.environment import Settings
from shared.errors import DispatchError
from shared.records.calls import CallSummary, all_calls, find_call, remedy, summary
from shared.records.spool import Event


def list_calls(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Print the newest calls, one a line, without anything that was said."""
    found = [
        summary(events) for events in itertools.islice(all_calls(settings.var / "records"), limit)
    ]
    if as_json:
        print(json.dumps([asdict(one) for one in found], default=_text))
        return
    for one in found:
        end = f"{one.outcome or 'no outcome yet'}{f' ({one.code})' if one.code else ''}"
        print(f"{one.began:%Y-%m-%d %H:%M:%S}  {one.call_id:24}  {one.agent or '-':12}  {end}")
    if not found:
        print("no calls yet", file=sys.stderr)


def show(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print one call: its outcome and what to do about it first, then everything that happened, with what was said.

    Raises:
        DispatchError: There is no such call.
    """
    events = find_call(settings.var / "records", name)
    if not events:
        raise DispatchError(
            f"no call, dispatch or room named {name!r} in the records. See: switchboard records list",
            code="records.unknown",
        )
    found = summary(events)
    if as_json:
        whole = {
            **asdict(found),
            "remedy": remedy(found.code),
            "events": [_plain(e) for e in events],
        }
        print(json.dumps(whole, default=_text, ensure_ascii=False))
        return
    _headline(found)
    for event in events:
        data = " ".join(f"{key}={_short(value)}" for key, value in event.data.items() if value)
        print(f"  {event.at:%H:%M:%S.%f}"[:-3] + f"  {event.attempt}  {event.event:12}  {data}")


def export(settings: Settings) -> None:
    """Print every event of every call, one JSON object a line, the oldest call first."""
    for events in reversed(list(all_calls(settings.var / "records"))):
        for event in events:
            print(json.dumps(_plain(event), default=_text, ensure_ascii=False))


def _headline(found: CallSummary) -> None:
    code = f" ({found.code})" if found.code else ""
    print(f"{found.outcome or 'no outcome yet'}{code}")
    if (what := remedy(found.code)) is not None:
        print(what)
    print(
        f"call {found.call_id}, agent {found.agent}, room {found.room},"
        f" dispatches {', '.join(found.dispatches)}, attempts {found.attempts}"
    )


def _plain(event: Event) -> dict[str, Any]:
    return {
        "call_id": event.call_id,
        "attempt": event.attempt,
        "at": event.at,
        "event": event.event,
        "data": event.data,
    }


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=_text, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
