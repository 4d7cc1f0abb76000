"""What a host says of itself. Hosts import it at their start: nothing here loads SQLAlchemy."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class HostState:
    """How much a host has to do.

    Attributes:
        live: Calls it serves.
        load: As it tells LiveKit, 0 to 1.
    """

    host: str
    agents: Sequence[str]
    live: int
    load: float
    draining: bool
