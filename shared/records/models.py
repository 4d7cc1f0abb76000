"""The tables of the store. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

REVISION = "0001"
"""The newest migration: what a store has to be at."""


class Utc(TypeDecorator[datetime]):
    """A moment, always in UTC. SQLite keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    # the file of the record that has it: one process, one attempt
    Column("writer", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("event", Text, nullable=False),
    Column("data", JSON, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("agent", Text),
    Column("room", Text),
    Column("host", Text),
    Column("attempts", Integer, nullable=False),
    Column("began", Utc, nullable=False),
    Column("offered", Utc),
    Column("joined", Utc),
    Column("ended", Utc),
    Column("outcome", Text),
    Column("code", Text),
    Index("calls_began", "began"),
    Index("calls_room", "room"),
    # finds the calls that run: they have none
    Index("calls_outcome", "outcome"),
)

dispatches = Table(
    "dispatches",
    metadata,
    Column("dispatch_id", Text, primary_key=True),
    Column("call_id", Text, nullable=False),
    Index("dispatches_call", "call_id"),
)

spools = Table(
    "spools",
    metadata,
    Column("name", Text, primary_key=True),
    # bytes of the file that the store has
    Column("read", Integer, nullable=False),
)

hosts = Table(
    "hosts",
    metadata,
    Column("host", Text, primary_key=True),
    Column("agents", JSON, nullable=False),
    Column("live", Integer, nullable=False),
    Column("load", Float, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("seen", Utc, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("call_id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    # what another attempt takes
    Column("job", JSON, nullable=False),
    Index("leases_host", "host"),
)
