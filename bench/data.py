"""What metadata and config cost, beside what one would write instead: microseconds, p50 and p99."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from pydantic import BaseModel

from bench.hostile import HOSTILE
from shared.config.compose import ensure_snapshot
from shared.config.environment import ROOT
from shared.config.selection import CONF
from shared.config.snapshot import Snapshot, load_snapshot, resolve
from shared.errors import MetadataError
from shared.metadata.parse import parse_metadata
from shared.registry import contract

LIMITS_US = {
    "resolve": 50,
    "snapshot_load": 5_000,
    "metadata_with_phone": 150,
    "metadata_without_phone": 30,
    "start_from_stored_snapshot": 50_000,
}
"""What each p50 must stay below."""

HOSTILE_LIMIT_US = 5_000
"""What the p99 of the worst hostile document must stay below: a host has many calls and one loop."""

COMPOSE_LIMIT = 1.2
"""Our composing over a bare Hydra compose, each."""

WITHOUT_PHONE = '{"user_id": "12345", "user_name": "Ada Lovelace"}'
WITH_PHONE = '{"user_id": "12345", "user_name": "Ada Lovelace", "user_phone": "+15105550123"}'
CHOSEN = {"tts.speed": 1.2, "llm.temperature": 0.2}


class Plain(BaseModel):
    """What is written by hand today."""

    user_id: str
    user_name: str | None = None
    user_phone: str | None = None


def measure() -> dict[str, dict[str, float]]:
    """Every figure: name to p50 and p99 in microseconds, and composing as a ratio."""
    import shared.host.servers  # noqa: F401 (what a host has in memory, frozen as a host does)

    gc.freeze()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        snapshot, path = _compose(store)
        model = contract("intake")
        figures = {
            "resolve": _timed(lambda: resolve(snapshot, "intake", overrides=CHOSEN), 5000),
            "snapshot_load": _timed(lambda: load_snapshot(path), 500),
            "metadata_with_phone": _timed(lambda: parse_metadata(WITH_PHONE, model), 5000),
            "metadata_without_phone": _timed(lambda: parse_metadata(WITHOUT_PHONE, model), 5000),
            "metadata_hostile_32k": _worst(),
            "plain_json_and_pydantic": _timed(lambda: Plain(**json.loads(WITH_PHONE)), 5000),
            "start_from_stored_snapshot": _timed(lambda: _compose(store), 50),
            "hydra_in_the_job": _hydra_in_a_job(),
        }
    return {**figures, "composing_over_bare_hydra": _composing()}


def too_slow(figures: dict[str, dict[str, float]]) -> list[str]:
    """The names that miss their limit."""
    missed = [name for name, limit in LIMITS_US.items() if figures[name]["p50"] >= limit]
    if figures["metadata_hostile_32k"]["p99"] >= HOSTILE_LIMIT_US:
        missed.append("metadata_hostile_32k")
    ratio = figures["composing_over_bare_hydra"]["ratio"]
    return [*missed, *(["composing_over_bare_hydra"] if ratio > COMPOSE_LIMIT else [])]


def _timed(work: Callable[[], object], times: int) -> dict[str, float]:
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1e6)
    taken.sort()
    return {
        "p50": round(statistics.median(taken), 1),
        "p99": round(taken[int(len(taken) * 0.99)], 1),
    }


def _worst() -> dict[str, float]:
    """Of the document that takes longest, each figure for itself."""
    figures = [_timed(partial(_answered, raw), 200) for raw in HOSTILE.values()]
    return {name: max(figure[name] for figure in figures) for name in ("p50", "p99")}


def _answered(raw: str) -> None:
    with suppress(MetadataError):
        parse_metadata(raw, contract("intake"))


def _compose(store: Path) -> tuple[Snapshot, Path]:
    return ensure_snapshot(["intake", "support"], "local", [], store=store, developer="bench")


def _composing(rounds: int = 5) -> dict[str, float]:
    """Everything that a snapshot takes, over as many bare composes of the same configs, in turn."""
    profiles = [path.stem for path in (CONF / "profile").glob("*.yaml")]
    names = [(agent, profile) for agent in ("intake", "support") for profile in profiles]
    ours, bare = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            _compose(Path(folder))
            ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            for agent, profile in names:
                words = [f"agent={agent}", "env=local", f"profile={profile}"]
                OmegaConf.to_container(compose("config", words), resolve=True)
        bare.append(time.perf_counter() - began)
    ratio = statistics.median(ours) / statistics.median(bare)
    return {
        "ratio": round(ratio, 3),
        "each_ms": round(statistics.median(ours) * 1e3 / len(names), 1),
    }


def _hydra_in_a_job(times: int = 5) -> dict[str, float]:
    """Importing Hydra and composing one config in a fresh process, as a job would."""
    program = (
        "import time; began = time.perf_counter()\n"
        "from hydra import compose, initialize_config_dir\n"
        "from omegaconf import OmegaConf\n"
        f"with initialize_config_dir({str(CONF)!r}, version_base='1.3'):\n"
        "    OmegaConf.to_container(compose('config', ['agent=intake']), resolve=True)\n"
        "print((time.perf_counter() - began) * 1e6)"
    )
    taken = sorted(
        float(
            subprocess.run(
                [sys.executable, "-c", program],
                cwd=ROOT,
                env=dict(os.environ),
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stdout
        )
        for _ in range(times)
    )
    return {"p50": round(statistics.median(taken), 1), "p99": round(taken[-1], 1)}
