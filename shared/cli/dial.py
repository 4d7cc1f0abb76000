"""The call itself, once it is known whom to call and with what: the caller's voice and key, and what a terminal shows of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from threading import Thread
from typing import TextIO

from livekit import rtc

from shared.cli.call import SCRIPT_LIMIT_S, Wish
from shared.cli.hosts import RunningHost, wait_until_ready
from shared.cli.server import server_of_host
from shared.config.environment import Settings
from shared.local import stack
from shared.local.call import CallOptions, CallResult, Step
from shared.local.caller import call
from shared.local.persona import Persona
from shared.local.sound import Voice
from shared.local.transcripts import Line
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import dump

READY_LIMIT_S = 60.0


def dial(
    settings: Settings,
    wish: Wish,
    metadata: CallMetadata,
    host: RunningHost,
    devices: rtc.PlatformAudio | None,
) -> None:
    """Call an agent of `host`, by `devices` where a person speaks.

    Raises:
        DispatchError: It did not become ready, did not come or did not speak.
        StackError: LiveKit or the local voice is not there.
    """
    server = server_of_host(settings, host)
    screen = Screen(as_json=wish.as_json, echoed=wish.typed and sys.stdin.isatty())
    person = wish.typed or devices is not None
    if person:
        screen.say(f"{'write' if wish.typed else 'speak'} to {wish.agent}; Ctrl-D hangs up")
    with _voice(settings, wish, screen) if not person else contextlib.nullcontext() as voice:
        options = CallOptions(
            agent=wish.agent,
            metadata=dump(metadata),
            livekit_url=server.url,
            api_key=server.key,
            api_secret=server.secret,
            deployment=host.deployment,
            room=wish.room,
            turns=wish.turns,
            persona=Persona.of(metadata),
            voice=voice,
            # a person who speaks hangs up with Ctrl-D; a pipe that is empty at once is no wish to
            lines=read_lines(sys.stdin) if wish.typed or (person and sys.stdin.isatty()) else None,
            devices=devices,
            timeout_s=wish.timeout_s or (None if person else SCRIPT_LIMIT_S),
        )
        try:
            result = asyncio.run(_call(host, options, screen))
        except asyncio.CancelledError:
            raise SystemExit(128 + signal.SIGTERM) from None
    screen.finish(result)
    result.check()


async def _call(host: RunningHost, options: CallOptions, screen: Screen) -> CallResult:
    task = asyncio.current_task()
    assert task is not None
    # as for Ctrl-C: a caller that just vanished would keep the agent talking to nobody for a while
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await wait_until_ready(host, options.agent, limit_s=READY_LIMIT_S, progress=screen.say)
    return await call(options, on_event=screen.show)


@contextlib.contextmanager
def _voice(settings: Settings, wish: Wish, screen: Screen) -> Iterator[Voice | None]:
    """The local voice, started for this call where no stack runs; `None` where nothing is to be spoken."""
    if wish.turns and all(isinstance(turn, Path) for turn in wish.turns):
        yield None
        return
    run_dir = settings.var / "run"
    if running := stack.find(run_dir):
        yield Voice(running.providers_url, running.providers_key)
        return
    held = stack.hold(run_dir, ports=stack.Ports(), with_server=False, progress=screen.say)
    try:
        yield Voice(held.stack.providers_url, held.stack.providers_key)
    finally:
        held.close()


async def read_lines(file: TextIO) -> AsyncIterator[str]:
    """Lines as they are written, to the end of the file.

    A thread reads, since not every file can be waited for. It is left behind where a call ends first: nobody can wake it.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the call, and its loop, is over
            for line in file:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, None)

    Thread(target=read, daemon=True, name="stdin").start()
    while (line := await lines.get()) is not None:
        yield line


class Screen:
    """What a person sees of a call: words on stdout, times and progress on stderr; with `as_json` all but the object on stderr."""

    def __init__(self, *, as_json: bool, echoed: bool = False) -> None:
        self._as_json = as_json
        self._echoed = echoed
        self._words = sys.stderr if as_json else sys.stdout
        self._live = self._words.isatty()
        self._unfinished = False

    def say(self, text: str) -> None:
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def show(self, event: Step | Line) -> None:
        if isinstance(event, Step):
            after = "" if event.seconds is None else f" after {event.seconds:.2f} s"
            self.say(f"  {event.name}{after}")
        elif event.role == "caller" and self._echoed:
            pass  # the terminal has shown it as it was typed
        elif event.final:
            self._clear()
            print(f"{event.role}: {event.text}", file=self._words, flush=True)
        elif self._live:
            self._clear()
            self._unfinished = True
            # the last words that fit: this line is replaced as more comes
            room = shutil.get_terminal_size().columns - len(event.role) - 3
            print(f"{event.role}: {event.text[-room:]}", end="", file=self._words, flush=True)

    def _clear(self) -> None:
        if self._unfinished:
            self._unfinished = False
            print("\r\x1b[K", end="", file=self._words, flush=True)

    def finish(self, result: CallResult) -> None:
        if result.timed_out:
            self.say("  time is over: hung up")
        code = f" ({result.code})" if result.code else ""
        self.say(f"  outcome: {result.outcome or 'not known'}{code}")
        if self._as_json:
            print(json.dumps(as_object(result)), flush=True)


def as_object(result: CallResult) -> dict[str, object]:
    """The object that `--json` prints."""
    return {
        "room": result.room,
        "dispatch_id": result.dispatch_id,
        "agent_joined_s": result.agent_joined_s,
        "first_word_s": result.first_word_s,
        "answers_s": list(result.answers_s),
        "transcript": [{"role": line.role, "text": line.text} for line in result.transcript],
        "outcome": result.outcome,
    }
