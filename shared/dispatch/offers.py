"""The dispatches and agents of one key in a room, and which of them counts.

LiveKit takes any number of them. Of one key the highest attempt counts, of one attempt the dispatch that was made first. Everyone who
judges lists after its own dispatch was made, so all come to the same answer.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from livekit.protocol.agent import JobStatus
from livekit.protocol.agent_dispatch import AgentDispatch

from shared.dispatch.identity import HANDOFF, KEY, agent_identity, attempt

ENDED = (JobStatus.JS_SUCCESS, JobStatus.JS_FAILED)


def of_key(dispatches: Iterable[AgentDispatch], agent: str, key: str) -> list[AgentDispatch]:
    """The dispatches of `agent` with this key, the one that counts first."""
    ours = (d for d in dispatches if d.agent_name == agent and d.attributes.get(KEY) == key)
    return sorted(ours, key=lambda d: (-attempt(d.attributes), d.state.created_at, d.id))


def sent_for(
    dispatches: Iterable[AgentDispatch], agent: str, key: str, after: int
) -> list[AgentDispatch]:
    """The dispatches by which `agent` handed the call of this key to another one, later than attempt `after`.

    A key may name calls of two agents that have nothing to do with each other: only a handoff's own word tells.
    """
    return [
        one
        for one in dispatches
        if one.agent_name != agent
        and one.attributes.get(KEY) == key
        and HANDOFF in one.attributes
        and attempt(one.attributes) > after
    ]


def is_open(dispatch: AgentDispatch) -> bool:
    """Whether a host may still take it, or has."""
    states = [job.state.status for job in dispatch.state.jobs]
    return not states or any(state not in ENDED for state in states)


class Person(Protocol):
    """A participant, as the server's API or a room shows it."""

    @property
    def identity(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...


P = TypeVar("P", bound=Person)


def agent_of_key(people: Iterable[P], room: str, agent: str, key: str) -> P | None:
    """The agent with this name and key in a room, of the highest attempt. Its identity tells, which only a host gives."""

    def is_ours(one: P) -> bool:
        return one.identity == agent_identity(room, agent, key, attempt(one.attributes))

    return max(filter(is_ours, people), key=lambda one: attempt(one.attributes), default=None)
