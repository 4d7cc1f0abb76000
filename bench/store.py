"""How long the records take to answer when there are many calls in them."""

from __future__ import annotations

import tempfile
import time

import sqlalchemy as sa

from shared.records.overview import look
from shared.records.store import Store

CALLS = 100_000
LIMIT_MS = 1000.0
"""What `list`, `show` by each kind of name and `top` may take together."""

AT = {
    "sqlite": "datetime('now', '-' || i || ' seconds')",
    "postgresql": "now() - i * interval '1 second'",
}


def fill(store: Store, calls: int = CALLS) -> None:
    """Put in calls of the last day, the newest first."""
    at = AT[store.engine.dialect.name]
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {calls})"
    with store.writing() as connection:
        for statement in (
            "INSERT INTO calls (call_id, agent, room, host, attempts, began, offered, joined, ended, outcome) "
            f"{numbers} SELECT 'c-' || i, 'intake', 'r-' || i, 'h1', 1, {at}, {at}, {at}, {at}, 'completed' FROM n",
            "INSERT INTO events (call_id, attempt, writer, seq, at, event, data) "
            f"{numbers} SELECT 'c-' || i, 1, 'w', 0, {at}, 'offered', '{{}}' FROM n",
            "INSERT INTO dispatches (dispatch_id, call_id) "
            f"{numbers} SELECT 'AD_' || i, 'c-' || i FROM n",
        ):
            connection.execute(sa.text(statement))


def measure() -> dict[str, dict[str, float]]:
    """Milliseconds, on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/records.db")
        fill(store)
        began = time.perf_counter()
        store.newest(20)
        listed = time.perf_counter()
        for name in (f"c-{CALLS}", f"AD_{CALLS}", f"r-{CALLS}", "nobody"):
            store.find(name)
        store.events(f"c-{CALLS}")
        shown = time.perf_counter()
        look(store)
        over = time.perf_counter()
        store.close()
    times = {"list": listed - began, "show": shown - listed, "top": over - shown}
    return {"records_of_100000_calls": {f"{k}_ms": round(v * 1e3, 1) for k, v in times.items()}}


def too_slow(figures: dict[str, dict[str, float]]) -> list[str]:
    """The names that miss their limit."""
    return [name for name, times in figures.items() if sum(times.values()) >= LIMIT_MS]
