"""What a running call takes of new metadata: the fields marked `Live`, each on its own."""

from collections.abc import Mapping
from typing import Any, TypeVar

from shared.errors import MetadataError, Problem, pointer
from shared.metadata.contract import CallMetadata
from shared.metadata.marks import Live, marked
from shared.metadata.parse import check_metadata, unknown_keys

M = TypeVar("M", bound=CallMetadata)


def changed(before: M, wanted: Mapping[str, Any]) -> tuple[M, list[Problem]]:
    """The metadata after a change, and a problem for each key of `wanted` that is not taken.

    One wrong value does not keep the others from being taken. `null` puts a field back to its default.
    """
    model = type(before)
    live = marked(model, Live)
    known = before.model_dump(mode="json", exclude_none=True)
    problems = unknown_keys(wanted, model)
    for key, value in wanted.items():
        if key not in model.model_fields:
            continue
        if key not in live:
            problems.append(
                Problem(pointer(key), "metadata.fixed", "does not change in a running call")
            )
            continue
        try:
            check_metadata(known | {key: value}, model)
        except MetadataError as err:
            problems += err.problems
        else:
            known[key] = value
    return check_metadata(known, model), problems
