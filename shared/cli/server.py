"""The LiveKit server that a verb talks to: that of the running host, else the one that the environment names."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared import registry
from shared.cli.hosts import RunningHost, find_host, running_hosts
from shared.config.environment import LOCAL, Settings
from shared.config.snapshot import Snapshot, load_snapshot
from shared.errors import DispatchError, StackError
from shared.local import stack


@dataclass(frozen=True)
class Server:
    """A LiveKit server and a key for it."""

    url: str
    key: str
    secret: str = field(repr=False)

    def fault(self, err: Exception) -> StackError:
        """What to say where a question to its API went wrong."""
        what = getattr(err, "code", None) or type(err).__name__
        return StackError(
            f"LiveKit at {self.url} did not answer as it should ({what}). Check that it runs there and that key and secret are its own.",
            code="stack.livekit",
        )


@dataclass(frozen=True)
class Site:
    """Where an agent is dispatched.

    Attributes:
        deployment: LiveKit's; must equal the host's.
        snapshot: What decides which dispatches are open.
    """

    server: Server
    deployment: str
    snapshot: Snapshot


def server_of(settings: Settings) -> Server:
    """The server of this environment.

    Raises:
        ConfigError: A variable is missing.
        StackError: The local stack is not running.
    """
    if settings.env != LOCAL or settings.has_livekit:
        settings.require(())
        named = (
            settings.variables[name]
            for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
        )
        return Server(*named)
    running = stack.find(settings.var / "run")
    if running is None:
        raise StackError(
            "the local stack is not running. Start an agent in another terminal: make run",
            code="stack.gone",
        )
    return Server(running.livekit_url, running.livekit_api_key, running.livekit_api_secret)


def server_of_host(settings: Settings, host: RunningHost) -> Server:
    """The server that a running host is registered with.

    Raises:
        ConfigError: A variable is missing.
        StackError: The local stack is not running any more.
    """
    server = server_of(settings)
    return Server(host.livekit_url, server.key, server.secret)


def site_of(settings: Settings, agent: str) -> Site:
    """Where `agent` is dispatched: as its host on this machine says, else as conf says.

    Raises:
        ConfigError: The name, conf or a variable is wrong.
        StackError: The local stack is not running.
        DispatchError: In local, no host of the agent is running.
    """
    registry.folder(agent)
    try:
        host = find_host(settings.var / "run", agent, settings.env)
    except DispatchError:
        if settings.env == LOCAL and not running_hosts(settings.var / "run"):
            raise
        return _as_conf_says(settings, agent)
    if host.snapshot is None:
        return _as_conf_says(settings, agent)
    return Site(server_of_host(settings, host), host.deployment, load_snapshot(host.snapshot))


def _as_conf_says(settings: Settings, agent: str) -> Site:
    from shared.config.compose import ensure_snapshot

    snapshot, _ = ensure_snapshot(
        (agent,),
        settings.env,
        settings.overrides,
        store=settings.var / "snapshots",
        developer=settings.developer,
    )
    return Site(server_of(settings), snapshot.server.deployment, snapshot)
