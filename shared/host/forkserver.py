"""Starting the process that every job is forked from, before livekit is imported. Knows the standard library only."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing import forkserver

LAST = ("shared.host.preload", "livekit.agents.ipc._preload", "livekit.agents.ipc._preload_freeze")
"""LiveKit's own warm-up ends the list: what it freezes stays shared between the jobs."""


def start_forkserver(modules: Sequence[str]) -> None:
    """Start the forkserver, which imports `modules` while this process goes on. LiveKit's own list would come too late."""
    multiprocessing.set_forkserver_preload([*modules, *LAST])
    forkserver.ensure_running()
