"""What goes into a call that a software caller makes, what happens in it, and what comes out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from livekit import rtc

from shared.errors import DispatchError
from shared.local.persona import Persona
from shared.local.sound import Voice
from shared.local.transcripts import Line

StepName = Literal[
    "in the room",
    "dispatched",
    "agent joined",
    "first word",
    "spoke",
    "answer",
    "agent left",
    "hung up",
]


@dataclass(frozen=True)
class Step:
    """Something happened.

    Attributes:
        seconds: From the dispatch, for an answer from the end of the caller's speech; `None` where it measures nothing.
    """

    name: StepName
    seconds: float | None = None


OnEvent = Callable[[Step | Line], None]


@dataclass(frozen=True)
class CallOptions:
    """One call to make.

    Attributes:
        metadata: Sent as it is; whoever answers checks it.
        attributes: What the caller's own token says of it.
        deployment: LiveKit's; must equal the host's.
        room: A new room where none is given.
        turns: What the caller says: a text is spoken by `voice`, a path is a WAV file. Without any, `persona` speaks.
        lines: What the caller writes, in a call without sound; with `devices` their end is that of the call.
        devices: Microphone and loudspeaker, where a person calls.
        timeout_s: From joining to hanging up; `None` as long as it takes.
    """

    agent: str
    metadata: str
    livekit_url: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    attributes: Mapping[str, str] = field(default_factory=dict)
    deployment: str = ""
    room: str | None = None
    turns: Sequence[str | Path] = ()
    persona: Persona = field(default_factory=Persona)
    voice: Voice | None = None
    lines: AsyncIterator[str] | None = None
    devices: rtc.PlatformAudio | None = None
    timeout_s: float | None = 120.0


@dataclass(frozen=True)
class CallResult:
    """What the caller saw and heard, in seconds of its own clock.

    Attributes:
        agent_joined_s: From the dispatch to the agent in the room.
        first_word_s: From the dispatch to the agent's first sound.
        answers_s: From the end of each turn of the caller to the agent's first sound after it. An unanswered turn has none.
        outcome: The agent's own word; `None` where it gave none.
        code: What failed, in the agent's own word.
        timed_out: The caller hung up because its time was over.
        failure: Why the call came to nothing; `None` where the agent spoke.
    """

    room: str
    dispatch_id: str | None
    agent_joined_s: float | None
    first_word_s: float | None
    answers_s: tuple[float, ...]
    transcript: tuple[Line, ...]
    outcome: str | None
    code: str | None
    timed_out: bool
    failure: str | None

    def check(self) -> None:
        """Raise if the call came to nothing.

        Raises:
            DispatchError: The agent did not speak.
        """
        if self.failure is not None:
            raise DispatchError(self.failure)
