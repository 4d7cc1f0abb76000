"""Make a stand-in misbehave: what tests of failing providers order over HTTP.

    POST /_faults {"endpoint": "tts", "kind": "drop", "after_s": 0.3, "times": 1}   -> 204
    DELETE /_faults                                                                  -> 204, all well again

An order counts uses of its endpoint, not connections, since plugins open connections ahead: a socket of `listen`, a context of
`tts`, a completion of `chat`. The first `skip` uses stay well, the next `times` are hit (`null`: all). With `only`, uses whose
request holds that text are counted and hit, no others: the query of `listen`, the first message of `tts`, the body of `chat`.

    refuse     answer `status` in the provider's own shape
    delay      stay silent for `after_s`, then serve normally
    hang       fall silent after `after_s` and stay so; 0: `listen` does not even answer the handshake
    drop       cut the connection without a close frame after `after_s`
    malformed  cut every message from `after_s` on in half
    silence    seem well and give nothing from `after_s` on: `listen` takes sound, `tts` speaks zeros, `chat` keeps alive
    error      send the provider's own message for it after `after_s`; what follows is the provider's too
    half       end as if all were said after `after_s`; 0: `chat` ends in the middle of its reply
"""

from typing import Literal, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.local.auth import holds_key

Endpoint = Literal["listen", "tts", "chat"]


class Fault(BaseModel):
    """One order. What is left of it is counted down in place."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Endpoint
    kind: Literal["refuse", "delay", "hang", "drop", "malformed", "silence", "error", "half"]
    status: int | None = Field(default=None, ge=400, le=599)
    after_s: float = Field(default=0.0, ge=0)
    times: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    only: str = ""

    @model_validator(mode="after")
    def _status_fits(self) -> Self:
        if (self.status is not None) != (self.kind == "refuse"):
            raise ValueError("status goes with refuse, and only with it")
        return self


class Faults:
    """The orders in force. The oldest that fits is used first."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._orders.append(fault)

    def clear(self) -> None:
        self._orders.clear()

    def take(self, endpoint: Endpoint, request: str) -> Fault | None:
        """What is to go wrong with this use of the endpoint. Call it once per use."""
        for fault in self._orders:
            if fault.endpoint != endpoint or fault.only not in request:
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    self._orders.remove(fault)
            return fault
        return None


FAULTS = web.AppKey("faults", Faults)


def abort(request: web.Request) -> None:
    """Cut the connection as a dying network would: no close frame, no answer."""
    if request.transport is not None:
        request.transport.abort()


def add_routes(app: web.Application) -> None:
    """Serve the control API."""
    app[FAULTS] = Faults()
    app.router.add_post("/_faults", _order)
    app.router.add_delete("/_faults", _clear)


async def _order(request: web.Request) -> web.Response:
    _check(request)
    try:
        request.app[FAULTS].add(Fault.model_validate_json(await request.read()))
    except ValidationError as err:
        raise web.HTTPBadRequest(text=str(err)) from err
    return web.Response(status=204)


async def _clear(request: web.Request) -> web.Response:
    _check(request)
    request.app[FAULTS].clear()
    return web.Response(status=204)


def _check(request: web.Request) -> None:
    if not holds_key(request, "Bearer"):
        raise web.HTTPUnauthorized(text="wrong key")
