"""The only place that runs Hydra: conf/ becomes a stored snapshot.

Hydra's docs advise its Compose API only where `hydra.main` cannot be used. This is such a place: LiveKit's worker and our command own
the arguments, and what is composed here serves many calls.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from shared.config.snapshot import KINDS, NO_PROFILE, VERSION, Snapshot, from_plain, load_snapshot
from shared.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"

CLOSED = ("agent", "env", "profile", "developer", "hydra", "policy")
"""What SET may not override: these have a variable of their own, or are no business of a single run."""

_DEFAULT_TYPES = {"stt": "STT", "tts": "TTS", "llm": "LLM", "vad": "VAD"}


def ensure_snapshot(
    agents: Sequence[str],
    env: str,
    overrides: Sequence[str],
    *,
    store: Path,
    developer: str,
    conf: Path = CONF,
) -> tuple[Snapshot, Path]:
    """The snapshot of these agents, those they hand over to, and all their profiles: the stored one, else composed and stored.

    Args:
        agents: Agent names; each has a file in `conf/agent`.
        env: `local`, `dev`, `staging` or `prod`.
        overrides: In Hydra's grammar, such as `llm.temperature=0.1`.
        store: Folder of the stored snapshots.
        developer: For the names that differ between developers.
        conf: Folder of the config.

    Raises:
        ConfigError: A file, name or override is wrong; quotes it.
    """
    _check_names(conf, agents, env)
    overrides = [_checked(override) for override in overrides]
    digest = _digest(conf, agents, env, overrides, developer)
    path = store / f"{digest}.json"
    if not path.is_file():
        raw = _compose(conf, agents, env, overrides, developer) | {"digest": digest}
        _store(path, raw)
        return from_plain(raw), path
    return load_snapshot(path), path


def environments(conf: Path = CONF) -> tuple[str, ...]:
    """The environments that conf knows."""
    return _options(conf, "env")


def _options(conf: Path, group: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (conf / group).glob("*.yaml")))


def _check_names(conf: Path, agents: Sequence[str], env: str) -> None:
    for what, name, known in [
        ("environment", env, environments(conf)),
        *(("agent in conf/agent", agent, _options(conf, "agent")) for agent in agents),
    ]:
        if name not in known:
            raise ConfigError(
                f"no {what} named {name!r}; there are: {', '.join(known)}{_near(name, known)}"
            )


def _checked(override: str) -> str:
    """One override in the form that may name a key which no file sets: what it sets is judged after composing, not by Hydra."""
    key = override.lstrip("+~").split("=", 1)[0].split("@", 1)[0]
    root = re.split(r"[./]", key, maxsplit=1)[0]
    if root in CLOSED or "_target_" in override:
        raise ConfigError(
            f"SET: {override!r} is not open to an override; use AGENT, ENV or a file in conf/"
        )
    if "=" not in override:
        raise ConfigError(f"SET: {override!r} is no override, write it like llm.temperature=0.1")
    return f"++{override}" if "." in key and override[0] not in "+~" else override


def _digest(
    conf: Path, agents: Sequence[str], env: str, overrides: Sequence[str], developer: str
) -> str:
    """Of everything the result depends on: conf, arguments, and the versions of Hydra and of the plugins."""
    found = hashlib.sha256()
    for file in sorted(conf.rglob("*.yaml")):
        found.update(f"{file.relative_to(conf)}\0".encode())
        found.update(file.read_bytes())
    found.update(Path(__file__).read_bytes())
    versions = sorted(
        f"{dist.name}={dist.version}"
        for dist in metadata.distributions()
        if dist.name.startswith(("livekit", "hydra", "omegaconf"))
    )
    found.update(
        json.dumps([VERSION, sorted(agents), env, list(overrides), developer, versions]).encode()
    )
    return found.hexdigest()[:16]


def _compose(
    conf: Path, agents: Sequence[str], env: str, overrides: Sequence[str], developer: str
) -> dict[str, Any]:
    from hydra import initialize_config_dir

    profiles = _options(conf, "profile")
    variants: dict[str, dict[str, Any]] = {}
    first: dict[str, Any] = {}
    waiting = list(agents)
    with initialize_config_dir(str(conf), version_base="1.3"):
        while waiting:
            agent = waiting.pop(0)
            if agent in variants:
                continue
            variants[agent] = {}
            for profile in profiles:
                words = [
                    f"agent={agent}",
                    f"env={env}",
                    f"profile={profile}",
                    f"developer={developer}",
                ]
                raw = _compose_one([*words, *overrides], conf)
                where = f"conf for agent={agent} env={env} profile={profile}"
                variants[agent][profile] = _variant(raw, where)
                first = first or raw
            for target in variants[agent][NO_PROFILE]["handoffs"]:
                _check_names(conf, [target], env)
                waiting.append(target)
    slots = [
        variant[kind]
        for profiles_of in variants.values()
        for variant in profiles_of.values()
        for kind in KINDS
        if variant[kind]
    ]
    return {
        "version": VERSION,
        "env": env,
        "preload": _preload(slots, variants),
        "server": first["server"],
        "policy": first["policy"],
        "endpoints": first["endpoints"],
        "variants": variants,
    }


def _compose_one(overrides: Sequence[str], conf: Path) -> dict[str, Any]:
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        composed = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    except (HydraException, OmegaConfBaseException) as err:
        raise ConfigError(_explain(err, overrides, conf)) from None
    assert isinstance(composed, dict)
    return {str(key): value for key, value in composed.items()}


def _explain(err: Exception, overrides: Sequence[str], conf: Path) -> str:
    """Hydra's own words without its advice to add what is misspelt, and with the nearest name."""
    text = str(err.__cause__ or err).split("\nTo append to your config use")[0]
    missing = re.search(r"Could not find '(\w+)/(\w+)'", str(err))
    if missing and (conf / missing[1]).is_dir():
        known = _options(conf, missing[1])
        return f"{missing[1]}={missing[2]}: no conf/{missing[1]}/{missing[2]}.yaml; there are: {', '.join(known)}{_near(missing[2], known)}"
    lines = " ".join(
        line.strip()
        for line in text.splitlines()
        if "full_key" not in line and "object_type" not in line
    )
    given = " ".join(override.lstrip("+") for override in overrides[4:])
    return f"conf cannot be composed{f' with SET={given!r}' if given else ''}: {lines}"


