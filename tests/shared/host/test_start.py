"""How a host starts."""

import os
import subprocess
import sys
from pathlib import Path

from shared.config.compose import ensure_snapshot
from shared.config.environment import ROOT, Settings

PROGRAM = """
import gc, sys
from shared.host import __main__ as main, servers

class LookedAt(servers.Host):
    async def _serve(self):
        print(gc.get_freeze_count(), len(gc.get_objects()), gc.isenabled())
        return 0

import shared.host.start
shared.host.start.Host = LookedAt
sys.argv[1:] = ["support"]
sys.exit(main.main())
"""


def test_what_is_imported_is_never_collected(tmp_path: Path) -> None:
    """Once it serves, a collection looks at what calls leave behind, and not at 200,000 objects for 50 ms."""
    settings = Settings.read({**os.environ, "SWITCHBOARD_VAR": str(tmp_path)}, env="local")
    snapshot, path = ensure_snapshot(("support",), "local", (), store=tmp_path, developer="ann")
    environ = settings.for_host(
        livekit={
            "LIVEKIT_URL": "ws://127.0.0.1:1",
            "LIVEKIT_API_KEY": "x",
            "LIVEKIT_API_SECRET": "x",
        },
        keys=dict.fromkeys(("DEEPGRAM_API_KEY", "CARTESIA_API_KEY", "OPENAI_API_KEY"), "x"),
        deployment="",
        snapshot=path,
        endpoints={},
        turn_detector=snapshot.needs_turn_detector,
        holds=None,
    )

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    frozen, left, collects = done.stdout.split()
    assert int(frozen) > 100_000
    assert int(left) < 10_000
    assert collects == "True"
