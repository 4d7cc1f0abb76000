"""Intake: asks for name, number and reason, reads them back, saves them, ends the call."""

from livekit.agents import Agent, RunContext, StopResponse, function_tool

from shared.session.call import Call
from shared.session.handoff import handoff_tools
from shared.session.heard import check_contact
from shared.session.live import MetadataChange


class IntakeAgent(Agent):
    """Takes name, call-back number and reason of a call."""

    def __init__(self, call: Call) -> None:
        super().__init__(
            instructions=call.render("instructions"),
            chat_ctx=call.history,
            tools=handoff_tools(call),
        )

    async def on_enter(self) -> None:
        await self.session.userdata.enter(self.session)

    async def on_metadata_change(self, change: MetadataChange) -> None:
        """Tell the caller, in the new language, that the call goes on in it."""
        if "locale" in change.fields:
            self.session.say(self.session.userdata.render("language"))

    @function_tool
    async def save_intake(
        self, ctx: RunContext[Call], name: str, callback_number: str, reason: str
    ) -> None:
        """Save the intake and end the call. Read all values back in one sentence and get a yes before you call this.

        Args:
            name: The caller's full name.
            callback_number: The phone number to call the caller back on, in E.164 such as +15105550123.
            reason: The reason for the call, in the caller's own words.
        """
        call = ctx.userdata
        number = check_contact(ctx, name=name, callback_number=callback_number)
        call.save("intake", name=name, callback_number=number, reason=reason)
        call.end_after(ctx.session, call.render("goodbye", user_name=name), "completed")
        raise StopResponse
