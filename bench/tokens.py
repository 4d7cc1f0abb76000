"""What `POST /token` costs, beside the plain endpoint of LiveKit's documentation: each server on one core, in turn."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import jwt
from livekit import api

from shared.local.stack import Ports, Stack, hold

P50_MS, PER_S = 5.0, 500.0
"""A new room's token: at most so long alone, and at least so many a second."""

ALONE, TOGETHER, AT_ONCE = 300, 3000, 16
ROOMS = [f"room-{number}" for number in range(100)]

_SECRET = "only for this measurement, long enough"
_ONE_CORE = (sys.executable, "-c", "import os,sys; os.sched_setaffinity(0,{0}); os.execv(sys.executable,[sys.executable,*sys.argv[1:]])")  # fmt: skip


def measure() -> dict[str, dict[str, float]]:
    """Milliseconds of one request alone, and requests a second, by kind of request."""
    with tempfile.TemporaryDirectory() as folder:
        held = hold(Path(folder) / "run", ports=Ports(), progress=lambda _: None)
        try:
            return asyncio.run(_measure(Path(folder), held.stack))
        finally:
            held.close()


def too_slow(figures: dict[str, dict[str, float]]) -> list[str]:
    """The names that miss their limit."""
    ours = figures["token_new_room"]
    return ["token_new_room"] if ours["p50_ms"] >= P50_MS or ours["per_s"] < PER_S else []


async def _measure(var: Path, stack: Stack) -> dict[str, dict[str, float]]:
    environ = {
        **os.environ,
        "SWITCHBOARD_VAR": str(var),
        "SWITCHBOARD_ENV": "staging",
        "SWITCHBOARD_GATEWAY_SECRET": _SECRET,
        "LIVEKIT_URL": stack.livekit_url,
        "LIVEKIT_API_KEY": stack.livekit_api_key,
        "LIVEKIT_API_SECRET": stack.livekit_api_secret,
    }
    ports = [_free_port(), _free_port()]
    modules = [("shared.cli.main", "gateway", "--port"), ("bench.plain_token",)]
    servers = [
        subprocess.Popen(
            [*_ONE_CORE, "-m", *words, str(port)], env=environ, stderr=subprocess.DEVNULL
        )
        for words, port in zip(modules, ports, strict=True)
    ]
    ours, plain = (f"http://127.0.0.1:{port}/token" for port in ports)
    users = itertools.count()
    try:
        async with (
            aiohttp.ClientSession() as client,
            api.LiveKitAPI(
                stack.livekit_url, stack.livekit_api_key, stack.livekit_api_secret
            ) as lk,
        ):
            await asyncio.gather(*map(_served, ports))
            figures = {
                "token_plain": await _load(client, plain, users, _body(None)),
                "token_new_room": await _load(client, ours, users, _body(None)),
            }
            for room in ROOMS:
                await lk.room.create_room(api.CreateRoomRequest(name=room, empty_timeout=600))
            figures["token_existing_room"] = await _load(client, ours, users, *map(_body, ROOMS))
            return figures
    finally:
        for server in servers:
            server.terminate()
            server.wait()


def _body(room: str | None) -> dict[str, object]:
    metadata = json.dumps({"user_name": "Ada Lovelace"})
    named = {"agent_name": "intake", "metadata": metadata}
    return {"room_name": room, "room_config": {"agents": [named]}}


async def _load(
    client: aiohttp.ClientSession,
    url: str,
    users: itertools.count[int],
    *bodies: dict[str, object],
) -> dict[str, float]:
    turns = itertools.cycle(bodies)

    async def ask(who: str) -> float:
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {who}"}
        async with client.post(url, json=next(turns), headers=headers) as answer:
            await answer.read()
            assert answer.status == 201, answer.status
        return (time.perf_counter() - began) * 1e3

    def signed(many: int) -> list[str]:
        # each user asks 30 times: less often than a user may
        return [who for who in (_user(next(users)) for _ in range(many // 30)) for _ in range(30)]

    for who in signed(30):
        await ask(who)
    alone = sorted([await ask(who) for who in signed(ALONE)])
    waiting = iter(signed(TOGETHER))

    async def worker() -> None:
        for who in waiting:
            await ask(who)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return {
        "p50_ms": round(statistics.median(alone), 2),
        "p99_ms": round(alone[int(len(alone) * 0.99)], 2),
        "per_s": round(TOGETHER / (time.perf_counter() - began)),
    }


def _user(number: int) -> str:
    claims = {
        "sub": f"u{number}",
        "aud": "switchboard",
        "exp": time.time() + 3600,
        "rooms": ["room-*"],
    }
    return jwt.encode(claims, _SECRET)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def _served(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
