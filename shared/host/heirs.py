"""A host that dies takes its jobs along. Each holds a file lock while it lives; whoever gets that lock on the machine looks after its calls."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import structlog

from shared.host.jobs import read
from shared.host.recovery import Recovery

_LOOK_S = 0.5
_AGAIN_S = 5.0
"""Until calls that could not be looked after, on a full disk say, are tried again."""

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def watching_hosts(run_dir: Path, recovery: Recovery) -> AsyncIterator[None]:
    """Look after the calls of this machine's hosts that die meanwhile, or have died before."""
    task = asyncio.create_task(_watch(run_dir, recovery))
    try:
        yield
    finally:
        task.cancel()


async def _watch(run_dir: Path, recovery: Recovery) -> None:
    busy: set[Path] = set()
    async with asyncio.TaskGroup() as tasks:  # one host's calls do not wait for another's
        while True:
            for lock in run_dir.glob("host-*.lock"):
                if lock.name != f"host-{os.getpid()}.lock" and lock not in busy:
                    busy.add(lock)
                    tasks.create_task(_look_after(lock, recovery, busy))
            await asyncio.sleep(_LOOK_S)


async def _look_after(lock: Path, recovery: Recovery, busy: set[Path]) -> None:
    try:
        with _taken(lock) as dead:
            if dead:
                await _inherit(lock, recovery)
    except OSError as err:  # other hosts' calls go on being looked after meanwhile
        log.warning("calls of a lost host left for now", host=lock.stem, error=type(err).__name__)
        await asyncio.sleep(_AGAIN_S)
    finally:
        busy.discard(lock)


async def _inherit(lock: Path, recovery: Recovery) -> None:
    folder = lock.with_suffix(".jobs")
    jobs = [job for file in folder.glob("*.json") if (job := read(file)) is not None]
    if jobs:
        log.warning("host lost", host=lock.stem, calls=len(jobs))
    ends = await asyncio.gather(
        *(recovery.recover(job, "host.died") for job in jobs), return_exceptions=True
    )
    for failed in filter(None, ends):  # one that fails cuts no other short; all are looked at again
        raise failed
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(lock.with_suffix(".home").resolve(), ignore_errors=True)
    for left in lock.parent.glob(f"{lock.stem}.*"):
        left.unlink(missing_ok=True)


@contextlib.contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Whether nobody holds a file's lock; held meanwhile."""
    try:
        file = path.open("r+")
    except OSError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield path.exists()
