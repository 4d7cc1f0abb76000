"""The state of one call: what `session.userdata` holds, and the only place where a call's outcome is decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog
from livekit import rtc
from livekit.agents import AgentSession, JobContext, llm

from shared import registry
from shared.config.snapshot import CallConfig
from shared.dispatch.identity import CODE, OUTCOME, STATE, TYPED, attempt
from shared.dispatch.offers import agent_of_key
from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import FromCaller, marked
from shared.metadata.parse import check_metadata
from shared.prompts import Prompts
from shared.records.spool import Outcome, Spool
from shared.session.attributes import publish
from shared.session.lifeline import Lifeline
from shared.session.replies import Replies
from shared.session.resume import Past
from shared.telemetry.redaction import Redactor

if TYPE_CHECKING:
    from shared.session.speech import SpeechAhead

GOODBYE_LIMIT_S = 20.0
"""Longest time a last sentence may take before the call ends without it."""

LAST_WORDS_S = 0.5
"""From the end of a call in writing to its room's: LiveKit's SDK drops what comes together with that, as to a caller who is busy."""

log = structlog.get_logger(__name__)


@dataclass
class Call:
    """One call of one agent name, from the accepted dispatch to its outcome.

    Attributes:
        id: The dispatch's key, else its id; the same over re-dispatch and handoff.
        in_charge: The name of the agent in charge; `config` stays that of the first one, whose plugins the session keeps.
        metadata: The contract of the agent in charge; a handoff replaces it.
        prompts_of: Agent name to its prompts, as they were when the call began.
        missing: Fields that the contract asks for and nobody has given; they are `None` in `metadata`.
        line: To the host, which sends another agent where this one is lost.
        past: Of a call that lost its agent; `None` once its new agent has taken it up.
        greeting: The first sentence, spoken into frames already or just now; `None` once used.
        arrived: Set when the caller is in the room and known, or is waited for no longer.
        ending: The outcome once the agent says its goodbye: who hangs up meanwhile changes nothing.
        due: Set when the agent has something to say.
        swapped: Plugins that took the place of the session's own while the call runs, by slot.
        history: What was said before this agent took the session over; `None` for the first agent.
        tool_keys: Tool call to a key of its own, for services that take an idempotency key: `call.tool_keys[ctx.function_call.call_id]`.
        saved: What was written once and must not be written again.
        superseded: Another agent is in the room in this one's place.
        lost: This agent cannot go on, and the host has been told.
        deserted: The room closed before a caller came.
    """

    id: str
    ctx: JobContext
    config: CallConfig
    in_charge: str
    metadata: CallMetadata
    prompts_of: Callable[[str], Prompts]
    record: Spool
    redactor: Redactor
    missing: tuple[str, ...] = ()
    line: Lifeline | None = None
    past: Past | None = None
    tool_keys: dict[str, str] = field(default_factory=dict)
    saved: set[str] = field(default_factory=set)
    superseded: bool = False
    lost: bool = False
    deserted: bool = False
    greeting: SpeechAhead | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    due: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: Outcome | None = None
    ending: Outcome | None = None
    failing: bool = False
    handoffs: list[str] = field(default_factory=list)
    swapped: dict[str, Any] = field(default_factory=dict)
    history: llm.ChatContext | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _showing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def typed(self) -> bool:
        """Whether the caller writes and reads, by the dispatch's word."""
        return TYPED in self.ctx.job.attributes

    @property
    def prompts(self) -> Prompts:
        """The prompts of the agent in charge."""
        return self.prompts_of(self.in_charge)

    def render(self, prompt: str, **extra: object) -> str:
        """Render one of the agent's prompts over the metadata in force."""
        return self.prompts.render(prompt, self.metadata, **{"missing": self.missing, **extra})

    def render_unknown(self, prompt: str) -> str:
        """The same where the contract's fields have their defaults: equal text has nothing of this caller in it."""
        fields = type(self.metadata).model_fields.items()
        unknown = {
            name: None if field.is_required() else field.get_default(call_default_factory=True)
            for name, field in fields
        }
        known = self.metadata.model_copy(update=unknown)
        return self.prompts.render(prompt, known, missing=self.missing)

    def learn(self, *values: str | None) -> None:
        """Keep what the caller said out of every later log line of this call."""
        self.redactor.add(*filter(None, values))

    async def enter(self, session: AgentSession[Call]) -> None:
        """Say what an agent says first: the greeting, or a word of taking over, from another agent or from one that was lost."""
        if not isinstance(session.output.transcription, Replies):
            session.output.transcription = Replies(self.record, session.output.transcription)
        opening = self.opening
        if opening != "greeting" or self.greeting is not None:
            self.due.set()
        if self.past is not None:
            past, self.past = self.past, None
            await self._say_ahead(session, self.render("resume"))
            if past.ending is not None:
                self.end_after(session, past.ending.sentence, past.ending.outcome)
            elif past.unanswered or past.last_words is None:
                session.generate_reply()
            else:
                session.say(past.last_words)
        elif self.history is not None:
            if opening is not None:
                await self._say_ahead(session, self.render(opening))
            session.generate_reply()
        else:
            await self._greet(session)

    @property
    def opening(self) -> str | None:
        """The prompt that the agent in charge begins with."""
        if self.past is not None:
            return "resume"
        if self.history is None:
            return "greeting"
        return "takeover" if "takeover" in self.prompts.names else None

    def take_over(self, past: Past | None) -> None:
        """Go on with what another agent has handed over."""
        self.history = llm.ChatContext.empty() if past is None else past.history
        if past is not None:
            self.saved |= past.saved
            self.handoffs += past.handoffs

    def take_up(self, past: Past) -> None:
        """Go on where a call stood when it lost its agent."""
        self.past, self.history = past, past.history
        self.ending = past.ending.outcome if past.ending is not None else None
        self.saved |= past.saved
        self.handoffs += past.handoffs
        if past.in_charge is not None:
            contract = registry.contract(past.in_charge)
            self.in_charge = past.in_charge
            self.metadata = check_metadata(dict(past.metadata), contract, strict=False)
            self.redactor.cover(self.metadata)

    def save(self, event: str, **fields: object) -> None:
        """Write to the record what a call brings once: a tool that runs again after its agent was lost writes nothing."""
        if event not in self.saved:
            self.saved.add(event)
            self.record.append(event, once=True, **fields)

    async def _greet(self, session: AgentSession[Call]) -> None:
        """Say the greeting. Its speech was begun while the room connected, so no model is asked for it.

        It waits for the caller only where it uses a field that the caller may still bring, and is made anew where that changes it.
        """
        if self.greeting is None and not self.typed:
            return
        if self.prompts.fields("greeting") & self._open_fields():
            # Beside the session: one that is to close waits for what it entered with.
            self.begin(self._greet_arrived(session))
        elif not self.failing:
            await self._say_ahead(session, self.render("greeting"))

    async def _greet_arrived(self, session: AgentSession[Call]) -> None:
        await self.arrived.wait()
        if self.failing or self.deserted:
            return
        try:
            await self._say_ahead(session, self.render("greeting"))
        except RuntimeError:
            log.debug("the session closed before the greeting")

    async def _say_ahead(self, session: AgentSession[Call], text: str) -> None:
        """Say what was spoken into frames while the room connected, where it is still what is to be said."""
        ahead, self.greeting = self.greeting, None
        if ahead is None or text != ahead.text:
            if ahead is not None:
                ahead.stop()
            session.say(text)
            return
        frames = await ahead.frames()
        # Without frames the voice failed: `say` meets the same fault, and the guard answers for it.
        if frames is None:
            session.say(text)
        else:
            session.say(text, audio=frames)

    def _open_fields(self) -> set[str]:
        """The fields that nobody has given and the caller may."""
        open_fields = marked(type(self.metadata), FromCaller)
        return {name for name in open_fields if getattr(self.metadata, name) is None}

    def end_after(self, session: AgentSession[Call], sentence: str, outcome: Outcome) -> None:
        """Say a last sentence, then end the call with `outcome`. Returns at once: a tool must not wait for its own turn."""
        self.ending = outcome
        self.record.append("ending", outcome=outcome, text=sentence)
        self.begin(self._end_after(session, sentence, outcome))

    def fail(self, session: AgentSession[Call], code: str, *, provider: str) -> None:
        """End the call with outcome `failed`; the caller hears an apology where speech still works. Returns at once."""
        if self.failing:
            return
        self.failing = True
        log.error("call failed", code=code, provider=provider)
        self.begin(self._fail(session, code, speaks=provider != "tts"))

    def refuse(self, session: AgentSession[Call], err: MetadataError) -> None:
        """End the call with outcome `refused`: what its contract asks for did not come. Returns at once."""
        if self.failing:
            return
        self.failing = True
        log.warning("call refused", code=err.code, reason=str(err))
        self.begin(self._fail(session, str(err.code), speaks=True, outcome="refused"))

    def leave(self, outcome: Outcome, *, code: str | None = None) -> None:
        """End the call without a word, as when the caller has gone. Returns at once."""
        if outcome == "abandoned" and self.ending is not None:
            outcome = self.ending
        if not self.failing:
            self.begin(self.finish(outcome, code=code))

    def begin(self, work: Coroutine[None, None, None]) -> None:
        """Run a piece of work beside the session, for as long as the call lasts."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            log.error("defect beside a call", exc_info=fault)

    async def _end_after(
        self, session: AgentSession[Call], sentence: str, outcome: Outcome
    ) -> None:
        await speak(session, sentence)
        await self.finish(outcome)

    async def _fail(
        self,
        session: AgentSession[Call],
        code: str,
        *,
        speaks: bool,
        outcome: Outcome = "failed",
    ) -> None:
        if speaks:
            await speak(session, self.render("apology"))
        await self.finish(outcome, code=code)

    async def finish(self, outcome: Outcome, *, code: str | None = None) -> None:
        """Settle the outcome, tell the room and leave. The first outcome wins."""
        if not await self.settle(outcome, code=code):
            return
        room = self.ctx.room
        if room.isconnected() and not self._has(agents=True):
            if self.typed and self.has_caller():
                await asyncio.sleep(LAST_WORDS_S)
            # The last agent hangs up for the caller too: a phone line would stay open otherwise.
            await self.ctx.delete_room()
        self.tell("bye", outcome=outcome)
        self.ctx.shutdown(reason=outcome)

    def has_caller(self) -> bool:
        """Whether somebody who is no agent is in the room."""
        return self.ctx.room.isconnected() and self._has(agents=False)

    def _has(self, *, agents: bool) -> bool:
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        people = self.ctx.room.remote_participants.values()
        return any((person.kind == kind) is agents for person in people)

    async def settle(self, outcome: Outcome, *, code: str | None = None) -> bool:
        """Write the outcome to the record and the agent's attributes; false where it was settled before."""
        if self.outcome is not None or self.superseded or self.lost:
            return False
        self.outcome = outcome
        self.record.append("outcome", outcome=outcome, code=code, handoffs=self.handoffs)
        log.info("job finished", outcome=outcome, code=code, handoffs=len(self.handoffs))
        attributes: dict[str, str] = {OUTCOME: outcome}
        if code is not None:
            attributes |= {STATE: "failed", CODE: code}
        await self.show(attributes)
        return True

    async def show(self, attributes: Mapping[str, str]) -> None:
        """Set attributes of the agent participant, while it is in the room, one after the other: the last word holds."""
        async with self._showing:
            if self.ctx.room.isconnected():
                await publish(self.ctx.room.local_participant, attributes)

    def lose(self, code: str) -> None:
        """Leave the call to another agent, which the host sends."""
        self.lost = True
        self.tell("failed", code=code)

    def check_superseded(self) -> None:
        """Leave where a later attempt of the same call is in the room."""
        room = self.ctx.room
        people = room.remote_participants.values()
        there = agent_of_key(people, self.ctx.job.room.name, self.config.agent, self.id)
        if there is not None and attempt(there.attributes) > self.record.attempt:
            self.supersede()

    def supersede(self) -> None:
        """Leave the call to the agent that has come in this one's place. Nothing is said of its outcome."""
        if self.superseded:
            return
        self.record.append("superseded")
        log.info("superseded by another attempt")
        self.make_way("superseded")

    def make_way(self, reason: str) -> None:
        """Leave; another agent is there."""
        self.superseded = True
        self.tell("bye", outcome=reason)
        self.ctx.shutdown(reason=reason)

    def tell(self, event: str, **fields: object) -> None:
        """Tell the host."""
        if self.line is not None:
            self.line.say(event, **fields)


async def speak(session: AgentSession[Call], sentence: str) -> None:
    """Say one sentence to its end; never raises for a voice that fails or a session that closes."""
    try:
        handle = session.say(sentence, allow_interruptions=False)
        await asyncio.wait_for(handle.wait_for_playout(), GOODBYE_LIMIT_S)
    except (RuntimeError, TimeoutError):
        log.warning("last sentence not spoken")
