"""What the gateway works with: one LiveKit server, one snapshot, the records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from livekit import api

from shared.config.snapshot import Snapshot
from shared.dispatch.dispatcher import Dispatched, Dispatcher, Order
from shared.errors import ConfigError, near
from shared.records.spool import Reads
from shared.records.store import Store


@dataclass(frozen=True)
class Desk:
    """One site's.

    Attributes:
        agents: Those that frontends may name.
        folder: Where records are written.
        records: Where they are read.
        deployment: LiveKit's; must equal the hosts'.
    """

    livekit_url: str
    key: str
    secret: str = field(repr=False)
    lkapi: api.LiveKitAPI
    snapshot: Snapshot
    agents: Sequence[str]
    folder: Path
    records: Reads
    store: Store
    deployment: str

    def check_agent(self, name: str) -> None:
        """Raise where frontends cannot have this agent.

        Raises:
            ConfigError: With the nearest name.
        """
        if name not in self.agents:
            raise ConfigError(
                f"there is no agent of this name{near(name, self.agents)}", code="agent.unknown"
            )

    async def has_room(self, name: str) -> bool:
        """Whether LiveKit has it now."""
        found = await self.lkapi.room.list_rooms(api.ListRoomsRequest(names=[name]))
        return bool(found.rooms)

    async def send(self, order: Order) -> None:
        """Have the dispatch made where its agent is not there or on its way; its coming is not waited for."""
        await Dispatcher(self.lkapi, records=self.records).send(order)

    async def dispatch(self, order: Order, *, deadline_s: float) -> Dispatched:
        """Have the agent in the room."""
        return await Dispatcher(self.lkapi, records=self.records).dispatch(
            order, deadline_s=deadline_s
        )
