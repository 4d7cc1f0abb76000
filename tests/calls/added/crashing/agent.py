"""Crashing: an agent with a defect at its start or in its tool, whose errors quote the caller."""

from livekit.agents import Agent, RunContext, function_tool

from shared.session.call import Call


class CrashingAgent(Agent):
    """Takes wishes, badly."""

    def __init__(self, call: Call) -> None:
        super().__init__(instructions=call.render("instructions"))
        if call.metadata.data.get("crash") == "start":
            raise RuntimeError(f"no seat for {call.metadata.user_name}: {call.metadata}")

    async def on_enter(self) -> None:
        await self.session.userdata.enter(self.session)

    @function_tool
    async def note_wish(self, ctx: RunContext[Call], wish: str) -> str:
        """Note a wish of the caller. Read it back and get a yes before you call this.

        Args:
            wish: The wish, in the caller's own words.
        """
        known = ctx.userdata.metadata
        raise RuntimeError(f"cannot note {wish} for {known.user_name} at {known.user_phone}")
