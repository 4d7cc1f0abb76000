"""Edits of conf and prompts that reach a running host's next call: in local, where somebody is at work on them.

The host and its jobs read the stored snapshot through one link. An edit is composed in a process of its own, checked as at the start,
and then put behind the link; one that is wrong is reported, and the last good snapshot stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from shared import registry
from shared.config.selection import CONF
from shared.config.snapshot import Snapshot, load_snapshot
from shared.errors import ConfigError

log = structlog.get_logger(__name__)


async def follow(
    names: Sequence[str],
    link: Path,
    check: Callable[[Snapshot, Path], None],
    put: Callable[[Snapshot], None],
) -> None:
    """Take edits until cancelled.

    Args:
        names: The host's agents.
        link: What jobs load their snapshot through.
        check: Refuses a snapshot that a call would fail with.
        put: Makes the host go by a new snapshot.
    """
    from watchfiles import awatch  # of no use to any other environment

    async for _ in awatch(CONF, registry.AGENTS, watch_filter=_is_source, debounce=200, step=20):
        try:
            path = await _compose(names)
            if path.resolve() == link.resolve():
                continue
            snapshot = load_snapshot(path)
            check(snapshot, path)
        except ConfigError as err:
            log.error("edit not taken, the last good one stays", code=err.code, reason=str(err))
            continue
        point(link, path)
        put(snapshot)
        log.info("edit taken, from the next call on", digest=snapshot.digest)


async def _compose(names: Sequence[str]) -> Path:
    composing = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared.config", ",".join(names),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await composing.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            composing.kill()
        raise
    if composing.returncode != 0:
        raise ConfigError(err.decode(errors="replace").strip() or "conf cannot be composed")
    return Path(out.decode())


def _is_source(_: object, path: str) -> bool:
    file = Path(path)
    return file.suffix == ".yaml" or (file.suffix == ".md" and file.parent.name == "prompts")


def point(link: Path, target: Path) -> None:
    """Put a stored snapshot behind the link."""
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = link.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target.resolve())
    draft.replace(link)
