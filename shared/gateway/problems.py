"""Errors as problem details (RFC 9457), with the contract's own texts, codes and pointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.errors import (
    ConfigError,
    DispatchError,
    MetadataError,
    PolicyError,
    ProblemsError,
    StackError,
    SwitchboardError,
)

STATUS: Mapping[type[SwitchboardError], int] = {
    MetadataError: 422,
    PolicyError: 422,
    ConfigError: 404,
    DispatchError: 409,
    StackError: 503,
}
"""A config error in a request is a name that nobody has."""

MEDIA_TYPE = "application/problem+json"

_FIELD = {name: {"type": "string"} for name in ("pointer", "code", "detail")}
_SCHEMA: Mapping[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object", "properties": _FIELD}},
    },
}
_DOCUMENTED = {"content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused; says what is wrong and where", **_DOCUMENTED},
    "5XX": {"description": "LiveKit, an agent or the sign-in did not answer", **_DOCUMENTED},
}
"""How every route documents its errors."""


class Refusal(Exception):
    """A request that is answered with a status of its own."""

    def __init__(
        self,
        status: int,
        detail: str,
        code: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.headers = dict(headers or {})


def problem(
    status: int,
    detail: str,
    *,
    code: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> JSONResponse:
    """One answer; `errors` are what is wrong field by field."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = errors
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Have every error of `app` answered so."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, err: Refusal) -> JSONResponse:
        return problem(err.status, err.detail, code=err.code, headers=err.headers)

    @app.exception_handler(SwitchboardError)
    async def told(_: Request, err: SwitchboardError) -> JSONResponse:
        status = next((found for kind, found in STATUS.items() if isinstance(err, kind)), 500)
        errors = err.problems if isinstance(err, ProblemsError) else ()
        listed = [{"pointer": e.pointer, "code": e.code, "detail": e.text} for e in errors]
        return problem(status, str(err), code=str(err.code), errors=listed)

    @app.exception_handler(RequestValidationError)
    async def misfit(_: Request, err: RequestValidationError) -> JSONResponse:
        errors = [
            {
                "pointer": "".join(f"/{part}" for part in one["loc"][1:]),
                "code": f"request.{one['type']}",
                "detail": one["msg"],
            }
            for one in err.errors()
        ]
        return problem(422, "the request does not fit", code="request.invalid", errors=errors)

    @app.exception_handler(HTTPException)
    async def plain(_: Request, err: HTTPException) -> JSONResponse:
        return problem(err.status_code, str(err.detail), code="request.http", headers=err.headers)
