"""A call from this machine: the caller is a script, or somebody at the keyboard."""

from __future__ import annotations

from shared.local.call import CallOptions, CallResult, OnEvent
from shared.local.keyboard import Keyboard
from shared.local.script import Script


async def call(options: CallOptions, *, on_event: OnEvent = lambda event: None) -> CallResult:
    """Make one call. It hangs up whatever happens, also when cancelled.

    Raises:
        StackError: LiveKit or the voice cannot be reached.
        ConfigError: A WAV file cannot be read.
    """
    caller = Script if options.lines is None else Keyboard
    return await caller(options, on_event).make()
