"""Repair: an agent whose contract asks for a field that no caller may set."""

from livekit.agents import Agent, RunContext, function_tool

from shared.session.call import Call


class RepairAgent(Agent):
    """Orders repairs."""

    def __init__(self, call: Call) -> None:
        super().__init__(instructions=call.render("instructions"))

    async def on_enter(self) -> None:
        await self.session.userdata.enter(self.session)

    @function_tool
    async def order_repair(self, ctx: RunContext[Call], product: str) -> str:
        """Order a repair. Read the product back and get a yes before you call this.

        Args:
            product: What is broken, in the caller's own words.
        """
        ctx.userdata.save("repair", product=product)
        return "The repair is ordered."
