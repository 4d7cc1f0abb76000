"""A plain livekit-agents worker in the shape of LiveKit's starter: what Switchboard is measured against.

It has the same plugins, instructions, tool, greeting, idle processes, load function and executor as the host beside it; everything else is
LiveKit's default, but for who decides that a turn is over: Flux does, by `turn_detection="stt"`, as LiveKit documents for such recognisers
(or LiveKit's own detector, where so wanted). Settings come from the environment, as everyone writes them by hand. Run by `python -m
livekit.agents start`.
"""

import json
import os
from typing import Any

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, function_tool
from livekit.plugins import cartesia, deepgram, openai


class Assistant(Agent):
    def __init__(self, caller: dict[str, Any]) -> None:
        super().__init__(instructions=os.environ["BARE_INSTRUCTIONS"])
        self._caller = caller

    async def on_enter(self) -> None:
        name = self._caller.get("user_name", "there")
        self.session.say(os.environ["BARE_GREETING"].replace("NAME", name))

    @function_tool
    async def save_intake(self, name: str, callback_number: str, reason: str) -> str:
        """Save the intake and end the call. Read all values back in one sentence and get a yes before you call this.

        Args:
            name: The caller's full name.
            callback_number: The phone number to call the caller back on, in E.164 such as +15105550123.
            reason: The reason for the call, in the caller's own words.
        """
        return "Saved."


def load(_: AgentServer) -> float:
    return 0.0


server = AgentServer(
    num_idle_processes=int(os.environ["BARE_IDLE"]),
    load_fnc=load,
    host="127.0.0.1",
    port=0,
    http_proxy=None,
)


async def entrypoint(ctx: JobContext) -> None:
    ctx.log_context_fields = {"room": ctx.room.name}
    url = os.environ["BARE_PROVIDERS_URL"]
    session: AgentSession[None] = AgentSession(
        stt=deepgram.STTv2(
            model="flux-general-en", base_url=url.replace("http", "ws", 1) + "/v2/listen"
        ),
        llm=openai.LLM(model="gpt-4.1-mini", base_url=url + "/v1"),
        tts=cartesia.TTS(base_url=url),
        turn_handling={"turn_detection": "stt"} if os.environ["BARE_TURNS"] == "stt" else {},
    )
    await session.start(agent=Assistant(json.loads(ctx.job.metadata or "{}")), room=ctx.room)
    await ctx.connect()


server.rtc_session(entrypoint, agent_name=os.environ["BARE_NAME"])
