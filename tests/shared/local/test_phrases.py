"""Where text is parted before it is spoken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.local.phrases import phrases

NUMBER = "five one zero, five five five, zero one four two"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        pytest.param("Hello. How are you?", ["Hello.", "How are you?"], id="sentences"),
        pytest.param("Dr. Hopper is in. Mr. Reed is not.", ["Dr. Hopper is in.", "Mr. Reed is not."], id="titles"),
        pytest.param("So you are calling about an order, right?", ["So you are calling about an order, right?"], id="short"),
        pytest.param("So you are calling about a late order, which we sent to you on Monday.", ["So you are calling about a late order,", "which we sent to you on Monday."], id="comma"),
        pytest.param("We have had some trouble on the road; your order will come on Friday.", ["We have had some trouble on the road;", "your order will come on Friday."], id="semicolon"),
        pytest.param("Your order did not leave the house \u2013 it will be there on Friday morning.", ["Your order did not leave the house \u2013", "it will be there on Friday morning."], id="dash"),
        pytest.param("I will tell them that your order is late and somebody will call you back.", ["I will tell them that your order is late", "and somebody will call you back."], id="and"),
        pytest.param("No, sir, I am sorry, we do not have any of those left in the house today.", ["No, sir, I am sorry,", "we do not have any of those left in the house today."], id="not too short"),
        pytest.param(f"I can call you back on {NUMBER}, if that is all right.", [f"I can call you back on {NUMBER},", "if that is all right."], id="number in words"),
        pytest.param("I can call you back on +1 510, 555, 0142, if that is really all right with you.", ["I can call you back on +1 510, 555, 0142,", "if that is really all right with you."], id="number in figures"),
        pytest.param("The whole order comes to 1,000,000 dollars without the delivery, I am afraid.", ["The whole order comes to 1,000,000 dollars without the delivery,", "I am afraid."], id="thousands"),
        pytest.param("It will be there in something like twenty-four hours after we have sent it to you", ["It will be there in something like twenty-four hours after we have sent it to you"], id="hyphen"),
        pytest.param("... ! -", [], id="nothing to say"),
    ],
)  # fmt: skip
def test_text_is_parted_where_a_speaker_breathes(text: str, pieces: list[str]) -> None:
    """Sentences are parted, long ones at clauses too, and numbers stay whole."""
    assert list(phrases(text)) == pieces


@given(st.lists(st.sampled_from(["we", "and", "five", "one,", "1,000", "order,", "so:", "\u2013", "late;", "yes.", "No"])))  # fmt: skip
def test_no_word_is_lost(words: list[str]) -> None:
    """Whatever is parted, the words are still there, in order."""
    spoken = " ".join(phrases(" ".join(words))).split()
    sayable = [word for word in words if word != "\u2013"]
    assert [word for word in spoken if word != "\u2013"] == sayable
