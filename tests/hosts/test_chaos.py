"""`make chaos`, for some seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from shared.config.environment import ROOT

WORDS = ("--minutes", "0.3", "--every", "2", "--losses", "0", "--json")


def test_no_call_is_lost_doubled_or_left_without_a_reason() -> None:
    """Jobs and a host are killed, dispatchers are cut off and the server is restarted meanwhile; each call is answered, or says why not."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.chaos", *WORDS],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert found["dispatches"] > 4
    assert found["answered"] >= 0.95 * found["dispatches"] - 1
    assert [found[name] for name in ("unexplained", "duplicates", "lost")] == [0, 0, 0]
