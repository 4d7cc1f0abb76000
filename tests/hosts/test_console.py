"""Calls in writing: `switchboard console`, with what a person types on stdin."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

from shared.local.transcripts import Line
from tests.calls.scripts import ADA
from tests.running import RunningHost

LIMIT_S = 60.0
BUSY_S = 0.4
"""Within it an agent answers, ends the call and would have closed the room."""


def console(host: RunningHost, metadata: dict[str, object], *words: str) -> subprocess.Popen[str]:
    """The command against a running host, with a pipe at its stdin."""
    return subprocess.Popen(
        [sys.executable, "-m", "shared.cli.main", "console", "intake", *words],
        env={
            **os.environ,
            "SWITCHBOARD_VAR": str(host.var),
            "SWITCHBOARD_METADATA": json.dumps(metadata),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_whole_conversation_in_writing(host: RunningHost) -> None:
    """Lines from a pipe are said one after the other; the intake is saved, the record has every turn, and no voice is used: here it fails."""
    host.fault(endpoint="tts", kind="refuse", status=401, times=None, only='"speed": 1.03')
    process = console(host, ADA | {"config": {"tts.speed": 1.03}}, "--json")

    stdout, stderr = process.communicate(
        "My order has not arrived yet.\n\nYes, that's right.\n", LIMIT_S
    )

    assert process.returncode == 0, stderr
    made = json.loads(stdout)
    assert [line["role"] for line in made["transcript"]] == ["agent", "caller"] * 2 + ["agent"]
    assert "Ada Lovelace" in made["transcript"][0]["text"]
    assert (made["outcome"], len(made["answers_s"])) == ("completed", 2)
    record = host.record_of(made["dispatch_id"])
    turns = [(event.data["role"], event.data["text"]) for event in record if event.event == "turn"]
    assert turns == [(line["role"], line["text"]) for line in made["transcript"]]
    [intake] = [event.data for event in record if event.event == "intake"]
    assert "order" in intake["reason"]


async def test_who_is_busy_still_reads_the_goodbye(host: RunningHost) -> None:
    """It does not come in one moment with the end of the room: LiveKit's SDK would drop it."""
    yes = "Yes, that's right."

    def keep_busy(event: object) -> None:
        if isinstance(event, Line) and event.text == yes:
            # once the word is on its way
            asyncio.get_running_loop().call_later(0.03, time.sleep, BUSY_S)

    result = await host.calling(
        "intake", ADA, "My order has not arrived yet.", yes, written=True, on_event=keep_busy
    )

    assert result.outcome == "completed"
    assert "Goodbye" in result.transcript[-1].text


def test_ctrl_c_leaves_nothing_behind(host: RunningHost) -> None:
    """The greeting is on the screen, then Ctrl-C: the caller is out of the room, and the call has its outcome."""
    room = "console-ctrl-c"
    process = console(host, ADA, "--room", room)
    assert process.stdout is not None
    assert "Ada Lovelace" in process.stdout.readline()

    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=LIMIT_S)

    assert (process.returncode, stdout) == (130, "")
    assert "Traceback" not in stderr
    [offered] = [event for event in host.events_in(room) if event.event == "offered"]
    record = host.record_of(str(offered.data["dispatch_id"]))
    assert record[-1].data["outcome"] == "abandoned"
