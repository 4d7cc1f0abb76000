"""A gateway in staging on loopback."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from shared.config.environment import ROOT
from shared.local.stack import HeldStack

SECRET = "a secret of thirty-two characters and more"
SERVER_KEY = "sb_a-key-of-a-server"


@dataclass
class Gateway:
    """A gateway in staging: nobody gets in without saying who they are."""

    url: str
    var: Path

    async def ask(
        self, method: str, path: str, body: object = None, *, bearer: str | None = None
    ) -> tuple[int, Any]:
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        async with (
            aiohttp.ClientSession() as client,
            client.request(method, self.url + path, json=body, headers=headers) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def token(self, body: object, *, bearer: str | None = None) -> tuple[int, Any]:
        return await self.ask("POST", "/token", body, bearer=bearer)


def bearer(**claims: object) -> str:
    """A user's token; claims of `None` are left out."""
    whole = {"sub": "ann", "aud": "switchboard", "exp": time.time() + 3600, **claims}
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, SECRET)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, held: HeldStack) -> Iterator[Gateway]:
    var = tmp_path_factory.mktemp("gateway")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    digest = hashlib.sha256(SERVER_KEY.encode()).hexdigest()
    environ = {
        "SWITCHBOARD_VAR": str(var),
        "SWITCHBOARD_ENV": "staging",
        "SWITCHBOARD_GATEWAY_SECRET": SECRET,
        "SWITCHBOARD_API_KEYS": f"{digest}:token",
        "LIVEKIT_URL": held.stack.livekit_url,
        "LIVEKIT_API_KEY": held.stack.livekit_api_key,
        "LIVEKIT_API_SECRET": held.stack.livekit_api_secret,
        **{f"{name}_API_KEY": "x" for name in ("DEEPGRAM", "CARTESIA", "OPENAI")},
    }
    with (var / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.cli.main", "gateway", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **environ},
            stderr=log,
        )
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert process.poll() is None, (var / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            break
    yield Gateway(f"http://127.0.0.1:{port}", var)
    process.terminate()
    assert process.wait(10) == 0
