"""Looking a question up in a Markdown file: one section an answer, found by the words both have."""

import re
from functools import lru_cache
from pathlib import Path

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are can could do does for from have how i if in is it me my of on or our please the to us want we"
        " what when where which who will with would you your about know need tell like",
    )
)


def find_section(file: Path, question: str) -> str | None:
    """The text of the section whose title and text share most words with the question; `None` where none does.

    A word of the title counts three times: it says what the section is about.
    """
    asked = _stems(question)
    scored = [
        (3 * len(asked & title) + len(asked & body), text)
        for title, body, text in _sections(file, file.stat().st_mtime_ns)
    ]
    score, text = max(scored, default=(0, ""))
    return text if score else None


@lru_cache(maxsize=8)
def _sections(file: Path, _mtime: int) -> list[tuple[frozenset[str], frozenset[str], str]]:
    parts = re.split(r"^# +(.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [
        (_stems(title), _stems(body), " ".join(body.split()))
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    ]


def _stems(text: str) -> frozenset[str]:
    """Words without the endings in which a question and its answer differ: returns, returned, return."""
    words = re.findall(r"[a-z]+", text.casefold())
    return frozenset(
        re.sub(r"(?<=\w{3})(?:ies|ing|ed|es|s|y|e)$", "", word)
        for word in words
        if word not in _COMMON
    )
