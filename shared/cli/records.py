"""`switchboard records`: what became of calls."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import datetime

from shared.config.environment import Settings
from shared.errors import DispatchError
from shared.records.calls import CallSummary, remedy
from shared.records.ingest import Ingester
from shared.records.store import Store


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """The store, with what this machine's files hold: where no host brings them in now, this command does.

    Raises:
        ConfigError: SWITCHBOARD_RECORDS_URL is wrong.
        StackError: The database does not answer.
    """
    with contextlib.closing(Store.open(settings.records_url)) as store:
        with Ingester.alone(settings.var / "records", store) as ingester:
            if ingester is not None:
                ingester.ingest()
        yield store


def list_calls(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Print the newest calls, one a line, without anything that was said."""
    with opened(settings) as store:
        found = store.newest(limit)
    if as_json:
        print(json.dumps([one.as_object() for one in found], default=_text))
        return
    for one in found:
        print(
            f"{one.began:%Y-%m-%d %H:%M:%S}  {one.call_id:24}  {one.agent or '-':12}  {_end(one)}"
        )
    if not found:
        print("no calls yet", file=sys.stderr)


def show(settings: Settings, name: str, *, as_json: bool) -> None:
    """Print one call: its outcome and what to do about it first, then everything that happened, with what was said.

    Raises:
        DispatchError: There is no such call.
    """
    with opened(settings) as store:
        found = store.find(name)
        if found is None:
            raise DispatchError(
                f"no call, dispatch or room named {name!r} in the records. See: switchboard records list",
                code="records.unknown",
            )
        dispatches, events = store.dispatches(found.call_id), store.events(found.call_id)
    if as_json:
        whole = {
            **found.as_object(),
            "dispatches": dispatches,
            "remedy": remedy(found.code),
            "events": [e.as_object() for e in events],
        }
        print(json.dumps(whole, default=_text, ensure_ascii=False))
        return
    print(_end(found))
    if (what := remedy(found.code)) is not None:
        print(what)
    print(
        f"call {found.call_id}, agent {found.agent}, room {found.room},"
        f" dispatches {', '.join(dispatches)}, attempts {found.attempts}"
    )
    for event in events:
        data = " ".join(f"{key}={_short(value)}" for key, value in event.data.items() if value)
        print(f"  {event.at:%H:%M:%S.%f}"[:-3] + f"  {event.attempt}  {event.event:12}  {data}")


def export(settings: Settings) -> None:
    """Print every event of every call, one JSON object a line, the oldest call first."""
    with opened(settings) as store:
        for event in store.export():
            print(json.dumps(event.as_object(), default=_text, ensure_ascii=False))


def _end(call: CallSummary) -> str:
    return f"{call.outcome or 'no outcome yet'}{f' ({call.code})' if call.code else ''}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=_text, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:119]}…"


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
