"""Nobody is left alone: a call whose agent was lost gets another one.

Each job holds a line to this host (`shared/session/lifeline.py`). A line that ends without a goodbye, goes silent or reports a crash is
a lost agent: what is left of it, process and participant, is removed, and the next attempt of the same call is dispatched, which goes on
from the record.

A host that dies takes its jobs along. Each host holds a file lock while it lives; another host on the machine that gets it looks after
the calls that are left in the dead one's folder.
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
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import structlog
from livekit import api

from shared.dispatch.dispatcher import Dispatcher
from shared.dispatch.identity import agent_identity, attempt
from shared.dispatch.offers import agent_of_key
from shared.errors import DispatchError
from shared.host.jobs import Job, again, read, write
from shared.records.spool import Spool, read_call

HELLO_S = 3.0
"""From a job's launch to its first word."""
SILENCE_S = 3.0
"""Longest silence of a living job; LiveKit itself waits for 60 s."""
LIMIT = 2
"""Recoveries of one call within `WITHIN`; then it is given up."""
WITHIN = timedelta(seconds=60)
GONE_S = 8.0
"""A caller who is not seen for so long has gone; after a restart of the server they come back within it."""
JOIN_S = 5.0
"""From a recovery's dispatch to its agent in the room."""
AT_ONCE = 5
_LOOK_S = 0.5

log = structlog.get_logger(__name__)


