"""Finding the host that serves an agent, and waiting until it does."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from shared.cli.hosts import RunningHost, find_host, running_hosts, wait_until_ready
from shared.errors import DispatchError


class Readiness:
    """A host's `/ready`, as a test turns it."""

    def __init__(self) -> None:
        self.ready = False
        self.asked = 0
        self.url = ""

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({}, status=200 if self.ready else 503)


@pytest.fixture
async def readiness() -> AsyncIterator[Readiness]:
    state = Readiness()
    app = web.Application()
    app.router.add_get("/ready", state.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    state.url = f"http://{host}:{port}/ready"
    yield state
    await runner.cleanup()


def _host(
    ready_url: str, *, pid: int | None = None, agents: tuple[str, ...] = ("intake",)
) -> RunningHost:
    return RunningHost(pid or os.getpid(), agents, "local", "", "ws://127.0.0.1:1", ready_url)


async def test_waits_until_the_host_is_ready(readiness: Readiness) -> None:
    """A host that is still registering is waited for, and the wait is said once."""
    said: list[str] = []
    waiting = asyncio.create_task(
        wait_until_ready(_host(readiness.url), "intake", limit_s=30, progress=said.append)
    )
    while readiness.asked < 3:
        await asyncio.sleep(0)
    assert not waiting.done()

    readiness.ready = True
    await asyncio.wait_for(waiting, 30)

    assert said == ["waiting for intake to be ready"]


async def test_gives_up_on_a_host_that_never_is(readiness: Readiness) -> None:
    """A host that does not register in time ends the wait with an error."""
    with pytest.raises(DispatchError, match=r"intake was not ready after 0 s"):
        await wait_until_ready(
            _host(readiness.url), "intake", limit_s=0.3, progress=lambda line: None
        )


async def test_gives_up_on_a_host_that_ended() -> None:
    """A host that dies while it is waited for ends the wait at once."""
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    host = _host("http://127.0.0.1:1/ready", pid=process.pid)

    with pytest.raises(DispatchError, match="the host of intake ended"):
        await wait_until_ready(host, "intake", limit_s=30, progress=lambda line: None)


def test_finds_the_newest_host_of_an_agent(tmp_path: Path) -> None:
    """Of two hosts that serve an agent the one started last is called; broken files count for nothing."""
    for number, (pid, age) in enumerate([(os.getpid(), 200), (os.getppid(), 100)]):
        said = {
            "pid": pid,
            "agents": ["intake"],
            "env": "local",
            "deployment": f"d{number}",
            "livekit_url": "",
            "ready_url": "",
        }
        file = tmp_path / f"host-{pid}.json"
        file.write_text(json.dumps(said))
        os.utime(file, (1_700_000_000 - age, 1_700_000_000 - age))
    (tmp_path / "host-1.json").write_text('{"pid": 1')

    assert find_host(tmp_path, "intake", "local").deployment == "d1"
    assert len(running_hosts(tmp_path)) == 2
