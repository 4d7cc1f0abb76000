"""Values for a tool's parameters in what a caller says."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from shared.local.chat import dates, names, numbers
from shared.local.chat.numbers import Found
from shared.local.chat.tools import Kind, Slot
from shared.local.chat.words import (
    COMMON,
    agreement,
    is_farewell,
    is_small_talk,
    is_unknown,
    stem,
    stems,
    vocabulary,
    wants_it_again,
    without_lead,
    words,
)

Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar]
LONGEST_TEXT = 480
"""Characters of a value in the caller's own words."""

_ORDER: tuple[Kind, ...] = (
    "phone", "email", "moment", "date", "time", "code", "choice", "name", "count", "amount", "flag", "text"
)  # fmt: skip
"""What is unmistakable first: its words are then out of the way of the next."""

_EMAIL = re.compile(r"[\w.+-]+(?:@| at )[\w-]+(?:(?:\.| dot )[\w-]+)+", re.IGNORECASE)
_LEADS_TO_TEXT = re.compile(
    r"^(?:(?:and|but|so|because|well|yes|yeah|no|sure|okay|hi|hello|it's about|it is about|that(?= \w+ \w+ \w+)"
    r"|i(?:'m| am) calling (?:because(?: of)?|about|regarding)|i called (?:because|about)|i call (?:because|about)"
    r"|(?:the|my) (?:reason|message|problem|question|issue)(?: for (?:my|the|this) call)?(?: is|'s)?(?: that| this)?"
    r"|(?:please )?(?:tell|let) (?:him|her|them|you)(?: know)?(?: that)?)\b[\s,:.]*)+",
    re.IGNORECASE,
)
_LEFT_OVER = re.compile(
    r"(?:[\s,.;]|\b(?:and|so|also|on|at|under|for|with|from|is|it's|my|the|your|a|an|full|cell|mobile|phone|telephone|call ?back|contact|date|number|name|number's|name's|i'm|i am|you can (?:call|reach) me|call me|reach me)\b)+$",
    re.IGNORECASE,
)
_POLITE_END = re.compile(r"[,. ]+(?:please|thanks|thank you)[.!]*$", re.IGNORECASE)
_JOINED = re.compile(r"^(?:[\s,.;]|\b(?:and|so|also|but)\b)+", re.IGNORECASE)
_A_REASON = re.compile(
    r"\b(?:i want|i need|i'd like|i would like|i wanted|i have|i've|i can't|i cannot|i could not|i couldn't|i did not|i didn't|i haven't|i never|i lost"
    r"|because|calling (?:about|for|to|because|regarding)|about|regarding|there is|there's|there are|it's about"
    r"|(?:my|our|the) [\w' ]{2,40}(?:is|are|has|have|had|was|were|does|do|did|won't|will|can't|cannot|isn't|hasn't|doesn't|didn't|broke|stopped|came|arrived|needs?))\b",
    re.IGNORECASE,
)
_PEOPLE = frozenset(
    map(stem, vocabulary("people persons person guests guest adults of seats pax heads"))
)
_CLOCK_WORDS = frozenset({"o", "o'clock", "am", "pm", "a", "p"})
_BEFORE_COUNT = re.compile(
    r"\b(?:(?:table|party|group|room|reservation|booking) (?:for|of)|we are|there are|we're) $",
    re.IGNORECASE,
)
_FOR = re.compile(r"\bfor $", re.IGNORECASE)
_AFTER_COUNT = re.compile(
    r"\s*(?:$|[.,;!?|]|(?:on|in|and|please|today|tomorrow|tonight|next|this)\b)", re.IGNORECASE
)
_CORRECTS = re.compile(r"\b(?:no|sorry|actually|rather|make (?:it|that)|i mean)\b", re.IGNORECASE)