class Recovery:
    """Looks after the jobs of one host, and of hosts on this machine that have died."""

    def __init__(self, run_dir: Path, records: Path, lkapi: Callable[[], api.LiveKitAPI]) -> None:
        self._run = run_dir
        self._records = records
        self._lkapi = lkapi
        self._folder = run_dir / f"host-{os.getpid()}.jobs"
        self._waiting: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._seats = asyncio.Semaphore(AT_ONCE)
        self._home = Path(tempfile.mkdtemp(prefix="switchboard-"))  # a socket's path must be short
        # who looks after this host when it has died removes that folder too
        self._signpost = run_dir / f"host-{os.getpid()}.home"
        self.line = self._home / "line"

    @contextlib.asynccontextmanager
    async def looking_after(self) -> AsyncIterator[None]:
        """Listen to jobs and watch other hosts, while the host runs."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._signpost.unlink(missing_ok=True)
        self._signpost.symlink_to(self._home)
        with _locked(self._run / f"host-{os.getpid()}.lock"):
            server = await asyncio.start_unix_server(self._listen, self.line)
            watching = asyncio.create_task(self._watch())
            try:
                yield
            finally:
                watching.cancel()
                server.close()
                for task in self._tasks:
                    task.cancel()
                shutil.rmtree(self._folder, ignore_errors=True)
                shutil.rmtree(self._home, ignore_errors=True)
                self._signpost.unlink(missing_ok=True)

    def taking(self, job: Job) -> None:
        """A job is about to be launched."""
        self._waiting[job.id] = job
        write(self._file(job), job)

    def launched(self, job: Job) -> None:
        """It should say hello now."""
        self._begin(self._expect(job))

    def dropped(self, job: Job) -> None:
        """It was not launched after all."""
        self._over(job)

    async def _expect(self, job: Job) -> None:
        await asyncio.sleep(HELLO_S)
        if self._waiting.pop(job.id, None) is not None:
            await self._recover(job, "job.silent")

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One job from its hello to its end."""
        try:
            hello = json.loads(await asyncio.wait_for(reader.readline(), HELLO_S))
            job = self._waiting.pop(hello["job"], None)
            if job is None:
                return  # another attempt is on its way already
            why = await _end(reader)
            if why is None:
                self._over(job)
                return
            with contextlib.suppress(ProcessLookupError):
                if why != "job.crashed":  # LiveKit ends that one in order
                    os.kill(hello["pid"], signal.SIGKILL)
            self._begin(self._recover(job, why))
        except (TimeoutError, ValueError, KeyError, ConnectionError):
            return  # never said who it is: the wait for its hello answers for it
        finally:
            writer.close()

    async def _recover(self, job: Job, why: str) -> None:
        """Send another agent into the room, unless nobody is there any more, somebody else has, or it was tried too often."""
        seen = job.attempt
        while True:
            log.warning("agent lost", call_id=job.call_id, agent=job.agent, code=why)
            if await self._is_over(job, seen):
                break
            if self._tried(job) >= LIMIT:
                await self._give_up(job, why)
                break
            self._note(job, "recovering", why=why)
            self._begin(self._remove(job, seen))
            try:
                async with self._seats:
                    sent = await Dispatcher(self._lkapi(), records=self._records).dispatch(
                        again(job, seen + 1), deadline_s=JOIN_S
                    )
            except DispatchError as err:
                why, seen = err.code, seen + 1
                continue
            log.info(
                "agent sent again",
                call_id=job.call_id,
                agent=job.agent,
                attempt=sent.attempt,
                seconds=sent.seconds,
            )
            break
        self._over(job)

    async def _remove(self, job: Job, number: int) -> None:
        """Take what LiveKit still holds of a lost attempt out of the room: it would stay there for 20 s."""
        ghost = agent_identity(job.room, job.agent, job.call_id, number)
        with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
            await self._lkapi().room.remove_participant(
                api.RoomParticipantIdentity(room=job.room, identity=ghost)
            )

    async def _is_over(self, job: Job, seen: int) -> bool:
        """Whether the call needs no agent: it has ended, its caller has gone, or a later attempt is there.

        A server that was restarted knows nobody for some seconds, so who is not there is waited for.
        """
        until = time.monotonic() + GONE_S
        while True:
            if any(event.event == "outcome" for event in read_call(self._records, job.call_id)):
                return True
            try:
                needed = await self._is_needed(job, seen)
            except (api.TwirpError, aiohttp.ClientError, TimeoutError):
                needed, until = None, time.monotonic() + GONE_S
            if needed is not None:
                return not needed
            if time.monotonic() > until:
                self._note(job, "outcome", outcome="abandoned", code=None)
                return True
            await asyncio.sleep(_LOOK_S)

    async def _is_needed(self, job: Job, seen: int) -> bool | None:
        """Whether a caller waits for an agent; `None` where nobody is there, or not the same call."""
        lkapi = self._lkapi()
        rooms = (await lkapi.room.list_rooms(api.ListRoomsRequest(names=[job.room]))).rooms
        if not rooms:
            return None
        people = (
            await lkapi.room.list_participants(api.ListParticipantsRequest(room=job.room))
        ).participants
        there = agent_of_key(people, job.room, job.agent, job.call_id)
        if there is not None and attempt(there.attributes) > seen:
            return False
        agents = api.ParticipantInfo.Kind.AGENT
        if not any(one.kind != agents and not one.permission.hidden for one in people):
            return None
        # A restarted server gave the room another sid, and forgot its dispatches. Else it is somebody else's call.
        same = rooms[0].sid == job.room_sid
        return True if same or not await lkapi.agent_dispatch.list_dispatch(job.room) else None

    def _tried(self, job: Job) -> int:
        since = datetime.now(UTC) - WITHIN
        events = read_call(self._records, job.call_id)
        return sum(event.event == "recovering" and event.at > since for event in events)

    async def _give_up(self, job: Job, why: str) -> None:
        """Hang up for the caller: silence would be worse."""
        log.error("call given up", call_id=job.call_id, agent=job.agent, code=why)
        self._note(job, "outcome", outcome="failed", code=why)
        with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
            await self._lkapi().room.delete_room(api.DeleteRoomRequest(room=job.room))

    def _note(self, job: Job, event: str, **fields: object) -> None:
        record = Spool.open(self._records, call_id=job.call_id, attempt=job.attempt)
        record.append(event, **fields)
        record.close()

    async def _watch(self) -> None:
        """Look after the calls of hosts on this machine that have died."""
        while True:
            for lock in self._run.glob("host-*.lock"):
                if lock.name != f"host-{os.getpid()}.lock":
                    with _taken(lock) as dead:
                        if dead:
                            await self._inherit(lock)
            await asyncio.sleep(_LOOK_S)

    async def _inherit(self, lock: Path) -> None:
        folder = lock.with_suffix(".jobs")
        jobs = [job for file in folder.glob("*.json") if (job := read(file)) is not None]
        if jobs:
            log.warning("host lost", host=lock.stem, calls=len(jobs))
        await asyncio.gather(*(self._recover(job, "host.died") for job in jobs))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(lock.with_suffix(".home").resolve(), ignore_errors=True)
        for left in self._run.glob(f"{lock.stem}.*"):
            left.unlink(missing_ok=True)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _over(self, job: Job) -> None:
        self._waiting.pop(job.id, None)
        self._file(job).unlink(missing_ok=True)

    def _file(self, job: Job) -> Path:
        return self._folder / f"{job.id}.json"


async def _end(reader: asyncio.StreamReader) -> str | None:
    """Why a job needs another in its place; `None` after a goodbye."""
    while True:
        try:
            line = await asyncio.wait_for(reader.readline(), SILENCE_S)
        except TimeoutError:
            return "job.hung"
        except ConnectionError:
            line = b""
        if not line:
            return "job.died"
        said = json.loads(line)
        if said["event"] == "bye":
            return None
        if said["event"] == "failed":
            return str(said["code"])


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file lock, which the kernel lets go of however this process ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


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
