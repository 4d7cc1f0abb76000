"""Attributes that are set at the moment at which LiveKit's session sets its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from shared.session.attributes import TRIES, publish


@dataclass
class Me:
    """A participant whose first updates are lost, as LiveKit's SDK loses them: it waits for what never comes."""

    lost: int
    attributes: dict[str, str] = field(default_factory=dict)
    sent: int = 0

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        self.sent += 1
        if self.sent <= self.lost:
            await asyncio.Event().wait()
        self.attributes |= attributes


@pytest.mark.parametrize(("lost", "sent"), [(0, 1), (1, 2), (TRIES, TRIES)])
async def test_an_update_is_sent_until_it_is_there(lost: int, sent: int) -> None:
    """Once where nothing goes wrong; again where it was lost; and not for ever."""
    me = Me(lost)
    await publish(cast(Any, me), {"sb.state": "ready"})

    assert me.sent == sent
    assert ("sb.state" in me.attributes) is (lost < TRIES)
