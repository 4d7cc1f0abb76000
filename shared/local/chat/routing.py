"""Which tool the caller's words ask for."""

import re
from collections.abc import Sequence
from typing import Literal

from shared.local.chat.tools import Tool
from shared.local.chat.words import is_small_talk, stem, stems, words

How = Literal["open", "busy", "words"]

_NOUN, _VERB, _TEXT, _ASKING = 3, 1, 1, 3
_ENOUGH = 3

_QUESTION = re.compile(
    r"^(?:(?:hi|hello|hey|okay|ok|well|so|and|um|uh|yes|yeah|no|please|actually|sorry)\b[\s,.]*)*"
    r"(?:what|when|where|who|why|how|which|do you|does|is there|are there|are you|is it|can i (?!leave|have|speak|talk)|could you tell|can you tell|i have a question|i'd like to know|i want to know)\b",
    re.IGNORECASE,
)
_STRONGLY = r"\b(?:speak|talk|transfer|connect|put|pass|hand|switch|through)\w*\b"
_MILDLY = rf"{_STRONGLY}|\b(?:want|need|like|get|give|take me|bring)\b"
_PARTS = re.compile(r"[^.?!]+[.?!]*")
_NOT = re.compile(r"\b(?:don't|do not|not|never)\b", re.IGNORECASE)


def is_question(text: str) -> bool:
    """Whether it asks for knowledge, rather than for something to be done."""
    return bool(_QUESTION.search(text.strip().replace("’", "'")))


def choose(text: str, tools: Sequence[Tool]) -> Tool | None:
    """The form or lookup whose name and description share most words with what was said.

    A question goes to a lookup, and so does anything of substance where nothing else fits.
    """
    if is_small_talk(text):
        return None
    lookup = next((tool for tool in tools if tool.question), None)
    scored = [(_score(tool, text), tool) for tool in tools if not tool.is_direct]
    score, best = max(scored, key=lambda pair: pair[0], default=(0, None))
    return best if score >= _ENOUGH else lookup


def direct(text: str, tools: Sequence[Tool], *, how: How = "open") -> Tool | None:
    """The tool without questions that the words ask for by its name.

    Args:
        how: `open`: naming it is enough. `busy`: it must be asked for. `words`: the caller is saying something in their own
            words, so it must be asked for plainly, such as "talk to".
    """
    said = stems(text)
    named = [tool for tool in tools if tool.is_direct and not tool.ends_call and tool.nouns & said]
    if not named or _NOT.search(text):
        return None
    best = max(named, key=lambda tool: _score(tool, text))
    if how == "open" or (how == "busy" and (len(words(text)) <= 3 or is_question(text))):
        return best
    request = re.search(_STRONGLY if how == "words" else _MILDLY, text, re.IGNORECASE)
    after = words(text[request.end() :])[:6] if request else []
    return best if best.nouns & {stem(word) for word in after} else None


def about(text: str, lookup: Tool) -> str:
    """The sentence of `text` that a lookup could answer; empty where there is none."""
    topics = stems(lookup.description)
    return next((part.strip() for part in _PARTS.findall(text) if topics & stems(part)), "")


def offered(text: str, tools: Sequence[Tool]) -> Tool | None:
    """The tool that an offer such as "take a message" is about."""
    scored = [(_score(tool, text), tool) for tool in tools]
    score, best = max(scored, key=lambda pair: pair[0], default=(0, None))
    return best if score >= _ENOUGH else None


def _score(tool: Tool, text: str) -> int:
    said = stems(text)
    spoken = {stem(word) for word in words(text)}
    asking = _ASKING if tool.question and is_question(text) else 0
    return (
        _NOUN * len(tool.nouns & said)
        + _VERB * len(tool.verbs & spoken)
        + _TEXT * len((stems(tool.description) - tool.nouns) & said)
        + asking
    )
