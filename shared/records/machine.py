"""SQLite serves the hosts of one machine. A folder of records says which one that is."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from shared.errors import ConfigError

FRESH_S = 30.0
"""A machine that has said nothing for so long has left the folder to others."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_machine() -> str:
    """A name for it, other than that of a container beside this one."""
    boot = BOOT_ID.read_text().strip() if BOOT_ID.exists() else ""
    return f"{socket.gethostname()} {boot}".strip()


def occupy(folder: Path) -> None:
    """Say that this machine's hosts keep their records here. To be repeated while they do.

    Raises:
        ConfigError: Another machine's hosts do: locks and process ids mean nothing between the two.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sign = folder / ".machine"
    mine = this_machine()
    if sign.exists():
        other = sign.read_text().strip()
        if other != mine and time.time() - sign.stat().st_mtime < FRESH_S:
            raise ConfigError(
                f"the records are in use by hosts on {other.partition(' ')[0]}. SQLite serves one machine: "
                "give each its own SWITCHBOARD_VAR, and for one store of several SWITCHBOARD_RECORDS_URL=postgresql://…",
                code="records.machine",
            )
    draft = folder / f".machine.{os.getpid()}"
    draft.write_text(mine)
    draft.replace(sign)
