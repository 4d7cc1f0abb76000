"""A real agent server with one real job process that logs everything a job may log: run by `test_logs.py`.

Needs no LiveKit server. `python -m tests.shared.telemetry.logging_host FIFO`: the job opens the FIFO when it is over.
"""

import asyncio
import logging
import sys
import threading
import warnings
from functools import partial
from pathlib import Path

import structlog
from livekit.agents import AgentServer, JobContext, JobProcess

from shared.metadata.contract import CallMetadata
from shared.telemetry.logs import bind_call, configure_host, configure_job
from shared.telemetry.redaction import Redactor

ADA = CallMetadata(user_id="12345", user_name="Ada Lovelace", user_phone="+15105550123")

log = structlog.get_logger("tests.job")


def set_up(_: JobProcess) -> None:
    configure_job(level="DEBUG")


async def entrypoint(fifo: str, ctx: JobContext) -> None:
    bind_call(Redactor.of(ADA), call_id="call-1", agent="desk", dispatch="AD_1", digest="d1gest")

    async def tell() -> None:
        await asyncio.to_thread(Path(fifo).write_text, "over", encoding="utf-8")

    ctx.add_shutdown_callback(tell)
    log.info("said", who="Ada Lovelace", nested={"numbers": ["(510) 555-0123"]})
    log.debug("detail", text="user 12345")
    log.info(
        "odd fields",
        room="mine",
        job_id="mine",
        name="mine",
        level="mine",
        call=lambda: 1,
        session=ctx,
    )
    try:
        raise ValueError("no Ada here")
    except ValueError:
        log.exception("tool failed", tool="look_up")
    logging.getLogger("livekit.agents").info("hello %s", "Ada", extra={"lk.pii.text": "anything"})
    logging.getLogger("openai").debug("request with %s", "Ada")
    warnings.warn("Ada is deprecated", stacklevel=1)
    thread = threading.Thread(target=_fail_in_thread)
    thread.start()
    thread.join()
    raise RuntimeError("crash of Ada Lovelace, five five five, oh one two three")


def _fail_in_thread() -> None:
    raise KeyError("lovelace")


async def host(fifo: str) -> None:
    configure_host(json=True, level="DEBUG")
    server = AgentServer(
        setup_fnc=set_up, num_idle_processes=0, port=0, host="127.0.0.1", load_fnc=lambda: 0.0
    )
    server.rtc_session(partial(entrypoint, fifo), agent_name="desk")
    log.info("host speaks", agents=["desk"])
    running = asyncio.create_task(server.run(devmode=True, unregistered=True))
    started = asyncio.Event()
    server.on("worker_started", started.set)
    await started.wait()
    await server.simulate_job("room-of-ada-lovelace", fake_job=True)
    await asyncio.to_thread(Path(fifo).read_text, encoding="utf-8")
    await server.aclose()
    await running


if __name__ == "__main__":
    asyncio.run(host(sys.argv[1]))
