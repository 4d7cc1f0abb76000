"""From one call's config to its plugins and its session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from livekit.agents import AgentSession, TurnHandlingOptions, inference, llm, room_io, stt, tts, vad
from livekit.agents.types import NOT_GIVEN

from shared.config import providers
from shared.config.snapshot import CallConfig, SessionConfig, Slot
from shared.session.call import Call
from shared.session.guards import ANSWER_LIMIT_S


@dataclass(frozen=True)
class Plugins:
    """The plugin objects of one call; `None` where the conf says `none`.

    Attributes:
        config: What they were made from.
    """

    config: CallConfig
    stt: stt.STT[Any] | None
    llm: llm.LLM[Any] | llm.RealtimeModel | None
    tts: tts.TTS[Any] | None
    vad: vad.VAD | None


def build_plugins(config: CallConfig, endpoints: Mapping[str, str]) -> Plugins:
    """Make the plugin objects that `config` names, each pointed at its class's entry in `endpoints`."""

    def make(slot: Slot | None) -> Any:
        return None if slot is None else providers.build(slot, endpoints)

    return Plugins(config, make(config.stt), make(config.llm), make(config.tts), make(config.vad))


def build_session(call: Call, plugins: Plugins) -> AgentSession[Call]:
    """Make the session of a call; what the conf leaves open is LiveKit's default."""
    config = call.config.session
    handling: dict[str, Any] = {
        "endpointing": dict(config.endpointing),
        "interruption": _given(config.interruption),
        "preemptive_generation": dict(config.preemptive_generation),
    }
    if config.turn_detection is not None:
        handling["turn_detection"] = turn_detection(config)
    return AgentSession[Call](
        userdata=call,
        stt=plugins.stt or NOT_GIVEN,
        llm=plugins.llm or NOT_GIVEN,
        tts=plugins.tts or NOT_GIVEN,
        vad=plugins.vad,
        turn_handling=cast(TurnHandlingOptions, handling),
        user_away_timeout=config.user_away_timeout,
        transcription_timeout=ANSWER_LIMIT_S,
    )


def build_room_options(call: Call) -> room_io.RoomOptions:
    """What a session takes from the room and gives there. What a caller writes is a turn in every call; in a typed one there is no sound."""

    async def on_text(session: AgentSession[Call], event: room_io.TextInputEvent) -> None:
        call.record.append("turn", role="caller", text=event.text)
        await session.interrupt()
        session.generate_reply(user_input=event.text)

    return room_io.RoomOptions(
        text_input=room_io.TextInputOptions(on_text),
        audio_input=not call.typed,
        audio_output=not call.typed,
    )


def turn_detection(config: SessionConfig) -> Any:
    """What decides that the caller's turn is over, as LiveKit takes it."""
    if config.turn_detection == "inference":
        # Named, or LiveKit would pick its cloud model as soon as it sees an API key.
        return inference.TurnDetector(version="v1-mini")
    return config.turn_detection


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
