"""A host as leases see it: python -m tests.shared.records.holding URL FOLDER HOST CALL…

Answers for the calls it is given, and prints the id of each that it takes over.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.records import leases
from shared.records.hosts import HostState
from shared.records.keeper import keep

HOLD_S = 3.0
"""A test does not wait as long as a host."""


class Calls:
    """Holds calls by their names."""

    def __init__(self, names: list[str]) -> None:
        self._held: dict[str, dict[str, Any]] = {name: {"attempt": 1, "id": name} for name in names}

    def held(self) -> Mapping[str, Mapping[str, Any]]:
        return dict(self._held)

    def inherit(self, call: Mapping[str, Any]) -> None:
        self._held[call["id"]] = {**call, "attempt": call["attempt"] + 1}
        sys.stdout.write(f"{call['id']}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    url, folder, host, *names = sys.argv[1:]
    state = HostState(host, ["intake"], live=len(names), load=0.0, draining=False)
    leases.HOLD_S = HOLD_S
    keep(url, Path(folder), threading.Event(), lambda: state, Calls(names))
