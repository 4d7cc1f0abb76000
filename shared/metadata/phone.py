"""Phone numbers: one spelling, E.164, whatever was typed or said."""

import re

import phonenumbers

LONGEST_INPUT = 40
"""Characters of a number with all its separators. More is not a phone number and not worth parsing."""

_NATIONAL = re.compile(r"[ ().\-/]*(?:\d[ ().\-/]*){5,17}", re.ASCII)


def to_e164(number: str, *, locale: str | None = None) -> str | None:
    """The number as E.164, such as +15105550123, or `None` where it is not one.

    Without a leading + it is read as a national number of the region in `locale`; without such a region it is no number.
    """
    if len(number) > LONGEST_INPUT:
        return None
    try:
        parsed = phonenumbers.parse(number, region(locale))
    except phonenumbers.NumberParseException:
        return None
    if parsed.extension is not None or not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def is_national(number: str) -> bool:
    """Whether this may be a number that lacks nothing but its country."""
    return len(number) <= LONGEST_INPUT and _NATIONAL.fullmatch(number) is not None


def region(locale: str | None) -> str | None:
    """The country in a language tag: DE of `de-Latn-DE`."""
    subtags = (locale or "").split("-")[1:]
    return next((tag.upper() for tag in subtags if len(tag) == 2 and tag.isalpha()), None)
