"""OpenAI's wire, served on loopback: `POST /v1/chat/completions`, streamed or whole, with tools; `GET /v1/models`.

Behind it is no language model but `chat.dialogue`: rules over the tools' schemas and the caller's words. Any `model` is accepted.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Iterator
from datetime import date
from http import HTTPStatus
from typing import Any, Literal

import structlog
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from shared.local.auth import holds_key
from shared.local.chat.dialogue import CallTool, Reply, answer
from shared.local.faults import FAULTS, Fault, abort

log = structlog.get_logger(__name__)

MODEL = "local-dialogue"
"""The one model of `GET /v1/models`."""

_WORDS_A_PIECE = 3
_LETTERS_A_TOKEN = 4
_PIECE = re.compile(rf"(?:\s*\S+){{1,{_WORDS_A_PIECE}}}\s*")
_ARGUMENT_PIECE = re.compile(r".{1,24}", re.DOTALL)


class _Function(BaseModel):
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Tool(BaseModel):
    type: Literal["function"]
    function: _Function


class _Name(BaseModel):
    name: str


class _Choice(BaseModel):
    type: Literal["function"]
    function: _Name


class _Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class _StreamOptions(BaseModel):
    include_usage: bool = False


class _Request(BaseModel):
    """What of a request has a meaning here; the rest is accepted and changes nothing."""

    model: str = Field(min_length=1)
    messages: list[_Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _Choice | None = None

    @property
    def choice(self) -> str:
        """`auto`, `none`, `required`, or the name of the tool to call."""
        wanted = self.tool_choice or "auto"
        return wanted if isinstance(wanted, str) else wanted.function.name

    def check_choice(self) -> None:
        """Refuse a choice that no tool fits.

        Raises:
            ValueError: Says what is wrong, as OpenAI does.
        """
        names = {tool.function.name for tool in self.tools or ()}
        if self.tool_choice is not None and not names and self.choice != "none":
            raise ValueError("'tool_choice' is only allowed when 'tools' are specified.")
        if isinstance(self.tool_choice, _Choice) and self.choice not in names:
            raise ValueError(f"Tool choice {self.choice!r} not found in 'tools' parameter.")


class _Completion:
    """One answer in OpenAI's words."""

    def __init__(self, request: _Request, reply: Reply) -> None:
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": request.model,
        }
        self._call_id = f"call_{uuid.uuid4().hex[:24]}"
        self._reply = reply
        options = request.stream_options
        self._with_usage = options is not None and options.include_usage
        self._prompt = request.model_dump_json(include={"messages", "tools"})

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        if isinstance(self._reply, CallTool):
            function = {"name": self._reply.name, "arguments": self._arguments(self._reply)}
            message["tool_calls"] = [
                {"id": self._call_id, "type": "function", "function": function}
            ]
        else:
            message["content"] = self._reply.text
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self._finish_reason,
        }
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": self._usage(),
        }

    def chunks(self) -> Iterator[dict[str, Any]]:
        """Role first, then the pieces, then why it ends, then what it cost."""
        if isinstance(self._reply, CallTool):
            function = {"name": self._reply.name, "arguments": ""}
            call = {"index": 0, "id": self._call_id, "type": "function", "function": function}
            yield self._chunk({"role": "assistant", "content": None, "tool_calls": [call]})
            for piece in _ARGUMENT_PIECE.findall(self._arguments(self._reply)):
                yield self._chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            yield self._chunk({"role": "assistant", "content": "", "refusal": None})
            for piece in _PIECE.findall(self._reply.text):
                yield self._chunk({"content": piece})
        yield self._chunk({}, self._finish_reason)
        if self._with_usage:
            yield {
                **self._head,
                "object": "chat.completion.chunk",
                "choices": [],
                "usage": self._usage(),
            }

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        return {**chunk, "usage": None} if self._with_usage else chunk

    @property
    def _finish_reason(self) -> str:
        return "tool_calls" if isinstance(self._reply, CallTool) else "stop"

    def _usage(self) -> dict[str, int]:
        """About a token every four letters, as OpenAI's own rule of thumb has it."""
        said = (
            self._arguments(self._reply) if isinstance(self._reply, CallTool) else self._reply.text
        )
        prompt, completion = (
            -(-len(text) // _LETTERS_A_TOKEN) or 1 for text in (self._prompt, said)
        )
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    @staticmethod
    def _arguments(call: CallTool) -> str:
        return json.dumps(call.arguments, ensure_ascii=False)


def add_routes(app: web.Application) -> None:
    """Serve OpenAI's routes."""
    app.router.add_post("/v1/chat/completions", _complete)
    app.router.add_get("/v1/models", _models)


async def _models(request: web.Request) -> web.Response:
    if not holds_key(request, "Bearer"):
        return _refusal(401)
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "switchboard"}
    return web.json_response({"object": "list", "data": [model]})


async def _complete(request: web.Request) -> web.StreamResponse:
    if not holds_key(request, "Bearer"):
        return _refusal(401)
    try:
        wanted = _Request.model_validate_json(await request.read())
        wanted.check_choice()
    except ValidationError as err:
        return _invalid(err)
    except ValueError as err:
        return _refusal(400, str(err), param="tool_choice")
    fault = request.app[FAULTS].take("chat")
    if fault is not None and fault.kind == "refuse":
        return _refusal(fault.status or 500)
    if fault is not None and (fault.kind == "delay" or (fault.kind == "hang" and not fault.after_s)):
        await _silence(fault)
    completion = _Completion(wanted, _reply(wanted))
    if wanted.stream:
        return await _stream(request, completion, fault)
    if fault is not None and fault.kind != "delay":
        await _break_off(request, fault)
    return web.json_response(completion.whole())


def _reply(wanted: _Request) -> Reply:
    begun = time.perf_counter()
    reply = answer(
        [message.model_dump() for message in wanted.messages],
        [tool.model_dump() for tool in wanted.tools or ()],
        choice=wanted.choice,
        today=date.today(),
    )
    log.debug(
        "chat completed",
        messages=len(wanted.messages),
        tool=reply.name if isinstance(reply, CallTool) else None,
        took_ms=round((time.perf_counter() - begun) * 1000, 2),
    )
    return reply


async def _stream(
    request: web.Request, completion: _Completion, fault: Fault | None
) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    for number, chunk in enumerate(completion.chunks()):
        if number == 2 and fault is not None and fault.kind != "delay":
            # the role and a first piece are out: the client has begun to use the answer
            await _break_off(request, fault)
        await response.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _break_off(request: web.Request, fault: Fault) -> None:
    await asyncio.sleep(fault.after_s)
    if fault.kind == "drop":
        abort(request)
    await asyncio.Event().wait()  # until the client goes, or the stand-ins end


async def _silence(fault: Fault) -> None:
    """Nothing at all, not even a status."""
    if fault.kind == "delay":
        await asyncio.sleep(fault.after_s)
    else:
        await asyncio.Event().wait()


def _invalid(err: ValidationError) -> web.Response:
    first = err.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return _refusal(400, f"Invalid value for '{where or 'body'}': {first['msg']}.", param=where)


_KINDS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "forbidden", "You may not use this model."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
}


def _refusal(status: int, message: str | None = None, *, param: str | None = None) -> web.Response:
    """An error as OpenAI writes it."""
    default = "server_error" if status >= 500 else "invalid_request_error"
    kind, code, text = _KINDS.get(status, (default, None, HTTPStatus(status).phrase))
    body = {"message": message or text, "type": kind, "param": param or None, "code": code}
    return web.json_response({"error": body}, status=status)
