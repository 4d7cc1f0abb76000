"""Support: answers from a small knowledge file, takes a message where it cannot."""

from pathlib import Path

from livekit.agents import Agent, RunContext, StopResponse, function_tool

from agents.support.lookup import find_section
from shared.session.call import Call
from shared.session.handoff import handoff_tools
from shared.session.heard import check_contact
from shared.session.live import MetadataChange

KNOWLEDGE = Path(__file__).parent / "knowledge" / "answers.md"


class SupportAgent(Agent):
    """Questions about orders, delivery, returns, repairs, invoices and opening hours."""

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
    async def find_answer(self, ctx: RunContext[Call], question: str) -> str:
        """Find the answer to a question about orders, delivery, returns, refunds, warranty, repairs, invoices, payment or opening hours.

        Args:
            question: The caller's question, in their own words.
        """
        return (
            find_section(KNOWLEDGE, question)
            or "There is no answer to that. Offer to take a message."
        )

    @function_tool
    async def take_message(
        self, ctx: RunContext[Call], name: str, callback_number: str, message: str
    ) -> None:
        """Take a message for a colleague and end the call. Read all values back in one sentence and get a yes before you call this.

        Args:
            name: The caller's full name.
            callback_number: The phone number to call the caller back on, in E.164 such as +15105550123.
            message: The message, in the caller's own words.
        """
        call = ctx.userdata
        number = check_contact(ctx, name=name, callback_number=callback_number)
        call.save("message", name=name, callback_number=number, message=message)
        call.end_after(ctx.session, call.render("goodbye", user_name=name), "message_taken")
        raise StopResponse

    @function_tool
    async def end_call(self, ctx: RunContext[Call]) -> None:
        """End the call. Use it when the caller says goodbye or needs nothing more."""
        call = ctx.userdata
        call.end_after(ctx.session, call.render("goodbye"), "completed")
        raise StopResponse
