"""Attributes that are set at the moment at which LiveKit's session sets its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from shared.metadata.contract import CallMetadata
from shared.session.attributes import TRIES, publish
from tests.shared.session.calls import stage


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
    """Once where nothing goes wrong; again where it was lost; and not for ever, which a line tells."""
    me = Me(lost)
    with capture_logs() as logs:
        await publish(cast(Any, me), {"sb.state": "ready"})

    assert me.sent == sent
    assert [line["names"] for line in logs] == [["sb.state"]] * (lost == TRIES)
    assert ("sb.state" in me.attributes) is (lost < TRIES)


async def test_the_last_word_holds(tmp_path: Path) -> None:
    """Where an update was lost and is sent again, one that came after it is not undone."""
    me = Me(lost=1)
    with stage(tmp_path, CallMetadata(user_id="1"), greeting="Hello.") as on:
        room = SimpleNamespace(isconnected=lambda: True, local_participant=me)
        on.call.ctx = cast(Any, SimpleNamespace(room=room))
        await asyncio.gather(*(on.call.show({"sb.state": state}) for state in ("joining", "ready")))

    assert me.attributes["sb.state"] == "ready"
