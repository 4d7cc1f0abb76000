"""Booking: an agent with other tools, as a newcomer would write it. It also notes what its job process holds."""

import gc
import sys
from datetime import date
from typing import Literal

from livekit import api
from livekit.agents import Agent, AgentStateChangedEvent, RunContext, function_tool

from shared.session.call import Call


class BookingAgent(Agent):
    """Books tables."""

    def __init__(self, call: Call) -> None:
        super().__init__(instructions=call.render("instructions"))
        self._loaded = set(sys.modules)
        self._spoke = 0

    async def on_enter(self) -> None:
        self.session.on("agent_state_changed", self._on_state)
        await self.session.userdata.enter(self.session)

    def _on_state(self, event: AgentStateChangedEvent) -> None:
        """At the second sentence, the first answer, note what was imported since the job began."""
        if event.new_state != "speaking":
            return
        self._spoke += 1
        if self._spoke == 2:
            late = sorted(set(sys.modules) - self._loaded)
            others = sorted({"hydra", "omegaconf", "sqlalchemy", "alembic"} & set(sys.modules))
            self.session.userdata.record.append(
                "probe", late=late, others=others, collects=gc.isenabled()
            )

    @function_tool
    async def book_table(
        self,
        ctx: RunContext[Call],
        day: str,
        guests: int,
        area: Literal["inside", "terrace"],
    ) -> str:
        """Book a table. Read all values back in one sentence and get a yes before you call this.

        Args:
            day: The date of the visit, as an ISO date such as 2030-12-31.
            guests: How many guests come, from 1 to 12.
            area: Where they want to sit.
        """
        call = ctx.userdata
        rooms = await call.ctx.api.room.list_rooms(api.ListRoomsRequest())
        call.save(
            "booking",
            day=date.fromisoformat(day).isoformat(),
            guests=guests,
            area=area,
            rooms=len(rooms.rooms),
        )
        return f"The table for {guests} is booked."
