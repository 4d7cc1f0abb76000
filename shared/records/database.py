"""The database that a store is in: found by its URL, made, and brought up to date."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from shared.errors import ConfigError, StackError
from shared.records.models import REVISION

_MIGRATING = 7_402_291
"""A number of our own for Postgres' advisory lock."""

_CONNECT_S = 5


def connect(url: str) -> sa.Engine:
    """The database of this URL, made or brought up to date where that is needed.

    Raises:
        ConfigError: The URL is none, or the tables are of a newer Switchboard.
        StackError: It does not answer.
    """
    engine = _engine(url)
    try:
        _migrate(engine)
    except BaseException as err:
        engine.dispose()
        if not isinstance(err, OperationalError):
            raise
        raise StackError(
            f"the records cannot be opened: {reason(err)}. Check SWITCHBOARD_RECORDS_URL and that the database runs.",
            code="records.unreachable",
        ) from None
    return engine


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that writes: SQLite has to know before it reads."""
    with engine.execution_options(writes=True).begin() as connection:
        yield connection


def reason(err: Exception) -> str:
    """What went wrong, on one line without anything that was to be stored: errors about data quote it, those of a connection do not."""
    if isinstance(err, DBAPIError) and not isinstance(err, OperationalError):
        return type(err.orig).__name__
    said = str(getattr(err, "orig", None) or err)
    return (said.splitlines() or [type(err).__name__])[0].rstrip(".")


def _engine(url: str) -> sa.Engine:
    wanted = "write it like postgresql://user:password@host/name or sqlite:////folder/records.db"
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise ConfigError(
            f"SWITCHBOARD_RECORDS_URL: no URL; {wanted}", code="records.url"
        ) from None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database:
            return _sqlite(parsed, Path(parsed.database))
        case "postgresql" | "postgres":
            return sa.create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                pool_pre_ping=True,
                connect_args={
                    "connect_timeout": _CONNECT_S,
                    "tcp_user_timeout": _CONNECT_S * 1000,
                },
            )
    raise ConfigError(f"SWITCHBOARD_RECORDS_URL: no such database; {wanted}", code="records.url")


def _sqlite(url: sa.URL, file: Path) -> sa.Engine:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The files beside it get the same mode. Closing one that is in use would take SQLite's locks from this process.
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as err:
        raise StackError(
            f"the records cannot be opened: {err.strerror}: {file}", code="records.unreachable"
        ) from None
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": _CONNECT_S})

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = (
            None  # SQLAlchemy says when a transaction begins, not the driver
        )
        # Where several change it at once SQLite does not let them wait, as it does elsewhere: now and then it fails one.
        with _alone(file.parent):
            connection.execute("PRAGMA journal_mode=WAL")
        # a file is removed some time after the store has it, so the store has to be on the disk
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One connection at a time, of any process."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _revision(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: sa.Connection) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # before it tells of its plugins
    from alembic import command  # a store is up to date but once
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, REVISION)
    except CommandError:
        raise ConfigError(
            "the records were written by a newer Switchboard. Use that one, or another SWITCHBOARD_RECORDS_URL.",
            code="records.newer",
        ) from None


def _migrate(engine: sa.Engine) -> None:
    """One process at a time; whoever comes second finds it done."""
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
        if _revision(connection) != REVISION:
            _upgrade(connection)
