"""The page to talk to an agent: bundled from its source by npm's esbuild, once per change of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from shared.config.environment import process_environment
from shared.errors import StackError

SOURCE = Path(__file__).parent / "page"
DIST = SOURCE / "dist"
"""What the gateway serves. Ignored by git."""

STEP_LIMIT_S = 180.0
_STAMP = "source.sha256"
_STATIC = ("index.html", "docs.html", "icon.svg")

Progress = Callable[[str], None]


def build_page(progress: Progress) -> Path:
    """Bundle the page where its source has changed since the last time; the folder with the files to serve.

    Raises:
        StackError: There is no npm, its registry cannot be reached, or the source does not compile; says which.
    """
    with (SOURCE / "package.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two commands of one clone may come here at once
        packages, source = _fingerprints()
        if _is(DIST, packages + source):
            return DIST
        npm = shutil.which("npm", path=process_environment().get("PATH"))
        if npm is None:
            raise StackError(
                "the page is bundled with npm, which is not on PATH. On Debian: apt install npm",
                code="page.npm",
            )
        progress("bundling the page (fetches its npm packages the first time)")
        began = time.monotonic()
        installed = SOURCE / "node_modules"
        if not _is(installed, packages):
            _step([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"])
            (installed / _STAMP).write_text(packages, encoding="utf-8")
        made = DIST.with_name("dist.new")
        shutil.rmtree(made, ignore_errors=True)
        _step([npm, "run", "--silent", "build", "--", f"--outdir={made}", "--log-level=error"])
        for name in _STATIC:
            shutil.copy(SOURCE / "src" / name, made)
        (made / _STAMP).write_text(packages + source, encoding="utf-8")
        shutil.rmtree(DIST, ignore_errors=True)
        os.replace(made, DIST)
        progress(f"page bundled after {time.monotonic() - began:.1f} s")
    return DIST


def _is(folder: Path, wanted: str) -> bool:
    """Whether this folder was made to its end, and from what is there now."""
    stamp = folder / _STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted


def _fingerprints() -> tuple[str, str]:
    """Of the packages, and of every file that is bundled with them."""
    packages = [SOURCE / "package.json", SOURCE / "package-lock.json"]
    return _digest(packages), _digest(sorted((SOURCE / "src").iterdir()))


def _digest(files: list[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.name}\0".encode() + file.read_bytes())
    return found.hexdigest()


def _step(words: list[str]) -> None:
    try:
        done = subprocess.run(
            words,
            cwd=SOURCE,
            env=process_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=STEP_LIMIT_S,
            text=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StackError(
            f"npm {words[1]} took more than {STEP_LIMIT_S:.0f} s. Check the network, then run the same again.",
            code="page.slow",
        ) from None
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if "error" in line.lower()]
        reason = (said or done.stdout.splitlines() or ["?"])[0].strip()
        raise StackError(f"the page cannot be bundled: npm {words[1]}: {reason}", code="page.build")
