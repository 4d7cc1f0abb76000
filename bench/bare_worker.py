"""A plain livekit-agents worker in the shape of LiveKit's starter: what Switchboard is measured against.

It uses the same plugins, greeting, idle processes, load function and executor as the host beside it; everything else is LiveKit's default.
Settings come from the environment, as everyone writes them by hand.
"""

import json
import os
from typing import Any

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess
from livekit.plugins import cartesia, deepgram, openai


class Assistant(Agent):
    def __init__(self, caller: dict[str, Any]) -> None:
        super().__init__(
            instructions="You take calls for a small company. Keep answers to one sentence."
        )
        self._caller = caller

    async def on_enter(self) -> None:
        name = self._caller.get("user_name", "there")
        self.session.say(os.environ["BARE_GREETING"].replace("NAME", name))


def load(_: AgentServer) -> float:
    return 0.0


server = AgentServer(
    num_idle_processes=int(os.environ.get("BARE_IDLE", "1")),
    load_fnc=load,
    host="127.0.0.1",
    port=0,
    http_proxy=None,
)


def prewarm(proc: JobProcess) -> None:
    pass


server.setup_fnc = prewarm


async def entrypoint(ctx: JobContext) -> None:
    ctx.log_context_fields = {"room": ctx.room.name}
    url = os.environ["BARE_PROVIDERS_URL"]
    session: AgentSession[None] = AgentSession(
        stt=deepgram.STTv2(
            model="flux-general-en",
            base_url=url.replace("http", "ws", 1) + "/v2/listen",
        ),
        llm=openai.LLM(model="gpt-4.1-mini", base_url=url + "/v1"),
        tts=cartesia.TTS(base_url=url),
    )
    await session.start(agent=Assistant(json.loads(ctx.job.metadata or "{}")), room=ctx.room)
    await ctx.connect()


server.rtc_session(entrypoint, agent_name=os.environ.get("BARE_NAME", "bare"))
