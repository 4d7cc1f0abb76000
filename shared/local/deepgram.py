"""What Deepgram's two live recognisers share: the handshake, sound in raw 16-bit PCM, faults, the shape of a refusal.

Both recognise English only. What asks for another language, or for words to be treated in a special way, changes nothing.
"""

import asyncio
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from aiohttp import WSMsgType, web

from shared.local.auth import holds_key
from shared.local.faults import FAULTS, Fault, abort
from shared.local.listener import Listener, TurnEvent
from shared.local.pcm import Resampler, from_s16le
from shared.local.turns import Thresholds
from shared.local.voice import HEARING_RATE, VOICE

CONFIDENCE = 0.95
"""Of every word: the engine gives none."""

_RATES = (8000, 48000)


class RefusedError(Exception):
    """What the client asked for cannot be; the text says why."""


class Stream(ABC):
    """One socket: bytes in, events out."""

    idle_s: ClassVar[float | None] = None
    """Seconds without a message after which the client is sent away."""

    def __init__(self, request: web.Request, request_id: str) -> None:
        """Read the query.

        Raises:
            RefusedError: It asks for what cannot be.
        """
        rate, thresholds = self.read(request.query)
        self.request_id = request_id
        self.ws = web.WebSocketResponse(
            heartbeat=30, max_msg_size=1 << 20, receive_timeout=self.idle_s
        )
        self.resampler = Resampler(rate, HEARING_RATE)
        self.listener = Listener(request.app[VOICE], thresholds, self.report)
        self._request = request
        self._odd = b""
        self._silent = False
        self._garbled = False

    @abstractmethod
    def read(self, query: Mapping[str, str]) -> tuple[int, Thresholds]:
        """The sample rate and thresholds that a query asks for."""

    @abstractmethod
    async def greet(self) -> None: ...

    @abstractmethod
    async def report(self, turn: TurnEvent) -> None: ...

    @abstractmethod
    async def complain(self) -> None:
        """Report an error of its own, as the provider does."""

    @abstractmethod
    async def obey(self, kind: object, message: Mapping[str, Any]) -> bool:
        """Do what a control message says. False: it was the last."""

    async def run(self, fault: Fault | None) -> None:
        """Serve until either side closes."""
        strike = None if fault is None else asyncio.create_task(self._strike(fault))
        try:
            await self.greet()
            async for message in self.ws:
                if message.type is WSMsgType.BINARY:
                    await self.hear(message.data)
                elif message.type is WSMsgType.TEXT and not await self._take(message.data):
                    break
        except TimeoutError:
            reason = (
                "Deepgram did not receive audio data or a text message within the timeout window."
            )
            await self.ws.close(code=1011, message=f"NET-0001: {reason}".encode())
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone
        finally:
            if strike is not None:
                strike.cancel()
        await self.ws.close()

    async def hear(self, data: bytes) -> None:
        """Take the next piece of sound; it may end within a sample."""
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        await self.listener.hear(self.resampler.push(from_s16le(data[:whole])))

    async def hear_rest(self) -> None:
        """Take what resampling has held back: no more sound will come."""
        await self.listener.hear(self.resampler.flush())

    async def send(self, **fields: Any) -> None:
        if not self._silent and not self.ws.closed:
            text = json.dumps(fields)
            await self.ws.send_str(text[: len(text) // 2] if self._garbled else text)

    async def _take(self, text: str) -> bool:
        try:
            message = json.loads(text)
            kind = message["type"]
        except (ValueError, TypeError, KeyError):
            kind, message = None, {}
        return await self.obey(kind, message)

    async def _strike(self, fault: Fault) -> None:
        """Do what was ordered, when its time has come."""
        if fault.kind == "delay":
            return
        await asyncio.sleep(fault.after_s)
        match fault.kind:
            case "drop":
                abort(self._request)
            case "hang" | "silence":
                self._silent = True
            case "malformed":
                self._garbled = True
            case "error":
                await self.complain()
            case "half":
                await self.ws.close()


async def serve(request: web.Request, kind: type[Stream]) -> web.StreamResponse:
    """Answer a handshake, and the stream that follows."""
    request_id = str(uuid.uuid4())
    if not holds_key(request, "Token", "Bearer"):
        return _refusal(request_id, 401, "INVALID_AUTH", "Invalid credentials.")
    fault = request.app[FAULTS].take("listen", request.query_string)
    if fault is not None and fault.kind == "refuse":
        return _refusal(request_id, fault.status or 503, "FAULT", "Refused on order.")
    try:
        stream = kind(request, request_id)
    except RefusedError as err:
        return _refusal(request_id, 400, "Bad Request", f"Bad Request: {err}")
    try:
        if fault is not None and fault.kind == "delay":
            await asyncio.sleep(fault.after_s)
        if fault is not None and fault.kind == "hang" and not fault.after_s:
            await asyncio.Event().wait()  # until the client has had enough
        stream.ws.headers["dg-request-id"] = request_id
        await stream.ws.prepare(request)
        await stream.run(fault)
    finally:
        stream.listener.close()
    return stream.ws


def check_names(query: Mapping[str, str], known: Collection[str]) -> None:
    unknown = sorted(set(query) - set(known))
    if unknown:
        raise RefusedError(f"unknown query parameter {unknown[0]!r}")


def read_model(query: Mapping[str, str], family: str) -> str:
    model = query.get("model", "")
    if not model.startswith(family):
        raise RefusedError("No such model/version combination found.")
    return model


def read_flag(query: Mapping[str, str], name: str) -> bool:
    given = query.get(name, "false").lower()
    if given not in ("true", "false"):
        raise RefusedError(f"{name} must be true or false")
    return given == "true"


def read_rate(query: Mapping[str, str]) -> int:
    """The sample rate of raw 16-bit PCM."""
    if query.get("encoding") != "linear16":
        raise RefusedError("unsupported encoding, this stand-in takes linear16")
    low, high = _RATES
    return read_number(query, "sample_rate", low, high)


def read_number(query: Mapping[str, str], name: str, low: int, high: int) -> int:
    given = query.get(name, "")
    if not given.isdecimal() or not low <= int(given) <= high:
        raise RefusedError(f"{name} must be a number from {low} to {high}")
    return int(given)


def _refusal(request_id: str, status: int, code: str, text: str) -> web.Response:
    """A failed upgrade as Deepgram words it."""
    return web.json_response(
        {"err_code": code, "err_msg": text, "request_id": request_id},
        status=status,
        headers={"dg-request-id": request_id, "dg-error": text},
    )
