"""Calls without a room: the real `Call` and LiveKit's own session, and a caller who comes when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.testing import fake_job_context

from shared.config.snapshot import CallConfig, SessionConfig
from shared.metadata.contract import CallMetadata
from shared.prompts import Prompts
from shared.records.spool import Event, Spool, read_call
from shared.session.call import Call
from shared.telemetry.redaction import Redactor

CONFIG = CallConfig(
    agent="desk",
    env="local",
    profile="none",
    digest="d",
    stt=None,
    tts=None,
    llm=None,
    vad=None,
    session=SessionConfig(None, {}, {}, {}, None),
    handoffs={"desk": ()},
    handoff_by={"desk": "session"},
)


@dataclass
class Person:
    """A participant as LiveKit shows it."""

    identity: str = "web-1"
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: int = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD


@dataclass
class Stage:
    """A call of agent `desk`, its session, and the door the caller comes through."""

    call: Call
    session: AgentSession[Call]
    door: asyncio.Future[Person]
    folder: Path

    def events(self, name: str) -> list[Event]:
        """Those events of the record."""
        return [event for event in read_call(self.folder, self.call.id) if event.event == name]

    def said(self) -> list[str]:
        """What the agent said."""
        items = self.session.history.items
        return [
            item.text_content or ""
            for item in items
            if item.type == "message" and item.role == "assistant"
        ]


@contextmanager
def stage(folder: Path, metadata: CallMetadata, **prompts: str) -> Iterator[Stage]:
    """A call with this metadata and these prompts; the session is not started."""
    (folder / "prompts").mkdir()
    texts = {"instructions": "Help.", "greeting": "Hello.", "apology": "I am sorry."} | prompts
    for name, text in texts.items():
        (folder / "prompts" / f"{name}.md").write_text(text, encoding="utf-8")
    with fake_job_context() as ctx:
        door: asyncio.Future[Person] = asyncio.get_running_loop().create_future()

        async def come(**_: Any) -> Person:
            return await asyncio.shield(door)

        ctx.wait_for_participant = come  # type: ignore[assignment,method-assign]
        call = Call(
            id="c-1",
            ctx=ctx,
            config=CONFIG,
            in_charge="desk",
            metadata=metadata,
            prompts_of=lambda _: Prompts.load(folder),
            record=Spool.open(folder / "records", call_id="c-1", attempt=1),
            redactor=Redactor.of(metadata),
        )
        session = AgentSession[Call](userdata=call)
        session.output.set_audio_enabled(False)
        yield Stage(call, session, door, folder / "records")
        call.record.close()
        door.cancel()
        ctx._tempdir.cleanup()


class DeskAgent(Agent):
    """An agent as they all are."""

    def __init__(self, call: Call) -> None:
        super().__init__(instructions=call.render("instructions"))
