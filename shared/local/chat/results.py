"""What a tool gave back: a sentence to speak, or an instruction to follow."""

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\s|$)|\n|$)|[^\s]+")
_ORDER = re.compile(
    r"^(?:please )?(?:ask|offer|tell|inform|say|repeat|help|apologi[sz]e|do not|don't|never|use|let|suggest|make sure|try|call|explain|leave|wait|retry|continue)\b",
    re.IGNORECASE,
)
_ASK = re.compile(r"^(?:please )?ask\b", re.IGNORECASE)
_OFFER = re.compile(
    r"^(?:please )?(?:offer|suggest)(?: the caller| them)? to (.+?)[.!]*$", re.IGNORECASE
)
_TELL = re.compile(
    r"^(?:please )?(?:tell|inform) (?:the caller|them|the user|the customer)(?: that)?[:,]? (.+)$",
    re.IGNORECASE,
)
_SAY = re.compile(r"^(?:please )?say[:,]? (.+)$", re.IGNORECASE)
_BROKEN = re.compile(
    r"^(?:an? )?(?:internal |unexpected )?error\b|traceback|\bexception\b|^unknown function",
    re.IGNORECASE,
)
_SPEECH_KEYS = ("message", "answer", "result", "text", "summary", "error", "detail")

SOMETHING_WRONG = "I am sorry, something went wrong on our side."


@dataclass(frozen=True)
class Outcome:
    """What to do with a tool's answer.

    Attributes:
        speech: What may be said of it.
        asks: The words of an instruction to ask the caller for something; empty without one.
        offers: What the caller is to be offered, such as "take a message".
        failed: The tool did not work.
    """

    speech: str = ""
    asks: str = ""
    offers: str = ""
    failed: bool = False


def understand(content: str) -> Outcome:
    """Tell what can be spoken from what the model is told to do."""
    text = _as_text(content)
    if _BROKEN.search(text):
        return Outcome(speech=SOMETHING_WRONG, failed=True)
    spoken: list[str] = []
    asks = offers = ""
    for sentence in (match[0].strip() for match in _SENTENCE.finditer(text)):
        if match := _TELL.match(sentence) or _SAY.match(sentence):
            told = match[1].strip("\"' ")
            spoken.append(told[:1].upper() + told[1:])
        elif match := _OFFER.match(sentence):
            offers = match[1]
        elif _ASK.match(sentence):
            # what precedes says which value it is about, and is meant for the model
            asks, spoken = f"{' '.join(spoken)} {sentence}", []
        elif not _ORDER.match(sentence) and sentence:
            spoken.append(sentence)
    return Outcome(" ".join(spoken), asks, offers)


def _as_text(content: str) -> str:
    data = _parsed(content.strip())
    return (
        " ".join(_sentence(data).split()) if isinstance(data, Mapping | list) else str(data or "")
    )


def _parsed(content: str) -> Any:
    """JSON, or Python's way of writing the same, as a result that is no text arrives."""
    if content in ("", "null", "None", '""'):
        return ""
    if content[0] not in "{[\"'":
        return content
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(content)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return content


def _sentence(data: Any) -> str:
    if isinstance(data, Mapping):
        for key in _SPEECH_KEYS:
            if isinstance(data.get(key), str):
                return str(data[key])
        parts = [
            f"{str(key).replace('_', ' ')} is {_phrase(value)}"
            for key, value in data.items()
            if value is not None
        ]
        text = " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
    else:
        text = ", ".join(_phrase(each) for each in data)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _phrase(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping | list):
        return _sentence(value).rstrip(".")
    return str(value)
