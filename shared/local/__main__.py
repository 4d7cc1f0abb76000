"""`python -m shared.local --port P`: the provider stand-ins.

The key is in SWITCHBOARD_PROVIDERS_KEY. When all is loaded, one line `ready {"port": P}` is on stdout; SIGTERM ends the process.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import structlog
from aiohttp import web

from shared.local.app import build_app
from shared.local.voice import Voice
from shared.telemetry.logs import configure_process

log = structlog.get_logger(__name__)

_GRACE_S = 0.5
_NICE = 10


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m shared.local")
    options.add_argument("--port", type=int, default=0, help="0: a free one")
    options.add_argument("--json", action="store_true", help="log in JSON")
    options.add_argument("--log-level", default="INFO")
    given = options.parse_args()
    key = os.environ.get("SWITCHBOARD_PROVIDERS_KEY", "")  # noqa: TID251
    if not key:
        sys.exit("SWITCHBOARD_PROVIDERS_KEY is not set: the key that clients must show")
    configure_process(json=given.json, level=given.log_level)
    _give_way()
    asyncio.run(_serve(given.port, key))


def _give_way() -> None:
    """Let calls go first: real providers do not take their processor's time."""
    os.nice(_NICE)
    # Where Linux shares out by session, nice counts within one; a session has a niceness of its own.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICE))


async def _serve(port: int, key: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # taken before the models are loaded: a port in use is known at once
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    port = listener.getsockname()[1]
    voice = await asyncio.to_thread(Voice.load)
    runner = web.AppRunner(
        build_app(voice, key),
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        shutdown_timeout=_GRACE_S,
    )
    await runner.setup()
    await web.SockSite(runner, listener).start()
    sys.stdout.write(f"ready {json.dumps({'port': port})}\n")
    sys.stdout.flush()
    log.info("stand-ins are ready", port=port)
    await stop.wait()
    await runner.cleanup()
    voice.close()


if __name__ == "__main__":
    main()
