"""`switchboard call`: everything that can be wrong with a call is said before anything heavy is loaded."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared import registry
from shared.cli.hosts import RunningHost, find_host, running_hosts
from shared.config.environment import LOCAL, Settings
from shared.config.snapshot import load_snapshot, resolve
from shared.errors import ConfigError, DispatchError
from shared.metadata.parse import parse_metadata

if TYPE_CHECKING:
    from livekit import rtc  # at runtime only where a person may speak: it takes a moment

DEMO = '{"user_id":"demo"}'

START_LIMIT_S = 30.0
SCRIPT_LIMIT_S = 120.0
_POLL_S = 0.2


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        turns: A text to speak, or the path of a recording to play.
        timeout_s: Without it a person talks as long as it takes, a script `SCRIPT_LIMIT_S`.
        typed: The caller writes what stands on stdin, in a call without sound.
        microphone: A person speaks. `None`: where the command runs on a terminal and there is a microphone.
    """

    agent: str
    metadata: str | None
    turns: tuple[str | Path, ...]
    room: str | None
    timeout_s: float | None
    as_json: bool
    typed: bool = False
    microphone: bool | None = False


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
    # LiveKit's SDK logs what it is not asked for
    logging.getLogger().addHandler(logging.NullHandler())
    devices = _devices(wish)
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

    dial(settings, wish, metadata, host, devices)


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


def _devices(wish: Wish) -> rtc.PlatformAudio | None:
    """The devices of a person who speaks; `None` where it is somebody else who calls."""
    if wish.microphone and wish.turns:
        raise ConfigError(
            "--mic goes without --text and --wav: either you speak or they do.", code="call.mic"
        )
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not wish.as_json
    wanted = at_terminal and not wish.turns if wish.microphone is None else wish.microphone
    if not wanted:
        return None
    from shared.local.devices import open_devices

    devices = open_devices()
    if devices is None and wish.microphone:
        raise ConfigError(
            "--mic: there is no microphone that can be opened here. Leave it out, or say it with --text or make console.",
            code="call.mic",
        )
    return devices


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
