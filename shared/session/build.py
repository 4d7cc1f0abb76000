"""From one call's config to its plugins and its session."""

from collections.abc import Mapping
from typing import Any, cast

from livekit.agents import AgentSession, TurnHandlingOptions, inference, tts
from livekit.agents.types import NOT_GIVEN

from shared.config import providers
from shared.config.snapshot import Slot
from shared.session.call import Call


def build_plugin(slot: Slot | None, endpoints: Mapping[str, str]) -> Any:
    """The plugin object of a slot, pointed at its class's entry in `endpoints`; `None` where the conf says `none`."""
    return None if slot is None else providers.build(slot, endpoints)


def build_session(
    call: Call, voice: tts.TTS[Any] | None, endpoints: Mapping[str, str]
) -> AgentSession[Call]:
    """Make the session of a call around a voice that is there already; what the conf leaves open is LiveKit's default."""
    config = call.config.session
    handling: dict[str, Any] = {
        "endpointing": dict(config.endpointing),
        "interruption": _given(config.interruption),
        "preemptive_generation": dict(config.preemptive_generation),
    }
    if config.turn_detection == "inference":
        # Named, or LiveKit would pick its cloud model as soon as it sees an API key.
        handling["turn_detection"] = inference.TurnDetector(version="v1-mini")
    elif config.turn_detection is not None:
        handling["turn_detection"] = config.turn_detection
    return AgentSession[Call](
        userdata=call,
        stt=build_plugin(call.config.stt, endpoints) or NOT_GIVEN,
        llm=build_plugin(call.config.llm, endpoints) or NOT_GIVEN,
        tts=voice or NOT_GIVEN,
        vad=build_plugin(call.config.vad, endpoints),
        turn_handling=cast(TurnHandlingOptions, handling),
        user_away_timeout=config.user_away_timeout,
    )


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
