"""Phone numbers come out in one spelling or not at all."""

import pytest

from shared.metadata.phone import to_e164


@pytest.mark.parametrize(
    ("typed", "locale", "number"),
    [
        ("+15105550123", None, "+15105550123"),
        ("+1 (510) 555-0123", None, "+15105550123"),
        ("510 555 0123", "en-US", "+15105550123"),
        ("020 7946 0958", "en-GB", "+442079460958"),
        ("030 901820", "de-Latn-DE", "+4930901820"),
        ("510 555 0123", "en", None),
        ("510 555 0123", None, None),
        ("+1510", None, None),
        ("+15105550123 ext. 5", None, None),
        ("call me", "en-US", None),
        ("+" + "1" * 400, None, None),
        ("", "en-US", None),
    ],
)
def test_a_number_is_read_by_its_region(typed: str, locale: str | None, number: str | None) -> None:
    """With a + a number says its country, without one the locale's region does, else it is none."""
    assert to_e164(typed, locale=locale) == number
