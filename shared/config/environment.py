"""The only reader of the process environment, and of `.env`.

Secrets live here and nowhere else: a verb reads them once, hands them to the host's environment, and nothing changes it after that.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
LOCAL = "local"

RECORDS_URL = "SWITCHBOARD_RECORDS_URL"
GATEWAY = ("SWITCHBOARD_GATEWAY_", "SWITCHBOARD_API_KEYS")
LIVEKIT = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
PROVIDER_KEYS = {
    "assemblyai": ("ASSEMBLYAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "cartesia": ("CARTESIA_API_KEY",),
    "deepgram": ("DEEPGRAM_API_KEY",),
    "elevenlabs": ("ELEVEN_API_KEY",),
    "google": ("GOOGLE_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "xai": ("XAI_API_KEY",),
}
"""What each provider's plugin reads by itself. Of one that is not listed nothing is asked for before a call; outside of local its
variables reach the host all the same, from `.env` too."""

_NAMES_OF_LIVEKIT = ("LIVEKIT_AGENT_NAME", "LIVEKIT_AGENT_NAME_OVERRIDE", "LIVEKIT_WORKER_TOKEN")
"""Beat the name that conf gives an agent server, so no host gets them."""


@dataclass(frozen=True)
class Settings:
    """What a verb was told by the environment.

    Attributes:
        agents: Names in `SWITCHBOARD_AGENT`; empty for all.
        var: Folder of run files, snapshots and records.
        exported: The environment itself.
        variables: What counts for this environment: exported, and outside of local `.env` below it.
        records_url: Of the database with the records; a password may be in it.
    """

    agents: tuple[str, ...]
    env: str
    overrides: tuple[str, ...]
    room: str | None
    metadata: str | None
    var: Path
    developer: str
    exported: Mapping[str, str]
    variables: Mapping[str, str]
    records_url: str

    @staticmethod
    def read(
        environ: Mapping[str, str] = os.environ, *, env: str | None = None, root: Path = ROOT
    ) -> Settings:
        """Read the environment, and `.env` where it counts.

        In local neither `.env` nor a provider's variable counts: a local call cannot reach a provider by accident. Only a LIVEKIT_URL or
        OPENAI_BASE_URL that was exported by hand does, with its keys.

        Raises:
            ConfigError: SWITCHBOARD_SET cannot be split into words.
        """
        chosen = env or environ.get("SWITCHBOARD_ENV") or LOCAL
        try:
            overrides = tuple(shlex.split(environ.get("SWITCHBOARD_SET", "")))
        except ValueError as err:
            raise ConfigError(f"SET: {err}; quote it like SET='a.b=\"two words\"'") from None
        names = environ.get("SWITCHBOARD_AGENT", "")
        var = Path(environ.get("SWITCHBOARD_VAR") or root / "var")
        variables = _local(environ) if chosen == LOCAL else _with_file(environ, root / ".env")
        records_url = variables.get(RECORDS_URL) or environ.get(RECORDS_URL)
        return Settings(
            agents=tuple(name.strip() for name in names.split(",") if name.strip()),
            env=chosen,
            overrides=overrides,
            room=environ.get("SWITCHBOARD_ROOM") or None,
            metadata=environ.get("SWITCHBOARD_METADATA") or None,
            var=var,
            developer=_developer(environ),
            exported=environ,
            variables=variables,
            records_url=records_url or f"sqlite:///{var.absolute()}/records/records.db",
        )

    @property
    def has_livekit(self) -> bool:
        """Whether a LiveKit server is named, so that none has to be started."""
        return bool(self.variables.get("LIVEKIT_URL"))

    def require(self, providers: Iterable[str]) -> None:
        """Refuse to start while a variable is missing.

        Raises:
            ConfigError: Names all missing ones at once.
        """
        names = [*LIVEKIT, *(name for p in providers for name in PROVIDER_KEYS.get(p, ()))]
        missing = [name for name in dict.fromkeys(names) if not self.variables.get(name)]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            raise ConfigError(
                f"{', '.join(missing)} {verb} not set. Copy .env.example to .env and fill it in, or export it.",
                code="config.missing_variable",
            )

    def for_host(
        self,
        *,
        livekit: Mapping[str, str],
        keys: Mapping[str, str],
        deployment: str,
        snapshot: Path,
        endpoints: Mapping[str, str],
        turn_detector: bool,
        holds: int | None,
    ) -> dict[str, str]:
        """The final environment of a host.

        Args:
            livekit: `LIVEKIT_*` of the server it registers with.
            keys: Variables of the providers.
            deployment: LiveKit's deployment; empty for none.
            snapshot: Path of the config snapshot.
            endpoints: Plugin class to base URL.
            turn_detector: Whether a call may need LiveKit's own end-of-turn model: 0.2 s and 240 MB of every host.
            holds: The file descriptor that keeps the local stack alive.
        """
        provider_names = {name for names in PROVIDER_KEYS.values() for name in names}
        final = {
            name: value
            for name, value in (self.exported if self.env == LOCAL else self.variables).items()
            if name not in provider_names | {*LIVEKIT, *_NAMES_OF_LIVEKIT, "OPENAI_BASE_URL"}
            and not name.startswith("SWITCHBOARD_")
        }
        return final | {
            **livekit,
            **keys,
            "LIVEKIT_AGENT_DEPLOYMENT": deployment,
            "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "1" if turn_detector else "0",
            "SWITCHBOARD_ENV": self.env,
            "SWITCHBOARD_SET": shlex.join(self.overrides),
            "SWITCHBOARD_VAR": str(self.var),
            RECORDS_URL: self.records_url,
            "SWITCHBOARD_SNAPSHOT": str(snapshot),
            "SWITCHBOARD_ENDPOINTS": json.dumps(dict(endpoints)),
            "SWITCHBOARD_HOLDS": "" if holds is None else str(holds),
        }


@dataclass(frozen=True)
class HostSettings:
    """What a host was told by the verb that became it."""

    snapshot: Path
    var: Path
    endpoints: Mapping[str, str]
    livekit_url: str
    records_url: str

    @staticmethod
    def read(environ: Mapping[str, str] = os.environ) -> HostSettings:
        """Read the environment that `Settings.for_host` made."""
        return HostSettings(
            snapshot=Path(environ["SWITCHBOARD_SNAPSHOT"]),
            var=Path(environ["SWITCHBOARD_VAR"]),
            endpoints=json.loads(environ["SWITCHBOARD_ENDPOINTS"]),
            livekit_url=environ["LIVEKIT_URL"],
            records_url=environ[RECORDS_URL],
        )


def process_environment() -> dict[str, str]:
    """A copy of this process's environment, for a process that it starts."""
    return dict(os.environ)


def become(environ: Mapping[str, str]) -> None:
    """Make this process's environment a host's, before anything of the host is loaded."""
    os.environ.clear()
    os.environ.update(environ)


def _local(environ: Mapping[str, str]) -> dict[str, str]:
    """What an exported address brings with it; nothing where none is exported."""
    kept = {name: value for name, value in environ.items() if name.startswith(GATEWAY)}
    if environ.get("LIVEKIT_URL"):
        kept |= {name: environ[name] for name in LIVEKIT if environ.get(name)}
    if environ.get("OPENAI_BASE_URL"):
        kept |= {
            name: environ[name]
            for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY")
            if environ.get(name)
        }
    return kept


def _with_file(environ: Mapping[str, str], file: Path) -> dict[str, str]:
    from dotenv import dotenv_values

    written = {name: value for name, value in dotenv_values(file).items() if value}
    return written | {name: value for name, value in environ.items() if value}


def _developer(environ: Mapping[str, str]) -> str:
    """Who runs this, in letters that a deployment may have."""
    try:
        name = environ.get("USER") or getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32] or "unknown"
