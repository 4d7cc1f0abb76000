"""Somebody edits a prompt or conf while the host runs: the next call has it, and a bad edit changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.calls.conftest import Made
from tests.calls.scripts import BYE, SCRIPTS
from tests.running import RunningHost

AGENT = "booking"
LIMIT_S = 20.0
METADATA: dict[str, object] = {"user_id": "1", "user_name": "Ada Lovelace"}


@pytest.fixture
def greeting(added: RunningHost, made: Made) -> Iterator[Path]:
    """A prompt of a running host's agent whose other calls are over; as it was after the test."""
    for name, script in SCRIPTS.items():
        if script.agent == AGENT:
            made(name)
    path = added.root / "agents" / AGENT / "prompts" / "greeting.md"
    before = path.read_text()
    yield path
    path.write_text(before)


def wait_for(host: RunningHost, text: str, *, times: int = 1) -> None:
    deadline = time.monotonic() + LIMIT_S
    while host.log.count(text) < times:
        assert time.monotonic() < deadline, f"not in the log: {text}"
        time.sleep(0.05)


def greeted(host: RunningHost) -> str:
    """What the agent says first to a caller who hangs up then."""
    result = host.call(AGENT, METADATA, BYE, written=True)
    return next(line.text for line in result.transcript if line.role == "agent")


def test_an_edit_reaches_the_next_call(added: RunningHost, greeting: Path) -> None:
    """Good edits of a prompt are said in the next call; after a bad one, of a prompt or of conf, the last good one is."""
    taken = added.log.count("edit taken")
    greeting.write_text("Welcome to the harbour kitchen.")
    wait_for(added, "edit taken", times=taken + 1)
    greeting.write_text("Welcome, {{ user_nmae }}.")
    wait_for(added, "code=prompt.unknown")
    bad = added.root / "conf" / "tts" / "cartesia.yaml"
    good = bad.read_text()
    bad.write_text(good + "sped: 1.2\n")
    wait_for(added, "sped")
    bad.write_text(good)

    assert "harbour kitchen" in greeted(added).lower()
