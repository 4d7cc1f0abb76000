"""A person's name in what a caller says."""

import re
from collections.abc import Iterator

from shared.local.chat.numbers import SMALL, Found
from shared.local.chat.words import vocabulary

LONGEST = 4
"""Words of a name."""

_NOT_NAMES = vocabulary(
    "a about actually afraid after again ah all also am an and any are as ask asking at be because been before but by call called"
    " caller calling can cannot can't confirm correct could did didn't do does doesn't doing don't email everything exactly fine for from full get give"
    " go going good got great had has have having he hello help her here hey hi him his hm how i i'd i'll i'm i've if in is isn't it it's"
    " its just know last late later let like looking maybe me mean message mine minute mister more much must my name need never new no nope not nothing"
    " now number of oh ok okay on one only or order our out phone please possible problem quite ready really reason right said same say says she should"
    " sir so some something sorry speak speaking spell spelled still sure talk tell than thank thanks that that's the their them then there these they"
    " thing think this those three to today told tomorrow too true trying two uh um understand unfortunately us very waiting want wanted was we well were what what's when where"
    " which who why will wish with won't would wrong yeah yep yes yet you you're your yours about away back down up happy glad interested"
    " madam ma'am having double triple hundred plus first second repeat why's when's how's where's who's hear heard question morning afternoon"
    " huh mhm hmm mm mmhmm uhuh evening first-name surname nobody somebody anyone someone none"
) | frozenset(SMALL)

_WORD = r"[^\W\d_]+(?:['’.-][^\W\d_]+)*"
_STRONG = re.compile(
    r"\b(?:(?:my|the|his|her|full|first|last)\s+name(?:\s+is|['’]s)|name\s+is|i am called|i['’]m called|call me|under the name(?: of)?)\s*[,:]?\s*",
    re.IGNORECASE,
)
_WEAK = re.compile(
    r"\b(?:this is|i am|i['’]m|it is|it['’]s|that is|that['’]s|you are (?:speaking|talking) (?:to|with)|speaking (?:is|to))\s+",
    re.IGNORECASE,
)
_SPELT = re.compile(r"(?:\b[A-Za-z]\b[-. ,]*){3,}")
_TITLE = re.compile(r"\s*(?:mr|mrs|ms|miss|mister|dr|doctor)\b\.?\s*", re.IGNORECASE)
_SEGMENT = re.compile(r"[^,.;:!?|]+(?:\.(?=\w)[^,.;:!?|]+)*")
_GOES_ON = re.compile(
    r"\s+(?:and\s+)?(?:i|i['’](?:m|d|ve|ll)|my|it['’]?s|calling|because|about)\b|\s+and\s+(?:the|we|you)\b",
    re.IGNORECASE,
)
"""Where a name ends and the sentence goes on."""
_HEAD = vocabulary("yes yeah sure hi hello okay well oh um uh so")
_TAIL = frozenset({"here", "speaking", "please", "thanks"})


def name(text: str, *, asked: bool, capitals: bool = False) -> Found[str] | None:
    """The last name said. "I'm" and "it's" count only before capitals, or where a name was asked for; a bare name only there.

    Args:
        capitals: What looks like a name is one only if it is written as one.
    """
    for pattern, sure in ((_STRONG, True), (_WEAK, asked and not capitals)):
        for lead in reversed(list(pattern.finditer(text))):
            found = _at(text, lead.end(), capitals=not sure)
            if found is not None:
                return _in_full(found, lead.start(), text)
    if not asked:
        return None
    bare = _bare(text)
    return None if bare and capitals and not bare.value[0].isupper() else bare


def titled(words: list[str]) -> str:
    """As a name is written, keeping capitals that the recogniser set."""
    return " ".join(word if any(c.isupper() for c in word) else _capital(word) for word in words)


def _capital(word: str) -> str:
    return re.sub(r"(^|['’-])(\w)", lambda m: m[1] + m[2].upper(), word)


def _is_name(word: str) -> bool:
    return word.casefold().replace("’", "'") not in _NOT_NAMES


def _at(text: str, start: int, *, capitals: bool) -> Found[str] | None:
    """The name that begins at `start`."""
    if title := _TITLE.match(text, start):
        start = title.end()
    taken: list[str] = []
    end = start
    for match in re.finditer(rf"({_WORD})(\s*)", text[start:]):
        word = match[1].rstrip(".")
        follows = match.start() == end - start
        written = word[0].isupper() or not capitals
        if not (follows and written and _is_name(word)) or len(taken) == LONGEST:
            break
        taken.append(word)
        end = start + match.end()
    return Found(titled(taken), start, end) if taken else None


def _in_full(found: Found[str], start: int, text: str) -> Found[str]:
    """With what follows of it: "The name's Bond. James Bond."."""
    for words, _, end in _segments(text[found.end :]):
        if {*found.value.casefold().split()} < {word.casefold() for word in words}:
            return Found(titled(words), start, found.end + end)
    return Found(found.value, start, found.end)


def _bare(text: str) -> Found[str] | None:
    """An answer that is a name and little else: "Sure, Ada Lovelace speaking."."""
    spelt = _SPELT.search(text)
    # a name spelt after it was said says nothing new
    segments = list(_segments(_SPELT.sub(lambda match: "|" * len(match[0]), text)))
    if not segments and spelt:
        letters = "".join(re.findall(r"[A-Za-z]", spelt[0]))
        return Found(letters.capitalize(), *spelt.span())
    kept: list[str] = []
    start, end = 0, 0
    for words, first, last in segments:
        if kept and re.search(r"\w", text[end:first]):
            break
        start, end = (start if kept else first), last
        kept = words if words[: len(kept)] == kept else [*kept, *words]  # "Ada. Ada Lovelace."
    return Found(titled(kept), start, end) if 0 < len(kept) <= LONGEST else None


def _segments(text: str) -> Iterator[tuple[list[str], int, int]]:
    """The stretches between marks that may be names, in words, and where they stand."""
    for match in _SEGMENT.finditer(text):
        stretch = _GOES_ON.split(match[0])[0]
        words = re.findall(_WORD, _TITLE.sub(" ", stretch))
        while words and words[-1].casefold() in _TAIL:
            words.pop()
        while words and words[0].casefold() in _HEAD:
            words.pop(0)
        if words and not re.search(r"\d", stretch) and all(map(_is_name, words)):
            yield words, match.start(), match.start() + len(stretch)
