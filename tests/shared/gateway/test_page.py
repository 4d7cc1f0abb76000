"""Bundling the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from shared.errors import StackError
from shared.gateway import page


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page's source with its packages, not bundled yet."""
    page.build_page(lambda _: None)
    copy = tmp_path / "page"
    copy.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(page.SOURCE / name, copy)
    shutil.copytree(page.SOURCE / "src", copy / "src")
    (copy / "node_modules").symlink_to(page.SOURCE / "node_modules")
    monkeypatch.setattr(page, "SOURCE", copy)
    monkeypatch.setattr(page, "DIST", copy / "dist")
    return copy


def test_the_page_is_bundled_once_for_each_change_of_its_source(source: Path) -> None:
    """A second start has nothing to do; an edited file is in the next bundle."""
    said: list[str] = []

    dist = page.build_page(said.append)
    assert {file.suffix for file in dist.iterdir()} >= {".html", ".js", ".css", ".svg", ".woff2"}
    first = len(said)
    page.build_page(said.append)
    assert len(said) == first
    style = source / "src" / "base.css"
    style.write_text(style.read_text(encoding="utf-8") + ".edited{top:7px}", encoding="utf-8")
    page.build_page(said.append)

    assert "edited" in (dist / "page.css").read_text(encoding="utf-8")


def test_without_npm_the_page_says_what_to_install(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names npm and how to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StackError, match=re.escape("not on PATH. On Debian: apt install npm")):
        page.build_page(lambda _: None)


def test_a_source_that_does_not_compile_leaves_the_last_bundle(source: Path) -> None:
    """The error tells the compiler's reason, and what was served stays."""
    dist = page.build_page(lambda _: None)
    (source / "src" / "main.ts").write_text("import './nowhere';", encoding="utf-8")

    with pytest.raises(StackError, match="nowhere"):
        page.build_page(lambda _: None)

    assert (dist / "page.js").is_file()
