"""Both databases that a store may be in: SQLite in a file, Postgres as a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.records.store import Store


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a store that is not made yet, in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store/records.db"
    database: Callable[[], str] = request.getfixturevalue("postgres").database
    return database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store."""
    opened = Store.open(url)
    yield opened
    opened.close()
