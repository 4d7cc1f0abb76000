"""The dispatches and agents of one key in a room, and which of them counts.

LiveKit takes any number of them. Of one key the highest attempt counts, of one attempt the dispatch that was made first. Everyone who
judges lists after its own dispatch was made, so all come to the same answer.
"""

from collections.abc import Iterable

from livekit.protocol.agent import JobStatus
from livekit.protocol.agent_dispatch import AgentDispatch
from livekit.protocol.models import ParticipantInfo

from shared.dispatch.identity import KEY, attempt

ENDED = (JobStatus.JS_SUCCESS, JobStatus.JS_FAILED)


def of_key(dispatches: Iterable[AgentDispatch], agent: str, key: str) -> list[AgentDispatch]:
    """The dispatches of `agent` with this key, the one that counts first."""
    ours = (d for d in dispatches if d.agent_name == agent and d.attributes.get(KEY) == key)
    return sorted(ours, key=lambda d: (-attempt(d.attributes), d.state.created_at, d.id))


def is_open(dispatch: AgentDispatch) -> bool:
    """Whether a host may still take it, or has."""
    states = [job.state.status for job in dispatch.state.jobs]
    return not states or any(state not in ENDED for state in states)


def agent_of_key(people: Iterable[ParticipantInfo], key: str) -> ParticipantInfo | None:
    """The agent of this key in a room, of the highest attempt."""
    agents = (
        one for one in people
        if one.kind == ParticipantInfo.Kind.AGENT and one.attributes.get(KEY) == key
    )  # fmt: skip
    return max(agents, key=lambda one: attempt(one.attributes), default=None)
