"""A call's personal values are found in every spelling, and what only looks like them is left alone."""

import json
import time
import urllib.parse
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.metadata.contract import CallMetadata, Text
from shared.metadata.marks import Personal
from shared.telemetry.redaction import MARK, NOTHING, HostCalls, Redactor, is_sensitive, plain
from tests.naughty import CLEAN, spellings, tells


class ClinicMetadata(CallMetadata):
    """A contract with a personal field of its own."""

    complaint: Annotated[Text | None, Personal] = None
    ward: Text | None = None


ADA = Redactor.of(
    ClinicMetadata(
        user_id="12345",
        user_name="Ada Lovelace",
        user_phone="+15105550123",
        complaint="My left knee is swollen",
        ward="north",
        data={"insurance": {"policy": "ZX-99817-Q"}},
    )
)


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace",
        "ADA LOVELACE",
        "lovelace, ada",
        "AdaLovelace",
        "call-ada-lovelace-7",
        "ada_lovelace@example.com",
        "Ada's",
        "'Ada'",
        "first\\nAda",
        "%20Ada%20",
        "name=Ada+Lovelace&x",
        "mrs lovelaces",
        "my left knee is swollen",
        "My left  knee\nis, swollen!",
        "My%20left%20knee%20is%20swollen",
        "zx 99817 q",
        "user 12345",
        "user=12345,",
        "1-2-3-4-5",
    ],
)
def test_words_are_found(text: str) -> None:
    """A value is found in any case, with other separators, inside other text and escaped."""
    assert MARK in ADA.text(text)
    for value in ("ada", "lovelace", "knee", "99817", "12345"):
        assert value not in ADA.text(text).lower()


@pytest.mark.parametrize(
    "text",
    [
        "+15105550123",
        "15105550123",
        "(510) 555-0123",
        "510.555.0123",
        "tel:+1-510-555-0123",
        "5550123",
        "%2B15105550123",
        "001 510 555 01 23",
        "five one zero, five five five, zero one two three",
        "Five five five. Oh one two three.",
        "5 1 0 5 5 5 0 1 2 3",
        '["5", "5", "5", "0", "1", "2", "3"]',
        "sip:+15105550123@10.0.0.1",
    ],
)
def test_numbers_are_found(text: str) -> None:
    """A phone number is found in any spelling, spoken ones too, and its last seven digits are enough."""
    cleaned = ADA.text(text).lower()
    assert MARK in cleaned
    assert "0123" not in cleaned
    assert "three" not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "metadata adapter loaded in 0.42 s",
        "2026-11-23T08:41:02.094Z AJ_55501x23 RM_123456",
        "north",
        "left knee",
        "one of five phones",
        "port 51055, 123 456",
        "received job request",
    ],
)
def test_look_alikes_stay(text: str) -> None:
    """Short values count only as words, and unmarked ones not at all: a log stays readable."""
    assert ADA.text(text) == text


NAMES = [
    "Åsa Ödegård",
    "Zoë",
    "李伟",
    "Владимир",
    "Seán O'Brien",
    "François-René d’Arc",
    "Nguyễn Thị Ánh",
    "𝒜𝒹𝒶 𝒦",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "spell",
    [
        str,
        str.upper,
        json.dumps,
        ascii,
        lambda text: json.dumps(json.dumps(text)),
        lambda text: repr(text.encode()),
        urllib.parse.quote,
        urllib.parse.quote_plus,
        lambda text: "".join(chr(b) if b < 128 else f"\\{b:03o}" for b in text.encode()),
    ],
    ids=["plain", "capitals", "json", "ascii", "json in json", "bytes", "url", "form", "protobuf"],
)
def test_other_scripts_are_found_in_every_encoding(name: str, spell: Any) -> None:
    """A name beyond ASCII is found as text and as JSON, Python, URL or protobuf writes it."""
    assert (
        Redactor.of(CallMetadata(user_id="1", user_name=name))
        .text(f"[{spell(name)}]")
        .strip("[]\"'b\\")
        == "redacted"
    )


def test_a_value_learned_in_the_call_counts_from_then_on() -> None:
    """What the caller says is kept out of later lines; of a name each part is."""
    redactor = Redactor()
    assert redactor.text("Grace Hopper, 020 7946 0958") == "Grace Hopper, 020 7946 0958"
    redactor.add("Grace Hopper", "+442079460958", "my order is late")
    assert redactor.text("Hopper 7946 0958") == f"{MARK} {MARK}"
    assert redactor.text("order late") == "order late"
    assert redactor.text("because my order is late") == f"because {MARK}"


def test_values_too_short_to_tell_are_not_searched() -> None:
    """A single letter or a small count would make every line unreadable and tells nothing."""
    redactor = Redactor.of(
        CallMetadata(user_id="7", user_name="J", data={"n": 12, "flag": True, "x": "-"})
    )
    assert redactor.text("7 jobs, J, 12, True, -") == "7 jobs, J, 12, True, -"
    assert Redactor(["Li"]).text("Li, line, LI") == f"{MARK}, line, {MARK}"


def test_a_naughty_value_is_found_in_every_spelling() -> None:
    """A value may itself look escaped, be made of enclosed letters, or carry marks that have a lower case."""
    for value in filter(tells, CLEAN):
        redactor = Redactor([value])
        for written in (*spellings(value), repr(repr(value))[1:-1]):
            assert written not in redactor.text(f"before {written} after")