def read_all(
    slots: Iterable[Slot],
    text: str,
    today: date,
    *,
    asked: Slot | None = None,
    loosely: bool = False,
) -> dict[str, Value]:
    """Every value that `text` holds for `slots`, by key.

    Args:
        asked: The one the caller was asked for; a bare answer counts for it.
        loosely: It answers a read-back: "it's Grace" counts although nothing was asked.
    """
    found: dict[str, Value] = {}
    rest = text.replace("’", "'")

    def turn(slot: Slot) -> tuple[bool, int]:
        """What was asked for comes first; not a bare name, which takes any words."""
        is_first = asked is not None and slot is asked and slot.kind not in ("name", "text")
        return not is_first, _ORDER.index(slot.kind)

    ordered = sorted(slots, key=turn)
    kinds = [slot.kind for slot in ordered]
    for slot in ordered:
        if slot.kind == "text":
            continue
        if slot is not asked and kinds.count(slot.kind) > 1 and not stems(slot.label) & stems(rest):
            continue  # which of two it is, only its words tell
        value = read(slot, rest, today, asked=slot is asked, loosely=loosely)
        if value is not None and value.value is not None:
            found[slot.key] = [value.value] if slot.listed else value.value
            rest = f"{rest[: value.start]} | {rest[value.end :]}"
    for slot in ordered:
        if slot.kind != "text" or not (slot is asked or slot.about_call):
            continue
        said = free_text(rest, asked=slot is asked)
        if said is not None:
            found[slot.key] = [said] if slot.listed else said
            break
    return found


def read(
    slot: Slot, text: str, today: date, *, asked: bool, loosely: bool = False
) -> Found[Scalar] | None:
    """The value for one parameter and where it stands."""
    match slot.kind:
        case "phone":
            return numbers.phone(text)
        case "email":
            return _email(text)
        case "date":
            past = bool(
                re.search(
                    r"birth|past|purchase|bought|since",
                    f"{slot.label} {slot.description}",
                    re.IGNORECASE,
                )
            )
            found = dates.day(text, today, asked=asked or loosely, past=past)
            if found is None:
                return None
            return Found(found.value.isoformat(), found.start, found.end)
        case "time":
            return _clock(slot, text, asked=asked or loosely)
        case "moment":
            return _moment(text, today)
        case "code":
            return numbers.code(text) if asked or stems(slot.label) & stems(text) else None
        case "choice":
            return _choice(slot, text)
        case "name":
            capitals = loosely and not asked and "name" not in words(text)
            return names.name(text, asked=asked or loosely, capitals=capitals)
        case "count":
            return _count(slot, text, asked=asked or loosely)
        case "amount":
            return numbers.amount(text) if asked else None
        case "flag":
            said = agreement(text) if asked else None
            return None if said is None else Found(said, 0, len(text))
        case "text":
            own = free_text(text, asked=asked)
            return None if own is None else Found(own, 0, len(text))


def free_text(text: str, *, asked: bool) -> str | None:
    """The caller's own words, without what leads up to them. Unasked, only what sounds like a reason to call."""
    best = ""
    for piece in text.split("|"):
        piece = _JOINED.sub("", _LEFT_OVER.sub("", piece) if "|" in text else piece)
        if len(words(piece)) > len(words(best)):
            best = piece
    if not asked and not _A_REASON.search(best):
        return None
    best = without_lead(best)
    kept = _LEADS_TO_TEXT.sub("", best).strip(" \t\n,;:.")
    kept = _POLITE_END.sub("", without_lead(kept)).rstrip(" ,;:.")
    if not words(kept) or is_small_talk(kept) or is_unknown(best) or wants_it_again(best):
        return None
    if is_farewell(kept) and len(words(kept)) < 8:
        return None
    if not asked and len(words(kept)) < 2:
        return None
    return kept if len(kept) <= LONGEST_TEXT else kept[:LONGEST_TEXT].rsplit(" ", 1)[0]


