"""The error tree: what a user and a script may rely on."""

import inspect

import pytest

from shared import errors
from shared.errors import MetadataError, Problem, SwitchboardError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, SwitchboardError) and kind not in (SwitchboardError, errors.ProblemsError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_drawn_with_its_exit_code(kind: type[SwitchboardError]) -> None:
    """The tree in the docstring shows every error one can meet, with the code the command exits with."""
    drawn = [line.split() for line in (errors.__doc__ or "").splitlines() if kind.__name__ in line]
    assert [str(kind.exit_code) in words for words in drawn] == [True]


def test_exit_codes_are_unique() -> None:
    """A script can tell the errors apart by exit code alone."""
    codes = [kind.exit_code for kind in KINDS]
    assert sorted(codes) == sorted(set(codes))


def test_all_problems_are_said_at_once() -> None:
    """Who has two mistakes in a dispatch sees both, and the first one's code."""
    problems = [
        Problem("/user_phone", "metadata.phone", "not a phone number"),
        Problem("", "metadata.size", "too long"),
    ]
    error = MetadataError("metadata does not fit intake", problems)
    assert str(error) == "metadata does not fit intake: /user_phone: not a phone number; too long"
    assert error.code == "metadata.phone"
    assert error.problems == tuple(problems)


def test_an_error_has_a_code_without_being_told() -> None:
    """Every error carries a stable code, its own unless one was given."""
    assert errors.StackError("no").code == "stack.failed"
    assert errors.StackError("no", code="stack.port").code == "stack.port"
