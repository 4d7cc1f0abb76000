"""The sentences: questions, read-backs and what a tool gave back, short and made to be heard."""

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time

from shared.local.chat import dates, numbers
from shared.local.chat.reading import Value
from shared.local.chat.tools import Slot, Tool
from shared.local.chat.words import vocabulary

ANYTHING_ELSE = "Is there anything else I can help you with?"
HOW_CAN_I_HELP = "How can I help you?"
GOODBYE = "Thank you for calling. Goodbye."
IS_THAT_RIGHT = "Is that right?"

_BEGINNINGS = vocabulary(
    "a an the my our we it he she they there this that please can could what when where how"
)
"""Words that are written small in the middle of a sentence."""

_WH = re.compile(r"^(?:how|which|what|when|where|who|why)\b", re.IGNORECASE)
_ANYTHING = re.compile(r"^any(?:thing|body|one)?\b", re.IGNORECASE)
_IT_IS = re.compile(r"^((?:how \w+|what|where|when|who)) (it|this|that) is$", re.IGNORECASE)
_WHETHER = re.compile(r"^(?:whether(?: or not)?|true if|if)\s+", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|a|an|your)\s+", re.IGNORECASE)
_YOURS = (
    (re.compile(r"\bthe (?:callers|customers|users|guests|clients) want\b", re.IGNORECASE), "you would like"),
    (re.compile(r"\bthe (?:callers|customers|users|guests|clients)\b", re.IGNORECASE), "you"),
    (re.compile(r"\b(?:the )?(?:caller|customer|user|guest|client)(?:'s|’s)\s+", re.IGNORECASE), "your "),
    (re.compile(r"\btheir\b", re.IGNORECASE), "your"),
    (re.compile(r"\b(?:they|the (?:caller|customer|user|guest|client)) (?:are|is)\b", re.IGNORECASE), "you are"),
    (re.compile(r"\b(?:the (?:caller|customer|user|guest|client)) (?!is\b)(\w+?)s\b", re.IGNORECASE), r"you \1"),
    (re.compile(r"\bthey\b", re.IGNORECASE), "you"),
    (re.compile(r"\b(?:the|this) call\b(?! back)", re.IGNORECASE), "your call"),
)  # fmt: skip
_UNIT = re.compile(r"^(?:how many|(?:the )?number of)\s+(\w+)", re.IGNORECASE)
_MODAL = re.compile(r"\byou (are|have|can|will|would|should)\b", re.IGNORECASE)


def question(slot: Slot) -> str:
    """What to ask for a parameter."""
    noun = _noun(slot)
    match slot.kind:
        case "name":
            return "May I have your name, please?"
        case "phone" if re.search(
            r"call.{0,20}back", f"{slot.label} {slot.description}", re.IGNORECASE
        ):
            return "Which number can we call you back on?"
        case "phone":
            return "What is your phone number, please?"
        case "email":
            return "What is your e-mail address, please?"
        case "choice":
            asked = _as_question(slot).rstrip("?") or f"Which {slot.label} would you like"
            return f"{asked}: {_or(_spoken_choices(slot))}?"
        case "flag":
            return _yes_no(slot)
        case "date" if slot.label in ("date", "day"):
            return "Which day would you like?" if not _as_question(slot) else _as_question(slot)
        case "text" if slot.about_call and not re.search(r"question|message", slot.label):
            return "What is the reason for your call?"
        case _:
            return _as_question(slot) or f"What is {noun}, please?"


def once_more(slot: Slot) -> str:
    """The question again, after an answer that held nothing for it."""
    if slot.kind == "phone":
        return "Sorry, I did not catch the number. Please say your phone number digit by digit, with the area code."
    return f"Sorry, I did not catch {_noun(slot)}. {question(slot)}"


def still_needed(slot: Slot) -> str:
    """The question in other words, to a caller who does not know or want to say."""
    return f"I do need {_noun(slot)} to go on. Could you tell me {_noun(slot)}, please?"


def out_of_bounds(slot: Slot) -> str:
    low, high = slot.low, slot.high
    if low is not None and high is not None:
        limits = f"from {_number(low)} to {_number(high)}"
    elif low is not None:
        limits = f"at least {_number(low)}"
    else:
        limits = f"at most {_number(high or 0)}"
    return f"Sorry, it has to be {limits}. {question(slot)}"


def read_back(slots: Iterable[Slot], values: dict[str, Value], today: date) -> str:
    """All values in one sentence, and whether they are right."""
    return f"Let me read that back: {_and(spoken_parts(slots, values, today))}. {IS_THAT_RIGHT}"


def spoken_parts(slots: Iterable[Slot], values: dict[str, Value], today: date) -> list[str]:
    """One phrase a value."""
    return [
        _part(slot, spoken(slot, values[slot.key], today))
        for slot in slots
        if values.get(slot.key) is not None
    ]


def spoken(slot: Slot, value: object, today: date) -> str:
    """A value as a voice should read it."""
    if isinstance(value, list):
        return _and([spoken(slot, each, today) for each in value])
    text = str(value)
    try:
        match slot.kind:
            case "phone":
                return numbers.spoken_digits(text)
            case "code" if text.isdecimal():
                return numbers.spoken_digits(text)
            case "date":
                return dates.spoken_day(date.fromisoformat(text), today)
            case "time":
                return dates.spoken_clock(time.fromisoformat(text))
            case "moment":
                moment = datetime.fromisoformat(text)
                return f"{dates.spoken_day(moment.date(), today)} at {dates.spoken_clock(moment.time())}"
    except ValueError:
        return text
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return numbers.spoken_integer(value)
    if slot.kind == "choice":
        return text.replace("_", " ")
    first = text.split(" ", 1)[0]
    if slot.kind == "text" and first.lower() in _BEGINNINGS:
        return first.lower() + text[len(first) :]
    return text