def within(slot: Slot, value: Any) -> bool:
    """Whether a number is one the tool takes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return (slot.low is None or value >= slot.low) and (slot.high is None or value <= slot.high)


def from_fact(slot: Slot, text: str, today: date) -> Value:
    """The value for a parameter in a fact of the instructions; `None` where it is not one."""
    if slot.kind in ("text", "name"):
        return text.strip() or None
    found = read(slot, text, today, asked=True)
    return found.value if found else None


def _email(text: str) -> Found[Scalar] | None:
    match = _EMAIL.search(text)
    if match is None:
        return None
    address = re.sub(r" at ", "@", match[0], flags=re.IGNORECASE)
    return Found(re.sub(r" dot ", ".", address, flags=re.IGNORECASE).lower(), *match.span())


def _clock(slot: Slot, text: str, *, asked: bool) -> Found[Scalar] | None:
    if not asked and not re.search(
        r"\b(?:at|o'?clock|[ap]\.?m|noon|midday|past)\b|\d:\d\d", text, re.IGNORECASE
    ):
        return None
    if not asked and (at := re.search(r"\bat (?=\w)", text)):
        found = dates.clock(text[at.end() :])
        if found is None:
            return None
        return Found(found.value.strftime("%H:%M"), at.start(), at.end() + found.end)
    found = dates.clock(text)
    if found is None:
        return None
    return Found(found.value.strftime("%H:%M"), found.start, found.end)


def _moment(text: str, today: date) -> Found[Scalar] | None:
    day = dates.day(text, today, asked=True)
    if day is None:
        return None
    rest = f"{text[: day.start]}{' ' * (day.end - day.start)}{text[day.end :]}"
    clock = dates.clock(rest)
    if clock is None:
        return None
    value = datetime.combine(day.value, clock.value).isoformat()
    return Found(value, min(day.start, clock.start), max(day.end, clock.end))


def _choice(slot: Slot, text: str) -> Found[Scalar] | None:
    """The choice whose words, or whose other words in the description, were said; the last one where several were."""
    spoken = {
        choice: [str(choice).replace("_", " ").replace("-", " "), *_synonyms(slot, choice)]
        for choice in slot.choices
    }
    hits: list[tuple[int, int, int, Any]] = []
    for choice, others in spoken.items():
        for other in others:
            wanted = [re.escape(stem(word)) + r"\w{0,4}" for word in words(other)]
            pattern = r"(?<!not )(?<!not on the )(?<!not the )\b" + r"[\s-]+".join(wanted) + r"\b"
            hits += [
                (len(wanted), *match.span(), choice)
                for match in re.finditer(pattern, text, re.IGNORECASE)
            ]
    if not hits:
        return None
    _, start, end, choice = max(hits, key=lambda hit: (hit[0], hit[1]))
    return Found(choice, start, end)


def _synonyms(slot: Slot, choice: Any) -> list[str]:
    """What stands in brackets or after an equals sign behind a choice: "terrace (outside, garden)"."""
    match = re.search(
        rf"\b{re.escape(str(choice))}\b['\"`]?\s*(?:\(([^)]*)\)|[=:]\s*([^;.)]*))",
        slot.description,
        re.IGNORECASE,
    )
    if match is None:
        return []
    parts = re.split(r",|/|\bor\b|\band\b", match[1] or match[2] or "")
    own = {str(each).lower() for each in slot.choices}
    kept = [" ".join(word for word in words(part) if word not in COMMON) for part in parts]
    return [part for part in kept if part and part not in own]


def _count(slot: Slot, text: str, *, asked: bool) -> Found[Scalar] | None:
    found = numbers.integers(text)
    if (
        not found
        and asked
        and (alone := re.search(r"\b(?:just|only) (?:me|myself)\b|\balone\b", text, re.IGNORECASE))
    ):
        return Found(1, *alone.span())
    found = [n for n in found if not re.search(r"\bnot $", text[: n.start], re.IGNORECASE)]
    units = _PEOPLE | slot.stems
    cued = [n for n in found if _is_cued(text, n, units)]
    if cued:
        return cued[-1 if _CORRECTS.search(text) else 0]
    if not asked or not found:
        return None
    return found[-1] if _CORRECTS.search(text) else found[0]


def _is_cued(text: str, number: Found[int], units: frozenset[str]) -> bool:
    before, after = text[: number.start], words(text[number.end :])[:1]
    if after and after[0] in _CLOCK_WORDS:
        return False
    if after and stem(after[0]) in units:
        return True
    return bool(
        _BEFORE_COUNT.search(before)
        or (_FOR.search(before) and _AFTER_COUNT.match(text[number.end :]))
    )