def _variant(raw: dict[str, Any], where: str) -> dict[str, Any]:
    from pydantic import ValidationError

    from shared.config.model import Root

    try:
        root = Root.model_validate(raw)
    except ValidationError as err:
        raise ConfigError("; ".join(_line(where, dict(error)) for error in err.errors())) from None
    raw["server"] = root.server.model_dump()
    return {
        "session": root.session.model_dump(exclude_unset=False),
        "handoffs": root.handoffs,
        **{kind: _slot(kind, getattr(root, kind), where) for kind in KINDS},
    }


def _line(where: str, error: Mapping[str, Any]) -> str:
    path = [str(part) for part in error["loc"]]
    known = (error.get("ctx") or {}).get("known")
    if error["type"] == "extra_forbidden":
        from shared.config.model import known_keys

        known = known_keys(path[:-1])
        return f"{where}: {'.'.join(path)}: no such key{_near(path[-1], known)}; there are: {', '.join(known)}"
    return f"{where}: {'.'.join(path)}: {error['msg'].lower()}, got {error['input']!r}"


def _slot(kind: str, raw: dict[str, Any], where: str) -> dict[str, Any] | None:
    keywords = dict(raw)
    provider = keywords.pop("provider", None)
    if not isinstance(provider, str) or not provider.isidentifier():
        raise ConfigError(f"{where}: {kind}.provider: must name a plugin package, got {provider!r}")
    if provider == "none":
        return None
    name = keywords.pop("type", _DEFAULT_TYPES[kind])
    return {"kind": kind, "provider": provider, "type": name, "keywords": keywords}


def _preload(slots: Sequence[Mapping[str, Any]], agents: Mapping[str, Any]) -> list[str]:
    """What every job needs: the plugins' modules and the agents' own."""
    plugins = [
        f"livekit.plugins.{slot['provider']}" for slot in slots if slot["provider"] != "inference"
    ]
    modules = [f"agents.{name}.{module}" for name in agents for module in ("metadata", "agent")]
    return list(dict.fromkeys([*plugins, *modules, "shared.host.job"]))


def _store(path: Path, raw: Mapping[str, Any]) -> None:
    """Write whole or not at all: another process may be reading."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(raw, file, ensure_ascii=False, indent=1)
    Path(name).replace(path)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
