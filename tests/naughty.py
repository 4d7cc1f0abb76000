"""Text that breaks things elsewhere: the Big List of Naughty Strings, and some of our own."""

import json
import re
from pathlib import Path

FILE = Path(__file__).parent / "data" / "naughty_strings.txt"

STRINGS: tuple[str, ...] = (
    *(
        json.loads(line)
        for line in FILE.read_text(encoding="ascii").splitlines()
        if not line.startswith("#")
    ),
    "a" * 10_000,
    "\u0301" * 400,
)

CLEAN = tuple(
    text
    for text in STRINGS
    if len(text) < 1000 and not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text)
)
"""Those that a contract takes, short enough to travel together."""


def tells(text: str) -> bool:
    """Whether it stands in no log by chance, and has letters for a redactor to look for."""
    return len(text) >= 12 and sum(map(str.isalpha, text)) >= 6


def spellings(text: str) -> set[str]:
    """The text as a log, a traceback, JSON and JSON in ASCII write it."""
    inner = (repr(text), json.dumps(text), json.dumps(text, ensure_ascii=False))
    return {text, *(written[1:-1] for written in inner)}
