"""Marks are read from the annotation and decide what is personal."""

from datetime import date
from typing import Annotated, Any

from shared.metadata.contract import CallMetadata
from shared.metadata.marks import (
    FromCaller,
    Hidden,
    Live,
    Personal,
    marked,
    personal_values,
)


class ClinicMetadata(CallMetadata):
    """A contract whose marks differ from field to field."""

    birth_date: Annotated[date | None, Personal, FromCaller] = None
    ward: Annotated[str | None, Live] = None
    token: Annotated[str | None, Hidden] = None
    history: Annotated[dict[str, Any] | None, Personal] = None


def test_marks_are_found_by_name() -> None:
    """A mark in an annotation, the base's or one's own, is all it takes."""
    assert marked(ClinicMetadata, FromCaller) == {"user_name", "user_phone", "locale", "birth_date"}
    assert marked(ClinicMetadata, Hidden) == {"token"}


def test_personal_values_are_found_however_deep() -> None:
    """Every text of a personal field is found, counts and flags are not."""
    metadata = ClinicMetadata(
        user_id="u-1",
        birth_date=date(1990, 5, 17),
        ward="north",
        token="t0ken",
        history={"visits": [{"doctor": "Grey", "times": 3, "seen": True, "file": 123456}]},
    )
    values = {value for _, value in personal_values(metadata)}
    assert values == {"u-1", "1990-05-17", "Grey", "123456"}
