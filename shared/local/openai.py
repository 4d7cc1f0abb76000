"""OpenAI's wire on loopback: `POST /v1/chat/completions`, streamed or whole, with tools, and `GET /v1/models`.

Any model name is taken: one dialogue model answers for all, and the answer carries the name that was asked for.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import date
from typing import Any, Literal

import structlog
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from shared.local.auth import holds_key
from shared.local.chat.dialogue import answer
from shared.local.chat.replies import CallTool, Reply
from shared.local.faults import FAULTS, Fault, abort

log = structlog.get_logger(__name__)

MODEL = "switchboard-local"
"""The only model listed."""

_WORDS_A_PIECE = re.compile(r"\S+\s*(?:\S+\s*){0,2}")
_ARGUMENTS_A_PIECE = 12
_CHARACTERS_A_TOKEN = 4
_FIRST_PIECE = 2
"""Chunks up to and with the first that says something."""
_KEEP_ALIVE_S = 1.0


class _Named(BaseModel):
    name: str


class _NamedChoice(BaseModel):
    type: Literal["function"]
    function: _Named


class _StreamOptions(BaseModel):
    include_usage: bool | None = None


class _Request(BaseModel):
    """What of a request matters here; the rest is accepted and changes nothing."""

    model: str = Field(min_length=1)
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["auto", "none", "required"] | _NamedChoice | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None

    @property
    def choice(self) -> str:
        if isinstance(self.tool_choice, _NamedChoice):
            return self.tool_choice.function.name
        return self.tool_choice or "auto"


def add_routes(app: web.Application) -> None:
    """Serve OpenAI's routes."""
    app.router.add_post("/v1/chat/completions", _complete)
    app.router.add_get("/v1/models", _list_models)
    # not all of /v1: Deepgram's /v1/listen is on the same port
    app.router.add_route(
        "*", "/v1/{tail:(?:chat|models|responses|completions|embeddings|audio)(?:/.*)?}", _unknown
    )


async def _list_models(request: web.Request) -> web.Response:
    if not holds_key(request, "Bearer"):
        return _wrong_key()
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "switchboard"}
    return web.json_response({"object": "list", "data": [model]})


async def _unknown(request: web.Request) -> web.Response:
    if not holds_key(request, "Bearer"):
        return _wrong_key()
    return _error(404, f"Invalid URL ({request.method} {request.path})")


async def _complete(request: web.Request) -> web.StreamResponse:
    if not holds_key(request, "Bearer"):
        return _wrong_key()
    body = await request.read()
    fault = request.app[FAULTS].take("chat", body.decode(errors="replace"))
    if fault is not None and fault.kind == "refuse":
        status = fault.status or 503
        return (
            _wrong_key()
            if status == 401
            else _error(status, "Refused on order.", kind="server_error")
        )
    try:
        wanted = _Request.model_validate_json(body)
    except ValidationError as err:
        where = ".".join(str(part) for part in err.errors()[0]["loc"])
        # the body is a conversation: nothing of it is quoted
        return _error(400, f"Invalid body: {where or 'not a JSON object'}.", param=where or None)
    if fault is not None and not await _begins(request, fault):
        return web.Response()  # the connection has gone
    reply = answer(wanted.messages, wanted.tools or (), choice=wanted.choice, today=date.today())
    completion = _Completion(wanted, reply)
    if not wanted.stream:
        return web.json_response(completion.whole())
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    try:
        async for event in _events(request, completion, fault):
            await response.write(f"{event}\n\n".encode())
        await response.write_eof()
    except ConnectionError:
        log.debug("client left a completion")
    return response


async def _begins(request: web.Request, fault: Fault) -> bool:
    """Do what was ordered before any answer; false where none can follow.

    A reply is ready at once, so `after_s` of anything but a delay counts from its first piece.
    """
    if fault.kind == "delay":
        await asyncio.sleep(fault.after_s)
    elif fault.kind == "hang" and not fault.after_s:
        await asyncio.Event().wait()  # until the client has had enough
    elif fault.kind == "drop" and not fault.after_s:
        abort(request)
        return False
    return True


