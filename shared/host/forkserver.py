"""Starting the process that every job is forked from, before livekit is imported. Knows the standard library only."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing import forkserver

FIRST = ("shared.host.gc_off",)
LAST = (
    "shared.host.preload",
    "livekit.agents.ipc._preload",
    "livekit.agents.ipc._preload_freeze",
    "shared.host.gc_on",
)
"""LiveKit's own warm-up is the last to load: what it freezes stays shared between the jobs."""


def start_forkserver(modules: Sequence[str]) -> None:
    """Start the forkserver, which imports `modules` while this process goes on. LiveKit's own list would come too late."""
    multiprocessing.set_forkserver_preload([*FIRST, *modules, *LAST])
    forkserver.ensure_running()
