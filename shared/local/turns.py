"""When has a caller finished? A small model of what Flux says about it.

Flux gives a confidence that the turn is over. Here it grows with the silence after the last word, 1 - exp(-silence / pace): 0.4 after
0.17 s, 0.7 after 0.4 s, 0.9 after 0.76 s. After words that want more (a number not yet complete, "my", "and") the pace is half: 0.7
after 0.8 s. So a number read in groups with short pauses stays one turn. A comma says nothing: recognition ends half of all turns with one.
"""

import math
import re
from dataclasses import dataclass

_PACE_S = 0.333
_UNFINISHED_PACE_S = 0.667
_SUREST = 0.999
"""Below 1, the threshold that lets only a timeout or the client end a turn."""

_WANTS_MORE = {
    "a", "an", "and", "are", "at", "because", "but", "by", "for", "from", "his", "i", "if", "in", "is", "it's",
    "my", "of", "or", "our", "the", "their", "to", "uh", "um", "was", "were", "with", "your",
}  # fmt: skip
DIGITS = {
    "zero", "oh", "o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
}  # fmt: skip
REPEATS = {"double": 1, "triple": 2}
_WORD = re.compile(r"[a-z']+|\d")
_NUMBER_FROM, _NUMBER_TO = 3, 9
"""From three digits on it may be a number read aloud; ten are a whole telephone number."""


@dataclass
class Thresholds:
    """When a listener is told. `eager` is off unless asked for."""

    eot: float = 0.7
    eager: float | None = None
    timeout_ms: int = 5000

    @property
    def first(self) -> float:
        """The lowest confidence at which anything happens."""
        return self.eot if self.eager is None else min(self.eager, self.eot)


def confidence(silence_s: float, text: str) -> float:
    """How sure it is, 0 to 1, that a turn with this text is over after so much silence."""
    pace = _UNFINISHED_PACE_S if _is_unfinished(text) else _PACE_S
    return min(_SUREST, 1 - math.exp(-max(0.0, silence_s) / pace))


def _is_unfinished(text: str) -> bool:
    """Whether the words so far want more."""
    words = _WORD.findall(text.lower())
    if words and words[-1] in _WANTS_MORE:
        return True
    digits = 0
    for word in reversed(words):
        if word.isdigit() or word in DIGITS:
            digits += 1
        elif word in REPEATS:
            digits += REPEATS[word]
        else:
            break
    return _NUMBER_FROM <= digits <= _NUMBER_TO
