"""Cartesia's `/tts/websocket` and `/tts/bytes`, as its plugin, its SDK and its documents know them.

There is one voice for each language, English and Spanish: `voice` is accepted and changes nothing.
"""

import asyncio
import base64
import itertools
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import numpy as np
import structlog
from aiohttp import WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.local.auth import holds_key
from shared.local.faults import FAULTS, abort
from shared.local.pcm import ENCODINGS, Resampler, Samples, Speech, wav_header
from shared.local.phrases import phrases, word_times
from shared.local.voice import VOICE, Voice

log = structlog.get_logger(__name__)

_STRUCTURED_SINCE = "2026-03-01"
_PIECE_S = 0.1
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s*$")


class _OutputFormat(BaseModel):
    container: str = Field(pattern="^(raw|wav)$")
    encoding: str = Field(pattern=f"^({'|'.join(ENCODINGS)})$")
    sample_rate: int = Field(ge=8000, le=48000)


class _GenerationConfig(BaseModel):
    speed: float = Field(default=1.0, ge=0.6, le=1.5)
    volume: float = Field(default=1.0, ge=0.5, le=2.0)


class _Generation(BaseModel):
    """What both endpoints are told about the speech wanted."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str = Field(pattern="^sonic")
    voice: dict[str, Any] | str
    output_format: _OutputFormat
    transcript: str
    language: str | None = None
    generation_config: _GenerationConfig = _GenerationConfig()


class _Request(_Generation):
    """A message on the socket that brings text."""

    context_id: str
    continue_: bool = Field(default=False, alias="continue")
    flush: bool = False
    add_timestamps: bool = False
    max_buffer_delay_ms: int = Field(default=3000, ge=0, le=5000)


def add_routes(app: web.Application) -> None:
    app.router.add_get("/tts/websocket", _stream)
    app.router.add_post("/tts/bytes", _bytes)


async def _stream(request: web.Request) -> web.StreamResponse:
    if not holds_key(request, "Bearer"):
        return _refusal(request, 401, "unauthorized", "Unauthorized", "Invalid API key.")
    ws = web.WebSocketResponse(max_msg_size=1 << 20)
    await ws.prepare(request)
    contexts: dict[str, _Context] = {}
    try:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await _take(request, ws, contexts, message.data)
    except (ConnectionError, asyncio.CancelledError):
        pass  # the client has gone
    finally:
        for context in contexts.values():
            context.task.cancel()
    await ws.close()
    return ws


async def _take(
    request: web.Request, ws: web.WebSocketResponse, contexts: dict[str, "_Context"], text: str
) -> None:
    """Hand a message to its context, a new one if need be."""
    context_id = None
    try:
        message = json.loads(text)
        context_id = message.get("context_id")
        if message.get("cancel"):
            if context_id in contexts:
                await contexts.pop(context_id).cancel()
            return
        wanted = _Request.model_validate(message)
    except (ValueError, AttributeError) as err:
        await ws.send_json(_error(request, 400, _problem(err), context_id))
        return
    context = contexts.get(wanted.context_id)
    if context is None or context.task.done():
        context = contexts[wanted.context_id] = _Context(request, ws, wanted.context_id, text)
    context.add(wanted)


class _Cut(Exception):
    """The fault of a context strikes: nothing more is said."""


class _Context:
    """One stream of speech, from texts that come in pieces."""

    def __init__(
        self, request: web.Request, ws: web.WebSocketResponse, context_id: str, first: str
    ) -> None:
        self._request = request
        self._ws = ws
        self._id = context_id
        self._fault = request.app[FAULTS].take("tts", first)
        self._garbled = False
        self._texts: asyncio.Queue[_Request] = asyncio.Queue()
        self._spoken_s = 0.0
        self._flushes = itertools.count(1)
        self.task = asyncio.create_task(self._run())

    def add(self, wanted: _Request) -> None:
        self._texts.put_nowait(wanted)

    async def cancel(self) -> None:
        """Stop at once and say so."""
        self.task.cancel()
        await self._send(type="done", done=True, status_code=200)

    async def _run(self) -> None:
        fault = self._fault
        try:
            if fault is not None and fault.kind == "refuse":
                error = _error(self._request, fault.status or 500, "Refused on order.", self._id)
                await self._ws.send_json(error)
                return
            if fault is not None and fault.kind == "delay":
                await asyncio.sleep(fault.after_s)
            await self._speak_all()
        except _Cut:
            pass
        except ConnectionError:
            log.debug("speech not delivered")

    async def _speak_all(self) -> None:
        """Speak each text when it ends a sentence, its buffer time is over or nothing follows."""
        waiting, due = "", 0.0
        wanted: _Request | None = None
        while True:
            try:
                async with asyncio.timeout_at(due if waiting.strip() else None):
                    wanted = await self._texts.get()
            except TimeoutError:
                if wanted is not None:
                    await self._speak(waiting, wanted)
                waiting = ""
                continue
            if not waiting.strip():
                due = asyncio.get_running_loop().time() + wanted.max_buffer_delay_ms / 1000
            waiting += wanted.transcript
            ready = not wanted.continue_ or wanted.flush or not wanted.max_buffer_delay_ms
            if ready or _SENTENCE_END.search(waiting):
                await self._speak(waiting, wanted)
                waiting = ""
            if wanted.flush:
                number = next(self._flushes)
                await self._send(
                    type="flush_done", flush_done=True, flush_id=number, done=False, status_code=206
                )
            if not wanted.continue_:
                await self._send(type="done", done=True, status_code=200)
                return

    async def _speak(self, text: str, wanted: _Request) -> None:
        form, how = wanted.output_format, wanted.generation_config
        log.info("speaking", language=wanted.language, speed=how.speed, volume=how.volume)
        piece = int(form.sample_rate * _PIECE_S)
        began = time.monotonic()
        async for phrase, speech in _phrases(self._request.app[VOICE], text, wanted):
            if wanted.add_timestamps:
                times = word_times(phrase, speech.length / speech.rate, self._spoken_s)
                await self._send(
                    type="timestamps", word_timestamps=times, done=False, status_code=206
                )
            async for sound in _sound(self._request.app[VOICE], speech, form.sample_rate):
                for at in range(0, len(sound), piece):
                    part = await self._strike(sound[at : at + piece])
                    await self._send(
                        type="chunk",
                        data=base64.b64encode(ENCODINGS[form.encoding](part).tobytes()).decode(),
                        done=False,
                        status_code=206,
                        step_time=round((time.monotonic() - began) * 1000, 3),
                    )
                    self._spoken_s += len(part) / form.sample_rate

    async def _strike(self, part: Samples) -> Samples:
        """Do what was ordered, when its time has come; what is sent in place of `part`."""
        fault = self._fault
        if fault is None or fault.kind == "delay" or self._spoken_s < fault.after_s:
            return part
        match fault.kind:
            case "silence":
                return np.zeros_like(part)
            case "malformed":
                self._garbled = True
                return part
            case "drop":
                abort(self._request)
            case "error":
                await self._ws.send_json(_error(self._request, 500, "Failed on order.", self._id))
            case "half":
                await self._send(type="done", done=True, status_code=200)
        raise _Cut

    async def _send(self, **fields: Any) -> None:
        text = json.dumps({**fields, "context_id": self._id})
        await self._ws.send_str(text[: len(text) // 2] if self._garbled else text)


async def _bytes(request: web.Request) -> web.StreamResponse:
    if not holds_key(request, "Bearer"):
        return _refusal(request, 401, "unauthorized", "Unauthorized", "Invalid API key.")
    try:
        wanted = _Generation.model_validate_json(await request.read())
    except ValidationError as err:
        return _refusal(request, 400, "invalid_request", "Bad Request", _problem(err))
    form = wanted.output_format
    response = web.StreamResponse()
    await response.prepare(request)
    if form.container == "wav":
        await response.write(wav_header(form.encoding, form.sample_rate))
    voice = request.app[VOICE]
    async for _, speech in _phrases(voice, wanted.transcript, wanted):
        async for sound in _sound(voice, speech, form.sample_rate):
            await response.write(ENCODINGS[form.encoding](sound).tobytes())
    await response.write_eof()
    return response


async def _phrases(
    voice: Voice, text: str, wanted: _Generation
) -> AsyncIterator[tuple[str, Speech]]:
    """A text's phrases, each planned when the one before is spoken."""
    how = wanted.generation_config
    for phrase in phrases(text):
        yield (
            phrase,
            await voice.speak(phrase, language=wanted.language, speed=how.speed, volume=how.volume),
        )


