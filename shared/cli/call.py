"""`switchboard call`: everything that can be wrong with a call is said before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared import registry
from shared.cli.hosts import find_host
from shared.config.environment import Settings
from shared.errors import ConfigError
from shared.metadata.parse import parse_metadata

DEMO = '{"user_id":"demo"}'


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        turns: A text to speak, or the path of a recording to play.
    """

    agent: str
    metadata: str | None
    turns: tuple[str | Path, ...]
    room: str | None
    timeout_s: float
    as_json: bool


def call(settings: Settings, wish: Wish) -> None:
    """Make the call and show it.

    Raises:
        ConfigError: The agent's name, a text or a recording is wrong.
        MetadataError: The metadata does not fit the agent's contract.
        DispatchError: The agent is not running, did not come or did not speak.
        StackError: LiveKit or the local voice is not there.
    """
    if not wish.agent:
        names = registry.names()
        raise ConfigError(
            f"call whom? agents: {', '.join(names)}. Try: make call AGENT={names[0]}",
            code="agent.missing",
        )
    metadata = parse_metadata(wish.metadata or DEMO, registry.contract(wish.agent))
    _check_turns(wish.turns)
    host = find_host(settings.var / "run", wish.agent, settings.env)
    from shared.cli.dial import dial

    dial(settings, wish, metadata, host)


def _check_turns(turns: tuple[str | Path, ...]) -> None:
    texts = [turn for turn in turns if isinstance(turn, str)]
    if texts and len(texts) < len(turns):
        raise ConfigError(
            "--text and --wav do not go together: their order would be lost.", code="call.turns"
        )
    if not all(text.strip() for text in texts):
        raise ConfigError("--text is empty. Write what the caller says.", code="call.turns")
    for turn in turns:
        if isinstance(turn, Path) and not turn.is_file():
            raise ConfigError(f"--wav: there is no file {str(turn)!r}.", code="call.wav")