@example("AA㎀", "", "")  # a symbol that is no letter but stands for some, beside letters
@given(st.text(min_size=2), st.text(), st.text())
def test_any_value_is_gone_from_any_text(value: str, before: str, after: str) -> None:
    """Whatever a value holds, a redactor neither crashes nor leaves it standing alone."""
    redactor = Redactor([value])
    redactor.text(before + value + after)
    if len("".join(char for char in value if char.isalnum())) >= 2 and not value.isdigit():
        cleaned = redactor.text(f"{before} {value} {after}")
        assert MARK in cleaned or any(char.isdigit() for char in value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(
            " ".join(f"word{i}" for i in range(4000)),
            " ".join(f"word{i}" for i in range(4000)),
            id="long",
        ),
        pytest.param("é" * 4000, "\\u00e9" * 4000, id="escapes"),
        pytest.param("a " * 250, ("a " * 249 + "b ") * 60, id="nearly, again and again"),
        pytest.param("aa " * 12 + "zz", ("aa" + "&aaaaa;%aa") * 3000, id="ambiguous separators"),
        pytest.param("+15105550123", "5 1 0 5 5 5 0 1 2 " * 2000 + "5550123", id="digits"),
        pytest.param("Ada Lovelace", "eyJ" * 10_000 + "Ada Lovelace", id="tokens"),
    ],
)
def test_no_value_makes_a_line_slow(value: str, text: str) -> None:
    """A caller chooses the value and half of the text: neither may hold up the host's loop, which serves all calls."""

    def cost() -> float:
        redactor = Redactor([value])
        started = time.thread_time()  # not what other tests take of the machine meanwhile
        redactor.text(text)
        return time.thread_time() - started

    assert min(cost() for _ in range(3)) < 0.1


def test_part_of_a_long_value_is_found() -> None:
    """A note of many sentences is found where a line quotes a few of its words."""
    note = " ".join(f"sentence{i}" for i in range(100))
    quoted = "he said sentence38 " + " ".join(f"sentence{i}" for i in range(40, 60)) + " or so"
    cleaned = Redactor([note]).text(quoted)
    assert "sentence45" not in cleaned
    assert cleaned.startswith("he said sentence38")


def test_words_need_no_blanks_where_the_script_has_none() -> None:
    """A short name inside a sentence of a script without blanks is a word of its own."""
    assert Redactor(["李伟"]).text("你好李伟先生") == f"你好{MARK}先生"


def test_a_caller_of_unknown_id_hides_no_word() -> None:
    """The id that stands for nobody is not searched: "unknown" is a word of many lines."""
    assert Redactor.of(CallMetadata(user_id="unknown")).text("unknown error") == "unknown error"


def test_a_long_text_loses_its_middle_only() -> None:
    """Of a long traceback head and end stay, and no half value at the cut."""
    text = ADA.text("head " + "Ada Lovelace " * 5000 + "end")
    assert len(text) < 20_000
    assert text.startswith("head")
    assert text.endswith("end")
    assert "lovelace" not in text.lower()
    for cut in range(20):
        assert "lovel" not in ADA.text("x" * (8000 - cut) + "Ada Lovelace" + "y" * 16_000).lower()


def test_access_tokens_are_no_text() -> None:
    """A token holds name and metadata in base64: it goes whole, whoever's it is."""
    assert (
        NOTHING.text("url?access_token=eyJhbGciOi.eyJzdWIi-_x.sig-nature&x=1")
        == f"url?access_token={MARK}&x=1"
    )


def test_anything_becomes_plain_data() -> None:
    """A field of a log line, whatever it is, becomes data that can be pickled and printed, and holds no personal value."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("Ada Lovelace")

    loop: list[Any] = []
    loop.append(loop)
    value = {
        "who": "Ada",
        "Ada": {"n": [15105550123, 5, 2.5, True, None]},
        "at": Path("/records/ada"),
        "error": ValueError("no Ada"),
        "odd": Odd(),
        "call": lambda: 1,
        "lk.pii.text": "whatever",
        "metadata": {"a": 1},
        "loop": loop,
        "long": "x" * 100_000,
    }
    cleaned = plain(value, ADA)
    text = json.dumps(cleaned)
    assert "ada" not in text.lower().replace("metadata", "")
    assert cleaned[MARK] == {"n": [MARK, 5, 2.5, True, None]}
    assert cleaned["odd"] == "<Odd>"
    assert cleaned["error"] == f"ValueError('no {MARK}')"
    assert (cleaned["lk.pii.text"], cleaned["metadata"]) == (MARK, MARK)
    assert len(text) < 20_000


@pytest.mark.parametrize("key", ["lk.pii.user_transcript", "pii.note", "transcript", "job"])
def test_fields_with_content_are_known_by_name(key: str) -> None:
    """What LiveKit marks as content of a call never reaches a log, whatever was said."""
    assert is_sensitive(key)
    assert not is_sensitive("copiiing")


def test_a_host_forgets_old_calls() -> None:
    """A host that runs for months knows its latest calls only."""
    calls = HostCalls(limit=2)
    for number in range(3):
        calls.offered(f"AJ_{number}", Redactor([f"Name{number} Surname"]), call_id=f"c{number}")
    assert calls.find(job_id="AJ_0") is None
    found = calls.find(job_id="AJ_2")
    assert found is not None
    assert found[1] == {"call_id": "c2"}
    assert len(list(calls.redactors())) == 2
