"""The three places of metadata become one contract, each field with its source."""

from typing import Annotated

import pytest

from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import FromCaller
from shared.metadata.merge import Source, load


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
        participant_metadata='{"user_name": "Token", "topic": "token"}',
        participant_attributes={"topic": "attribute", "locale": "en-US"},
        participant_identity="web-1",
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
        participant_metadata='{"user_name": "Ada", "profile": "vip", "data": {"a": 1}}',
        participant_attributes={"config": "{}", "sb.key": "stolen"},
        participant_identity="web-1",
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
        participant_metadata=foreign,
        participant_identity="web-1",
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
        "room metadata: /user_phone ignored, not a phone number, write it like +15105550123",
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
        "or one without metadata, room metadata is empty, no caller is in the room yet)"
    )


def test_a_phone_call_brings_its_number() -> None:
    """A SIP caller's number fills the field and makes the user id, marked as derived."""
    loaded = load(
        OrderMetadata,
        participant_attributes={"sip.phoneNumber": "+15105550123"},
        participant_identity="sip_1",
        participant_is_sip=True,
    )
    assert loaded.metadata == OrderMetadata(user_id="sip:+15105550123", user_phone="+15105550123")
    assert loaded.sources["user_phone"] is Source.SIP
    assert loaded.sources["user_id"] is Source.DERIVED


def test_only_a_phone_call_brings_a_number() -> None:
    """A web client that sets SIP's attributes does not become the owner of that number."""
    loaded = load(
        OrderMetadata,
        participant_attributes={"sip.phoneNumber": "+15105550123"},
        participant_identity="web-1",
    )
    assert loaded.metadata == OrderMetadata(user_id="web-1")
    assert any("did not come by SIP" in note for note in loaded.notes)


def test_a_withheld_number_is_no_error() -> None:
    """A caller who hides the number is a caller still."""
    loaded = load(
        OrderMetadata,
        participant_attributes={"sip.phoneNumber": "anonymous"},
        participant_identity="sip_1",
        participant_is_sip=True,
    )
    assert loaded.metadata == OrderMetadata(user_id="sip_1")
