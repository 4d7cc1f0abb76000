"""For every test: no variable of the developer's own, no socket beyond this machine."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytest_plugins = ["tests.postgres", "tests.running"]

_STATUS = pytest.StashKey[int]()

PREFIXES = ("LIVEKIT_", "SWITCHBOARD_", "OPENAI_", "DEEPGRAM_", "CARTESIA_", "MAKE", "MFLAGS")

for variable in [name for name in os.environ if name.startswith(PREFIXES)]:
    del os.environ[variable]


# A shell without job control starts what it puts into the background with SIGINT ignored, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End without the interpreter's own end: a thread of LiveKit's SDK aborts the process, as `_leave` of `shared/cli/main.py` says."""
    spread = config.getoption("numprocesses", None) or hasattr(config, "workerinput")
    if not spread and _STATUS in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[_STATUS])
