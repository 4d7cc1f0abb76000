"""`switchboard call`: everything that can be wrong with a call is said before anything heavy is loaded."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from shared import registry
from shared.cli.hosts import RunningHost, find_host, running_hosts
from shared.config.environment import LOCAL, Settings
from shared.config.snapshot import load_snapshot, resolve
from shared.errors import ConfigError, DispatchError
from shared.metadata.parse import parse_metadata

DEMO = '{"user_id":"demo"}'

START_LIMIT_S = 30.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        turns: A text to speak, or the path of a recording to play.
        typed: The caller writes what stands on stdin, in a call without sound.
        timeout_s: `None` as long as it takes.
    """

    agent: str
    metadata: str | None
    turns: tuple[str | Path, ...]
    room: str | None
    timeout_s: float | None
    as_json: bool
    typed: bool = False


def read_metadata(said: str | None) -> str:
    """The metadata that somebody typed: JSON, or @ and the name of a file with it; a demonstration's where there is none.

    Raises:
        ConfigError: The file cannot be read.
    """
    if not said:
        return DEMO
    if not said.startswith("@"):
        return said
    try:
        # an editor may have put a byte order mark before it
        return Path(said[1:]).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(
            f"--metadata: cannot read the file {said[1:]!r}: {getattr(err, 'strerror', None) or 'not UTF-8'}"
        ) from None


def call(settings: Settings, wish: Wish) -> None:
    """Make the call and show it.

    Raises:
        ConfigError: The agent's name, a text, a recording or the file of the metadata is wrong.
        MetadataError: The metadata does not fit the agent's contract.
        PolicyError: It asks for what the host keeps closed.
        DispatchError: The agent is not running, did not come or did not speak.
        StackError: LiveKit or the local voice is not there.
    """
    if not wish.agent:
        names = registry.names()
        raise ConfigError(
            f"call whom? agents: {', '.join(names)}. Try: make call AGENT={names[0]}",
            code="agent.missing",
        )
    metadata = parse_metadata(read_metadata(wish.metadata), registry.contract(wish.agent))
    _check_turns(wish.turns)
    host = _host(settings, wish.agent)
    if host.snapshot is not None:
        resolve(
            load_snapshot(host.snapshot),
            wish.agent,
            profile=metadata.profile,
            locale=metadata.locale,
            overrides=metadata.config,
        )
    from shared.cli.dial import dial

    dial(settings, wish, metadata, host)


def _host(settings: Settings, agent: str) -> RunningHost:
    """The host to call. Where a local stack is up and no host yet, one is on its way and is waited for."""
    run_dir = settings.var / "run"
    until = time.monotonic() + START_LIMIT_S
    said = False
    while True:
        try:
            return find_host(run_dir, agent, settings.env)
        except DispatchError:
            if settings.env != LOCAL or time.monotonic() > until or not _is_starting(run_dir):
                raise
        if not said:
            print(f"waiting for a host of {agent} to start", file=sys.stderr)
            said = True
        time.sleep(_POLL_S)


def _is_starting(run_dir: Path) -> bool:
    from shared.local import stack

    return not running_hosts(run_dir) and stack.find(run_dir) is not None


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
