"""`switchboard dispatch`: an agent sent into a room, and seen there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import typer
from livekit import api

from shared import registry
from shared.cli.call import read_metadata
from shared.cli.server import Site, site_of
from shared.config.environment import Settings
from shared.config.snapshot import resolve
from shared.dispatch.dispatcher import Dispatched, Dispatcher, Order
from shared.dispatch.rooms import ensure_room
from shared.errors import ConfigError, DispatchError, MetadataError, PolicyError, SwitchboardError
from shared.metadata.parse import dump, parse_metadata, parse_object
from shared.records.reader import reads

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/s)?")
AT_ONCE = 50


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        wait: Such as `10s` or `500ms`.
        room_metadata: Set where the room is made by this.
    """

    agent: str
    room: str | None
    metadata: str | None
    room_metadata: str | None
    key: str | None
    wait: str
    as_json: bool


def dispatch(settings: Settings, wish: Wish) -> None:
    """Send one agent and print where it is.

    Raises:
        ConfigError: A name or an option is wrong.
        MetadataError: The metadata does not fit the agent's contract.
        PolicyError: It asks for what is not open to a dispatch.
        DispatchError: The agent did not come; the code says why.
        StackError: The LiveKit server is not there.
    """
    if not wish.agent:
        names = registry.names()
        raise ConfigError(
            f"dispatch whom? agents: {', '.join(names)}. Try: make dispatch AGENT={names[0]} ROOM=demo",
            code="agent.missing",
        )
    wait_s = seconds(wish.wait)
    if wish.room_metadata is not None:
        parse_object(wish.room_metadata, registry.contract(wish.agent))
    order, site = _order(settings, wish)
    try:
        done = asyncio.run(_send(site, settings, order, wish.room_metadata, wait_s))
    except SwitchboardError as err:
        if wish.as_json:
            print(json.dumps(_failed(order, err)))
        raise
    if wish.as_json:
        print(json.dumps(asdict(done)))
    else:
        how = "came" if done.created else "was there already"
        print(
            f"{done.agent} {how}: room {done.room}, key {done.key}, attempt {done.attempt}, after {done.seconds:.2f} s"
        )


def _order(settings: Settings, wish: Wish) -> tuple[Order, Site]:
    metadata = parse_metadata(read_metadata(wish.metadata), registry.contract(wish.agent))
    site = site_of(settings, wish.agent)
    resolve(
        site.snapshot,
        wish.agent,
        profile=metadata.profile,
        locale=metadata.locale,
        overrides=metadata.config,
    )
    order = Order(
        agent=wish.agent,
        room=wish.room or f"call-{secrets.token_hex(4)}",
        metadata=dump(metadata),
        key=wish.key or secrets.token_hex(8),
        deployment=site.deployment,
    )
    return order, site


async def _send(
    site: Site, settings: Settings, order: Order, room_metadata: str | None, wait_s: float
) -> Dispatched:
    server = site.server
    async with api.LiveKitAPI(server.url, server.key, server.secret) as lkapi:
        if room_metadata is not None:
            try:
                applied = await ensure_room(lkapi, order.room, room_metadata)
            except (api.TwirpError, aiohttp.ClientError, TimeoutError) as err:
                raise server.fault(err) from None
            if not applied:
                print(
                    f"room {order.room} is there already: it keeps its own metadata",
                    file=sys.stderr,
                )
        records = reads(settings.var / "records", settings.records_url)
        async with records.listening():
            return await Dispatcher(lkapi, records=records).dispatch(order, deadline_s=wait_s)


def _failed(order: Order, err: SwitchboardError) -> dict[str, Any]:
    return {
        "key": order.key,
        "agent": order.agent,
        "room": order.room,
        "code": err.code,
        "error": str(err),
    }


