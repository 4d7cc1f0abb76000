"""Deepgram's `/v2/listen` (Flux), as its plugin, its SDK and its documents know it.

Recognises English and takes raw 16-bit PCM. `keyterm`, `tag`, `language_hint`, `numerals`, `profanity_filter` and `redact` are
accepted and change nothing.
"""

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from shared.local.auth import holds_key
from shared.local.faults import FAULTS, Fault, abort
from shared.local.listener import Listener, TurnEvent
from shared.local.pcm import Resampler, from_s16le
from shared.local.turns import Thresholds
from shared.local.voice import HEARING_RATE, VOICE

log = structlog.get_logger(__name__)

_MODELS = ("flux-general-en", "flux-general-multi")
_FLAGS = ("mip_opt_out", "numerals", "profanity_filter")
_PARAMETERS = {
    "model", "encoding", "sample_rate", "eot_threshold", "eager_eot_threshold", "eot_timeout_ms",
    "keyterm", "language_hint", "tag", "redact", *_FLAGS,
}  # fmt: skip
_RANGES: dict[str, tuple[str, float, float]] = {
    "eot_threshold": ("eot", 0.5, 1.0),
    "eager_eot_threshold": ("eager", 0.3, 0.9),
    "eot_timeout_ms": ("timeout_ms", 500, 60000),
}
_RATES = (8000, 48000)
_CONFIDENCE = 0.95
"""Of every word: the engine gives none."""


class _RefusedError(Exception):
    """What the client asked for cannot be; the text says why."""


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v2/listen", _listen)


async def _listen(request: web.Request) -> web.StreamResponse:
    request_id = str(uuid.uuid4())
    if not holds_key(request, "Token", "Bearer"):
        return _refusal(request_id, 401, "INVALID_AUTH", "Invalid credentials.")
    fault = request.app[FAULTS].take("listen")
    if fault is not None and fault.kind == "refuse":
        return _refusal(request_id, fault.status or 503, "FAULT", "Refused on order.")
    try:
        rate, thresholds = _parameters(request.query)
    except _RefusedError as err:
        return _refusal(request_id, 400, "Bad Request", f"Bad Request: {err}")
    if fault is not None and fault.kind == "delay":
        await asyncio.sleep(fault.after_s)
    if fault is not None and fault.kind == "hang" and not fault.after_s:
        await asyncio.Event().wait()  # until the client has had enough
    ws = web.WebSocketResponse(heartbeat=30, max_msg_size=1 << 20)
    ws.headers["dg-request-id"] = request_id
    await ws.prepare(request)
    await _Session(request, ws, request_id, rate, thresholds, fault).run()
    return ws


