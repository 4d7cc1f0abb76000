"""Room metadata that changes while the call runs: compared, applied, told to the agent, acknowledged.

A server API sets it. What it says of fields marked `Live` holds from then on; anything else is refused by name. The agent
participant's attribute `sb.metadata` says which state was taken, so that whoever set it knows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import aiohttp
import structlog
from livekit import api
from livekit.agents import AgentSession

from shared.dispatch.identity import METADATA, metadata_digest
from shared.errors import MetadataError, PolicyError, Problem
from shared.metadata.change import changed
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import personal_values
from shared.metadata.parse import parse_object
from shared.session.call import Call
from shared.session.tuning import Tuning

MAX_REFUSED = 10
"""Keys named in one acknowledgement."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MetadataChange:
    """What an agent is told.

    Attributes:
        fields: Names of the fields that have another value now.
    """

    before: CallMetadata
    after: CallMetadata
    fields: frozenset[str]


@runtime_checkable
class FollowsMetadata(Protocol):
    """An agent that wants to be told."""

    async def on_metadata_change(self, change: MetadataChange) -> None: ...


class LiveMetadata:
    """Follows the room's metadata for one call. What comes while a change is applied is taken as one: the newest state counts."""

    def __init__(self, call: Call, session: AgentSession[Call], tuning: Tuning) -> None:
        self._call = call
        self._session = session
        self._tuning = tuning
        self._offered = call.ctx.job.room.metadata
        self._sid = call.ctx.job.room.sid
        self._seen: dict[str, Any] = {}
        self._version = 0
        self._newest = ""
        self._arrived = asyncio.Event()

    async def follow(self) -> None:
        """Take every change, from the one that came between the job's offer and now, once the caller is known.

        Runs until the call is over.
        """
        room = self._call.ctx.room
        room.on("room_metadata_changed", lambda _, new: self._on_change(new))
        room.on("reconnected", lambda: self._call.begin(self._restore()))
        if self._offered.strip():
            self._seen, _ = self._read(self._offered)
        if room.metadata != self._offered:
            self._on_change(room.metadata or "")
        await self._call.arrived.wait()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            if self._call.outcome is not None:
                return
            await self._take(self._newest, self._version)

    async def _restore(self) -> None:
        """A restarted server has forgotten the room and its metadata: give it back what was set last."""
        known = self._newest or self._offered
        room = self._call.ctx.room
        if known.strip() and not (room.metadata or "").strip() and await room.sid != self._sid:
            self._sid = await room.sid
            try:
                await self._call.ctx.api.room.update_room_metadata(
                    api.UpdateRoomMetadataRequest(room=room.name, metadata=known)
                )
            except (api.TwirpError, aiohttp.ClientError, TimeoutError) as err:
                log.warning("room metadata not restored", reason=type(err).__name__)
            else:
                log.info("room metadata restored")

    def _on_change(self, raw: str) -> None:
        # What is emptied is no change: that is how it looks when a server was restarted.
        if raw.strip():
            self._newest = raw
            self._version += 1
            self._arrived.set()

    def _read(self, raw: str) -> tuple[dict[str, Any], Sequence[Problem]]:
        try:
            return parse_object(raw, type(self._call.metadata)), ()
        except MetadataError as err:
            return {}, err.problems

    async def _take(self, raw: str, version: int) -> None:
        """Apply one state of the room's metadata and acknowledge it."""
        fields, problems = self._read(raw)
        if fields and not fields.keys() & type(self._call.metadata).model_fields.keys():
            return  # another app's
        unset = object()
        wanted = {
            key: value for key, value in fields.items() if self._seen.get(key, unset) != value
        }
        if fields:
            self._seen = fields
        change, refused = self._apply(wanted)
        if change.fields:
            await self._tell(change)
        await self._acknowledge(raw, version, change, [*problems, *refused])

    def _apply(self, wanted: dict[str, Any]) -> tuple[MetadataChange, Sequence[Problem]]:
        """Put into force what may change of `wanted`."""
        before = self._call.metadata
        after, problems = changed(before, wanted)
        try:
            self._tuning.apply(after)
        except PolicyError as err:
            after = after.model_copy(update={"config": before.config})
            problems += err.problems
        self._call.metadata = after
        self._call.learn(*(text for _, text in personal_values(after)))
        fields = (name for name in type(after).model_fields if _differs(before, after, name))
        return MetadataChange(before, after, frozenset(fields)), problems

    async def _tell(self, change: MetadataChange) -> None:
        """The agent's instructions are written anew, then the agent itself is told."""
        agent = self._session.current_agent
        instructions = self._call.render("instructions")
        if instructions != agent.instructions:
            await agent.update_instructions(instructions)
        if isinstance(agent, FollowsMetadata):
            try:
                await agent.on_metadata_change(change)
            except Exception:  # an agent's defect must not end its call
                log.exception("on_metadata_change failed")

    async def _acknowledge(
        self, raw: str, version: int, change: MetadataChange, problems: Sequence[Problem]
    ) -> None:
        refused = {problem.pointer: problem.code for problem in problems[:MAX_REFUSED]}
        fields = change.after.model_dump(mode="json", include=set(change.fields))
        self._call.record.append("metadata", version=version, fields=fields, refused=refused)
        log.info("metadata changed", version=version, fields=sorted(fields), refused=refused)
        answer = {"version": version, "digest": metadata_digest(raw), "refused": refused}
        await self._call.show({METADATA: json.dumps(answer)})


def _differs(before: CallMetadata, after: CallMetadata, name: str) -> bool:
    return bool(getattr(before, name) != getattr(after, name))
