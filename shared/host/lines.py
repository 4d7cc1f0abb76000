"""The host's end of what its jobs tell while they live (`shared/session/lifeline.py` is theirs).

A line that ends without a goodbye, goes silent or reports a crash is a lost agent: its process is ended and the call recovered.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator
from pathlib import Path
from typing import Any

from shared.host.jobs import Job, write
from shared.host.past import history
from shared.host.recovery import Recovery
from shared.records.spool import Reads, dump

HELLO_S = 3.0
"""From a job's launch to its first word."""
SILENCE_S = 3.0
"""Longest silence of a living job; LiveKit itself waits for 60 s."""


class Lines:
    """The jobs of one host, each from its offer to its end. Each is in a file too, for whoever looks after them when the host has died."""

    def __init__(self, run_dir: Path, records: Reads, recovery: Recovery) -> None:
        self._records = records
        self._recovery = recovery
        name = f"host-{os.getpid()}"
        self._folder = run_dir / f"{name}.jobs"
        self._lock = run_dir / f"{name}.lock"
        # who looks after this host when it has died removes that folder too
        self._signpost = run_dir / f"{name}.home"
        self._home = Path(tempfile.mkdtemp(prefix="switchboard-"))  # a socket's path must be short
        self._jobs: dict[str, Job] = {}
        self._silent: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.socket = self._home / "line"

    @property
    def jobs(self) -> Collection[Job]:
        """Those that are not over."""
        return self._jobs.values()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen to jobs, while the host runs."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._signpost.unlink(missing_ok=True)
        self._signpost.symlink_to(self._home)
        with _locked(self._lock):
            server = await asyncio.start_unix_server(self._listen, self.socket)
            try:
                yield
            finally:
                server.close()
                for task in self._tasks:
                    task.cancel()
                shutil.rmtree(self._folder, ignore_errors=True)
                shutil.rmtree(self._home, ignore_errors=True)
                self._signpost.unlink(missing_ok=True)

    def taking(self, job: Job) -> None:
        """A job is about to be launched."""
        self._jobs[job.id] = job
        self._silent.add(job.id)
        write(self._file(job), job)

    def launched(self, job: Job) -> None:
        """It should say hello now."""
        self._begin(self._expect(job))

    def dropped(self, job: Job) -> None:
        """It was not launched after all."""
        self._over(job)

    async def _expect(self, job: Job) -> None:
        await asyncio.sleep(HELLO_S)
        if job.id in self._silent:
            self._silent.remove(job.id)
            await self._recover(job, "job.silent", time.monotonic() - HELLO_S)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One job from its hello to its end."""
        try:
            hello = json.loads(await asyncio.wait_for(reader.readline(), HELLO_S))
            if hello["job"] not in self._silent:
                return  # another attempt is on its way already
            self._silent.remove(hello["job"])
            job = self._jobs[hello["job"]]
            for event in await history(job, self._records):
                writer.write(dump(event))
            writer.write(b"\n")
            why, heard = await _end(reader)
            if why is None:
                self._over(job)
                return
            with contextlib.suppress(ProcessLookupError):
                if why != "job.crashed":  # LiveKit ends that one in order
                    os.kill(hello["pid"], signal.SIGKILL)
            self._begin(self._recover(job, why, heard))
        except (TimeoutError, ValueError, KeyError, ConnectionError):
            return  # never said who it is: the wait for its hello answers for it
        finally:
            writer.close()

    async def _recover(self, job: Job, why: str, silent_since: float) -> None:
        await self._recovery.recover(job, why, silent_since=silent_since)
        self._over(job)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _over(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        self._silent.discard(job.id)
        self._file(job).unlink(missing_ok=True)

    def _file(self, job: Job) -> Path:
        return self._folder / f"{job.id}.json"


async def _end(reader: asyncio.StreamReader) -> tuple[str | None, float]:
    """Why a job needs another in its place, `None` after a goodbye, and when it was heard last."""
    while True:
        heard = time.monotonic()
        try:
            line = await asyncio.wait_for(reader.readline(), SILENCE_S)
        except TimeoutError:
            return "job.hung", heard
        except ConnectionError:
            line = b""
        if not line:
            return "job.died", heard
        said = json.loads(line)
        if said["event"] == "bye":
            return None, heard
        if said["event"] == "failed":
            return str(said["code"]), heard


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock, which the kernel lets go of however this process ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