def seconds(span: str) -> float:
    """A time such as `10s`, `500ms` or `2m`.

    Raises:
        ConfigError: It is none.
    """
    found = _SPAN.fullmatch(span.strip())
    if found is None:
        raise ConfigError(
            f"--wait: {span!r} is no time. Write it like 10s, 500ms or 2m.", code="dispatch.wait"
        )
    return float(found[1]) * _UNITS[found[2]]


def dispatch_all(settings: Settings, file: Path, *, rate: str, wait: str) -> None:
    """Dispatch every line of a file at a rate; each ends in exactly one line of `<file>.results.jsonl`.

    A line is `{"agent": …, "room": …, "metadata": {…}, "key": …}`; without a key it gets one that a second run finds again. What has a
    result is left out, so a run that was stopped goes on where it was.

    Raises:
        ConfigError: The file, a line or the rate is wrong; nothing was dispatched then.
        DispatchError: Some did not come; the results say which and why.
    """
    found = _RATE.fullmatch(rate.strip())
    if found is None or float(found[1]) == 0:
        raise ConfigError(f"--rate: {rate!r} is no rate. Write it like 5/s.", code="dispatch.rate")
    results = file.with_name(f"{file.name}.results.jsonl")
    lines = list(_lines(file))
    done = {json.loads(line)["key"] for line in _whole_lines(results)}
    todo = [line for line in lines if line["key"] not in done]
    failed = asyncio.run(_dispatch_all(settings, todo, results, float(found[1]), seconds(wait)))
    if failed:
        raise DispatchError(
            f"{failed} of {len(todo)} did not come. {results} says why.", code="dispatch.some"
        )


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(_read(file), start=1):
        where = f"{file}:{number}"
        try:
            line = json.loads(text)
            agent, metadata = line["agent"], json.dumps(line.get("metadata", {}))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(
                f'{where}: not a dispatch. Write it like {{"agent": "intake", "room": "r1", "metadata": {{"user_id": "1"}}}}',
                code="dispatch.line",
            ) from None
        registry.folder(agent)
        try:
            parse_metadata(metadata, registry.contract(agent))
        except MetadataError as err:
            raise ConfigError(f"{where}: {err}", code=err.code) from None
        made = hashlib.sha256(f"{file.name}\0{number}\0{text}".encode()).hexdigest()[:16]
        key = str(line.get("key") or made)
        yield {
            "agent": agent,
            "room": line.get("room") or f"call-{key}",
            "metadata": metadata,
            "key": key,
        }


def _whole_lines(results: Path) -> list[str]:
    """The results of an earlier run. A last line that it could not finish goes: that dispatch is repeated by its key."""
    if not results.exists():
        return []
    text = results.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        os.truncate(results, len(whole))
    return whole.decode().splitlines()


def _read(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as err:
        raise ConfigError(f"--from: {file} cannot be read ({err})", code="dispatch.file") from None
    return [line for line in text.splitlines() if line.strip()]


async def _dispatch_all(
    settings: Settings, todo: Sequence[dict[str, Any]], results: Path, rate: float, wait_s: float
) -> int:
    """How many did not come."""
    sites = {agent: site_of(settings, agent) for agent in {line["agent"] for line in todo}}
    seats = asyncio.Semaphore(AT_ONCE)
    failed = 0

    async def one(line: dict[str, Any], at: float) -> None:
        nonlocal failed
        await asyncio.sleep(at - time.monotonic())
        site = sites[line["agent"]]
        order = Order(deployment=site.deployment, **line)
        async with seats:
            try:
                done = asdict(await _send(site, settings, order, None, wait_s))
            except (DispatchError, PolicyError) as err:
                failed += 1
                done = _failed(order, err)
        out.write(json.dumps(done) + "\n")
        out.flush()
        bar.update(1)

    begun = time.monotonic()
    with (
        results.open("a", encoding="utf-8") as out,
        typer.progressbar(length=len(todo), file=sys.stderr, label="dispatched") as bar,
    ):
        await asyncio.gather(
            *(one(line, begun + number / rate) for number, line in enumerate(todo))
        )
    return failed
