"""Dispatching an agent and seeing it come.

LiveKit's own dispatch succeeds when nobody will come. This one returns when the agent is in the room and ready, or says why not.

A dispatch has a key. Whoever repeats it with the same key, after a crash or a lost answer, gets the same agent and never a second one:
the key is looked for in the room and among its dispatches before anything is made, and hosts refuse all but the first of a key.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
from livekit import api

from shared.dispatch.identity import (
    ATTEMPT,
    CODE,
    DIGEST,
    DISPATCH,
    HOST,
    KEY,
    OUTCOME,
    STATE,
    attempt,
)
from shared.dispatch.offers import agent_of_key, is_open, of_key
from shared.dispatch.reasons import Reasons
from shared.errors import DispatchError
from shared.records.spool import Reads

OFFER_S = 10.0
"""LiveKit offers a dispatch for 9 s at most; what nobody took by then is lost."""

_TICK_S = 0.01
_SLOW_TICK_S = 0.1
_FAST_S = 2.0
"""An agent that is coming at all is mostly there by then; after it the room is looked at less often."""
_LOOK_S = 0.25
"""How often the dispatch itself is looked at."""
_REQUEST_S = 3.0
_FOR_GOOD = (400, 401, 403)
"""Statuses of a request that no repetition makes right."""


@dataclass(frozen=True)
class Order:
    """What is to be dispatched.

    Attributes:
        metadata: JSON, as the agent gets it.
        key: Names the call; a repeated order with the same key is the same call.
        attributes: More of the dispatch's attributes; not those of key and attempt.
    """

    agent: str
    room: str
    metadata: str
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    deployment: str = ""
    attempt: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Dispatched:
    """An agent that is in the room and ready.

    Attributes:
        created: Whether a dispatch was made for it; it may have been there already.
        seconds: From the order to this answer.
    """

    key: str
    agent: str
    room: str
    identity: str
    dispatch_id: str
    attempt: int
    host: str
    digest: str
    created: bool
    seconds: float


class Dispatcher:
    """Dispatches agents on one LiveKit server.

    Args:
        lkapi: Its API.
        records: What its hosts write, where that is at hand: why nobody comes is read there.
    """

    def __init__(self, lkapi: api.LiveKitAPI, *, records: Reads | None = None) -> None:
        self._api = lkapi
        self._records = records

    async def dispatch(self, order: Order, *, deadline_s: float = OFFER_S) -> Dispatched:
        """Have the agent in the room.

        Raises:
            DispatchError: It did not come. Its code says why: `dispatch.refused`, `dispatch.full`, `dispatch.nobody`,
                `dispatch.not_joined`, `dispatch.not_ready`, `dispatch.failed`, `dispatch.unconfirmed`, `dispatch.unreachable`, `dispatch.denied`.
        """
        attending = _Attending(self._api, order, self._records)
        try:
            async with asyncio.timeout(deadline_s):
                return await attending.until_ready()
        except TimeoutError:
            raise attending.verdict(deadline_s) from None

    async def send(self, order: Order, *, deadline_s: float = _REQUEST_S) -> None:
        """Have the dispatch made, unless its agent is there or may still come; neither is waited for.

        Raises:
            DispatchError: LiveKit does not take it (`dispatch.unreachable`, `dispatch.denied`).
        """
        attending = _Attending(self._api, order, self._records)
        try:
            async with asyncio.timeout(deadline_s):
                await attending.have_dispatch()
        except TimeoutError:
            raise attending.verdict(deadline_s) from None


class _Attending:
    """One order from looking for it to its answer."""

    def __init__(self, lkapi: api.LiveKitAPI, order: Order, records: Reads | None) -> None:
        self._api = lkapi
        self._order = order
        self._reasons = Reasons(records, order.key)
        self._begun = time.monotonic()
        self._dispatch: api.AgentDispatch | None = None
        self._created = False
        self._seen = False
        self._last_error = ""

    async def until_ready(self) -> Dispatched:
        await self.have_dispatch()
        look_at = 0.0
        while True:
            if (done := await self._ready()) is not None:
                return done
            await self._check_reasons()
            now = time.monotonic()
            if now >= look_at:
                look_at = now + _LOOK_S
                await self._look()
            fast = now - self._begun < _FAST_S
            await asyncio.sleep(_TICK_S if fast else _SLOW_TICK_S)

    async def have_dispatch(self) -> None:
        """Find the dispatch of this key, or make one; a request whose answer was lost is looked for before it is repeated."""
        while True:
            try:
                async with asyncio.timeout(_REQUEST_S):
                    if await self._find():
                        return
                    await self._create()
                    return
            except api.TwirpError as err:
                if err.status in _FOR_GOOD:  # a wrong key is answered without a Twirp code
                    raise DispatchError(
                        f"LiveKit refused the dispatch (HTTP {err.status}). Check key, secret, room and agent name.",
                        code="dispatch.denied",
                    ) from None
                self._last_error = err.code
            except (aiohttp.ClientError, TimeoutError) as err:
                self._last_error = type(err).__name__
            await asyncio.sleep(_SLOW_TICK_S)

    async def _find(self) -> bool:
        order = self._order
        if (there := await self._agent()) and attempt(there.attributes) >= order.attempt:
            return True
        found = of_key(await self._listed(), order.agent, order.key)
        if not found or attempt(found[0].attributes) < order.attempt:
            return False
        newest = found[0]
        # LiveKit shows a job as running long after it has left: what counts is who may still come
        await self._reasons.read(surely=True)
        has_ended = self._reasons.has_ended(attempt(newest.attributes))
        if is_open(newest) and _age_s(newest) < OFFER_S and not has_ended:
            self._dispatch = newest
            return True
        # nobody came for it, or whoever did has gone: the next attempt counts in its place
        self._order = Order(**{**vars(order), "attempt": attempt(newest.attributes) + 1})
        return False

    async def _create(self) -> None:
        order = self._order
        self._dispatch = await self._api.agent_dispatch.create_dispatch(
            api.CreateAgentDispatchRequest(
                room=order.room,
                agent_name=order.agent,
                metadata=order.metadata,
                deployment=order.deployment,
                attributes={**order.attributes, KEY: order.key, ATTEMPT: str(order.attempt)},
            )
        )
        self._created = True

    async def _agent(self) -> api.ParticipantInfo | None:
        """The agent of this key in the room."""
        order = self._order
        try:
            people = await self._api.room.list_participants(
                api.ListParticipantsRequest(room=order.room)
            )
        except api.TwirpError as err:
            if err.code == "not_found":
                return None
            raise
        return agent_of_key(people.participants, order.room, order.agent, order.key)

    async def _ready(self) -> Dispatched | None:
        order = self._order
        try:
            agent = await self._agent()
        except (api.TwirpError, aiohttp.ClientError, TimeoutError) as err:
            self._last_error = type(err).__name__
            return None
        if agent is None or attempt(agent.attributes) < order.attempt:
            return None
        self._seen = True
        there = agent.attributes
        if there.get(STATE) == "failed" or OUTCOME in there:
            raise DispatchError(
                f"{order.agent} came and has ended the call: {there.get(CODE) or there.get(OUTCOME)}",
                code="dispatch.failed",
            )
        if there.get(STATE) != "ready":
            return None
        return Dispatched(
            key=order.key,
            agent=order.agent,
            room=order.room,
            identity=agent.identity,
            dispatch_id=there.get(DISPATCH, ""),
            attempt=attempt(there),
            host=there.get(HOST, ""),
            digest=there.get(DIGEST, ""),
            created=self._created,
            seconds=round(time.monotonic() - self._begun, 3),
        )

    async def _look(self) -> None:
        """Look whether the dispatch is still there and open.

        Raises:
            DispatchError: Nobody will come for it.
        """
        if self._dispatch is None:
            return
        order = self._order
        try:
            async with asyncio.timeout(_REQUEST_S):
                there = await self._listed()
        except (api.TwirpError, aiohttp.ClientError, TimeoutError) as err:
            self._last_error = type(err).__name__
            return
        # where others raced with the same key the one that counts may be theirs
        found = of_key(there, order.agent, order.key)
        self._dispatch = next(iter(found), self._dispatch)
        if not found or _age_s(self._dispatch) > OFFER_S:
            # a restarted server has forgotten it, or LiveKit offers it no longer; who took it comes by itself
            if not self._may_be_taken(self._dispatch):
                await self.have_dispatch()
        elif not is_open(self._dispatch):
            await self._check_reasons(surely=True)  # it is written before LiveKit is told
            if await self._ready() is None:
                raise DispatchError(
                    f"a host of {order.agent} refused it or has ended; unconfirmed: no shared records say why",
                    code="dispatch.unconfirmed",
                )

    async def _listed(self) -> list[api.AgentDispatch]:
        """The dispatches of the room; a server that was restarted has forgotten them, and the room."""
        rooms = await self._api.room.list_rooms(api.ListRoomsRequest(names=[self._order.room]))
        if not rooms.rooms:
            return []  # LiveKit would let a question about the dispatches of no room wait
        return await self._api.agent_dispatch.list_dispatch(self._order.room)

    async def _check_reasons(self, *, surely: bool = False) -> None:
        await self._reasons.read(surely=surely)
        if self._dispatch is not None:
            self._reasons.check(self._order.agent, self._dispatch.id)

    def _may_be_taken(self, dispatch: api.AgentDispatch) -> bool:
        if self._reasons.are_known:
            return self._reasons.is_taken(dispatch.id)
        return time.monotonic() - self._begun < OFFER_S

    def verdict(self, deadline_s: float) -> DispatchError:
        """Why the agent was not there in time."""
        agent = self._order.agent
        late = f"after {deadline_s:g} s"
        if self._dispatch is None and not self._seen:
            return DispatchError(
                f"LiveKit did not take the dispatch {late} ({self._last_error}). Check that the server runs.",
                code="dispatch.unreachable",
            )
        if self._seen:
            return DispatchError(
                f"{agent} is in the room but was not ready {late}. Its host's log says more.",
                code="dispatch.not_ready",
            )
        if self._dispatch is not None and self._dispatch.state.jobs:
            return DispatchError(
                f"a host of {agent} took it but did not come into the room {late}. Its host's log says more.",
                code="dispatch.not_joined",
            )
        if self._dispatch is not None and (declined := self._reasons.declined(self._dispatch.id)):
            return DispatchError(
                f"no host of {agent} has room: {', '.join(declined)}. Start another host, or raise server.max_jobs.",
                code="dispatch.full",
            )
        where = f" in deployment {self._order.deployment}" if self._order.deployment else ""
        return DispatchError(
            f"nobody took it {late}: no host of {agent} is registered{where}, or each of them reports a load of 0.7 or more. Start one: make run AGENT={agent}",
            code="dispatch.nobody",
        )


def _age_s(dispatch: api.AgentDispatch) -> float:
    return time.time() - dispatch.state.created_at / 1e9
