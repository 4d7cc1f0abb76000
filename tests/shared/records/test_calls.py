"""What the records say of calls, whatever became of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.records.calls import find_call, remedy, summary
from shared.records.spool import Spool


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
    folder: Path, name: str, outcome: str | None, code: str | None, attempts: int
) -> None:
    """By call id, dispatch or room; all attempts together; its outcome, code and what to do."""
    found = summary(find_call(folder / "records", name))

    assert (found.outcome, found.code, found.attempts) == (outcome, code, attempts)
    assert (remedy(code) is None) is (code is None)


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
