"""The host's first statements, in the order that makes it start fast.

The forkserver imports what the jobs need while this process imports the same, so it is started before livekit is loaded here; LiveKit
finds it running and keeps it. It keeps the environment of this moment for every job: nothing changes the environment after.
"""

import gc
import sys


def main() -> int:
    """Run the agent servers named in the first argument, such as `intake,support`, until a signal ends them."""
    gc.disable()  # as in gc_off.py; on again when all is imported, in servers.py
    from shared.config.environment import HostSettings
    from shared.config.snapshot import load_snapshot
    from shared.host.forkserver import start_forkserver

    settings = HostSettings.read()
    snapshot = load_snapshot(settings.snapshot)
    start_forkserver(snapshot.preload)

    from shared.host.start import run_host

    return run_host(sys.argv[1].split(","), snapshot, settings)


if __name__ == "__main__":
    sys.exit(main())
