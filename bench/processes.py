"""Starting what is measured, and what its process trees weigh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared.config.compose import ensure_snapshot
from shared.config.endpoints import local_endpoints
from shared.config.environment import PROVIDER_KEYS, ROOT, Settings
from shared.local.stack import Stack
from shared.prompts import Prompts
from shared.registry import contract, folder

IDLE = 1
READY_LIMIT_S = 90.0
METADATA = {"user_id": "12345"}
"""Of every call: nothing known, so greeting and first answer are one short question each."""

SAYS = "My name is Grace Hopper."

SAME_SETTINGS = (
    "session.endpointing.min_delay=0.5",
    "session.endpointing.max_delay=3.0",
    "session.preemptive_generation={enabled: true, preemptive_tts: false}",
    "stt.eager_eot_threshold=null",
)
"""What makes our turns those of the plain worker: LiveKit's defaults where the recogniser says that a turn is over."""


@dataclass
class Subject:
    """A running worker or host.

    Attributes:
        registered_s: From exec to the registration of its last name, by its own log.
    """

    agent: str
    process: subprocess.Popen[bytes]
    registered_s: float

    def pss_mb(self) -> float:
        """Proportional set size of the whole tree: what the machine would get back without it."""
        tree = psutil.Process(self.process.pid)
        total = 0
        for process in [tree, *tree.children(recursive=True)]:
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 1e6

    def stop(self) -> None:
        """End the whole tree."""
        tree = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for child in tree:
            with suppress(psutil.Error):
                child.kill()


def start_ours(
    var: Path, stack: Stack, names: Sequence[str], *overrides: str, deployment: str = ""
) -> Subject:
    """Our host, from the exec that `switchboard run` ends in, with its snapshot stored."""
    settings = Settings.read({**os.environ, "SWITCHBOARD_VAR": str(var)}, env="local")
    words = [f"server.idle_processes={IDLE}", f"server.deployment={deployment}", *overrides]
    snapshot, path = ensure_snapshot(
        names, "local", words, store=var / "snapshots", developer=settings.developer
    )
    environ = settings.for_host(
        livekit=_livekit(stack),
        keys={name: stack.providers_key for names_ in PROVIDER_KEYS.values() for name in names_},
        deployment=snapshot.server.deployment,
        snapshot=path,
        endpoints=local_endpoints(stack.providers_url, {}),
        turn_detector=snapshot.needs_turn_detector,
        holds=None,
    )
    return _start(
        names[0], [sys.executable, "-m", "shared.host", ",".join(names)], environ, var, len(names)
    )


def start_bare(var: Path, stack: Stack, name: str = "bare", *, turns: str = "stt") -> Subject:
    """The plain worker, started the way LiveKit's documents say. `turns` are those of the recogniser (stt) or of LiveKit's own detector."""
    prompts = Prompts.load(folder("intake"))
    known = contract("intake")(**METADATA)
    environ = {
        **os.environ,
        **_livekit(stack),
        **{key: stack.providers_key for keys in PROVIDER_KEYS.values() for key in keys},
        "BARE_NAME": name,
        "BARE_IDLE": str(IDLE),
        "BARE_TURNS": turns,
        "BARE_PROVIDERS_URL": stack.providers_url,
        "BARE_INSTRUCTIONS": prompts.render("instructions", known),
        "BARE_GREETING": prompts.render("greeting", known),
    }
    words = [sys.executable, "-m", "livekit.agents", "start", "bench/bare_worker.py"]
    return _start(name, words, environ, var, 1)


def _livekit(stack: Stack) -> dict[str, str]:
    return {
        "LIVEKIT_URL": stack.livekit_url,
        "LIVEKIT_API_KEY": stack.livekit_api_key,
        "LIVEKIT_API_SECRET": stack.livekit_api_secret,
    }


def _start(agent: str, words: list[str], environ: dict[str, str], var: Path, names: int) -> Subject:
    log = var / f"{agent}-{time.monotonic_ns()}.log"
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, cwd=ROOT, env=environ, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    while time.monotonic() - began < READY_LIMIT_S:
        if log.read_bytes().count(b"registered worker") >= names:
            return Subject(agent, process, time.monotonic() - began)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    raise SystemExit(f"{agent} did not register:\n{log.read_text()[-2000:]}")


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)
