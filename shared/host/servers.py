"""The agent servers of a host: built, run side by side, drained and ended by signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import structlog
from aiohttp import web
from livekit import api
from livekit.agents import AgentServer

from shared import prompts, registry
from shared.config import providers
from shared.config.endpoints import check_endpoints
from shared.config.environment import LOCAL, HostSettings
from shared.config.snapshot import Snapshot
from shared.errors import StackError
from shared.host import edits, job
from shared.host.heirs import watching_hosts
from shared.host.keeping import keeping_records
from shared.host.lines import Lines
from shared.host.load import Load
from shared.host.recovery import Recovery
from shared.host.requests import Offers
from shared.host.shares import Shares
from shared.records.hosts import HostState
from shared.records.machine import occupy
from shared.records.reader import reads
from shared.telemetry.redaction import HostCalls

log = structlog.get_logger(__name__)


def check(snapshot: Snapshot, stored: Path) -> None:
    """Find now what would fail in a call: plugins, keywords, classes, prompts.

    Plugins are loaded once for a stored snapshot and not at each start, of which that is a tenth: its name holds their versions.
    """
    right = stored.with_suffix(".checked")
    if not right.exists():
        providers.check(snapshot)
        with contextlib.suppress(OSError):  # a folder that cannot be written to costs only time
            right.touch()
    for name in snapshot.variants:
        registry.agent_class(name)
        prompts.check(job.prompts_of(snapshot, name), registry.contract(name))


class Host:
    """The agent servers of one process, from registering to their end."""

    def __init__(
        self,
        names: Sequence[str],
        snapshot: Snapshot,
        settings: HostSettings,
        calls: HostCalls,
    ) -> None:
        self.names = tuple(names)
        self.snapshot = snapshot
        self.settings = settings
        self.endpoints = {**snapshot.endpoints, **settings.endpoints}
        self.calls = calls
        self.run_dir, folder = settings.var / "run", settings.var / "records"
        self.records = reads(folder, settings.records_url)
        self.recovery = Recovery(folder, self.records, lambda: self.lkapi)
        self.lines = Lines(self.run_dir, self.records, self.recovery)
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self.registered: set[str] = set()
        self.draining = asyncio.Event()
        self.health_ports = {name: _free_port() for name in self.names}
        self.link = self.run_dir / f"host-{os.getpid()}.snapshot"
        edits.point(self.link, settings.snapshot)
        self.offers: dict[str, Offers] = {}
        self.loads: list[Load] = []
        self.servers = {name: self._build(name) for name in self.names}

    async def run(self) -> int:
        """Serve until a signal; 0 after a clean end, 1 where LiveKit could not be reached for good."""
        self._listen_for_signals()
        async with self.attending():
            return await self._serve()

    @cached_property
    def lkapi(self) -> api.LiveKitAPI:
        """Of the server that the agents are registered with; address, key and secret are in the environment."""
        return api.LiveKitAPI()

    @contextlib.asynccontextmanager
    async def attending(self) -> AsyncIterator[None]:
        """What a host has beside its agent servers, while they run."""
        # A collection of all that was imported would hold every call up for 50 ms: leave it out for good.
        gc.freeze()
        gc.enable()
        occupy(self.settings.var / "records")
        run_file = self.run_dir / f"host-{os.getpid()}.json"
        async with (
            self.lkapi,
            self._http() as ready_url,
            self._edits(),
            self.records.listening(),
            self.lines.open(),
            watching_hosts(self.run_dir, self.recovery),
            keeping_records(
                self.settings.records_url,
                self.settings.var / "records",
                ready=lambda: len(self.registered) == len(self.names),
                state=self._state,
                holder=Shares(self.recovery, lambda: self.lines.jobs),
            ),
        ):
            _write_private(run_file, self._describe(ready_url))
            try:
                yield
            finally:
                run_file.unlink(missing_ok=True)

    async def _serve(self) -> int:
        running = [asyncio.create_task(server.run()) for server in self.servers.values()]
        ending = asyncio.create_task(self.draining.wait())
        await asyncio.wait([*running, ending], return_when=asyncio.FIRST_COMPLETED)
        gave_up = [task for task in running if task.done() and task.exception() is not None]
        if gave_up:
            log.error("agent server gave up", reason=str(gave_up[0].exception()))
        else:
            await self._drain()
        ending.cancel()
        await asyncio.gather(*(server.aclose() for server in self.servers.values()))
        await asyncio.gather(*running, return_exceptions=True)
        return 1 if gave_up else 0

    async def _drain(self) -> None:
        """Let running calls finish; no new ones come."""
        busy = sum(len(server.active_jobs) for server in self.servers.values())
        log.info("draining", calls=busy, timeout_s=self.snapshot.server.drain_timeout_s)
        drains = [
            server.drain(timeout=self.snapshot.server.drain_timeout_s)
            for server in self.servers.values()
        ]
        for result in await asyncio.gather(*drains, return_exceptions=True):
            if isinstance(result, TimeoutError):
                log.warning("calls cut off", timeout_s=self.snapshot.server.drain_timeout_s)

    @contextlib.asynccontextmanager
    async def _edits(self) -> AsyncIterator[None]:
        """In local, edits of conf and prompts reach the next call."""
        following = None
        if self.snapshot.env == LOCAL:
            following = asyncio.create_task(
                edits.follow(self.names, self.link, self._check_edit, self._put)
            )
        try:
            yield
        finally:
            if following is not None:
                following.cancel()
            self.link.unlink(missing_ok=True)

    def _check_edit(self, snapshot: Snapshot, stored: Path) -> None:
        check_endpoints(snapshot, self.endpoints)
        check(snapshot, stored)

    def _put(self, snapshot: Snapshot) -> None:
        if snapshot.server != self.snapshot.server:
            log.warning("edits under server count from the next start of the host on")
        for offers in self.offers.values():
            offers.snapshot = snapshot

    def _build(self, name: str) -> AgentServer:
        config = self.snapshot.server
        settings = job.JobSettings(
            agent=name,
            snapshot=self.link,
            records=self.settings.var / "records",
            endpoints=self.endpoints,
            log_level=config.log_level,
            line=self.lines.socket,
            speech=self.settings.var / "speech",
        )
        load = Load(measured=config.load == "cpu")
        self.loads.append(load)
        server = AgentServer(
            setup_fnc=partial(job.prewarm, settings),
            num_idle_processes=config.idle_processes,
            load_fnc=load,
            # Offers judge the load: LiveKit's own rule drops calls without a word, the second of two of one moment too.
            load_threshold=math.inf,
            drain_timeout=config.drain_timeout_s,
            host="127.0.0.1",
            port=self.health_ports[name],
            log_level=config.log_level,
            **_proxy(self.settings.livekit_url),
        )
        offers = self.offers[name] = Offers(
            agent=name,
            snapshot=self.snapshot,
            records=settings.records,
            calls=self.calls,
            host=self.id,
            max_jobs=config.max_jobs,
            running=lambda: len(server.active_jobs),
            busy=lambda: load.now >= config.load_threshold,
            lkapi=lambda: self.lkapi,
            lines=self.lines,
            reads=self.records,
            draining=self.draining,
        )
        # Functions and partials of them: the entrypoint is pickled into the job process.
        server.rtc_session(
            partial(job.entrypoint, settings),
            agent_name=name,
            on_request=offers.answer,
            on_session_end=job.on_session_end,
        )
        server.on("worker_registered", partial(self._on_registered, name))
        return server

    def _state(self) -> HostState:
        """What `switchboard top` shows of this host."""
        return HostState(
            host=self.id,
            agents=self.names,
            live=sum(len(server.active_jobs) for server in self.servers.values()),
            load=max(load.now for load in self.loads),
            draining=self.draining.is_set(),
        )

    def _on_registered(self, name: str, *_: object) -> None:
        again = name in self.registered
        self.registered.add(name)
        log.info(
            f"{name} is ready" if not again else f"{name} is registered again",
            agent=name,
            deployment=self.snapshot.server.deployment,
            digest=self.snapshot.digest,
            url=self.settings.livekit_url,
            call=_call_hint(name, self.snapshot.env),
        )

    @contextlib.asynccontextmanager
    async def _http(self) -> AsyncIterator[str]:
        """The host's own HTTP server, while it runs: `/ready`."""
        app = web.Application()
        app.router.add_get("/ready", self._ready)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            port = self.snapshot.server.port
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
            except OSError:
                raise StackError(
                    f"port {port} (server.port) is in use. Choose another one, or 0 for a free one: SET=server.port=0",
                    code="host.port",
                ) from None
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}/ready"
        finally:
            await runner.cleanup()

    async def _ready(self, _: web.Request) -> web.Response:
        """200 once every name has registered and LiveKit's own health check is good, else 503 with the names that miss."""
        missing = [name for name in self.names if name not in self.registered]
        async with aiohttp.ClientSession(trust_env=False) as client:
            for name, port in self.health_ports.items():
                try:
                    async with client.get(f"http://127.0.0.1:{port}/") as answer:
                        healthy = answer.status == 200
                except aiohttp.ClientError:
                    healthy = False
                if not healthy and name not in missing:
                    missing.append(name)
        status = 503 if missing or self.draining.is_set() else 200
        return web.json_response({"agents": list(self.names), "missing": missing}, status=status)

    def _describe(self, ready_url: str) -> dict[str, object]:
        """What `switchboard call` needs to find this host."""
        return {
            "pid": os.getpid(),
            "agents": list(self.names),
            "env": self.snapshot.env,
            "deployment": self.snapshot.server.deployment,
            "livekit_url": self.settings.livekit_url,
            "ready_url": ready_url,
            "snapshot": str(self.link),
        }

    def _listen_for_signals(self) -> None:
        """The first signal drains, the second ends everything at once."""
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if self.draining.is_set():
                os._exit(130)  # the jobs end by themselves when their host is gone
            self.draining.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)


def _call_hint(agent: str, env: str) -> str:
    return f"make call AGENT={agent}" + ("" if env == LOCAL else f" ENV={env}")


def _proxy(url: str) -> dict[str, Any]:
    """A proxy of the environment must not get between a host and a LiveKit server on the same machine."""
    return {"http_proxy": None} if urlsplit(url).hostname in ("127.0.0.1", "localhost") else {}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def _write_private(path: Path, content: Mapping[str, object]) -> None:
    """Write whole or not at all: others look for this file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(path)
