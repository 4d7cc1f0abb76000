"""A third agent: a folder and a YAML file, and no other line."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.config.environment import ROOT
from shared.local.call import CallResult
from shared.local.stack import HeldStack
from tests.calls.conftest import RunningHost, start_host

SAYS = (
    "We would like to come on Friday.",
    "We are four people.",
    "On the terrace, please.",
    "Yes, that's right.",
)


@pytest.fixture(scope="module")
def booking(
    var: Path, held: HeldStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHost]:
    """A host of a copy of this repository to which one agent was added."""
    copy = tmp_path_factory.mktemp("repository")
    for folder in ("agents", "shared", "conf"):
        shutil.copytree(ROOT / folder, copy / folder)
    added = copy / "agents" / "booking"
    shutil.copytree(Path(__file__).parent / "booking", added)
    (added / "__init__.py").write_text('"""Books tables."""\n')
    (added / "booking.yaml").rename(copy / "conf" / "agent" / "booking.yaml")
    host = start_host(var, held.stack, ["booking"], "server.deployment=booking", root=copy)
    yield host
    host.stop()


@pytest.fixture(scope="module")
def called(booking: RunningHost) -> CallResult:
    return booking.call("booking", {"user_id": "1"}, *SAYS)


def events(booking: RunningHost, called: CallResult, event: str) -> list[dict[str, Any]]:
    return [dict(found.data) for found in booking.record(called) if found.event == event]


def test_a_new_agent_asks_for_a_date_a_count_and_a_choice(
    booking: RunningHost, called: CallResult
) -> None:
    """The language model of the local stack follows tools it has never seen."""
    saved = events(booking, called, "booking")[-1]
    day = datetime.date.fromisoformat(saved["day"])

    assert day.strftime("%A") == "Friday"
    assert datetime.timedelta() <= day - datetime.date.today() < datetime.timedelta(days=15)
    assert (saved["guests"], saved["area"]) == (4, "terrace")
    assert any("booked" in line.text for line in called.transcript if line.role == "agent")


def test_a_job_reaches_the_server_api(booking: RunningHost, called: CallResult) -> None:
    """The environment that the forkserver keeps is the final one: the job's own API client works."""
    assert events(booking, called, "booking")[-1]["rooms"] >= 1


def test_nothing_is_imported_in_a_job_before_its_first_answer(
    booking: RunningHost, called: CallResult
) -> None:
    """An import would block the loop of a running call; and no job composes its config."""
    probe = events(booking, called, "probe")[0]

    assert probe["late"] == []
    assert probe["composing"] == []
