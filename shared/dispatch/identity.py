"""The identity of an agent in a room, and the attributes it carries there."""

import hashlib
from collections.abc import Mapping

KEY = "sb.key"
ATTEMPT = "sb.attempt"
DISPATCH = "sb.dispatch"
HOST = "sb.host"
DIGEST = "sb.digest"
STATE = "sb.state"
CODE = "sb.code"
OUTCOME = "sb.outcome"
METADATA = "sb.metadata"
RESUME = "sb.resume"
"""On a dispatch that goes on with a call whose agent was lost."""
HANDOFF = "sb.handoff"
"""On one that goes on with a call that another agent hands over."""
REFERENCE = "sb.ref"
"""On one whose metadata is in the records; on a caller who came with a token."""
AGENT = "sb.agent"
"""On a caller who came with a token: the agent it wants."""
TYPED = "sb.typed"
"""On a dispatch whose caller writes and reads: nothing is heard and nothing spoken."""


def agent_identity(room: str, agent: str, key: str, attempt: int) -> str:
    """The one identity of `agent` in `room` for an attempt of a dispatch key.

    LiveKit keeps one participant per identity, and the last one wins. Each attempt has its own: where a replacement throws out what is
    left of the lost agent, LiveKit (v1.13.5) ends the job of that identity, and that is the replacement's by then. What is left of an
    attempt can be removed by its identity without ever hitting another one.
    """
    digest = hashlib.sha256("\0".join((room, agent, key, str(attempt))).encode()).hexdigest()
    return f"sb-{digest[:20]}"


def call_id(attributes: Mapping[str, str], dispatch_id: str) -> str:
    """The dispatch's key, else the id of the dispatch: the same over re-dispatch and handoff."""
    return attributes.get(KEY) or dispatch_id


def attempt(attributes: Mapping[str, str]) -> int:
    """Which attempt of the same call this dispatch is, from 1. Anything but a positive number is 1."""
    raw = attributes.get(ATTEMPT, "")
    return max(int(raw), 1) if raw.isascii() and raw.isdigit() and len(raw) < 6 else 1


def metadata_digest(raw: str) -> str:
    """Names one state of a room's metadata: who set it finds it in the agent's `sb.metadata`."""
    return hashlib.sha256(raw.encode()).hexdigest()[:12]