async def _sound(voice: Voice, speech: Speech, rate: int) -> AsyncIterator[Samples]:
    """The sound of a phrase at the rate that is wanted, as soon as it is made."""
    resampler = Resampler(speech.rate, rate)
    async for piece in voice.pieces(speech):
        yield resampler.push(piece)
    yield resampler.flush()


def _version(request: web.Request) -> str:
    header: str = request.headers.get("Cartesia-Version", "")
    return request.query.get("cartesia_version", header)


def _refusal(request: web.Request, status: int, code: str, title: str, text: str) -> web.Response:
    """A failed request as Cartesia words it: plain text before `_STRUCTURED_SINCE`."""
    if _version(request) < _STRUCTURED_SINCE:
        return web.Response(status=status, text=f"{title}: {text}")
    body = {"error_code": code, "title": title, "message": text, "request_id": str(uuid.uuid4())}
    return web.json_response(body, status=status)


def _error(request: web.Request, status: int, text: str, context_id: Any) -> dict[str, Any]:
    """An error on the socket. `done` is true: so it is documented, and the plugin depends on it."""
    error: dict[str, Any] = {"type": "error", "done": True, "status_code": status}
    if isinstance(context_id, str):
        error["context_id"] = context_id
    if _version(request) < _STRUCTURED_SINCE:
        return {**error, "error": text}
    title = HTTPStatus(status).phrase
    request_id = str(uuid.uuid4())
    return {**error, "error_code": None, "title": title, "message": text, "request_id": request_id}


def _problem(err: Exception) -> str:
    """What is wrong with a request. Never quotes its text: it may be what an agent says to a caller."""
    if not isinstance(err, ValidationError):
        return "not a JSON object"
    first = err.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}"
