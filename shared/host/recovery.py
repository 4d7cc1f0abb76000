"""Nobody is left alone: a call whose agent was lost gets another one.

Who notices the loss says so: a job's own host (`lines.py`), another host of the machine (`heirs.py`), a host on another machine
(`leases.py`). What is left of the lost agent is removed, and the next attempt of the same call is dispatched, which goes on from the record.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import structlog
from livekit import api

from shared.dispatch.dispatcher import Dispatched, Dispatcher
from shared.dispatch.identity import KEY, agent_identity, attempt
from shared.dispatch.offers import agent_of_key, is_open, sent_for
from shared.errors import DispatchError
from shared.host.jobs import Job, again
from shared.records.spool import Reads, Spool
from shared.session.resume import ending

LIMIT = 2
"""Recoveries of one call within `WITHIN`; then it is given up."""
WITHIN = timedelta(seconds=60)
GONE_S = 8.0
"""A caller who is not seen for so long has gone; after a restart of the server they come back within it."""
JOIN_S = 5.0
"""From a recovery's dispatch to its agent in the room."""
UNREACHED_S = 30.0
"""How long one attempt is asked for again where LiveKit does not take it."""
AT_ONCE = 5
"""Recoveries at the same time: a lost host's calls must not come down on the next one in one moment."""
_LOOK_S = 0.5

log = structlog.get_logger(__name__)


