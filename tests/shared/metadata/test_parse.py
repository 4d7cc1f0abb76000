"""A metadata string becomes a contract or one error, whatever it holds."""

import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata, PhoneNumber, Text, misfit
from shared.metadata.marks import FromCaller, Personal
from shared.metadata.parse import check_metadata, dump, parse_metadata

MAX_BYTES = CallMetadata.max_bytes
EXAMPLE = '{"user_id": "12345", "user_name": "Ada Lovelace", "user_phone": "+15105550123"}'


class FrontDeskMetadata(CallMetadata):
    """A contract with one field of each kind an agent may want."""

    reason: Annotated[Text | None, Personal, FromCaller] = None
    birth_date: date | None = None
    guests: Annotated[int, Field(ge=1, le=12)] | None = None
    room_kind: Literal["single", "double"] | None = None
    other_phone: PhoneNumber | None = None


def refusal(raw: str | bytes, *, strict: bool = True) -> MetadataError:
    """The error that `raw` is answered with."""
    with pytest.raises(MetadataError) as caught:
        parse_metadata(raw, FrontDeskMetadata, strict=strict)
    return caught.value


def test_plain_flat_json_is_enough() -> None:
    """The dispatch everybody writes first works as it is."""
    metadata = parse_metadata(EXAMPLE, FrontDeskMetadata)
    assert metadata.user_id == "12345"
    assert metadata.user_name == "Ada Lovelace"
    assert metadata.user_phone == "+15105550123"


def test_a_refusal_names_fields_remedies_and_near_names() -> None:
    """One error says everything that is wrong and what would be right."""
    error = refusal('{"user_id": "1", "user_phone": "555", "user_nam": "Ada"}')
    assert str(error) == (
        "metadata does not fit front_desk: /user_phone: not a phone number, write it like +12025550143; "
        "/user_nam: unknown, did you mean user_name?"
    )
    assert [problem.code for problem in error.problems] == ["metadata.phone", "metadata.unknown"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("user_id", 12345, "not a string, put it in quotes"),
        ("user_id", None, "missing, required"),
        ("user_id", "", "empty"),
        ("user_id", "x" * 121, "too long, at most 120 characters"),
        ("user_name", "Ada\nLovelace", "control characters"),
        ("user_name", "Ada\u0085B", "control characters"),
        ("user_name", "\ud800", "half characters"),
        ("user_phone", "+1 510 555 0123 0123 0123 0123 0123 0123 0123", "not a phone number"),
        ("user_phone", "5105550123", "write it like +12025550143"),
        ("locale", "en_US", "write it like en-US"),
        ("profile", "../prod", "not a profile name"),
        ("data", ["a"], "not a JSON object"),
        ("data", {"note": "a\u0000b"}, "control characters"),
        ("birth_date", "31.1.1990", "not a date, write it like 2030-01-31"),
        ("guests", 13, "too large, at most 12"),
        ("guests", "many", "not a whole number"),
        ("room_kind", "suite", "not one of the choices: 'single' or 'double'"),
    ],
)
def test_each_kind_of_mistake_has_its_own_words(field: str, value: Any, says: str) -> None:
    """A wrong value is answered with its field and what would be right."""
    error = refusal(json.dumps({"user_id": "1"} | {field: value}))
    assert [problem.pointer for problem in error.problems] == [f"/{field}"]
    assert says in str(error)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param(" \n", "empty", id="blank"),
        pytest.param("{'user_id': '1'}", "json", id="single quotes"),
        pytest.param('{"user_phone": "+9876543210}\'', "json", id="quote missing"),
        pytest.param('{"user_id": "1",}', "json", id="trailing comma"),
        pytest.param('\ufeff{"user_id": "1"}', "json", id="byte order mark"),
        pytest.param('["user_id"]', "object", id="list"),
        pytest.param('"{}"', "object", id="JSON in JSON"),
        pytest.param('{"user_id": "1", "user_id": "2"}', "duplicate", id="key twice"),
        pytest.param(
            '{"user_id": "1", "data": {"a": 1, "a": 2}}', "duplicate", id="key twice inside"
        ),
        pytest.param('{"user_id": "1", "data": {"a": NaN}}', "number", id="NaN"),
        pytest.param('{"user_id": "1", "data": {"a": -Infinity}}', "number", id="infinity"),
        pytest.param('{"user_id": "1", "data": {"a": 1e999}}', "number", id="float overflow"),
        pytest.param(
            '{"user_id": "1", "data": {"a": ' + "9" * 5000 + "}}", "number", id="long integer"
        ),
        pytest.param('{"user_id": "\ud800"}', "characters", id="lone surrogate"),
        pytest.param("[" * 20_000, "depth", id="deep"),
        pytest.param(
            '{"user_id": "1", "data": ' + '{"a":' * 16 + "1" + "}" * 17, "depth", id="one too deep"
        ),
        pytest.param(EXAMPLE + " " * MAX_BYTES, "size", id="long"),
        pytest.param(" " * (MAX_BYTES + 1), "size", id="long and blank"),
        pytest.param("\ud800" * (MAX_BYTES + 1), "size", id="long and broken"),
        pytest.param('{"user_id": "' + "é" * (MAX_BYTES // 2) + '"}', "size", id="long in bytes"),
        pytest.param(b'{"user_id": "\xff"}', "characters", id="no UTF-8"),
        pytest.param(b"\xff" * (MAX_BYTES + 1), "size", id="long and no UTF-8"),
    ],
)
def test_what_parsers_disagree_about_is_refused(raw: str | bytes, code: str) -> None:
    """What is no JSON, or not the same JSON to everybody, is refused before it is looked at."""
    assert refusal(raw).code == f"metadata.{code}"


