"""Metadata made to be slow, and text that breaks things elsewhere."""

import json
import time

import pytest

from shared import registry
from shared.errors import MetadataError
from shared.metadata.contract import CallMetadata
from shared.metadata.parse import parse_metadata

MAX_BYTES = CallMetadata.max_bytes
EXAMPLE = '{"user_id":"12345","user_name":"Ada Lovelace","user_phone":"+15105550123"}'


def _answer(raw: str) -> CallMetadata | MetadataError:
    try:
        return parse_metadata(raw, registry.contract("intake"))
    except MetadataError as err:
        return err


HOSTILE = {
    "open brackets": "[" * MAX_BYTES,
    "many lists": "[" + "[]," * 10_000 + "[]]",
    "many objects": '{"user_id":"1","data":{"a":[' + ",".join(["{}"] * 10_000) + "]}}",
    "deep lists": '{"user_id":"1","data":{"a":[' + ",".join(["[" * 13 + "]" * 13] * 1200) + "]}}",
    "many keys": '{"user_id":"1","data":{' + ",".join(f'"{i}":0' for i in range(3400)) + "}}",
    "control characters": '{"data":{' + ",".join(f'"{i}":"\\u0000"' for i in range(2000)) + "}}",
    "near names": "{" + ",".join(f'"user_nam{i}":0' for i in range(1900)) + "}",
    "long keys": "{" + ",".join(f'"{"u" * 3000}{i}":0' for i in range(10)) + "}",
    "escapes": '{"user_id":"' + "\\u00e9" * 5000 + '"}',
    "quotes": '"' * MAX_BYTES,
    "backslashes": '{"a":"' + "\\" * 32_000 + '"}',
    "brackets in a text": '{"a":"' + "[{" * 16_000 + '"}',
    "digits": '{"user_id":"1","data":{"a":0.' + "1" * 32_000 + "}}",
    "numbers": '{"user_id":"1","data":{"a":['
    + ",".join(["1.2345678901234567e-300"] * 1300)
    + "]}}",
    "long number": '{"user_id":"1","user_phone":"+' + "1" * 32_000 + '"}',
    "long language": '{"user_id":"1","locale":"en' + "-abcde" * 5000 + '"}',
}


def _fastest(raw: str, times: int) -> float:
    """The shortest of some runs: what it costs where no other process is in the way."""

    def cost() -> float:
        started = time.perf_counter()
        _answer(raw)
        return time.perf_counter() - started

    return min(cost() for _ in range(times))


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_input_costs_little(raw: str) -> None:
    """The largest allowed document, made to be slow, does not hold a host up: it has many calls and one loop."""
    assert len(raw) <= MAX_BYTES
    assert _fastest(raw, 20) < 0.005


def test_the_usual_dispatch_costs_next_to_nothing() -> None:
    """A dispatch with a phone number is read in less than 150 µs, one without in less than 30 µs."""
    assert _fastest(EXAMPLE, 200) < 150e-6
    assert _fastest('{"user_id": "12345", "user_name": "Ada Lovelace"}', 200) < 30e-6


NAUGHTY = [
    "undefined", "null", "NaN", "true", "1e1000", "0x1F", "-0", "../../etc/passwd", "C:\\CON", "%00", "%s%n%x",
    "' OR 1=1 --", "'; DROP TABLE calls; --", "<script>alert(1)</script>", "${jndi:ldap://127.0.0.1/a}", "{{ 7*7 }}",
    "$(touch x)", "`id`", "__proto__", "constructor", "=1+1", "@SUM(1)", "https://a:b@127.0.0.1/?q=#f",
    "Ω≈ç√∫˜µ≤≥÷", "田中さん", "사회과학원", "الكتاب", "בְּרֵאשִׁית", "ÅÍÎÏ˝ÓÔ", "Ṱ̺̺o͞ ̷i̲̬n̝̗v̟̜o̘̙k", "👩🏽‍🚀", "🇩🇪🇫🇷",
    "\u202etset\u202c", "\u200b\u200d\ufeff", "\u2028\u2029", "\ufffe\uffff", "\U000e0041", "\u00a0", "\t", "\n", "\r\n", "\x00",
    "\x1b[2J", "\x7f", "\x85", "\ud83d", "ﬀ", "ﷺ", "İı", "a" * 10_000, "\u0301" * 400, "' \" \\' \\\"",
]  # fmt: skip


@pytest.mark.parametrize(
    "field", ["user_id", "user_name", "user_phone", "locale", "profile", "reason"]
)
def test_naughty_text_is_taken_whole_or_refused(field: str) -> None:
    """In every text field: the text comes out as it went in, or is refused without being quoted."""
    for text in NAUGHTY:
        answer = _answer(json.dumps({"user_id": "1", field: text}))
        if isinstance(answer, CallMetadata):
            assert getattr(answer, field).casefold() == text.strip().casefold()
            assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in text.strip())
        else:
            assert [problem.pointer for problem in answer.problems] == [f"/{field}"]
            assert len(text) < 8 or text not in str(answer)
