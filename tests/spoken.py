"""Words that went through a voice and a recogniser, beside those that were meant."""

from __future__ import annotations

import re
from difflib import SequenceMatcher


def alike(heard: str, said: str) -> bool:
    """Whether this was heard of what was said, but for a word that the recogniser takes for another one."""
    return SequenceMatcher(None, plain(heard), plain(said)).ratio() >= 0.8


def plain(text: str) -> str:
    """A text's words alone."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))
