"""The three places of metadata become one contract, each field with its source."""

import contextlib
import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata, PhoneNumber, Text
from shared.metadata.marks import FromCaller, Personal, marked
from shared.metadata.merge import Caller, Source, load


class OrderMetadata(CallMetadata):
    """A contract with a field of its own that a caller may set."""

    topic: Annotated[Text | None, FromCaller] = None


def test_job_wins_over_room_wins_over_participant() -> None:
    """A field that several places give comes from the one with the most trust."""
    loaded = load(
        OrderMetadata,
        job='{"user_id": "job"}',
        job_attributes={"user_id": "attribute", "profile": "fast", "sb.key": "k"},
        room='{"user_id": "room", "profile": "slow", "user_name": "Room"}',
        caller=Caller(
            "web-1",
            '{"user_name": "Token", "topic": "token"}',
            {"topic": "attribute", "locale": "en-US"},
        ),
    )
    assert loaded.metadata == OrderMetadata(
        user_id="job", profile="fast", user_name="Room", topic="token", locale="en-US"
    )
    assert loaded.sources == {
        "user_id": Source.JOB,
        "profile": Source.JOB_ATTRIBUTES,
        "user_name": Source.ROOM,
        "topic": Source.PARTICIPANT,
        "locale": Source.PARTICIPANT_ATTRIBUTES,
        "user_phone": Source.DEFAULT,
        "config": Source.DEFAULT,
        "data": Source.DEFAULT,
    }


def test_a_participant_sets_only_what_is_open_to_callers() -> None:
    """Neither token nor attributes of a caller reach a field that is not marked for it."""
    loaded = load(
        OrderMetadata,
        job='{"user_id": "1"}',
        caller=Caller(
            "web-1",
            '{"user_name": "Ada", "profile": "vip", "data": {"a": 1}}',
            {"config": "{}", "sb.key": "stolen"},
        ),
    )
    assert loaded.metadata == OrderMetadata(user_id="1", user_name="Ada")
    assert [note for note in loaded.notes if "/profile" in note and "may not set it" in note]


@pytest.mark.parametrize(
    "foreign", ["hello", '["a"]', '{"theme": "dark"}', '{"theme":', "\ud800", "[" * 9999]
)
def test_another_apps_metadata_is_no_error(foreign: str) -> None:
    """Room and participant metadata may be somebody else's: it is left alone, with a note."""
    loaded = load(
        OrderMetadata,
        job='{"user_id": "1"}',
        room=foreign,
        caller=Caller("web-1", foreign),
    )
    assert loaded.metadata == OrderMetadata(user_id="1")
    assert [note.split(" ignored")[0] for note in loaded.notes] == [
        "room metadata",
        "participant metadata",
    ]


def test_a_value_that_does_not_fit_costs_only_itself() -> None:
    """A wrong value in a place below the job is left out with a note that does not quote it."""
    loaded = load(
        OrderMetadata,
        job='{"user_id": "1"}',
        room='{"user_phone": "nonsense", "user_name": "Ada", "user_id": 5}',
    )
    assert loaded.metadata == OrderMetadata(user_id="1", user_name="Ada")
    assert loaded.notes == (
        "room metadata: /user_phone ignored, not a phone number, write it like +12025550143",
    )


def test_a_wrong_job_is_refused() -> None:
    """What the dispatch itself says must fit, unknown keys are noted or refused."""
    with pytest.raises(MetadataError, match="/user_phone: not a phone number"):
        load(OrderMetadata, job='{"user_id": "1", "user_phone": "x"}')
    with pytest.raises(MetadataError, match="not JSON"):
        load(OrderMetadata, job="{")
    with pytest.raises(MetadataError, match="/topik: unknown, did you mean topic"):
        load(OrderMetadata, job='{"user_id": "1", "topik": "x"}', strict=True)
    loaded = load(OrderMetadata, job='{"user_id": "1", "topik": "x"}')
    assert loaded.notes == ("job metadata: /topik: unknown, did you mean topic? (left out)",)


