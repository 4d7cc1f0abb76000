"""A sentence that is heard while it is still being made."""

from __future__ import annotations

import numpy as np
import pytest

from shared.local import english
from shared.local.voice import Voice

TEXT = "I would like to book a table for four people."


def test_pieces_are_what_the_whole_would_be(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first piece is short, and no seam between the pieces can be heard or measured."""
    speech = voice._english.speak(TEXT)
    pieces = list(speech.pieces)
    monkeypatch.setattr(english, "_FIRST", speech.length)
    [whole] = voice._english.speak(TEXT).pieces

    assert len(pieces) > 1
    assert len(pieces[0]) < 0.3 * speech.rate
    assert sum(map(len, pieces)) == speech.length
    assert np.abs(np.concatenate(pieces) - whole).max() < 1e-4
