"""Text in pieces that can be spoken one after the other: sentences, and clauses where a sentence is long.

The engine plans a piece as a whole, so nothing of it is heard before all of it is planned. A long sentence therefore begins with a
short piece; the next is planned while that one plays.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from shared.local.turns import DIGITS, REPEATS

_BETWEEN_SENTENCES = re.compile(
    r"(?<=[.!?])(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMrs\.)\s+(?=[A-Z0-9\"'])"
)
_SAYABLE = re.compile(r"\w")
_LONG = 60
"""Letters from which a sentence is parted."""
_FIRST = 16
"""The fewest letters of its first piece. Each later one may have twice as many: there is more sound to make it behind."""
_CLAUSE_END = re.compile(r"(?<=[,;:])\s+|\s*[\u2013\u2014]\s*|\s+-+\s+|\s+(?=and\s)", re.IGNORECASE)
_NUMBER = re.compile(
    rf".*\d.*|{'|'.join([*DIGITS, *REPEATS, 'ten', 'hundred', 'plus'])}", re.IGNORECASE
)
_WORD = re.compile(r"[\w']+")
_BEFORE_S, _AFTER_S = 0.04, 0.15
"""Silence at both ends of a piece, about."""


def phrases(text: str) -> Iterator[str]:
    """The pieces of a text, in order, with their punctuation. What cannot be said is left out."""
    for sentence in _BETWEEN_SENTENCES.split(text):
        for clause in _clauses(sentence.strip()):
            if _SAYABLE.search(clause):
                yield clause


def word_times(phrase: str, length_s: float, offset_s: float) -> dict[str, list[Any]]:
    """When each word of a phrase is heard, by its length: Piper gives no times."""
    words = phrase.split()
    first, last = _BEFORE_S, max(_BEFORE_S, length_s - _AFTER_S)
    sizes = [len(word) + (3 if word[-1] in ",.;:?!" else 1) for word in words]
    ends = np.cumsum(sizes) / sum(sizes) * (last - first) + first
    starts = np.concatenate([[first], ends[:-1]])
    return {
        "words": words,
        "start": [round(float(at) + offset_s, 3) for at in starts],
        "end": [round(float(at) + offset_s, 3) for at in ends],
    }


def _clauses(sentence: str) -> Iterator[str]:
    least = _FIRST
    while len(sentence) > _LONG:
        ends = (found.end() for found in _CLAUSE_END.finditer(sentence))
        end = next((at for at in ends if at >= least and not _in_number(sentence, at)), None)
        if end is None:
            break
        yield sentence[:end].rstrip()
        sentence = sentence[end:]
        least *= 2
    yield sentence


def _in_number(sentence: str, at: int) -> bool:
    """Whether a number goes on here, such as a telephone number that is read in groups."""
    before = _WORD.findall(sentence[:at])
    after = [word for word in _WORD.findall(sentence[at:]) if word.lower() != "and"]
    return all(
        bool(side) and _NUMBER.fullmatch(side[edge]) for side, edge in ((before, -1), (after, 0))
    )
