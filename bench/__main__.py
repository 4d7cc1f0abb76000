"""`python -m bench`: ours beside a plain worker, interleaved, as ratios.

Everything but the LiveKit server and the stand-ins is counted. The figures are medians; a ratio below 1 is ours being quicker or lighter.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import platform
import statistics
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import data, store, tokens
from bench.processes import METADATA, SAME_SETTINGS, SAYS, Subject, say, start_bare, start_ours
from shared.local.call import CallOptions, CallResult
from shared.local.caller import call
from shared.local.sound import Voice
from shared.local.stack import Ports, Stack, hold

TARGETS = {
    "start_registered": 0.65,
    "dispatch_joined": 0.8,
    "dispatch_first_word": 0.75,
    "speech_end_answer": 0.65,
    "speech_end_answer_same_settings": 1.05,
    "speech_end_answer_own_detector": 1.0,
    "memory_idle": 1.05,
    "memory_per_call": 1.05,
    "two_names_memory": 0.6,
}
"""What each ratio must not exceed."""

PARTS = {"data": data, "tokens": tokens, "store": store}
"""Parts with figures and limits of their own."""

SETTLE_S = 3.0
"""Memory is read this long after a process has registered: the idle job process is there then."""

RESULTS = Path(__file__).parent / "results" / "latest.json"

Figures = dict[str, dict[str, list[float]]]


def main() -> int:
    """Measure, print and store; 1 where a target is missed."""
    words = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    words.add_argument("--calls", type=int, default=20, help="calls of each kind")
    words.add_argument("--pairs", type=int, default=5, help="pairs of starts")
    words.add_argument("--only", choices=["start", "calls", "memory", *PARTS], help="one part")
    words.add_argument("--json", action="store_true", help="the result on stdout, nothing else")
    given = words.parse_args()
    logging.getLogger().addHandler(
        logging.NullHandler()
    )  # the callers' SDK logs every hang-up as an error
    parts = {name: PARTS[name].measure() for name in PARTS if given.only in (None, name)}
    figures: Figures = {name: {"ours": [], "bare": []} for name in TARGETS}
    if given.only not in PARTS:
        measure_hosts(figures, given)
    slow = [one for name, found in parts.items() for one in PARTS[name].too_slow(found)]
    result = summarise(figures) | parts | {"too_slow": slow}
    if given.only is None:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result) if given.json else table(result))
    missed = [name for name, ratio in result["ratios"].items() if ratio > TARGETS[name]]
    return int(bool(missed or slow))


def measure_hosts(figures: Figures, given: argparse.Namespace) -> None:
    """Everything that needs running hosts."""
    with tempfile.TemporaryDirectory() as folder:
        var = Path(folder)
        held = hold(var / "run", ports=Ports(), progress=say)
        try:
            if given.only in (None, "start"):
                measure_start(figures, var, held.stack, given.pairs)
            if given.only in (None, "memory"):
                measure_memory(figures, var, held.stack)
            if given.only in (None, "calls"):
                asyncio.run(measure_calls(figures, var, held.stack, given.calls))
        finally:
            held.close()


def measure_start(figures: Figures, var: Path, stack: Stack, pairs: int) -> None:
    """From exec to registered, in turn, with nothing beside it."""
    start_ours(var, stack, ["intake"]).stop()  # stores the snapshot
    ours, bare = partial(start_ours, var, stack, ["intake"]), partial(start_bare, var, stack)
    for number in range(pairs):
        for side, start in (("ours", ours), ("bare", bare)):
            subject = start()
            figures["start_registered"][side].append(subject.registered_s)
            subject.stop()
        say(f"start {number + 1}/{pairs}")


def measure_memory(figures: Figures, var: Path, stack: Stack) -> None:
    """PSS of the idle tree, of one more call, and of two names."""
    ours, bare = start_ours(var, stack, ["intake"]), start_bare(var, stack)
    time.sleep(SETTLE_S)
    idle = {"ours": ours.pss_mb(), "bare": bare.pss_mb()}
    for side, subject in (("ours", ours), ("bare", bare)):
        figures["memory_idle"][side].append(idle[side])
        figures["memory_per_call"][side] += asyncio.run(weigh_calls(subject, stack))
    ours.stop()
    second = start_bare(var, stack, "bare2")
    both = start_ours(var, stack, ["intake", "support"])
    time.sleep(SETTLE_S)
    figures["two_names_memory"]["ours"].append(both.pss_mb())
    figures["two_names_memory"]["bare"].append(bare.pss_mb() + second.pss_mb())
    for subject in (bare, second, both):
        subject.stop()
    say("memory measured")


async def weigh_calls(subject: Subject, stack: Stack, calls: int = 3) -> list[float]:
    """What a call adds while it runs, the idle process that replaces its own included in both."""
    before = subject.pss_mb()
    running = [asyncio.create_task(one_call(subject, stack)) for _ in range(calls)]
    await asyncio.sleep(6)
    during = await asyncio.to_thread(subject.pss_mb)
    await asyncio.gather(*running)
    return [(during - before) / calls]


async def measure_calls(figures: Figures, var: Path, stack: Stack, calls: int) -> None:
    """One call of each kind in turn: ours as shipped, the plain worker, ours with the plain worker's turn settings, the plain one with LiveKit's own detector of turns."""
    subjects = {
        "ours": start_ours(var, stack, ["intake"]),
        "bare": start_bare(var, stack),
        "same": start_ours(var, stack, ["intake"], *SAME_SETTINGS, deployment="same"),
        "detector": start_bare(var, stack, "detector", turns="detector"),
    }
    await asyncio.sleep(SETTLE_S)
    for number in range(calls):
        for side, subject in subjects.items():
            result = await one_call(subject, stack, "same" if side == "same" else "")
            take(figures, side, result)
        say(f"calls {number + 1}/{calls}")
    for subject in subjects.values():
        subject.stop()


def take(figures: Figures, side: str, result: CallResult) -> None:
    """Put the times of one call where they belong."""
    answer = [*result.answers_s][:1]
    if side == "same":
        figures["speech_end_answer_same_settings"]["ours"] += answer
        return
    if side == "detector":
        figures["speech_end_answer_own_detector"]["bare"] += answer
        return
    if result.agent_joined_s is not None:
        figures["dispatch_joined"][side].append(result.agent_joined_s)
    if result.first_word_s is not None:
        figures["dispatch_first_word"][side].append(result.first_word_s)
    figures["speech_end_answer"][side] += answer
    also = "same_settings" if side == "bare" else "own_detector"
    figures[f"speech_end_answer_{also}"][side] += answer


async def one_call(subject: Subject, stack: Stack, deployment: str = "") -> CallResult:
    """A caller who says a name and hangs up after the next question."""
    return await call(
        CallOptions(
            subject.agent,
            json.dumps(METADATA),
            stack.livekit_url,
            stack.livekit_api_key,
            stack.livekit_api_secret,
            deployment=deployment,
            turns=(SAYS,),
            voice=Voice(stack.providers_url, stack.providers_key),
            timeout_s=60,
        )
    )


def summarise(figures: Figures) -> dict[str, Any]:
    """Medians, ratios and what they were measured on."""
    full = {name: sides for name, sides in figures.items() if sides["ours"] and sides["bare"]}
    medians = {
        f"{name}.{side}": round(statistics.median(values), 3)
        for name, sides in full.items()
        for side, values in sides.items()
    }
    return {
        "ratios": {
            name: round(medians[f"{name}.ours"] / medians[f"{name}.bare"], 3) for name in full
        },
        "medians": medians,
        "n": {name: min(map(len, sides.values())) for name, sides in full.items()},
        "machine": {
            "python": platform.python_version(),
            "livekit-agents": version("livekit-agents"),
        },
    }


def table(result: dict[str, Any]) -> str:
    """For a person."""
    lines = [f"{'':34}{'ours':>9}{'bare':>9}{'ratio':>8}{'target':>9}{'n':>5}"]
    for name, ratio in result["ratios"].items():
        ours, bare = (result["medians"][f"{name}.{side}"] for side in ("ours", "bare"))
        word = "ok" if ratio <= TARGETS[name] else "missed"
        lines.append(
            f"{name:34}{ours:9.3f}{bare:9.3f}{ratio:8.2f}{TARGETS[name]:9.2f}{result['n'][name]:5.0f}  {word}"
        )
    for name, values in [one for part in PARTS for one in result.get(part, {}).items()]:
        shown = "".join(f"  {key} {value:g}" for key, value in values.items())
        lines.append(f"{name:34}{shown}{' us' if 'p50' in values else ''}")
    return "\n".join([*lines, *(f"{name} is too slow" for name in result["too_slow"])])


if __name__ == "__main__":
    sys.exit(main())
