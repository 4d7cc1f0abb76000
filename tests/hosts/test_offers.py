"""Which host takes a dispatch, and which leaves it to others."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from shared.local.exchange import Exchange
from shared.local.stack import HeldStack
from tests.running import RunningHost, start_host

LIMIT_S = 15.0

T = TypeVar("T")


@pytest.fixture(scope="module")
def crowded(var: Path, held: HeldStack) -> Iterator[tuple[RunningHost, list[str]]]:
    """A host for three calls and of a deployment of its own, and four dispatches that came to it in one moment."""
    host = start_host(
        var, held.stack, ["support"], "server.max_jobs=3", "server.deployment=crowded"
    )

    async def crowd(exchange: Exchange) -> list[str]:
        rooms = [f"crowd-{number}" for number in range(4)]
        return await asyncio.gather(
            *(dispatch_support(exchange, room, host.deployment) for room in rooms)
        )

    yield host, asyncio.run(with_exchange(host, crowd))
    host.stop(signal.SIGKILL)


def test_a_full_host_takes_what_it_can_and_leaves_the_rest_to_others(
    crowded: tuple[RunningHost, list[str]],
) -> None:
    """With one idle process it takes calls of one moment up to `server.max_jobs`; the next one is rejected without ending its dispatch."""
    host, ids = crowded

    async def states(exchange: Exchange) -> list[str]:
        async with asyncio.timeout(LIMIT_S):
            while True:
                rooms = (f"crowd-{number}" for number in range(4))
                found = await asyncio.gather(*map(exchange.taken, rooms, ids))
                if found.count("by nobody") == 1 and "code=host.full" in host.log:
                    return sorted(found)

    assert asyncio.run(with_exchange(host, states)) == ["by a host"] * 3 + ["by nobody"]


def test_hosts_of_different_deployments_do_not_take_each_others_calls(
    host: RunningHost, crowded: tuple[RunningHost, list[str]]
) -> None:
    """Two hosts of one name on one server: a dispatch reaches only the host of its deployment."""
    apart, ids = crowded

    async def reach(exchange: Exchange) -> str:
        dispatch = await dispatch_support(exchange, "elsewhere", host.deployment)
        async with asyncio.timeout(LIMIT_S):
            while await exchange.taken("elsewhere", dispatch) != "by a host":
                await asyncio.sleep(0.02)
        return dispatch

    ours = asyncio.run(with_exchange(host, reach))
    assert ours in host.log
    assert ours not in apart.log
    for dispatch in ids:
        assert dispatch in apart.log
        assert dispatch not in host.log


def test_a_busy_host_leaves_the_dispatch_to_others(hosts: Any) -> None:
    """From `server.load_threshold` on an offer is rejected, and the log says so."""
    host: RunningHost = hosts(
        ["support"], "server.load=cpu", "server.load_threshold=1e-9", "server.deployment=busy"
    )

    async def offer_until_refused(exchange: Exchange) -> None:
        """LiveKit's measure starts with the first offers."""
        async with asyncio.timeout(10):
            for number in itertools.count():
                room = f"busy-{number}"
                dispatch = await dispatch_support(exchange, room, "busy")
                while await exchange.taken(room, dispatch) == "by nobody":
                    if "code=host.busy" in host.log:
                        return

    asyncio.run(with_exchange(host, offer_until_refused))


async def with_exchange(host: RunningHost, use: Callable[[Exchange], Awaitable[T]]) -> T:
    """Run `use` with a caller's way into the host's LiveKit server."""
    stack = host.stack
    exchange = Exchange(stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret)
    try:
        return await use(exchange)
    finally:
        await exchange.close()


async def dispatch_support(exchange: Exchange, room: str, deployment: str) -> str:
    return await exchange.dispatch(
        room, "support", metadata='{"user_id": "1"}', deployment=deployment, attributes={}
    )
