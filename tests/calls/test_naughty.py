"""Text that breaks things elsewhere, in every text field, through whole calls."""

from __future__ import annotations

import pytest

from tests.calls.conftest import Made, RunningHost
from tests.calls.scripts import NAUGHTY_CALLS, SCRIPTS
from tests.naughty import NAUGHTY


@pytest.mark.parametrize("name", NAUGHTY_CALLS)
def test_a_call_with_naughty_text_goes_well(host: RunningHost, made: Made, name: str) -> None:
    """The agent greets, hears the goodbye and ends the call; nothing goes wrong, and no log has the text."""
    result = made(name)
    record = host.record(result)
    offered = next(event.data for event in record if event.event == "offered")
    of_call = [line for line in host.log.splitlines() if record[0].call_id in line]
    # WebRTC's own complaints are about the network
    wrong = [line for line in of_call if "[error" in line and "livekit::" not in line]
    texts = [text for text in NAUGHTY if 7 < len(text) < 100 and not text.isalpha()]

    assert result.outcome == "completed"
    assert result.transcript[0].text.startswith("Hello")
    assert offered["metadata"]["data"] == SCRIPTS[name].metadata["data"]
    assert not wrong
    assert not [text for text in texts if text in host.log]
