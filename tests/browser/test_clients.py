"""LiveKit's own packages as clients of the gateway, and the page's source before its compiler."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from shared.gateway.page import SOURCE
from shared.local.stack import Stack
from tests.browser.conftest import HERE

NAME = "Grace Hopper"


def fetch(gateway: str, stack: Stack, **options: str) -> dict[str, Any]:
    """A token as livekit-client fetches it, and its claims as livekit-server-sdk reads them."""
    done = subprocess.run(
        [
            *("node", "token.mjs", f"{gateway}/token", json.dumps(options)),
            *(stack.livekit_api_key, stack.livekit_api_secret),
        ],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_livekits_token_source_gets_a_token_for_one_room_and_agent(
    gateway: str, stack: Stack
) -> None:
    """The SDK's endpoint source works unmodified; the token opens one room, brings the agent, and holds nothing personal."""
    metadata = json.dumps({"user_name": NAME})

    told = fetch(gateway, stack, agentName="intake", agentMetadata=metadata)

    claims = told["claims"]
    assert told["answer"]["serverUrl"] == stack.livekit_url
    assert claims["video"]["roomJoin"] is True
    assert claims["video"]["room"]
    assert not claims["video"].get("roomAdmin")
    assert [agent["agentName"] for agent in claims["roomConfig"]["agents"]] == ["intake"]
    assert NAME not in json.dumps(claims)


def test_a_token_is_for_the_room_that_was_asked_for(gateway: str, stack: Stack) -> None:
    """Who comes back into a room after a lost connection gets it again."""
    told = fetch(gateway, stack, agentName="intake", roomName="back-again")

    assert told["claims"]["video"]["room"] == "back-again"


def test_the_pages_source_fits_its_types(chromium: str) -> None:
    """The TypeScript compiler finds nothing in it; esbuild itself looks at no types."""
    done = subprocess.run(
        [HERE / "node_modules" / ".bin" / "tsc", "-p", SOURCE],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""
    assert done.returncode == 0
