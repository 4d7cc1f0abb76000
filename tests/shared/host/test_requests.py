"""The offer of a job: refused where its metadata cannot become right, unless policy takes such calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from livekit import api
from livekit.agents import JobRequest
from livekit.protocol import agent, models

from shared.config.compose import ensure_snapshot
from shared.host.lines import Lines
from shared.host.recovery import Recovery
from shared.host.requests import Offers
from shared.records.spool import Files, read_call
from shared.telemetry.redaction import HostCalls


@dataclass
class Answers:
    """What LiveKit was answered."""

    accepted: list[Any] = field(default_factory=list)
    rejected: list[Any] = field(default_factory=list)

    async def accept(self, answer: Any) -> None:
        self.accepted.append(answer)

    async def reject(self, *answer: Any) -> None:
        self.rejected.append(answer)


async def answered(
    folder: Path, metadata: str, *, on_misfit: str
) -> tuple[Answers, dict[str, Any]]:
    """How an offer with this metadata is answered, and the data of its record by event."""
    snapshot, _ = ensure_snapshot(
        ["support"], "local", (), store=folder / "snapshots", developer="ann"
    )
    job = agent.Job(
        id="AJ_1",
        dispatch_id="AD_1",
        type=agent.JobType.JT_ROOM,
        room=models.Room(name="r", sid="RM_1"),
        metadata=metadata,
    )
    answers = Answers()
    async with api.LiveKitAPI("http://127.0.0.1:1", "key", "secret") as lkapi:
        records = Files(folder / "records")
        recovery = Recovery(folder / "records", records, lambda: lkapi)
        lines = Lines(folder / "run", records, recovery)
        offers = Offers(
            agent="support",
            snapshot=replace(snapshot, policy={**snapshot.policy, "on_misfit": on_misfit}),
            records=folder / "records",
            calls=HostCalls(),
            host="h",
            max_jobs=1,
            running=lambda: 0,
            busy=lambda: False,
            lkapi=lambda: lkapi,
            lines=lines,
            reads=records,
        )
        async with lines.open():
            await offers.answer(
                JobRequest(job=job, on_reject=answers.reject, on_accept=answers.accept)
            )
    record = read_call(folder / "records", "AD_1")
    return answers, {event.event: dict(event.data) for event in record}


MISFIT = '{"user_id": "7", "user_phone": "nonsense-4711", "colour": "red"}'


async def test_a_misfit_is_refused(tmp_path: Path) -> None:
    """No other host is asked, and the record has the reason without the value."""
    answers, record = await answered(tmp_path, MISFIT, on_misfit="reject")
    assert (len(answers.accepted), len(answers.rejected)) == (0, 1)
    assert record["outcome"]["outcome"] == "refused"
    assert "/user_phone" in record["refused"]["reason"]
    assert "4711" not in str(record)


async def test_a_misfit_is_taken_where_policy_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The call is accepted without the value; log and record say what is missing, and keep what the contract does not know."""
    answers, record = await answered(tmp_path, MISFIT, on_misfit="degrade")
    assert (len(answers.accepted), len(answers.rejected)) == (1, 0)
    assert record["offered"]["metadata"]["user_id"] == "7"
    assert "user_phone" not in record["offered"]["metadata"]
    assert record["offered"]["unknown"] == {"colour": "red"}
    logged = capsys.readouterr().out
    assert "/user_phone: not a phone number" in logged
    assert "4711" not in logged


async def test_policy_is_no_misfit(tmp_path: Path) -> None:
    """A profile that is not there is refused either way: degrading is for contracts."""
    answers, record = await answered(tmp_path, '{"profile": "nosuch"}', on_misfit="degrade")
    assert (len(answers.accepted), len(answers.rejected)) == (0, 1)
    assert record["outcome"]["code"] == "policy.profile"
