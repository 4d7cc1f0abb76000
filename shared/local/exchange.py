"""A caller's way into LiveKit: joining a room, dispatching an agent, and what is seen of that agent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Literal

import aiohttp
from livekit import api, rtc

from shared.dispatch.identity import KEY, OUTCOME
from shared.errors import StackError

Taken = Literal["not known", "by nobody", "to refuse it", "by a host"]

COMES_AGAIN_S = 5.0
"""Longest wait for another agent in the place of one that left without a word."""

_AGENT_STATE = "lk.agent.state"


class Exchange:
    """One LiveKit server, as its key lets a caller use it."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._url, self._key, self._secret = url, key, secret
        self._api = api.LiveKitAPI(url, key, secret)

    async def join(
        self,
        room: rtc.Room,
        name: str,
        identity: str,
        *,
        hidden: bool = False,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Enter the room `name`. A hidden participant is seen by nobody and sends and receives nothing.

        Raises:
            StackError: LiveKit is not there or does not take our key.
        """
        grants = api.VideoGrants(
            room_join=True,
            room=name,
            hidden=hidden,
            can_publish=not hidden,
            can_publish_data=not hidden,
        )
        token = (
            api.AccessToken(self._key, self._secret)
            .with_identity(identity)
            .with_grants(grants)
            .with_attributes(dict(attributes or {}))
        )
        try:
            # One connection both ways: the agent is heard through the one that the microphone has opened.
            await room.connect(
                self._url,
                token.to_jwt(),
                rtc.RoomOptions(auto_subscribe=not hidden, single_peer_connection=True),
            )
        except rtc.ConnectError:
            raise self._no_entry("let no caller in") from None

    async def dispatch(
        self,
        room: str,
        agent: str,
        *,
        metadata: str,
        deployment: str,
        attributes: Mapping[str, str],
    ) -> str:
        """Ask for an agent in a room; the id of the dispatch. Says nothing about whether anyone comes.

        Raises:
            StackError: LiveKit did not take it.
        """
        request = api.CreateAgentDispatchRequest(
            room=room,
            agent_name=agent,
            metadata=metadata,
            deployment=deployment,
            attributes=dict(attributes),
        )
        try:
            return (await self._api.agent_dispatch.create_dispatch(request)).id
        except api.TwirpError as err:
            raise self._no_entry(f"did not take the dispatch ({err.code})") from None
        except (aiohttp.ClientError, TimeoutError) as err:
            raise self._no_entry(f"did not take the dispatch ({type(err).__name__})") from None

    async def taken(self, room: str, dispatch_id: str) -> Taken:
        """What became of a dispatch so far. A job that succeeded at once is one that a host took only to end it."""
        try:
            dispatch = await self._api.agent_dispatch.get_dispatch(dispatch_id, room)
        except (api.TwirpError, aiohttp.ClientError, TimeoutError):
            return "not known"
        states = [job.state.status for job in dispatch.state.jobs] if dispatch else []
        if not states:
            return "by nobody"
        return "to refuse it" if api.JobStatus.JS_SUCCESS in states else "by a host"

    async def close(self) -> None:
        await self._api.aclose()

    def _no_entry(self, what: str) -> StackError:
        return StackError(
            f"LiveKit at {self._url} {what}. Check that it runs there and that key and secret are its own.",
            code="stack.livekit",
        )


class Sight:
    """What is seen of the dispatched agent, from one room or, later, from a second place in it.

    Attributes:
        joined: When it came, on the monotonic clock.
        listening_since: When it last began to listen.
        gone: It has left, or the room is closed.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._strangers: frozenset[str] = frozenset()
        self._present: set[str] = set()
        self._newest = ""
        self._attributes: dict[str, str] = {}
        self.joined: float | None = None
        self.listening_since = 0.0
        self.gone = asyncio.Event()

    def watch(self, room: rtc.Room) -> None:
        """Follow the agent in `room`, which is not joined yet."""
        room.on("participant_connected", self._on_participant)
        room.on("participant_attributes_changed", self._on_attributes)
        room.on("participant_disconnected", self._on_leave)
        room.on("disconnected", self._on_closed)

    def unwatch(self, room: rtc.Room) -> None:
        room.off("participant_connected", self._on_participant)
        room.off("participant_attributes_changed", self._on_attributes)
        room.off("participant_disconnected", self._on_leave)
        room.off("disconnected", self._on_closed)

    def begin(self, room: rtc.Room) -> None:
        """Whoever is in the room before the dispatch is not the agent that it brings."""
        self._strangers = frozenset(room.remote_participants)

    def resume(self, room: rtc.Room) -> None:
        """Take up what happened before `room` was joined."""
        for identity in self._present - set(room.remote_participants):
            self._lose(identity)
        for identity in self._present:
            self._read(room.remote_participants[identity])

    def is_agent(self, person: rtc.Participant) -> bool:
        return (
            person.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
            and person.identity not in self._strangers
            and person.attributes.get(KEY, self._key) == self._key
        )

    def attribute(self, name: str) -> str | None:
        """An attribute as last seen."""
        return self._attributes.get(name)

    @property
    def listening(self) -> bool:
        return self._attributes.get(_AGENT_STATE, "listening") == "listening"

    @property
    def outcome_due(self) -> bool:
        """Whether it is one of ours, still there, and owes its outcome."""
        return bool(self._present) and KEY in self._attributes and OUTCOME not in self._attributes

    def _on_participant(self, person: rtc.RemoteParticipant) -> None:
        if self.is_agent(person):
            self._present.add(person.identity)
            self._newest = person.identity
            self.joined = self.joined or time.monotonic()
            self._read(person)

    def _on_attributes(self, changed: dict[str, str], person: rtc.Participant) -> None:
        if person.identity in self._present:
            self._read(person)

    def _on_leave(self, person: rtc.RemoteParticipant) -> None:
        if person.identity in self._present:
            self._read(person)
            self._lose(person.identity)

    def _on_closed(self, reason: Any) -> None:
        self._present.clear()
        self.gone.set()

    def _read(self, person: rtc.Participant) -> None:
        if person.identity != self._newest:
            return  # what is left of one that was lost
        listened = self.listening
        self._attributes |= person.attributes
        if self.listening and not listened:
            self.listening_since = time.monotonic()

    def _lose(self, identity: str) -> None:
        self._present.discard(identity)
        if self._present:
            return
        if OUTCOME in self._attributes or KEY not in self._attributes:
            self.gone.set()
        else:  # it was lost; another one may be on its way
            asyncio.get_running_loop().call_later(COMES_AGAIN_S, self._give_up)

    def _give_up(self) -> None:
        if not self._present:
            self.gone.set()
