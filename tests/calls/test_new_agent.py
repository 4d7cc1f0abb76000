"""A third agent: a folder and a YAML file, and no other line."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from shared.local.call import CallResult
from tests.calls.conftest import Made
from tests.running import RunningHost


@pytest.fixture(scope="module")
def called(made: Made) -> CallResult:
    return made("booking")


def events(added: RunningHost, called: CallResult, event: str) -> list[dict[str, Any]]:
    return [dict(found.data) for found in added.record(called) if found.event == event]


def test_a_new_agent_asks_for_a_date_a_count_and_a_choice(
    added: RunningHost, called: CallResult
) -> None:
    """The language model of the local stack follows tools it has never seen."""
    saved = events(added, called, "booking")[-1]
    day = datetime.date.fromisoformat(saved["day"])

    assert day.strftime("%A") == "Friday"
    assert datetime.timedelta() <= day - datetime.date.today() < datetime.timedelta(days=15)
    assert (saved["guests"], saved["area"]) == (4, "terrace")
    assert any("booked" in line.text for line in called.transcript if line.role == "agent")


def test_a_job_reaches_the_server_api(added: RunningHost, called: CallResult) -> None:
    """The environment that the forkserver keeps is the final one: the job's own API client works."""
    assert events(added, called, "booking")[-1]["rooms"] >= 1


def test_nothing_is_imported_in_a_job_before_its_first_answer(
    added: RunningHost, called: CallResult
) -> None:
    """An import would block the loop of a running call; and no job composes its config or knows a database."""
    probe = events(added, called, "probe")[0]

    assert probe["late"] == []
    assert probe["others"] == []
    assert probe["collects"]
