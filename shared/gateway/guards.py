"""What stands before every route: size and pace of a body, headers of an answer, how often one may ask."""

from __future__ import annotations

import asyncio

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.gateway.problems import Refusal, problem

BODY_BYTES = 128 * 1024
BODY_S = 5.0
"""A body has to be there in this time."""


class Guards:
    """ASGI middleware: a body that is too long or too slow is answered before it is all there; each answer gets security headers."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(receive)
        except TimeoutError:
            answer = problem(408, "the body did not come in time", code="request.slow")
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), guarded)
                return
            answer = problem(
                413, f"the body is longer than {BODY_BYTES} bytes", code="request.long"
            )
        answer.headers["Connection"] = "close"
        await answer(scope, receive, guarded)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; `None` where it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


class Pace:
    """How often one caller may ask; in this process's memory."""

    def __init__(self, rate: str) -> None:
        self._item: RateLimitItem = parse(rate)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def check(self, name: str) -> None:
        """Count a request.

        Raises:
            Refusal: 429, with when to come again.
        """
        if not await self._limiter.hit(self._item, name):
            seconds = self._item.get_expiry()
            raise Refusal(
                429,
                f"more than {self._item}: slow down",
                "request.often",
                headers={"Retry-After": str(seconds)},
            )


def content_policy(livekit_url: str) -> str:
    """What the page may load and where it may connect: itself, and the LiveKit server."""
    http = livekit_url.replace("ws", "http", 1)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "media-src 'self' blob:",
            "worker-src 'self' blob:",
            f"connect-src 'self' {livekit_url} {http}",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