class _Session:
    """One socket: bytes in, events out."""

    def __init__(
        self,
        request: web.Request,
        ws: web.WebSocketResponse,
        request_id: str,
        rate: int,
        thresholds: Thresholds,
        fault: Fault | None,
    ) -> None:
        self._request = request
        self._ws = ws
        self._request_id = request_id
        self._fault = fault
        self._resampler = Resampler(rate, HEARING_RATE)
        self._listener = Listener(request.app[VOICE], thresholds, self._report)
        self._keyterms: list[str] = request.query.getall("keyterm", [])
        self._sequence = 0
        self._odd = b""
        self._silent = False

    async def run(self) -> None:
        """Serve until either side closes."""
        strike = self._arm()
        try:
            await self._send(type="Connected")
            async for message in self._ws:
                if message.type is WSMsgType.BINARY:
                    await self._hear(message.data)
                elif message.type is WSMsgType.TEXT and not await self._obey(message.data):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone
        finally:
            if strike is not None:
                strike.cancel()
            self._listener.close()
        await self._ws.close()

    def _arm(self) -> asyncio.TimerHandle | None:
        """Set the fault's clock."""
        fault, loop = self._fault, asyncio.get_running_loop()
        if fault is not None and fault.kind == "drop":
            return loop.call_later(fault.after_s, abort, self._request)
        if fault is not None and fault.kind == "hang":
            return loop.call_later(fault.after_s, self._fall_silent)
        return None

    def _fall_silent(self) -> None:
        self._silent = True

    async def _hear(self, data: bytes) -> None:
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        await self._listener.hear(self._resampler.push(from_s16le(data[:whole])))

    async def _obey(self, text: str) -> bool:
        """Do what a control message says. False: it was the last."""
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            kind = None
        if kind == "CloseStream":
            await self._listener.hear(self._resampler.flush())
            await self._listener.end_turn("model")
            return False
        if kind == "ForceEndTurn":
            await self._listener.end_turn("manual")
        elif kind == "Configure":
            await self._configure(message)
        else:
            await self._send(
                type="Error",
                code="UNPARSABLE_CLIENT_MESSAGE",
                description="Not a JSON object of a known type.",
            )
            return False
        return True

    async def _configure(self, message: Mapping[str, Any]) -> None:
        given = message.get("thresholds") or {}
        try:
            thresholds = _with_thresholds(self._listener.thresholds, given)
        except (_RefusedError, TypeError, AttributeError) as err:
            await self._send(
                type="ConfigureFailure", code="INVALID_CONFIGURATION", description=str(err)
            )
            return
        self._listener.thresholds = thresholds
        self._keyterms = message.get("keyterms", self._keyterms)
        now = {
            "eot_threshold": thresholds.eot,
            "eager_eot_threshold": thresholds.eager,
            "eot_timeout_ms": thresholds.timeout_ms,
        }
        await self._send(
            type="ConfigureSuccess",
            thresholds={name: value for name, value in now.items() if value is not None},
            keyterms=self._keyterms,
            **{key: message[key] for key in ("language_hints",) if message.get(key)},
        )

    async def _report(self, turn: TurnEvent) -> None:
        await self._send(
            type="TurnInfo",
            event=turn.event,
            turn_index=turn.turn,
            audio_window_start=round(turn.start, 3),
            audio_window_end=round(turn.end, 3),
            transcript=turn.transcript,
            words=[
                {"word": word, "confidence": _CONFIDENCE, "start": start, "end": end}
                for word, start, end in turn.words
            ],
            end_of_turn_confidence=round(turn.confidence, 4),
            **({"trigger": turn.trigger} if turn.trigger else {}),
        )

    async def _send(self, **fields: Any) -> None:
        if self._silent or self._ws.closed:
            return
        await self._ws.send_json(
            {**fields, "request_id": self._request_id, "sequence_id": self._sequence}
        )
        self._sequence += 1


def _parameters(query: Mapping[str, str]) -> tuple[int, Thresholds]:
    """The sample rate and thresholds asked for."""
    unknown = sorted(set(query) - _PARAMETERS)
    if unknown:
        raise _RefusedError(f"unknown query parameter {unknown[0]!r}")
    if query.get("model") not in _MODELS:
        raise _RefusedError("No such model/version combination found.")
    if query.get("model") != _MODELS[0]:
        log.warning("only English is recognised here", model=query["model"])
    if query.get("encoding") != "linear16":
        raise _RefusedError("unsupported encoding, this stand-in takes linear16")
    for name in _FLAGS:
        if query.get(name, "false").lower() not in ("true", "false"):
            raise _RefusedError(f"{name} must be true or false")
    rate = query.get("sample_rate", "")
    if not rate.isdecimal() or not _RATES[0] <= int(rate) <= _RATES[1]:
        raise _RefusedError("sample_rate must be a number from 8000 to 48000")
    given = {name: query[name] for name in _RANGES if name in query}
    return int(rate), _with_thresholds(Thresholds(), given)


def _with_thresholds(current: Thresholds, given: Mapping[str, Any]) -> Thresholds:
    """`current` with what is given in place of its own."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _RANGES:
            raise _RefusedError(f"unknown threshold {name!r}")
        field, low, high = _RANGES[name]
        try:
            number = float(value)
        except (ValueError, TypeError):
            number = -1.0
        if not low <= number <= high:
            raise _RefusedError(f"{name} must be from {low} to {high}")
        changes[field] = int(number) if field == "timeout_ms" else number
    thresholds = replace(current, **changes)
    if thresholds.eager is not None and thresholds.eager > thresholds.eot:
        raise _RefusedError("eager_eot_threshold must not be above eot_threshold")
    return thresholds


def _refusal(request_id: str, status: int, code: str, text: str) -> web.Response:
    """A failed upgrade as Deepgram words it."""
    return web.json_response(
        {"err_code": code, "err_msg": text, "request_id": request_id},
        status=status,
        headers={"dg-request-id": request_id, "dg-error": text},
    )
