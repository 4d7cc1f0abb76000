"""Hosts on several machines: each has a folder of its own, and one store is everybody's."""

from __future__ import annotations

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from shared.local.stack import HeldStack
from shared.records.store import Store
from tests.losses.test_recovery import REASON, RESUMED, Lost
from tests.postgres import Postgres
from tests.running import RunningHost, start_host
from tests.spoken import alike


def test_a_call_of_a_lost_machine_goes_on_on_another(
    tmp_path: Path, held: HeldStack, postgres: Postgres
) -> None:
    """The other machine's agent knows what was said on the first, and saves it once."""
    url = postgres.database()
    environ = {
        "SWITCHBOARD_RECORDS_URL": url,
        "LIVEKIT_URL": held.stack.livekit_url,
        "LIVEKIT_API_KEY": held.stack.livekit_api_key,
        "LIVEKIT_API_SECRET": held.stack.livekit_api_secret,
    }
    hosts: list[RunningHost] = []

    def start(name: str) -> RunningHost:
        words = ["server.deployment=machines"]
        (tmp_path / name).mkdir()
        hosts.append(start_host(tmp_path / name, held.stack, ["intake"], *words, environ=environ))
        return hosts[-1]

    def lose(lost: Lost) -> None:
        """Only what has reached the store is known elsewhere: that takes a moment."""
        [call_id] = {event.call_id for event in lost.events}
        deadline = time.monotonic() + 5
        with closing(Store.open(url)) as store:
            while not any(event.data.get("role") == "caller" for event in store.events(call_id)):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        lost.host.process.kill()

    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(start, ("first", "second")))
        lost = Lost(hosts, "lost-machine", lose, written=True)
        asyncio.run(lost.make())
    finally:
        for host in hosts:
            host.stop(signal.SIGTERM)
    assert lost.result is not None
    with closing(Store.open(url)) as store:
        call = store.find("lost-machine")
        assert call is not None
        record = store.events(call.call_id)
    saved = [event.data["reason"] for event in record if event.event == "intake"]

    assert sum(RESUMED in line.text for line in lost.result.transcript) == 1
    assert (call.outcome, call.attempts) == ("completed", 2)
    assert len(saved) == 1
    assert alike(saved[0], REASON)
