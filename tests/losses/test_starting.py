"""A call loses its agent while LiveKit starts again: another agent is asked for until it takes dispatches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit import api, rtc

from shared.host import recovery
from shared.host.jobs import Job
from shared.local.exchange import Exchange
from shared.local.stack import HeldStack, Stack
from shared.records.spool import Files

JOIN_S, STARTS_S, LIMIT_S = 1.0, 1.5, 60.0
"""The server is not itself for longer than one attempt is waited for."""


@asynccontextmanager
async def starting(stack: Stack) -> AsyncIterator[str]:
    """The stack's server behind one that takes no dispatches from the first one on for `STARTS_S`; its address."""
    asked: list[float] = []

    async def forward(request: web.Request) -> web.Response:
        if request.path.endswith("/CreateDispatch"):
            asked.append(time.monotonic())
            if asked[-1] - asked[0] < STARTS_S:
                return web.json_response({"code": "unavailable", "msg": "starting"}, status=503)
        kept = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        url = stack.livekit_url.replace("ws", "http", 1) + request.path
        async with session.post(url, data=await request.read(), headers=kept) as answer:
            return web.Response(
                body=await answer.read(), status=answer.status, content_type=answer.content_type
            )

    app = web.Application()
    app.router.add_post("/{path:.*}", forward)
    async with aiohttp.ClientSession() as session, TestServer(app) as server:
        yield str(server.make_url(""))


async def test_what_livekit_does_not_take_is_not_counted_as_tried(
    tmp_path: Path, held: HeldStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller, back in a room that has another sid now, is hung up on after two agents that did not come, not because nobody could be sent for a moment."""
    monkeypatch.setattr(recovery, "JOIN_S", JOIN_S)
    stack, room, records = held.stack, rtc.Room(), Files(tmp_path)
    exchange = Exchange(stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret)
    async with (
        starting(stack) as url,
        api.LiveKitAPI(url, stack.livekit_api_key, stack.livekit_api_secret) as lkapi,
        asyncio.timeout(LIMIT_S),
    ):
        await exchange.join(room, "starting-again", "caller")
        job = Job(
            "AJ_1", "c-starting-again", "nobody", "starting-again", "RM_of_before", "{}", {}, ""
        )
        await recovery.Recovery(tmp_path, records, lambda: lkapi).recover(job, "job.died")
        await room.disconnect()
        await exchange.close()

    events = await records.of("c-starting-again")
    tried = [event.data["why"] for event in events if event.event == "recovering"]
    assert tried == ["job.died", "dispatch.nobody"]
    assert [e.data["code"] for e in events if e.event == "outcome"] == ["dispatch.nobody"]