async def _events(
    request: web.Request, completion: "_Completion", fault: Fault | None
) -> AsyncIterator[str]:
    """A streamed answer as it is sent: whole, or up to what was ordered."""
    events = [f"data: {json.dumps(chunk)}" for chunk in completion.chunks()]
    events.append("data: [DONE]")
    struck = len(events)
    if fault is not None and fault.kind != "delay":
        begun = _FIRST_PIECE if fault.after_s else 0
        struck = begun or (len(events) // 2 if fault.kind == "half" else 0)
    for event in events[:struck]:
        yield event
    if fault is None or fault.kind == "delay":
        return
    await asyncio.sleep(fault.after_s)
    match fault.kind:
        case "drop":
            abort(request)
        case "hang":
            await asyncio.Event().wait()
        case "malformed":
            for event in events[struck:]:
                yield event[: len(event) // 2]
        case "silence":
            while True:
                yield ": keep-alive"
                await asyncio.sleep(_KEEP_ALIVE_S)
        case "error":
            error = _problem("Failed on order.", kind="server_error")
            yield f"data: {json.dumps(error)}"


class _Completion:
    """One reply in OpenAI's shapes."""

    def __init__(self, wanted: _Request, reply: Reply) -> None:
        self._reply = reply
        self._usage_wanted = bool(wanted.stream_options and wanted.stream_options.include_usage)
        self._common = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": wanted.model,
        }
        self._call_id = f"call_{uuid.uuid4().hex[:24]}"
        self._finish = "tool_calls" if isinstance(reply, CallTool) else "stop"
        self._said = json.dumps(reply.arguments) if isinstance(reply, CallTool) else reply.text
        asked = sum(len(str(message.get("content") or "")) for message in wanted.messages)
        prompt, answered = (
            asked // _CHARACTERS_A_TOKEN + 1,
            len(self._said) // _CHARACTERS_A_TOKEN + 1,
        )
        self._usage = {
            "prompt_tokens": prompt,
            "completion_tokens": answered,
            "total_tokens": prompt + answered,
        }

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._said, "refusal": None}
        if isinstance(self._reply, CallTool):
            message["content"] = None
            message["tool_calls"] = [self._tool_call(self._said)]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        return {
            **self._common,
            "object": "chat.completion",
            "choices": [choice],
            "usage": self._usage,
        }

    def chunks(self) -> Iterator[dict[str, Any]]:
        """The role first, then a few words or characters each, how it ended, and what it cost where that was asked."""
        if isinstance(self._reply, CallTool):
            yield self._chunk({"role": "assistant", "content": None})
            yield self._chunk({"tool_calls": [{"index": 0, **self._tool_call("")}]})
            for start in range(0, len(self._said), _ARGUMENTS_A_PIECE):
                piece = self._said[start : start + _ARGUMENTS_A_PIECE]
                yield self._chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            yield self._chunk({"role": "assistant", "content": ""})
            for piece in _WORDS_A_PIECE.findall(self._said):
                yield self._chunk({"content": piece})
        yield self._chunk({}, self._finish)
        if self._usage_wanted:
            yield {
                **self._common,
                "object": "chat.completion.chunk",
                "choices": [],
                "usage": self._usage,
            }

    def _tool_call(self, arguments: str) -> dict[str, Any]:
        assert isinstance(self._reply, CallTool)
        function = {"name": self._reply.name, "arguments": arguments}
        return {"id": self._call_id, "type": "function", "function": function}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._usage_wanted else {}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice], **usage}


def _wrong_key() -> web.Response:
    return _error(401, "Incorrect API key provided.", code="invalid_api_key")


def _error(status: int, message: str, **of: Any) -> web.Response:
    return web.json_response(_problem(message, **of), status=status)


def _problem(
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
