"""The calls that a host has taken, each in a file: who looks after them when the host has died reads them there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from shared.dispatch.dispatcher import Order
from shared.dispatch.identity import ATTEMPT, KEY, RESUME, attempt


@dataclass(frozen=True)
class Job:
    """A call that a host has taken: what it takes to send another agent."""

    id: str
    call_id: str
    agent: str
    room: str
    room_sid: str
    metadata: str
    attributes: Mapping[str, str]
    deployment: str

    @property
    def attempt(self) -> int:
        return attempt(self.attributes)


def again(job: Job, number: int) -> Order:
    """The dispatch of another attempt of its call."""
    kept = {key: value for key, value in job.attributes.items() if key not in (KEY, ATTEMPT)}
    return Order(
        agent=job.agent,
        room=job.room,
        metadata=job.metadata,
        key=job.call_id,
        deployment=job.deployment,
        attempt=number,
        attributes={**kept, RESUME: "1"},
    )


def write(path: Path, job: Job) -> None:
    """Write whole or not at all; it holds what the dispatch said, so nobody else may read it."""
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(job)), encoding="utf-8")
    draft.replace(path)


def read(path: Path) -> Job | None:
    """`None` for a file that is not whole or has gone."""
    try:
        return Job(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