def test_the_deepest_allowed_document_is_taken() -> None:
    """The depth limit counts levels, not brackets."""
    raw = '{"user_id": "1", "data": ' + '{"a":' * 14 + "{}" + "}" * 14 + "}"
    assert parse_metadata(raw, FrontDeskMetadata).user_id == "1"
    wide = json.dumps(
        {
            "user_id": "1",
            "data": {"rows": [{"a": [i]} for i in range(100)], "[": "[[[[[[[[[[[[[[[[[["},
        }
    )
    assert parse_metadata(wide, FrontDeskMetadata).user_id == "1"


SECRET = "Rumpelstilzchen"


@pytest.mark.parametrize(
    "fields",
    [
        {"user_phone": SECRET},
        {"locale": f"{SECRET} {SECRET}"},
        {"birth_date": SECRET},
        {"guests": SECRET},
        {"room_kind": SECRET},
        {"data": SECRET},
        {"user_name": {"first": SECRET}},
        {f"{SECRET} lives here": 1},
    ],
)
def test_no_refusal_quotes_a_value(fields: dict[str, Any]) -> None:
    """A refusal goes into logs and terminals, so it never shows what was sent."""
    error = refusal(json.dumps({"user_id": "1"} | fields))
    assert SECRET not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_a_foreign_validator_cannot_leak() -> None:
    """A contract's own validator shows its text only where it is a `misfit`, whose text is fixed."""
    from pydantic import AfterValidator

    def quoting(value: str) -> str:
        raise ValueError(f"{value} is bad")

    def fixed(value: str) -> str:
        raise misfit("vip", "not a VIP number, it is on the card")

    class VipMetadata(CallMetadata):
        one: Annotated[str, AfterValidator(quoting)] = ""
        two: Annotated[str, AfterValidator(fixed)] = ""

    with pytest.raises(MetadataError) as caught:
        parse_metadata(f'{{"user_id": "1", "one": "{SECRET}", "two": "{SECRET}"}}', VipMetadata)
    assert str(caught.value) == (
        "metadata does not fit vip: /one: not valid; /two: not a VIP number, it is on the card"
    )


def test_a_live_call_does_without_unknown_keys() -> None:
    """Where a call is answered a newer dispatcher's key is left out instead of losing the call."""
    metadata = parse_metadata('{"user_id": "1", "new_field": 1}', FrontDeskMetadata, strict=False)
    assert metadata == FrontDeskMetadata(user_id="1")
    assert (
        refusal('{"user_phone": "x", "new_field": 1}', strict=False).problems[-1].pointer
        == "/user_phone"
    )


def test_values_get_one_spelling() -> None:
    """Number, language and text have one spelling behind the boundary."""
    fields = {"user_id": " 7 ", "user_phone": "+1 (510) 555-0123", "locale": "EN-latn-us"}
    metadata = check_metadata(fields, FrontDeskMetadata)
    assert (metadata.user_id, metadata.user_phone, metadata.locale) == (
        "7",
        "+15105550123",
        "en-Latn-US",
    )


