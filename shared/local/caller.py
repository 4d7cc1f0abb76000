"""A call from this machine: the caller is a script, somebody who writes, or a person who speaks."""

from __future__ import annotations

from shared.local.call import CallOptions, CallResult, OnEvent
from shared.local.connection import Connection
from shared.local.devices import Person
from shared.local.keyboard import Keyboard
from shared.local.script import Script


async def call(options: CallOptions, *, on_event: OnEvent = lambda event: None) -> CallResult:
    """Make one call. It hangs up whatever happens, also when cancelled.

    Raises:
        StackError: LiveKit or the voice cannot be reached.
        ConfigError: A WAV file cannot be read.
    """
    kind: type[Connection] = Script
    if options.devices is not None:
        kind = Person
    elif options.lines is not None:
        kind = Keyboard
    return await kind(options, on_event).make()
