"""Which parameter somebody means: "the number is wrong", "What is the reason for your call?", "Call-back number: …"."""

from collections.abc import Iterable, Mapping

from shared.local.chat.tools import Kind, Slot
from shared.local.chat.words import stem, stems, words

_MEANT: Mapping[Kind, tuple[str, ...]] = {
    "name": ("name", "who"),
    "phone": ("number", "phone", "telephone", "digit", "mobile"),
    "email": ("email", "mail", "address"),
    "date": ("date", "day", "when"),
    "time": ("time", "when", "hour"),
    "moment": ("date", "day", "time", "when"),
    "count": ("many", "people"),
}
"""Words that stand for a kind of value, whatever the parameter is called."""

_KIND_STEMS: Mapping[Kind, frozenset[str]] = {
    kind: frozenset(map(stem, listed)) for kind, listed in _MEANT.items()
}
_ALWAYS_HEARD = frozenset().union(*_KIND_STEMS.values())
_OWN_WORD, _KIND, _DESCRIPTION = 3, 2, 1


def meant(slots: Iterable[Slot], text: str) -> list[Slot]:
    """The parameters that most words of `text` point to, best known by their own names."""
    said = stems(text) | ({stem(word) for word in words(text)} & _ALWAYS_HEARD)
    scored = {slot: _points(slot, said) for slot in slots}
    best = max(scored.values(), default=0)
    return [slot for slot, points in scored.items() if best and points == best]


def _points(slot: Slot, said: frozenset[str]) -> int:
    own = {stem(word) for word in words(slot.label)}
    return (
        _OWN_WORD * len(own & said)
        + _KIND * bool(_KIND_STEMS.get(slot.kind, frozenset()) & said)
        + _DESCRIPTION * len(slot.stems & said)
    )
