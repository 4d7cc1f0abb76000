"""For every test: no variable of the developer's own, no socket beyond this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.postgres", "tests.running"]

PREFIXES = ("LIVEKIT_", "SWITCHBOARD_", "OPENAI_", "DEEPGRAM_", "CARTESIA_")

for variable in [name for name in os.environ if name.startswith(PREFIXES)]:
    del os.environ[variable]


WHOLE_CALLS = ("tests/calls", "tests/losses")


class _Folders(LoadScopeScheduling):  # type: ignore[misc]
    """Whole calls share a server, stand-ins and the processor: they run in one process. Others go file by file, in the other one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.rpartition("/")[0]
        return "calls" if folder in WHOLE_CALLS else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Folders:
    """How `make test` spreads tests over two processes."""
    return _Folders(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Whole calls are first at the processor: their audio must not be late."""
    if "PYTEST_XDIST_WORKER" in os.environ and not item.nodeid.startswith(WHOLE_CALLS):
        os.nice(max(0, 10 - os.nice(0)))


@pytest.fixture(autouse=True, scope="session")
def only_this_machine() -> Iterator[None]:
    """Refuse connections to anywhere but 127.0.0.1 and unix sockets, in this process."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in (
            "127.0.0.1",
            "::1",
            "localhost",
        ):
            raise AssertionError(f"a test connects to {address[0]}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()
