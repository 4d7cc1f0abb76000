"""English words: stems to compare by, and what a short answer means."""

import re

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ENDING = re.compile(r"(?<=\w{3})(?:ations?|ings?|ies|ed|es|s|y|e)$")
_TWICE = re.compile(r"([^\W\d_])\1$")


def vocabulary(text: str) -> frozenset[str]:
    """The words of a list written as one text."""
    return frozenset(text.split())


COMMON = vocabulary(
    "a about after again all also am an and any anybody anyone anything are as ask asks at back be been before but by call"
    " called caller caller's callers calling calls can could do does doing done don't for from get give go got had has have he"
    " hello help her here hi him his how i i'd i'm i've if in into is it it's its just know let like make may me might more my"
    " need needs no not now of on one or our out over own please really say says shall she should so some somebody someone"
    " something tell than thank thanks that that's the their them then there these they this those to tool too up us use very"
    " want wants was we were what when where which who why will wish with would yes you your hear number value values words"
    " information things way"
)

_LEAD = re.compile(
    r"^(?:(?:um+|uh+|er+|erm|hm+|mm+|well|so|oh|ah|okay|ok|actually|sorry|i think|i guess|please|alright|all right)\b[\s,.…-]*)+",
    re.IGNORECASE,
)
_NO = re.compile(
    r"^(?:no(?! problem| worries)|nope|nah|not|wrong|incorrect|negative|none|nothing)\b|\b(?:not|isn't|aren't|wasn't) (?:quite |all |exactly )?(?:right|correct|true)\b|\bwrong\b",
    re.IGNORECASE,
)
_YES = re.compile(
    r"^(?:yes|yeah|yep|yup|ya|yea|aye|sure|correct|right|exactly|perfect|absolutely|definitely|certainly|indeed|of course|fine"
    r"|good|great|please|go ahead|do that|do it|sounds (?:good|right|great|fine)|all good|i do|i would|it is|they are|you got it"
    r"|(?:that|it|this|everything)(?:'s| is| sounds| looks)? (?:all |absolutely )?(?:right|correct|fine|good|great|perfect|ok|okay|it|true))\b",
    re.IGNORECASE,
)
_HUM = re.compile(r"^(?:uh[- ]?huh|mm?[- ]?hm+|mhm+|uhuh)\b", re.IGNORECASE)
_OKAY = re.compile(
    r"(?:okay|ok|alright|all right|i (?:think|guess|believe) so)(?:,? (?:then|thanks|thank you))?",
    re.IGNORECASE,
)
_BUT = re.compile(r"\b(?:but|except|only that|however)\b", re.IGNORECASE)
_FAREWELL = re.compile(
    r"\b(?:good ?-?bye|bye|hang up|end (?:the|this) call|have a (?:nice|good|great) (?:day|one|evening|weekend))\b"
    r"|\b(?:that's|that is|that was|that will be|that'll be) (?:all|it|everything)\b|\bnothing (?:else|more)\b|\bno more questions\b",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"\b(?:i )?(?:don't|do not|didn't) (?:know|have (?:one|any|that)|remember)\b|\bno idea\b|\bnot sure\b|\bskip\b|\b(?:rather|prefer) not\b"
    r"|\bi(?:'m| am) not (?:telling|saying)\b|\bno (?:idea|preference|wishes)\b|\bleave (?:it|that) out\b|\bnever mind\b",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"^(?:(?:sorry|pardon|excuse|what|huh|hm+|um+|uh+|please|i'm sorry|i am sorry|me|no)\b[,. ]*)*"
    r"(?:(?:what )?(?:was that|did you say)(?: again)?"
    r"|(?:can|could|would|will) you (?:please )?(?:say|repeat|ask)(?: (?:that|it|the question|yourself))?"
    r"|(?:say|repeat|ask) (?:that|it|the question|yourself)|repeat|come again|once more"
    r"|i (?:didn't|did not|couldn't|could not|can't) (?:hear|get|catch|understand) (?:you|that|it|the question))?"
    r"(?:[,. ]+(?:please|again|for me|once more|one more time|sorry))*$",
    re.IGNORECASE,
)
_SMALL_TALK = vocabulary(
    "hello hi hey good morning afternoon evening there thanks thank you very much okay ok yes yeah no sure please um uh well oh so"
    " right fine great hm mm er how are you today alright all can hear me"
)


def words(text: str) -> list[str]:
    """The words in order, in lower case, with straight apostrophes."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def plain(text: str) -> str:
    """The words alone, to find one text in another whatever the punctuation."""
    return f" {' '.join(words(text))} "


def stem(word: str) -> str:
    """A word without the ending in which a question and its answer differ."""
    return _TWICE.sub(r"\1", _ENDING.sub("", word.removesuffix("'s")))


def stems(text: str) -> frozenset[str]:
    """Stems of the words that carry meaning."""
    return frozenset(stem(word) for word in words(text) if word not in COMMON)


def agreement(text: str) -> bool | None:
    """Whether it says yes or no; `None` where it says neither. A yes with a but is a no."""
    if _HUM.match(text.strip()):
        return True
    before = text.strip(" .,!").replace("’", "'")
    text = _LEAD.sub("", text.strip().replace("’", "'"))
    if _NO.search(text):
        return False
    if _YES.search(text) or _OKAY.fullmatch(before):
        return not _BUT.search(text)
    return None


def is_farewell(text: str) -> bool:
    return bool(_FAREWELL.search(text.replace("’", "'")))


def is_unknown(text: str) -> bool:
    """Whether the caller cannot or will not say."""
    return bool(_UNKNOWN.search(text.replace("’", "'")))


def wants_it_again(text: str) -> bool:
    """Whether the caller did not hear us."""
    said = text.replace("’", "'").strip(" .,?!")
    return bool(_AGAIN.match(said)) and not is_small_talk(said)


def is_small_talk(text: str) -> bool:
    """Whether nothing is said that a tool or a value could come from."""
    return set(words(text)) <= _SMALL_TALK


def without_lead(text: str) -> str:
    """Without the sounds people make before they answer."""
    return _LEAD.sub("", text.strip())
