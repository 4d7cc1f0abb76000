"""LiveKit's own command runs an agent of this repository."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from shared.config.environment import ROOT
from shared.local.stack import HeldStack
from tests.calls.scripts import BYE
from tests.running import RunningHost, wait_ready


def test_livekits_own_command_serves_an_agent(var: Path, held: HeldStack) -> None:
    """`python -m livekit.agents start agents/server.py` registers, greets, keeps a record and tells no log who called."""
    path = var / "livekit-command.log"
    environ = {
        "SWITCHBOARD_AGENT": "support",
        "SWITCHBOARD_VAR": str(var),
        "SWITCHBOARD_SET": "server.deployment=command",
    }
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "livekit.agents", "start", "agents/server.py"],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        described = wait_ready(process, var, path)
        host = RunningHost(process, path, var, held.stack, str(described["deployment"]))
        result = host.call("support", {"user_id": "77-zulu", "user_name": "Zulu Quill"}, BYE)

        assert result.outcome == "completed"
        assert "Zulu" in result.transcript[0].text
        assert host.record(result)
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    assert code == 0
    assert "job finished" in host.log
    assert "Zulu" not in host.log


def test_livekits_own_command_wants_one_agent() -> None:
    """Which one is said by a variable; without it there is one line and no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "livekit.agents", "start", "agents/server.py"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "SWITCHBOARD_AGENT"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.strip() == (
        "SWITCHBOARD_AGENT must name one agent, such as SWITCHBOARD_AGENT=intake"
    )
