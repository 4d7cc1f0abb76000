"""What the caller says and who the caller is stays out of every log."""

from __future__ import annotations

import json
import re

import pytest

from shared.local.stack import HeldStack
from tests.calls.conftest import Made
from tests.running import RunningHost

PERSONAL = {
    "Ada's name": r"\bAda\b|Lovelace",
    "Ada's number": r"510\D{0,3}555\D{0,3}0123",
    "her user id": r"(?<![\w-])12345(?![\w-])",
    "a name that was said": r"Grace Hopper|Tom Reed",
    "a number that was said": r"510\D{0,3}555\D{0,3}0142|212\D{0,3}555\D{0,3}0183",
}


@pytest.mark.parametrize("what", PERSONAL)
def test_no_log_holds_a_callers_data(
    host: RunningHost, held: HeldStack, all_made: None, made: Made, what: str
) -> None:
    """After all calls, at DEBUG: nothing in the logs of host, jobs, stand-ins and LiveKit server."""
    host.record(made("ada"))
    logs = [host.log_path, *(host.var / "run" / "logs").glob("*.log")]

    assert len(logs) > 2
    for path in logs:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = re.search(PERSONAL[what], text)
        assert found is None, f"{path.name}: {text[max(0, found.start() - 200) : found.end() + 50]}"


def test_a_crash_at_the_start_fails_the_call_and_tells_no_log_who_called(
    added: RunningHost, made: Made
) -> None:
    """LiveKit reports such a job as a success. Another agent is sent, twice; then the caller is not left in silence, and the record says why."""
    result = made("crash at the start")

    record = added.record(result)
    outcome = [event.data for event in record if event.event == "outcome"][-1]
    assert sum(event.event == "recovering" for event in record) == 2
    assert (outcome["outcome"], outcome["code"]) == ("failed", "job.crashed")
    assert "no seat for" in added.log
    assert_nothing_of_zelda(added)


def test_a_crash_in_a_tool_tells_no_log_who_called(added: RunningHost, made: Made) -> None:
    """The traceback is there, without the caller's values and words."""
    result = made("crash in a tool")
    added.record(result)

    assert "cannot note" in added.log
    said = [
        event.data["arguments"] for event in added.record(result) if event.event == "tool_result"
    ]
    assert json.loads(said[0])["wish"] not in added.log
    assert_nothing_of_zelda(added)


def assert_nothing_of_zelda(added: RunningHost) -> None:
    for path in [added.log_path, *(added.var / "run" / "logs").glob("*.log")]:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"Zelda|Fitz|4242-zf|212\D{0,3}555\D{0,3}0177|big tree", text)
        assert found is None, f"{path.name}: {text[max(0, found.start() - 200) : found.end() + 50]}"


def test_every_line_of_a_call_bears_its_ids(host: RunningHost, made: Made) -> None:
    """Call id, agent, dispatch and config digest are on a job's lines, LiveKit's own included."""
    result = made("ada")
    host.record(result)
    lines = [line for line in host.log.splitlines() if f"dispatch={result.dispatch_id}" in line]

    assert any("job finished" in line for line in lines)
    assert any("[livekit.agents]" in line for line in lines)
    for line in lines:
        assert "call_id=" in line
        assert "agent=intake" in line
        assert "digest=" in line or "job refused" in line