def test_an_automatic_dispatch_is_named() -> None:
    """A call without job metadata works, and the notes say why nothing is known."""
    loaded = load(OrderMetadata)
    assert loaded.metadata.user_id == "unknown"
    assert loaded.sources["user_id"] is Source.DERIVED
    assert loaded.notes == (
        "job metadata is empty: an automatic dispatch, or one without metadata",
    )


def test_a_missing_field_says_which_sources_were_empty() -> None:
    """Who misses a field learns where it was looked for."""

    class StrictMetadata(CallMetadata):
        order: Text

    with pytest.raises(MetadataError) as caught:
        load(StrictMetadata)
    assert str(caught.value) == (
        "metadata does not fit strict: /order: missing, required (job metadata is empty: an automatic dispatch, "
        "or one without metadata; room metadata is empty: nobody set it, or the room already existed, whose metadata stays as it was; "
        "no caller is in the room yet)"
    )


def test_a_phone_call_brings_its_number() -> None:
    """A SIP caller's number fills the field and makes the user id, marked as derived."""
    loaded = load(
        OrderMetadata,
        caller=Caller("sip_1", attributes={"sip.phoneNumber": "+15105550123"}, is_sip=True),
    )
    assert loaded.metadata == OrderMetadata(user_id="sip:+15105550123", user_phone="+15105550123")
    assert loaded.sources["user_phone"] is Source.SIP
    assert loaded.sources["user_id"] is Source.DERIVED


def test_only_a_phone_call_brings_a_number() -> None:
    """A web client that sets SIP's attributes does not become the owner of that number."""
    loaded = load(
        OrderMetadata,
        caller=Caller("web-1", attributes={"sip.phoneNumber": "+15105550123"}),
    )
    assert loaded.metadata == OrderMetadata(user_id="web-1")
    assert any("did not come by SIP" in note for note in loaded.notes)


def test_a_withheld_number_is_no_error() -> None:
    """A caller who hides the number is a caller still."""
    loaded = load(
        OrderMetadata,
        caller=Caller("sip_1", attributes={"sip.phoneNumber": "anonymous"}, is_sip=True),
    )
    assert loaded.metadata == OrderMetadata(user_id="sip_1")


def test_a_phone_call_fills_fields_named_like_sips_attributes() -> None:
    """The number that was called and the ids of the call are a field away; a web client cannot set them."""

    class LineMetadata(CallMetadata):
        sip_trunk_phone_number: PhoneNumber | None = None
        sip_call_id: Text | None = None

    attributes = {"sip.trunkPhoneNumber": "+442079460958", "sip.callID": "SCL_1"}
    by_phone = load(LineMetadata, caller=Caller("sip_1", attributes=attributes, is_sip=True))
    assert by_phone.metadata.sip_trunk_phone_number == "+442079460958"
    assert by_phone.metadata.sip_call_id == "SCL_1"
    assert by_phone.sources["sip_call_id"] is Source.SIP
    by_web = load(LineMetadata, caller=Caller("web-1", attributes=attributes))
    assert by_web.metadata == LineMetadata(user_id="web-1")


@pytest.mark.parametrize(
    "locale",
    [
        {"job": '{"user_phone": "030 901820", "locale": "de-DE"}'},
        {"job": '{"user_phone": "030 901820"}', "room": '{"locale": "de-DE"}'},
        {
            "job": '{"user_phone": "030 901820"}',
            "caller": Caller("web-1", attributes={"locale": "de-DE"}),
        },
        {
            "room": '{"user_phone": "030 901820"}',
            "caller": Caller("web-1", '{"locale": "de-DE"}', {"locale": "en-US"}),
        },
        {"job": '{"locale": "de-DE"}', "room": '{"user_phone": "030 901820", "locale": "en-US"}'},
    ],
)
def test_a_national_number_is_read_by_the_locale_of_the_call(locale: dict[str, Any]) -> None:
    """The locale counts whichever source gave it, the most trusted first."""
    assert load(OrderMetadata, **locale).metadata.user_phone == "+4930901820"


