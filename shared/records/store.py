"""Where records are kept for good: one database for all hosts, SQLite by default, Postgres by its URL.

Nothing of a call waits for it. Calls write files (`spool.py`), a host brings them here (`ingest.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from shared.records import database
from shared.records.calls import CallSummary, text
from shared.records.models import calls, dispatches, events, spools
from shared.records.spool import VERSION, Event

CHANNEL = "switchboard_records"
"""Where Postgres tells the ids of calls of which something became known."""

_PAGE = 200


@dataclass(frozen=True)
class Line:
    """An event and the file it stands in."""

    writer: str
    event: Event


class Store:
    """The records of all calls. Make it with `open`."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"

    @staticmethod
    def open(url: str) -> Store:
        """Open the store of this URL, made or brought up to date where that is needed.

        Raises:
            ConfigError: The URL is none, or the store is of a newer Switchboard.
            StackError: The database does not answer.
        """
        return Store(database.connect(url))

    def close(self) -> None:
        self.engine.dispose()

    def newest(self, limit: int) -> list[CallSummary]:
        """The calls that began last, the newest first."""
        return self._calls(sa.select(calls).order_by(calls.c.began.desc()).limit(limit))

    def find(self, name: str) -> CallSummary | None:
        """The newest call with this id, dispatch or room."""
        name = text(name) or ""
        by_dispatch = sa.select(dispatches.c.call_id).where(dispatches.c.dispatch_id == name)
        for where in (
            calls.c.call_id == name,
            calls.c.call_id.in_(by_dispatch),
            calls.c.room == name,
        ):
            found = self._calls(
                sa.select(calls).where(where).order_by(calls.c.began.desc()).limit(1)
            )
            if found:
                return found[0]
        return None

    def events(self, call_id: str) -> list[Event]:
        """All events of a call from all its attempts and writers, in the order of time."""
        return self._events([call_id])

    def dispatches(self, call_id: str) -> list[str]:
        """The dispatches that were made for a call."""
        query = sa.select(dispatches.c.dispatch_id).where(dispatches.c.call_id == call_id)
        with self.engine.connect() as connection:
            return sorted(connection.execute(query).scalars())

    def export(self) -> Iterator[Event]:
        """Every event of every call, the oldest call first. Only some calls at a time are in memory."""
        query = sa.select(calls.c.began, calls.c.call_id).order_by(calls.c.began, calls.c.call_id)
        after = None
        while True:
            page = query.limit(_PAGE)
            if after is not None:
                page = page.where(sa.tuple_(calls.c.began, calls.c.call_id) > sa.tuple_(*after))
            with self.engine.connect() as connection:
                found = connection.execute(page).all()
            if not found:
                return
            began = {row.call_id: row.began for row in found}
            after = sa.literal(found[-1].began, calls.c.began.type), sa.literal(found[-1].call_id)
            yield from sorted(
                self._events(list(began)), key=lambda event: (began[event.call_id], event.call_id)
            )

    def read_so_far(self) -> dict[str, int]:
        """How many bytes of each file the store has."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(spools.c.name, spools.c.read)).all()
        return {row.name: row.read for row in rows}

    def add(self, lines: Sequence[Line], read: Mapping[str, int]) -> None:
        """Keep these events and how far their files were read, all or nothing. An event that is there already is not kept twice."""
        with self.writing() as connection:
            if lines:
                connection.execute(
                    self.insert(events).on_conflict_do_nothing(), [_row(line) for line in lines]
                )
                self._sum_up(connection, [line.event for line in lines])
            upsert = self.insert(spools)
            connection.execute(
                upsert.on_conflict_do_update(
                    index_elements=["name"], set_={"read": upsert.excluded.read}
                ),
                [{"name": name, "read": size} for name, size in read.items()],
            )

    def forget(self, names: Sequence[str]) -> None:
        """These files are about to be removed."""
        with self.writing() as connection:
            connection.execute(sa.delete(spools).where(spools.c.name.in_(names)))

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes."""
        with database.writing(self.engine) as connection:
            yield connection

    def insert(self, table: sa.Table) -> Any:
        """An insert of this database's own kind, which knows what to do with a row that is there already."""
        return insert_sqlite(table) if self.is_sqlite else insert_postgres(table)

    def _sum_up(self, connection: sa.Connection, added: Sequence[Event]) -> None:
        """Bring the rows of these events' calls up to date."""
        of_call: dict[str, list[Event]] = {}
        for event in added:
            of_call.setdefault(event.call_id, []).append(event)
        ids = sorted(of_call)
        # the row first, then its lock: another machine may be about to make the same one
        connection.execute(
            self.insert(calls).on_conflict_do_nothing(),
            [{"call_id": one, "attempts": 1, "began": of_call[one][0].at} for one in ids],
        )
        rows = connection.execute(
            sa.select(calls)
            .where(calls.c.call_id.in_(ids))
            .order_by(calls.c.call_id)
            .with_for_update()
        ).mappings()
        summaries = [CallSummary(**row) for row in rows]
        for summary in summaries:
            for event in of_call[summary.call_id]:
                summary.add(event)
        names = [field.name for field in fields(CallSummary) if field.name != "call_id"]
        connection.execute(
            sa.update(calls)
            .where(calls.c.call_id == sa.bindparam("of_call"))
            .values({name: sa.bindparam(name) for name in names}),
            [_renamed(asdict(summary)) for summary in summaries],
        )
        made = {
            dispatch: event.call_id
            for event in added
            if (dispatch := text(event.data.get("dispatch_id"))) is not None
        }
        if made:
            connection.execute(
                self.insert(dispatches).on_conflict_do_nothing(),
                [{"dispatch_id": one, "call_id": call_id} for one, call_id in sorted(made.items())],
            )
        if not self.is_sqlite:
            for one in ids:
                connection.execute(sa.select(sa.func.pg_notify(CHANNEL, one[:200])))

    def _calls(self, query: sa.Select[Any]) -> list[CallSummary]:
        with self.engine.connect() as connection:
            return [CallSummary(**row) for row in connection.execute(query).mappings()]

    def _events(self, call_ids: Sequence[str]) -> list[Event]:
        query = (
            sa.select(events)
            .where(events.c.call_id.in_(call_ids))
            .order_by(events.c.at, events.c.attempt, events.c.writer, events.c.seq)
        )
        with self.engine.connect() as connection:
            return [
                Event(VERSION, row.seq, row.at, row.call_id, row.attempt, row.event, row.data)
                for row in connection.execute(query)
            ]


def _row(line: Line) -> dict[str, Any]:
    event = line.event
    return {
        "call_id": event.call_id,
        "attempt": event.attempt,
        "writer": line.writer,
        "seq": event.seq,
        "at": event.at,
        "event": event.event,
        "data": dict(event.data),
    }


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    row["of_call"] = row.pop("call_id")
    return row
