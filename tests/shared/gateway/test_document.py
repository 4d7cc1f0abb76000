"""The OpenAPI document: whatever it allows is answered as it says, and so is what it does not allow."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode, checks

from tests.shared.gateway.conftest import Gateway, bearer

USERS = itertools.count()
SCOPES = "token dispatch metadata calls"

NOT_CHECKED = {
    # a name that fits may be nobody's
    GenerationMode.POSITIVE: [checks.positive_data_acceptance],
    # LiveKit's standard ignores fields that it does not know; strangers of one address may only ask so often
    GenerationMode.NEGATIVE: [checks.negative_data_rejection, checks.ignored_auth],
}


@pytest.fixture(scope="module")
def document(gateway: Gateway) -> Any:
    found = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")

    @found.hook
    def map_body(context: Any, body: Any) -> Any:
        """Nobody waits for an agent: no host runs here."""
        return {**body, "wait_s": 0.1} if isinstance(body, dict) and "room" in body else body

    return found


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_answer_is_as_documented(document: Any, mode: GenerationMode) -> None:
    """No crash, no status and no body that the document does not have, nothing without a sign-in."""
    asked = 0
    for found in document.get_all_operations():
        operation = found.ok()
        given_to_it = [*operation.path_parameters, *operation.query, *operation.body]
        if mode is GenerationMode.NEGATIVE and not given_to_it:
            continue  # nothing can be wrong with it

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            user = bearer(sub=f"u{next(USERS)}", scope=SCOPES)  # each as often as a user may
            case.call_and_validate(
                headers={"Authorization": f"Bearer {user}"},
                excluded_checks=NOT_CHECKED[mode],
                timeout=60,
            )

        ask()
        asked += 1
    assert asked >= 7
