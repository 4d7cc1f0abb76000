"""Numbers, names and days as callers say them and recognition writes them."""

from datetime import date

import pytest

from shared.local.chat import dates, names, numbers
from shared.local.chat.words import agreement, wants_it_again
from tests.shared.local.chat.agents import TODAY


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("five one zero, five five five, zero one four two", "+15105550142"),
        ("(510) 555-0142", "+15105550142"),
        ("five one oh double five five oh one four two", "+15105550142"),
        ("five ten, five fifty five, oh one forty two", "+15105550142"),
        ("area code 510 and then 555 0142", "+15105550142"),
        ("510 555 0142, that's 510 555 0142", "+15105550142"),
        ("five one zero five five five zero one for two", "+15105550142"),
        ("four one five. 9-8, 7. 6543", "+14159876543"),
        ("eight hundred five five five zero one nine nine", "+18005550199"),
        ("plus four four two oh seven nine four six oh nine five eight", "+442079460958"),
        ("555 0142", None),
        ("I am 42 years old", None),
    ],
)
def test_spoken_numbers(said: str, number: str | None) -> None:
    """A phone number becomes E.164 in every way that callers say it and recognition writes it."""
    found = numbers.phone(said)

    assert (found.value if found else None) == number


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("it's ada lovelace", "Ada Lovelace"),
        ("Yes, this is Ada Lovelace speaking.", "Ada Lovelace"),
        ("Sure. Grace.", "Grace"),
        ("The name's Bond. James Bond.", "James Bond"),
        ("John Smith, S M I T H.", "John Smith"),
        ("Hi, I'm Maria from Acme.", "Maria"),
        ("Um, it's Dr. Pat O'Brien", "Pat O'Brien"),
        ("I am José Álvarez", "José Álvarez"),
        ("I'm calling about my order", None),
        ("What do you mean?", None),
        ("No", None),
    ],
)
def test_spoken_names(said: str, name: str | None) -> None:
    """The answer to "May I have your name?" holds a name or none."""
    found = names.name(said, asked=True)

    assert (found.value if found else None) == name


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("tomorrow", "2026-11-24"),
        ("this Friday", "2026-11-27"),
        ("next Friday", "2026-12-04"),
        ("Monday", "2026-11-30"),
        ("the third of December", "2026-12-03"),
        ("December 3rd", "2026-12-03"),
        ("the twenty-first", "2026-12-21"),
        ("in two weeks", "2026-12-07"),
        ("January first twenty twenty eight", "2028-01-01"),
        ("12/24", "2026-12-24"),
        ("February 30th", None),
        ("may I ask something", None),
    ],
)
def test_spoken_days(said: str, day: str | None) -> None:
    """A day is a date, counted from the day that is today."""
    found = dates.day(said, TODAY, asked=True)

    assert (found.value.isoformat() if found else None) == day


def test_today_is_what_the_instructions_say() -> None:
    """Instructions that name today's date are believed over the clock."""
    said = dates.today_in("Today is Friday, December 31, 2027. Be brief.", TODAY)

    assert said == date(2027, 12, 31)


@pytest.mark.parametrize(
    ("said", "agreed"),
    [
        ("Yes, that's right.", True),
        ("Okay.", True),
        ("I think so", True),
        ("That is correct", True),
        ("No, that's wrong", False),
        ("That's not quite right.", False),
        ("Yes, but the number is wrong", False),
        ("Okay, no", False),
        ("Grace Hopper", None),
    ],
)
def test_yes_and_no(said: str, agreed: bool | None) -> None:
    """A yes with a but is a no, and what is neither is neither."""
    assert agreement(said) is agreed


@pytest.mark.parametrize(
    ("said", "again"),
    [
        ("Sorry, could you say that again, please?", True),
        ("Pardon?", True),
        ("I didn't catch that.", True),
        ("Can you repeat the order?", False),
        ("My order is late, I didn't get it.", False),
        ("Hello?", False),
    ],
)
def test_a_caller_who_did_not_hear(said: str, again: bool) -> None:
    """Asking for the question once more is no answer, and a reason that sounds like it is one."""
    assert wants_it_again(said) is again
