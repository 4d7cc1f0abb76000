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


WHOLE_CALLS = ("tests/calls/", "tests/losses/")


class _CallsLast(LoadScopeScheduling):  # type: ignore[misc]
    """Two processes share the files of tests; whole calls come last and in one of them, with the processor to themselves."""

    def _split_scope(self, nodeid: str) -> str:
        return "whole calls" if nodeid.startswith(WHOLE_CALLS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _CallsLast:
    """With `ARGS="-n 2 --dist loadscope --no-loadscope-reorder"`, for somebody in a hurry on an idle machine."""
    return _CallsLast(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole calls come last."""
    items.sort(key=lambda item: item.nodeid.startswith(WHOLE_CALLS))


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