class Recovery:
    """Sends another agent to calls that have lost theirs.

    Args:
        folder: Where records are written.
        records: Where they are read.
    """

    def __init__(self, folder: Path, records: Reads, lkapi: Callable[[], api.LiveKitAPI]) -> None:
        self._folder = folder
        self._records = records
        self._lkapi = lkapi
        self._seats = _Seats(AT_ONCE)
        self._removals: set[asyncio.Task[None]] = set()

    async def recover(self, job: Job, why: str, *, silent_since: float = 0.0) -> None:
        """Send another agent into the room, unless nobody is there any more, somebody else has, or it was tried too often.

        Args:
            why: A code, for the record.
            silent_since: Of `time.monotonic`, 0 where it is not known; whose caller has waited longest is served first.
        """
        seen = job.attempt
        while True:
            log.warning("agent lost", call_id=job.call_id, agent=job.agent, code=why)
            removal = asyncio.create_task(self._remove(job, seen))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)
            if await self._is_over(job, seen):
                return
            if await self._tried(job) >= LIMIT:
                await self._give_up(job, why)
                return
            self._note(job, "recovering", why=why)
            try:
                sent = await self._send(job, seen + 1, silent_since)
            except DispatchError as err:
                why, seen = err.code, seen + 1
                continue
            if sent is None:
                return
            log.info(
                "agent sent again",
                call_id=job.call_id,
                agent=job.agent,
                attempt=sent.attempt,
                seconds=sent.seconds,
            )
            return

    async def _send(self, job: Job, number: int, silent_since: float) -> Dispatched | None:
        """Have an attempt in the room; `None` where the call is over meanwhile, or has its agent after all.

        What LiveKit does not take, as while it starts again, was not tried: the same attempt is asked for again, which its key makes safe.

        Raises:
            DispatchError: It did not come.
        """
        until = time.monotonic() + UNREACHED_S
        while True:
            try:
                async with self._seats.taken(silent_since):
                    return await Dispatcher(self._lkapi(), records=self._records).dispatch(
                        again(job, number), deadline_s=JOIN_S
                    )
            except DispatchError as err:
                if err.code != "dispatch.unreachable" or time.monotonic() > until:
                    raise
            if await self._is_over(job, number - 1):
                return None
            log.warning("agent not sent", call_id=job.call_id, agent=job.agent, attempt=number)
            await asyncio.sleep(_LOOK_S)

    async def _remove(self, job: Job, number: int) -> None:
        """Take what LiveKit still holds of a lost attempt out of the room: it would stay there for 20 s."""
        ghost = agent_identity(job.room, job.agent, job.call_id, number)
        with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
            await self._lkapi().room.remove_participant(
                api.RoomParticipantIdentity(room=job.room, identity=ghost)
            )

    async def _is_over(self, job: Job, seen: int) -> bool:
        """Whether the call needs no agent: it has ended, its caller has gone, or a later attempt is there, maybe of another name.

        A server that was restarted knows nobody for some seconds, so who is not there is waited for.
        """
        until = time.monotonic() + GONE_S
        while True:
            events = await self._records.of(job.call_id)
            # the same key may have brought a call that ended before this one began
            ends = [e.data for e in events if e.event == "outcome" and e.attempt >= job.attempt]
            if ends:
                if ends[-1]["outcome"] != "abandoned":
                    await self._hang_up(job, seen)
                return True
            try:
                needed = await self._is_needed(job, seen)
                if needed and await self._is_handed_over(job, seen):
                    return True
            except (api.TwirpError, aiohttp.ClientError, TimeoutError):
                needed, until = None, time.monotonic() + GONE_S
            if needed is not None:
                return not needed
            if time.monotonic() > until:
                begun = ending(events)
                outcome = begun.outcome if begun is not None else "abandoned"
                self._note(job, "outcome", outcome=outcome, code=None)
                return True
            await asyncio.sleep(_LOOK_S)

    async def _hang_up(self, job: Job, seen: int) -> None:
        """Close the room of a call that has ended: its agent was lost before it did. Not where another agent is there."""
        lkapi, agents = self._lkapi(), api.ParticipantInfo.Kind.AGENT
        ghost = agent_identity(job.room, job.agent, job.call_id, seen)
        with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
            rooms = (await lkapi.room.list_rooms(api.ListRoomsRequest(names=[job.room]))).rooms
            if not any(room.sid == job.room_sid for room in rooms):
                return
            people = await self._people(job)
            if all(one.kind != agents or one.identity == ghost for one in people):
                await lkapi.room.delete_room(api.DeleteRoomRequest(room=job.room))

    async def _is_needed(self, job: Job, seen: int) -> bool | None:
        """Whether a caller waits for an agent; `None` where nobody is there, or not the same call."""
        lkapi = self._lkapi()
        rooms = (await lkapi.room.list_rooms(api.ListRoomsRequest(names=[job.room]))).rooms
        if not rooms:
            return None
        people = await self._people(job)
        there = agent_of_key(people, job.room, job.agent, job.call_id)
        if there is not None and attempt(there.attributes) > seen:
            return False
        agents = api.ParticipantInfo.Kind.AGENT
        if not any(one.kind != agents and not one.permission.hidden for one in people):
            return None
        if rooms[0].sid == job.room_sid:
            return True
        # A restarted server gave the room another sid, and forgot its dispatches. Else it is somebody else's call.
        # Any room that a caller has opened lists one without a name, which is for agents that nobody dispatches.
        listed = await lkapi.agent_dispatch.list_dispatch(job.room)
        others = any(one.agent_name and one.attributes.get(KEY) != job.call_id for one in listed)
        return None if others else True

    async def _is_handed_over(self, job: Job, seen: int) -> bool:
        """Whether an agent of another name has come for the call, which the lost one had sent for. Who does not come is called back."""
        lkapi, until = self._lkapi(), time.monotonic() + JOIN_S
        while True:
            listed = await lkapi.agent_dispatch.list_dispatch(job.room)
            sent = sent_for(listed, job.agent, job.call_id, seen)
            if not sent:
                return False
            people = await self._people(job)
            for one in sent:
                there = agent_of_key(people, job.room, one.agent_name, job.call_id)
                if there is not None and attempt(there.attributes) > seen:
                    return True
            if not any(map(is_open, sent)) or time.monotonic() > until:
                for one in sent:
                    await lkapi.agent_dispatch.delete_dispatch(one.id, job.room)
                return False
            await asyncio.sleep(_LOOK_S)

    async def _people(self, job: Job) -> Sequence[api.ParticipantInfo]:
        asked = api.ListParticipantsRequest(room=job.room)
        return (await self._lkapi().room.list_participants(asked)).participants

    async def _tried(self, job: Job) -> int:
        since = datetime.now(UTC) - WITHIN
        events = await self._records.of(job.call_id)
        return sum(event.event == "recovering" and event.at > since for event in events)

    async def _give_up(self, job: Job, why: str) -> None:
        """Hang up for the caller: silence would be worse."""
        log.error("call given up", call_id=job.call_id, agent=job.agent, code=why)
        self._note(job, "outcome", outcome="failed", code=why)
        with contextlib.suppress(api.TwirpError, aiohttp.ClientError, TimeoutError):
            await self._lkapi().room.delete_room(api.DeleteRoomRequest(room=job.room))

    def _note(self, job: Job, event: str, **fields: object) -> None:
        record = Spool.open(self._folder, call_id=job.call_id, attempt=job.attempt)
        record.append(event, **fields)
        record.close()


class _Seats:
    """A number of seats; the smallest claim is the next to get one."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._count = itertools.count()
        self._queue: list[tuple[float, int, asyncio.Event]] = []

    @contextlib.asynccontextmanager
    async def taken(self, claim: float) -> AsyncIterator[None]:
        if self._free:
            self._free -= 1
        else:
            turn = asyncio.Event()
            heapq.heappush(self._queue, (claim, next(self._count), turn))
            await turn.wait()
        try:
            yield
        finally:
            if self._queue:
                heapq.heappop(self._queue)[2].set()
            else:
                self._free += 1
