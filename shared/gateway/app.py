"""The application: routes, guards, page."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import aiohttp
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from livekit import api
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from shared.config.explain import Value
from shared.config.judge import Judged
from shared.gateway.auth import Doorkeeper
from shared.gateway.desk import Desk
from shared.gateway.guards import Guards, Pace, content_policy
from shared.gateway.problems import answer_with_problems, problem
from shared.gateway.routes import router

LOOPBACK = ("127.0.0.1", "localhost")


def make_app(
    desk: Desk,
    doorkeeper: Doorkeeper,
    *,
    origins: Callable[[Judged], Sequence[Value]],
    page: Path | None,
    rate: str,
    sites: Sequence[str] = (),
) -> FastAPI:
    """The gateway of one desk.

    Args:
        origins: Where each value of a judged dispatch's config comes from.
        page: Folder with the bundled page.
        rate: How often one caller may ask, such as `60/minute`.
        sites: Origins of browsers elsewhere that may ask.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        gc.freeze()  # what was imported is never garbage: no collection looks at it again
        async with desk.records.listening():
            yield

    app = FastAPI(
        title="Switchboard",
        summary="Tokens, dispatches, rooms and records of named voice agents.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.desk, app.state.doorkeeper = desk, doorkeeper
    app.state.pace, app.state.origins = Pace(rate), origins
    app.state.composing = asyncio.Lock()
    answer_with_problems(app)
    _answer_for_livekit(app)
    app.include_router(router)
    if page is not None:
        _show_reference(app, page / "docs.html")
        app.mount("/", StaticFiles(directory=page, html=True))
    else:

        @app.get("/", include_in_schema=False)
        async def no_page() -> PlainTextResponse:
            return PlainTextResponse("The page is not bundled. Run: make gateway\n", 404)

    if sites:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(sites),
            allow_methods=["GET", "POST", "PUT"],
            allow_headers=["authorization", "content-type"],
        )
    if doorkeeper.open_as is not None:
        # who needs no token must not be reached through another name of this machine
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
    app.add_middleware(Guards, policy=content_policy(desk.livekit_url))
    return app


def _show_reference(app: FastAPI, file: Path) -> None:
    @app.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(file)


def _answer_for_livekit(app: FastAPI) -> None:
    async def away(_: Request, __: Exception) -> JSONResponse:
        return problem(503, "LiveKit did not answer as it should", code="stack.livekit")

    for kind in (api.TwirpError, aiohttp.ClientError, TimeoutError):
        app.add_exception_handler(kind, away)