def test_a_national_number_waits_for_the_callers_locale() -> None:
    """Without a country it is no error before the caller, whose locale may complete it, is there; then it is one."""
    job = '{"user_id": "1", "user_phone": "030 901820"}'
    early = load(OrderMetadata, job=job)
    assert early.metadata.user_phone is None
    assert early.missing_fields == ("user_phone",)
    with pytest.raises(MetadataError, match="/user_phone: a number without its country"):
        load(OrderMetadata, job=job, caller=Caller("web-1"))


class TicketMetadata(CallMetadata):
    """A contract that asks for two fields; a caller may bring one of them."""

    ticket: Annotated[Text, Personal, FromCaller]
    queue: Text


def test_what_a_caller_may_bring_is_judged_when_the_caller_is_there() -> None:
    """A missing field that is open to the caller is no error at the offer, one that is not is one at once."""
    early = load(TicketMetadata, job='{"queue": "a"}')
    assert early.metadata.ticket is None
    assert early.missing_fields == ("ticket",)
    assert isinstance(early.metadata, TicketMetadata)
    assert "ticket" in marked(type(early.metadata), Personal)

    with pytest.raises(MetadataError) as caught:
        load(TicketMetadata, job='{"ticket": "T-1"}')
    assert [problem.pointer for problem in caught.value.problems] == ["/queue"]

    enriched = load(
        TicketMetadata, job='{"queue": "a"}', caller=Caller("web-1", '{"ticket": "T-1"}')
    )
    assert (enriched.metadata.ticket, enriched.missing) == ("T-1", ())
    with pytest.raises(MetadataError, match="/ticket: missing, required"):
        load(TicketMetadata, job='{"queue": "a"}', caller=Caller("web-1"))


@pytest.mark.parametrize(
    ("job", "missing"),
    [
        ('{"user_phone": "secret-4711", "queue": "a", "ticket": "T"}', ("user_phone",)),
        ('{"user_id": 5, "queue": ["a"]}', ("user_id", "queue", "ticket")),
        ("{", ("ticket", "queue")),
        ("", ("ticket", "queue")),
    ],
)
@pytest.mark.parametrize("caller", [None, Caller("web-1")])
def test_a_degraded_call_knows_what_is_missing(
    job: str, missing: tuple[str, ...], caller: Caller | None
) -> None:
    """What does not fit is left out and named, and never quoted, instead of losing the call."""
    loaded = load(TicketMetadata, job=job, caller=caller, degrade=True)
    assert set(loaded.missing_fields) == set(missing)
    for name in missing:
        assert getattr(loaded.metadata, name) in (None, "unknown", "web-1")
    assert "4711" not in str(loaded.missing)
    assert ("not JSON" in str(loaded.missing)) is (job == "{")


documents = st.text() | st.dictionaries(
    st.sampled_from([*OrderMetadata.model_fields, "other", "sb.key"]),
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(["de-DE", "030 901820"]),
).map(json.dumps)
attributes = st.dictionaries(
    st.sampled_from([*OrderMetadata.model_fields, "sip.phoneNumber", "sb.key"]), st.text(max_size=8)
)


@given(documents, attributes, documents, documents, attributes, st.booleans(), st.booleans())
def test_any_sources_are_a_contract_or_a_refusal(
    job: str,
    job_attributes: dict[str, str],
    room: str,
    said: str,
    said_attributes: dict[str, str],
    is_sip: bool,
    early: bool,
) -> None:
    """Whatever the places hold: a contract or a refusal, and with `degrade` always a contract."""
    caller = None if early else Caller("web-1", said, said_attributes, is_sip)
    sources: dict[str, Any] = {
        "job": job, "job_attributes": job_attributes, "room": room, "caller": caller,
    }  # fmt: skip
    with contextlib.suppress(MetadataError):
        load(OrderMetadata, **sources)
    loaded = load(OrderMetadata, **sources, degrade=True)
    assert loaded.metadata.user_id
    assert set(loaded.sources) == set(OrderMetadata.model_fields)
