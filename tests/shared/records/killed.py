"""Kills what writes records and what brings them in, at random moments, and tells what was answered for.

python -m tests.shared.records.killed URL FOLDER MOMENTS

A program of its own, as it forks: everything is loaded once, so that a killed process is back at once. Prints, as JSON, the number of
turns of each call whose write had returned.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from shared.records.keeper import keep
from shared.records.spool import Spool


def write(folder: Path, call_id: str, answered: int) -> None:
    """A job: append turns, and say so after each."""
    spool = Spool.open(folder, call_id=call_id)
    for number in itertools.count():
        spool.append("turn", number=number)
        os.write(answered, b".")
        time.sleep(0.0005)


def fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(1)
    return pid


def main(url: str, folder: Path, moments: int) -> None:
    """Two jobs and a host at a time; one of the three is killed at each moment, and another takes its place."""
    choose = random.Random(moments)
    answers: dict[str, int] = {}
    names = (f"call-{number}" for number in itertools.count())

    def job() -> int:
        name = next(names)
        there, here = os.pipe()
        answers[name] = there
        pid = fork(lambda: write(folder, name, here))
        os.close(here)
        return pid

    def host() -> int:
        return fork(lambda: keep(url, folder, threading.Event()))

    start = [job, job, host]
    running = [begin() for begin in start]
    for _ in range(moments):
        time.sleep(choose.uniform(0.005, 0.08))
        which = choose.randrange(len(start))
        os.kill(running[which], signal.SIGKILL)
        os.waitpid(running[which], 0)
        running[which] = start[which]()
    for pid in running:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    json.dump({name: len(os.read(fd, 1 << 20)) for name, fd in answers.items()}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
