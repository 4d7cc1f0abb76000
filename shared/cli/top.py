"""`switchboard top`: what all hosts have to do now."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.cli.records import opened
from shared.config.environment import Settings
from shared.records.overview import Overview, look

EVERY_S = 2.0
_CLEAR = "\x1b[H\x1b[2J"


def top(settings: Settings, *, as_json: bool) -> None:
    """Print it: again and again on a terminal until Ctrl-C, once elsewhere.

    Raises:
        ConfigError: SWITCHBOARD_RECORDS_URL is wrong.
        StackError: The database does not answer.
    """
    with opened(settings) as store:
        if as_json:
            print(json.dumps(_as_object(look(store)), default=str))
            return
        while True:
            text = "\n".join(_lines(look(store)))
            if not sys.stdout.isatty():
                print(text)
                return
            print(_CLEAR + text, flush=True)
            time.sleep(EVERY_S)


def _lines(seen: Overview) -> list[str]:
    now = datetime.now(UTC)
    hosts = [
        (
            host.host,
            ", ".join(host.agents),
            str(host.live),
            f"{host.load:.2f}",
            "draining" if host.draining else "",
        )
        for host in seen.hosts
    ]
    agents = [
        (
            agent.agent,
            str(agent.live),
            str(agent.calls),
            "-" if agent.join_s is None else f"{agent.join_s[0]:.2f} / {agent.join_s[1]:.2f} s",
            ", ".join(f"{code} {number}" for code, number in agent.refused.items()) or "-",
        )
        for agent in seen.agents
    ]
    live = [
        (
            call.room or "-",
            call.agent or "-",
            call.call_id,
            f"{(now - (call.offered or call.began)).total_seconds():.0f} s",
            call.host or "-",
        )
        for call in seen.live
    ]
    return [
        *_table(("host", "agents", "live", "load", ""), hosts),
        "",
        *_table(("agent", "live", "last hour", "join p50 / p95", "refused"), agents),
        "",
        *_table(("room", "agent", "call", "since", "host"), live),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    table = [head, *rows]
    widths = [max(len(row[n]) for row in table) for n in range(len(head))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def _as_object(seen: Overview) -> dict[str, object]:
    return {
        "hosts": [vars(host) for host in seen.hosts],
        "agents": [vars(agent) for agent in seen.agents],
        "live": [call.as_object() for call in seen.live],
    }
