"""`switchboard gateway`: tokens, dispatches, rooms, records and the page, over HTTP."""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path

import uvicorn
import uvloop
from livekit import api

from shared import registry
from shared.cli.config import selection_of
from shared.cli.server import server_of
from shared.config.compose import ensure_snapshot
from shared.config.environment import LOCAL, Settings
from shared.config.explain import Value, explain
from shared.config.judge import Judged
from shared.errors import ConfigError, StackError
from shared.gateway.app import make_app
from shared.gateway.auth import Doorkeeper, read_keys
from shared.gateway.desk import Desk
from shared.gateway.page import DIST, build_page
from shared.records.reader import reads
from shared.records.store import Store
from shared.telemetry import logs

RATE, LOCAL_RATE = "120/minute", "6000/minute"
"""How often one caller may ask."""

LOCAL_USER = "local"


def gateway(settings: Settings, names: tuple[str, ...], *, host: str, port: int) -> None:
    """Serve until TERM or Ctrl-C.

    Raises:
        ConfigError: A name, the conf or a variable is wrong, or others would be let in without saying who they are.
        StackError: The local stack is not running, the port is in use, or the records cannot be opened.
    """
    doorkeeper = _doorkeeper(settings.env, settings.variables, host)
    server = server_of(settings)
    logs.configure_process(json=not sys.stderr.isatty())
    names = names or registry.names()
    snapshot, _ = ensure_snapshot(
        names,
        settings.env,
        settings.overrides,
        store=settings.var / "snapshots",
        developer=settings.developer,
    )
    folder = settings.var / "records"
    page = _page()

    def origins(judged: Judged) -> Sequence[Value]:
        selection = selection_of(settings, judged.config)
        return explain(snapshot, judged.config, judged.chosen, selection)

    async def serve(store: Store, listener: socket.socket) -> None:
        async with api.LiveKitAPI(server.url, server.key, server.secret) as lkapi:
            desk = Desk(
                livekit_url=server.url,
                key=server.key,
                secret=server.secret,
                lkapi=lkapi,
                snapshot=snapshot,
                agents=names,
                folder=folder,
                records=reads(folder, settings.records_url),
                store=store,
                deployment=snapshot.server.deployment,
            )
            app = make_app(
                desk,
                doorkeeper,
                origins=origins,
                page=page,
                rate=RATE if doorkeeper.open_as is None else LOCAL_RATE,
                sites=settings.variables.get("SWITCHBOARD_GATEWAY_ORIGINS", "").split(),
            )
            config = uvicorn.Config(
                app, log_config=None, access_log=False, server_header=False, timeout_keep_alive=30
            )
            await uvicorn.Server(config).serve(sockets=[listener])

    with contextlib.closing(Store.open(settings.records_url)) as store, _listener(host, port) as at:
        shown = f"[{host}]" if ":" in host else host
        print(f"gateway on http://{shown}:{at.getsockname()[1]}", file=sys.stderr)
        signal.signal(
            signal.SIGTERM, lambda *_: None
        )  # uvicorn ends in order, then raises it again
        uvloop.run(serve(store, at))


def _page() -> Path | None:
    """Where the bundled page is; the rest serves without it."""
    try:
        return build_page(lambda line: print(line, file=sys.stderr))
    except StackError as err:
        print(f"without the page: {err}", file=sys.stderr)
        return DIST if (DIST / "index.html").is_file() else None


def new_key(scopes: str) -> None:
    """Make an API key and print it, with what the gateway is told of it: a digest, which opens nothing.

    Raises:
        ConfigError: A scope is none.
    """
    key = f"sb_{secrets.token_urlsafe(32)}"
    entry = f"{sha256(key.encode()).hexdigest()}:{scopes.replace(',', '+')}"
    read_keys(entry)
    print(f"for the server that asks, as Authorization: Bearer …\n  {key}")
    print(f"one more entry of SWITCHBOARD_API_KEYS, where the gateway runs\n  {entry}")


def _doorkeeper(env: str, variables: Mapping[str, str], host: str) -> Doorkeeper:
    def variable(name: str, default: str = "") -> str:
        return variables.get(f"SWITCHBOARD_GATEWAY_{name}", default)

    doorkeeper = Doorkeeper(
        secret=variable("SECRET"),
        jwks_url=variable("JWKS_URL"),
        issuer=variable("ISSUER"),
        audience=variable("AUDIENCE", "switchboard"),
        keys=read_keys(variables.get("SWITCHBOARD_API_KEYS", "")),
        open_as=LOCAL_USER if env == LOCAL and _is_loopback(host) else None,
    )
    if doorkeeper.secret and len(doorkeeper.secret) < 32:
        raise ConfigError(
            "SWITCHBOARD_GATEWAY_SECRET is shorter than 32 characters; make one: openssl rand -hex 32",
            code="gateway.secret",
        )
    if not (doorkeeper.open_as or doorkeeper.secret or doorkeeper.jwks_url or doorkeeper.keys):
        raise ConfigError(
            "nobody could say who they are: set SWITCHBOARD_GATEWAY_SECRET or SWITCHBOARD_GATEWAY_JWKS_URL for users, SWITCHBOARD_API_KEYS for servers",
            code="gateway.auth",
        )
    return doorkeeper


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listener(host: str, port: int) -> socket.socket:
    try:
        made = socket.create_server((host, port), backlog=1024)
        # asyncio leaves it off for sockets that it has not made; an answer would wait 40 ms for its second packet
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    except OSError as err:
        raise StackError(
            f"the gateway cannot listen on {host}:{port} ({err.strerror}). Choose another port, or 0 for a free one: --port 0",
            code="gateway.port",
        ) from None
