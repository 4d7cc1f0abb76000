"""Which dispatches of a room belong together."""

from __future__ import annotations

import pytest
from livekit.protocol.agent_dispatch import AgentDispatch

from shared.dispatch.identity import ATTEMPT, HANDOFF, KEY
from shared.dispatch.offers import sent_for

SENT = {KEY: "order-77", ATTEMPT: "2", HANDOFF: "intake"}


@pytest.mark.parametrize(
    ("agent", "attributes", "is_handoff"),
    [
        pytest.param("support", SENT, True, id="handed over"),
        pytest.param("support", SENT | {KEY: "order-78"}, False, id="another call"),
        pytest.param("support", SENT | {ATTEMPT: "1"}, False, id="before"),
        pytest.param("support", {KEY: "order-77", ATTEMPT: "2"}, False, id="a call of its own"),
        pytest.param("intake", SENT, False, id="the same agent"),
    ],
)
def test_only_a_handoff_is_one(agent: str, attributes: dict[str, str], is_handoff: bool) -> None:
    """Two agents of one key in one room, on purpose, are not taken for each other's replacement."""
    there = AgentDispatch(agent_name=agent, attributes=attributes)

    assert bool(sent_for([there], "intake", "order-77", 1)) == is_handoff
