"""However a process ends, nothing of it stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from livekit import api

from shared.config.environment import ROOT
from shared.dispatch.dispatcher import Dispatcher, Order
from shared.local.stack import Stack, find
from tests.running import wait_ready


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_the_end_of_the_only_host_ends_jobs_server_and_stand_ins(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The host was the last holder of its stack: all processes that came with it are gone soon after, an agent that waits for its caller too."""
    log = tmp_path / "host.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.cli.main", "run", "intake"],
            cwd=ROOT,
            env={
                **os.environ,
                "SWITCHBOARD_VAR": str(tmp_path),
                "SWITCHBOARD_SET": "server.drain_timeout_s=1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    wait_ready(process, tmp_path, log)
    stack = find(tmp_path / "run")
    assert stack is not None
    asyncio.run(send_agent(stack))
    supervisor = psutil.Process(stack.supervisor_pid)
    family = [
        *psutil.Process(process.pid).children(recursive=True),
        supervisor,
        *supervisor.children(recursive=True),
    ]
    assert len(family) >= 5  # forkserver, a job, supervisor, server, stand-ins

    process.send_signal(number)

    assert process.wait(20) == (0 if number is signal.SIGTERM else -number)
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    assert find(tmp_path / "run") is None


async def send_agent(stack: Stack) -> None:
    """Have intake in a room that nobody comes to."""
    async with api.LiveKitAPI(
        stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret
    ) as lkapi:
        await Dispatcher(lkapi).dispatch(Order("intake", "empty", '{"user_id": "1"}', key="empty"))