def which_part(slots: Sequence[Slot]) -> str:
    return f"Sorry. Which part is wrong: {_or([_short(slot) for slot in slots])}?"


def menu(tools: Iterable[Tool]) -> str:
    """What can be done here, to a caller whose words fit nothing."""
    offers = [_offer(tool) for tool in tools if not tool.ends_call]
    if not offers:
        return HOW_CAN_I_HELP
    return f"I can {_or(offers)}. What would you like?"


def stand_in(instructions: str) -> str:
    """The answer where there is no tool: honest about who speaks."""
    role = re.search(r"\byou are (?:the |an? )?([^.,;:\n]{3,60})", instructions, re.IGNORECASE)
    who = f"This is the {role[1].strip()}. " if role else ""
    return f"{who}I am a local stand-in for a language model, so I can follow an agent's tools but know nothing of my own."


def _offer(tool: Tool) -> str:
    first = re.split(r"[.:;(]", tool.description)[0].strip() or " ".join(tool.name_words)
    first = re.sub(r"\bthe caller\b", "you", first)
    return first[:1].lower() + first[1:]


def _clause(slot: Slot) -> str:
    """The description up to what only a program needs, spoken to the caller."""
    text = re.split(
        r"[.,:;(]| such as | in E\.?164| as (?:an? )?ISO| in the format| e\.g\.", slot.description
    )[0]
    for pattern, instead in _YOURS:
        text = pattern.sub(instead, text)
    return text.strip()


def _as_question(slot: Slot) -> str:
    """The description as the question that it already is, such as "How many people."; else empty."""
    clause = _clause(slot)
    if _ANYTHING.match(clause):
        return f"Is there {clause[:1].lower()}{clause[1:]}?"
    if not _WH.match(clause):
        return ""
    clause = _IT_IS.sub(r"\1 is \2", clause)
    clause = (
        _MODAL.sub(lambda m: f"{m[1]} you", clause)
        if _MODAL.search(clause)
        else re.sub(r"\byou (?=\w)", "do you ", clause, count=1)
    )
    clause = re.sub(r"^(where|when|how) to\b", r"\1 would you like to", clause, flags=re.IGNORECASE)
    return f"{clause[:1].upper()}{clause[1:]}?"


def _yes_no(slot: Slot) -> str:
    clause = _clause(slot)
    if not _WHETHER.match(clause):
        return f"{(clause or slot.label).capitalize()}: yes or no?"
    clause = _WHETHER.sub("", clause)
    if match := re.match(r"you (are|have|can|will|would|should)\b\s*(.*)", clause):
        return f"{match[1].capitalize()} you {match[2]}?"
    if clause.startswith("you "):
        return f"Do {clause}?"
    if match := re.match(r"(it|this|that|there) (is|has|can|will) (.*)", clause):
        return f"{match[2].capitalize()} {match[1]} {match[3]}?"
    return f"Is it right that {clause}?"


def _noun(slot: Slot) -> str:
    """What it is, with an article: "your name", "the message"."""
    match slot.kind:
        case "name":
            return "your name"
        case "phone":
            return "the number"
        case "email":
            return "your e-mail address"
        case "date" | "moment" if slot.label in ("date", "day"):
            return "the day"
        case "choice" | "flag":
            return f"the {slot.label}"
        case "text" if slot.about_call and not re.search(r"question|message", slot.label):
            return "the reason for your call"
    clause = _clause(slot)
    if (
        not clause
        or _WH.match(clause)
        or _ANYTHING.match(clause)
        or _WHETHER.match(clause)
        or len(clause) > 50
    ):
        return f"the {slot.label}"
    clause = clause[:1].lower() + clause[1:]
    return clause if clause.startswith("your ") else f"the {_ARTICLE.sub('', clause)}"


def _short(slot: Slot) -> str:
    return {"name": "the name", "phone": "the number", "email": "the e-mail address"}.get(
        slot.kind, f"the {slot.label}"
    )


def _part(slot: Slot, value: str) -> str:
    if slot.kind == "count" and (unit := _UNIT.match(slot.description)):
        return f"{value} {unit[1]}"
    if slot.kind == "flag":
        return f"{slot.label}: {value}"
    if slot.kind == "text":
        return f"{_noun(slot)}: {value}"
    return f"{_noun(slot)} is {value}"


def _spoken_choices(slot: Slot) -> list[str]:
    return [str(choice).replace("_", " ") for choice in slot.choices]


def _number(value: float) -> str:
    return numbers.spoken_integer(int(value)) if value == int(value) else str(value)


def _and(parts: Sequence[str]) -> str:
    return _listed(parts, "and")


def _or(parts: Sequence[str]) -> str:
    return _listed(parts, "or")


def _listed(parts: Sequence[str], word: str) -> str:
    """With a comma before the last of three or more: a voice then pauses where a number ends."""
    if len(parts) < 3:
        return f" {word} ".join(parts)
    return f"{', '.join(parts[:-1])}, {word} {parts[-1]}"
