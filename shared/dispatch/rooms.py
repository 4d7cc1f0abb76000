"""Rooms as a dispatcher sees them."""

from __future__ import annotations

import asyncio
import json
import time

from livekit import api

from shared.dispatch.identity import KEY, METADATA, metadata_digest

_TICK_S = 0.02


async def ensure_room(lkapi: api.LiveKitAPI, name: str, metadata: str) -> bool:
    """Make the room with this metadata; false where it is there already and keeps its own.

    Raises:
        TwirpError: LiveKit refused.
    """
    room = await lkapi.room.create_room(api.CreateRoomRequest(name=name, metadata=metadata))
    return room.metadata == metadata


async def put_metadata(
    lkapi: api.LiveKitAPI, name: str, metadata: str, *, limit_s: float
) -> dict[str, dict[str, object] | None]:
    """Set the room's metadata and wait until its agents have read it.

    Returns:
        Identity of each agent of ours to what it acknowledged (`version`, `digest`, `refused`); None where it did not in time. The
        server's list of participants may lag where two attributes change at once (v1.13.5); a participant in the room sees them all.

    Raises:
        TwirpError: LiveKit refused; `not_found` where there is no such room.
    """
    await lkapi.room.update_room_metadata(
        api.UpdateRoomMetadataRequest(room=name, metadata=metadata)
    )
    digest = metadata_digest(metadata)
    until = time.monotonic() + limit_s
    while True:
        people = await lkapi.room.list_participants(api.ListParticipantsRequest(room=name))
        agents = [one for one in people.participants if KEY in one.attributes]
        answers = {one.identity: _answer(one.attributes.get(METADATA), digest) for one in agents}
        if all(answers.values()) or time.monotonic() > until:
            return answers
        await asyncio.sleep(_TICK_S)


def _answer(said: str | None, digest: str) -> dict[str, object] | None:
    answer: dict[str, object] = json.loads(said) if said else {}
    return answer if answer.get("digest") == digest else None