def test_a_contract_cannot_be_changed_or_printed_by_pydantic() -> None:
    """The metadata of a call is what was dispatched, and pydantic's own errors hide their input."""
    metadata = FrontDeskMetadata(user_id="1")
    with pytest.raises(ValidationError, match="frozen"):
        metadata.user_id = "2"  # type: ignore[misc]
    with pytest.raises(ValidationError) as caught:
        FrontDeskMetadata(user_id="1", user_phone=SECRET)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_fields_that_never_were_json_meet_the_same_limits(number: float) -> None:
    """What a dispatcher builds in Python is refused where its JSON would be: it could not be parsed again."""
    with pytest.raises(MetadataError, match="/data: has a number that is not finite"):
        check_metadata({"user_id": "1", "data": {"rows": [number]}}, FrontDeskMetadata)


def test_many_unknown_keys_are_counted() -> None:
    """An error stays readable when thousands of keys are wrong."""
    error = refusal(json.dumps({"user_id": "1"} | {f"key_{i}": 1 for i in range(1500)}))
    assert len(error.problems) == 11
    assert "1490 more unknown keys" in str(error)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
fields = st.fixed_dictionaries(
    {"user_id": st.text(min_size=1)},
    optional={
        "user_name": st.text(),
        "user_phone": st.sampled_from(
            ["+15105550123", "+44 20 7946 0958", "+49 30 901820", "1", "+"]
        ),
        "locale": st.sampled_from(["en", "en-US", "zh-hant-tw", "es-419", "de-1996", "x", ""]),
        "profile": st.sampled_from(["fast", "a_b-1", "A", ""]),
        "config": st.dictionaries(st.text(), json_values, max_size=3),
        "data": st.dictionaries(st.text(), json_values, max_size=3),
        "birth_date": st.dates().map(str),
        "guests": st.integers(0, 13),
        "unknown": json_values,
    },
)


def _answer(raw: str | bytes, *, strict: bool) -> FrontDeskMetadata | MetadataError:
    try:
        return parse_metadata(raw, FrontDeskMetadata, strict=strict)
    except MetadataError as err:
        return err


def _parses_or_refuses(raw: str | bytes) -> None:
    for strict in (True, False):
        answer = _answer(raw, strict=strict)
        if isinstance(answer, MetadataError):
            assert answer.problems
            assert str(answer).encode()
        else:
            assert parse_metadata(dump(answer), FrontDeskMetadata) == answer


@given(st.text() | st.binary())
def test_any_text_is_a_contract_or_a_refusal(raw: str | bytes) -> None:
    """No string and no bytes make the parser crash."""
    _parses_or_refuses(raw)


@given(json_values)
def test_any_json_is_a_contract_or_a_refusal(value: Any) -> None:
    """No JSON makes the parser crash."""
    _parses_or_refuses(json.dumps(value))


@given(fields, st.booleans())
def test_any_fields_are_a_contract_or_a_refusal(value: dict[str, Any], ascii_only: bool) -> None:
    """What was taken once is taken again from its dump, as the same contract."""
    _parses_or_refuses(json.dumps(value, ensure_ascii=ascii_only))


def test_a_contract_sets_its_own_length() -> None:
    """An agent that is told more says so in its contract, and every reader keeps to it."""

    class LongMetadata(CallMetadata):
        max_bytes = 64 * 1024

    raw = EXAMPLE + " " * 40_000
    assert parse_metadata(raw, LongMetadata).user_id == "12345"
    with pytest.raises(MetadataError, match="too long, at most 65536 bytes"):
        parse_metadata(raw + " " * 40_000, LongMetadata)


def test_a_national_number_is_read_by_the_locale() -> None:
    """The locale beside a number says its country; without one the refusal says what is missing."""
    read = check_metadata(
        {"user_id": "1", "user_phone": "030 901820", "locale": "de-de"}, FrontDeskMetadata
    )
    assert read.user_phone == "+4930901820"
    for locale in ("", ', "locale": "de"'):
        error = refusal(f'{{"user_id": "1", "user_phone": "030 901820"{locale}}}')
        assert error.code == "metadata.country"
        assert "a number without its country, write it like +12025550143" in str(error)
    error = refusal('{"user_id": "1", "user_phone": "ask for Bob", "locale": "de-DE"}')
    assert error.code == "metadata.phone"
