"""What the records say of calls, whatever became of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.records.calls import CallSummary, remedy
from shared.records.ingest import Ingester
from shared.records.spool import Event, Spool
from shared.records.store import Store


def write(
    folder: Path, call_id: str, *events: tuple[str, dict[str, Any]], attempt: int = 1
) -> None:
    record = Spool.open(folder / "records", call_id=call_id, attempt=attempt)
    for event, data in events:
        record.append(event, **data)
    record.close()


OFFERED = ("offered", {"agent": "intake", "dispatch_id": "AD_1", "room": "r1", "metadata": {}})
TURN = ("turn", {"role": "caller", "text": "My name is Ada."})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A call that went well in its second attempt, one that was refused, one that nobody had room for, one that runs."""
    write(
        tmp_path,
        "c-1",
        OFFERED,
        ("joined", {"agent": "intake"}),
        TURN,
        ("recovering", {"why": "job.died"}),
    )
    write(tmp_path, "c-1", ("outcome", {"outcome": "completed", "code": None}), attempt=2)
    refused = {
        "agent": "intake",
        "dispatch_id": "AD_2",
        "room": "r2",
        "code": "metadata.phone",
        "reason": "…",
    }
    write(
        tmp_path,
        "c-2",
        ("refused", refused),
        ("outcome", {"outcome": "refused", "code": "metadata.phone"}),
    )
    write(
        tmp_path,
        "c-3",
        ("declined", {"agent": "intake", "dispatch_id": "AD_3", "code": "host.full"}),
    )
    write(tmp_path, "c-4", OFFERED)
    return tmp_path


def switchboard(folder: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "shared.cli.main", "records", *words],
        env={**os.environ, "SWITCHBOARD_VAR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "outcome", "code", "attempts"),
    [
        ("c-1", "completed", None, 2),
        ("AD_2", "refused", "metadata.phone", 1),
        ("r2", "refused", "metadata.phone", 1),
        ("c-3", "declined", "host.full", 1),
        ("c-4", None, None, 1),
    ],
)
def test_a_call_is_found_and_summed_up(
    folder: Path, store: Store, name: str, outcome: str | None, code: str | None, attempts: int
) -> None:
    """By call id, dispatch or room; all attempts together; its outcome, code and what to do."""
    with Ingester.alone(folder / "records", store) as ingester:
        assert ingester is not None
        ingester.ingest()
    found = store.find(name)

    assert found is not None
    assert (found.outcome, found.code, found.attempts) == (outcome, code, attempts)
    assert (remedy(code) is None) is (code is None)


ATTEMPTS = [
    (1, "declined", {"agent": "intake", "dispatch_id": "AD_1", "code": "host.full"}),
    (1, "offered", {"agent": "intake", "dispatch_id": "AD_1", "room": "r", "host": "h1"}),
    (1, "joined", {}),
    (1, "outcome", {"outcome": "failed", "code": "host.died"}),
    (2, "offered", {"agent": "intake", "dispatch_id": "AD_2", "room": "r", "host": "h2"}),
    (2, "joined", {}),
]


@given(st.permutations(range(len(ATTEMPTS))), st.integers(1, len(ATTEMPTS)))
def test_a_call_comes_to_the_same_in_whatever_order_files_are_read(
    order: list[int], upto: int
) -> None:
    """Which file is brought in first, and whether one is brought in twice, changes nothing."""
    begun = datetime(2030, 1, 31, tzinfo=UTC)
    events = [
        Event(1, number, begun + timedelta(seconds=number), "c", attempt, event, data)
        for number, (attempt, event, data) in enumerate(ATTEMPTS[:upto])
    ]
    straight, mixed = (CallSummary("c", begun) for _ in range(2))
    for event in events:
        straight.add(event)
    for number in [number for number in order * 2 if number < upto]:
        mixed.add(events[number])

    assert mixed == straight


def test_a_call_that_was_taken_again_runs() -> None:
    """Another attempt after an outcome, or a host with room after one without, and the call has no outcome yet."""
    begun = datetime(2030, 1, 31, tzinfo=UTC)
    outcomes = []
    call = CallSummary("c", begun)
    for number, (attempt, event, data) in enumerate(ATTEMPTS):
        call.add(Event(1, number, begun + timedelta(seconds=number), "c", attempt, event, data))
        outcomes.append(call.outcome)

    assert outcomes == ["declined", None, None, "failed", None, None]
    assert (call.host, call.attempts, call.joined_s) == ("h2", 2, 2.0)


def test_the_command_begins_with_the_outcome_and_its_remedy(folder: Path) -> None:
    """`show` says what to do before what happened; `list` tells nothing that was said; an unknown name is one line."""
    shown = switchboard(folder, "show", "r2")[1].splitlines()
    listed = switchboard(folder, "list")[1]
    whole = json.loads(switchboard(folder, "show", "c-1", "--json")[1])
    exported = switchboard(folder, "export")[1].splitlines()
    code, _, err = switchboard(folder, "show", "nobody")

    assert shown[0] == "refused (metadata.phone)"
    assert "make explain" in shown[1]
    assert len(listed.splitlines()) == 4
    assert "Ada" not in listed
    assert [event["event"] for event in whole["events"]][-1] == "outcome"
    assert any("My name is Ada." in line for line in exported)
    assert (code, len(err.splitlines())) == (5, 1)
