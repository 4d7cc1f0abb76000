"""How much a host has to do, as it tells LiveKit and goes by itself."""

from collections.abc import Callable
from typing import cast

from livekit.agents import AgentServer, WorkerOptions


class Load:
    """What a host reports to LiveKit as its load, 0 to 1: LiveKit's own measure of the machine, or nothing.

    Attributes:
        now: As last reported; LiveKit asks before each offer.
    """

    def __init__(self, *, measured: bool) -> None:
        self.now = 0.0
        self._measured = measured

    def __call__(self, server: AgentServer) -> float:
        if self._measured:
            self.now = cast(Callable[[AgentServer], float], WorkerOptions.load_fnc)(server)
        return self.now
