"""Metadata that is naughty, or not all there, in whole calls."""

from __future__ import annotations

import pytest

from tests.calls.conftest import Made
from tests.calls.scripts import SCRIPTS
from tests.calls.test_calls import data, refusals, said
from tests.naughty import CLEAN, spellings, tells
from tests.running import RunningHost
from tests.spoken import alike


@pytest.mark.parametrize("name", ["naughty name", "naughty marks"])
def test_a_call_about_naughty_strings_is_a_call(host: RunningHost, made: Made, name: str) -> None:
    """The agent greets and hears the goodbye; the record has every string as it came, and nothing went wrong."""
    result = made(name)

    assert result.failure is None
    assert said(result, "agent").startswith("Hello ")
    assert data(host, result, "offered")["metadata"] == {**SCRIPTS[name].metadata, "config": {}}
    assert result.outcome in ("completed", "abandoned")
    of_it = f"dispatch={result.dispatch_id}"
    lines = [line for line in host.log.splitlines() if of_it in line]
    assert any("job finished" in line for line in lines)
    assert not [line for line in lines if "Traceback" in line or "could not be redacted" in line]


def test_a_naughty_language_is_refused_with_one_line(host: RunningHost, made: Made) -> None:
    """What no contract takes ends in one error that names the field."""
    result = made("naughty language")

    assert result.failure is not None
    assert data(host, result, "refused")["reason"].count("/locale: not a language tag") == 1
    [line] = refusals(host, result)
    assert "pointer=/locale" in line


def test_no_log_tells_a_naughty_string(
    host: RunningHost, added: RunningHost, all_made: None, made: Made
) -> None:
    """Neither as it is nor escaped, in any log; one of the calls crashed with its whole metadata in the error."""
    names = [name for name in SCRIPTS if name.startswith("naughty")]
    for name in names:
        (added if name == "naughty crash" else host).record(made(name))
    values = [str(SCRIPTS[name].metadata.get("user_name", "")) for name in names]
    written = set().union(*(spellings(text) for text in (*CLEAN, *values) if tells(text)))

    assert "no seat for" in added.log
    for path in [host.log_path, added.log_path, *(host.var / "run" / "logs").glob("*.log")]:
        log = path.read_text(encoding="utf-8", errors="replace")
        assert [text for text in written if text in log] == [], path.name


def test_what_the_dispatch_left_out_is_asked_for(added: RunningHost, made: Made) -> None:
    """With `policy.on_misfit: degrade` a call without a required field is taken, logged, and the agent asks for it."""
    result = made("degraded")

    greeting = next(line.text for line in result.transcript if line.role == "agent")
    assert "What is broken?" in greeting
    assert data(added, result, "joined")["missing"] == ["product"]
    assert alike(data(added, result, "repair")["product"], "My bicycle is broken.")
    of_it = f"dispatch={result.dispatch_id}"
    [line] = [
        line
        for line in added.log.splitlines()
        if "job taken with fields missing" in line and of_it in line
    ]
    assert "/product: missing, required" in line
