"""The token endpoint of LiveKit's documentation, as FastAPI: no sign-in, no check, whatever the browser says.

Source: https://docs.livekit.io/frontends/build/authentication/endpoint/
"""

from __future__ import annotations

import os
import sys

import uvicorn
from fastapi import FastAPI, Request
from livekit import api

app = FastAPI()


@app.post("/token", status_code=201)
async def token(request: Request) -> dict[str, str]:
    """A token for any room, with any agents."""
    body = await request.json()
    agents = [
        api.RoomAgentDispatch(agent_name=one["agent_name"], metadata=one.get("metadata", ""))
        for one in body["room_config"]["agents"]
    ]
    made = (
        api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
        .with_identity(body.get("participant_identity") or "user")
        .with_grants(api.VideoGrants(room_join=True, room=body.get("room_name") or "room"))
        .with_room_config(api.RoomConfiguration(agents=agents))
    )
    return {"server_url": os.environ["LIVEKIT_URL"], "participant_token": made.to_jwt()}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
