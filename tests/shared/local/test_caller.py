"""What a software caller says, hears and reports, as far as it needs no room."""

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.intake.metadata import IntakeMetadata
from shared.errors import ConfigError, DispatchError
from shared.local.call import CallOptions, CallResult
from shared.local.persona import Persona
from shared.local.sound import RATE, Ear, Microphone, read_wav, trim

NUMBER = "five one zero, five five five, zero one four two"


@pytest.mark.parametrize(
    ("heard", "reply"),
    [
        pytest.param("Hello there, thank you for calling. May I have your name, please?", "My name is Grace Hopper.", id="name"),
        pytest.param("What is the caller's full name?", "My name is Grace Hopper.", id="name as a schema says it"),
        pytest.param("Thank you, Grace. Which number can we call you back on?", f"My number is {NUMBER}.", id="number"),
        pytest.param("What is the phone number to call the caller back on?", f"My number is {NUMBER}.", id="number as a schema says it"),
        pytest.param("What is the reason for your call?", "My order has not arrived yet.", id="reason"),
        pytest.param("Hello Grace, this is support. How can I help you?", "My order has not arrived yet.", id="help"),
        pytest.param("Your name is Grace Hopper, your number is +15105550142. Is that right?", "Yes, that's right.", id="read-back"),
        pytest.param("So, your reason is a late order. Is that correct?", "Yes, that's right.", id="read-back without a number"),
        pytest.param(f"Your name is Grace, your number is plus one {NUMBER}. Is this correct?", "Yes, that's right.", id="read-back in words"),
        pytest.param("Your number is +15105550124. Is that right?", f"No, the number is wrong. It is {NUMBER}.", id="wrong number"),
        pytest.param("Your number is five one oh, five five five, oh one two four. Is that right?", f"No, the number is wrong. It is {NUMBER}.", id="wrong number in words"),
        pytest.param("I am sorry. Which part is wrong?", f"The number. It is {NUMBER}.", id="which part"),
        pytest.param("It comes on Monday. Is there anything else?", "No, that is all. Goodbye.", id="anything else"),
        pytest.param("Lovely weather today.", "Sorry, could you say that again, please?", id="nothing asked"),
        pytest.param("Thank you, Grace. We will call you back. Goodbye.", None, id="goodbye"),
    ],
)  # fmt: skip
def test_persona_answers_what_it_is_asked(heard: str, reply: str | None) -> None:
    """A persona answers the last question with its own values and confirms only its own number."""
    assert Persona().reply(heard) == reply


def test_persona_is_who_the_metadata_says() -> None:
    """Name, number and reason of the dispatch are the caller's own; what it leaves out stays the persona's."""
    metadata = IntakeMetadata(user_id="1", user_name="Ada Lovelace", user_phone="+442079460958")

    persona = Persona.of(metadata)

    assert persona.reply("May I have your name?") == "My name is Ada Lovelace."
    assert persona.reply("Which number?") == (
        "My number is plus four four two, zero seven nine, four six zero, nine five eight."
    )
    assert persona.reply("What is the reason for your call?") == Persona().reason


@given(st.text())
def test_persona_has_a_reply_to_anything(heard: str) -> None:
    """Whatever an agent says, the persona says something or has heard a goodbye."""
    reply = Persona().reply(heard)

    assert reply is None or reply.strip()


def _tone(rate: int, channels: int, seconds: float = 0.5) -> bytes:
    wave_form = 8000 * np.sin(np.arange(int(rate * seconds)) * 2 * np.pi * 440 / rate)
    return wave_form.astype("<i2").repeat(channels).tobytes()


def _write(path: Path, raw: bytes, rate: int, channels: int, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)
    return path


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (RATE, 1), (44100, 2), (48000, 2)])
def test_recordings_of_any_rate_are_played(tmp_path: Path, rate: int, channels: int) -> None:
    """A recording keeps its length and its pitch, and loses the silence behind it."""
    silence = bytes(2 * rate * channels)
    file = _write(tmp_path / "in.wav", _tone(rate, channels) + silence, rate, channels)

    sound = np.frombuffer(read_wav(file), "<i2")

    assert len(sound) / RATE == pytest.approx(0.5, abs=0.02)
    pitch = np.argmax(np.abs(np.fft.rfft(sound))) * RATE / len(sound)
    assert pitch == pytest.approx(440, abs=5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: None, "is no WAV file that can be read", id="no file"),
        pytest.param(lambda path: path.write_bytes(b"words"), "is no WAV file that can be read", id="no WAV"),
        pytest.param(lambda path: path.write_bytes(b""), "is no WAV file that can be read", id="empty file"),
        pytest.param(lambda path: _write(path, bytes(100), 8000, 1, 1), "8 bits a sample. Make it 16", id="8 bits"),
        pytest.param(lambda path: _write(path, bytes(100), 8000, 1), "nothing but silence", id="silence"),
    ],
)  # fmt: skip
def test_unusable_recordings_are_refused(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    """A recording that cannot be played is an error that names the file and what is wrong with it."""
    path = tmp_path / "in.wav"
    make(path)

    with pytest.raises(ConfigError, match=message) as error:
        read_wav(path)

    assert "in.wav" in str(error.value)


def test_silence_alone_is_trimmed_to_nothing() -> None:
    """Sound without a voice in it has no end of speech."""
    assert trim(bytes(1000)) == b""


async def test_speech_takes_its_own_time() -> None:
    """The microphone sends in real time, so the end of speech lies as long after its start as the speech is."""
    import time

    microphone = Microphone()
    sound = _tone(RATE, 1, seconds=1.0)
    begun = time.monotonic()

    ended = await microphone.say(sound)
    await microphone.close()

    assert ended - begun == pytest.approx(1.0, abs=0.4)


def test_an_ear_tells_starts_from_pauses() -> None:
    """Sound after a pause between words is the same utterance; after a longer silence it is a new one."""
    ear = Ear()

    for moment in (1.0, 1.01, 1.2, 1.45, 3.0, 3.01):
        ear.hear(moment)

    assert ear.starts == [1.0, 3.0]
    assert ear.last == 3.01
    assert ear.start_after(1.45) == 3.0
    assert ear.start_after(3.0) is None


def _result(**changed: object) -> CallResult:
    known: dict[str, object] = {
        "room": "r",
        "dispatch_id": "AD_1",
        "agent_joined_s": 0.4,
        "first_word_s": None,
        "answers_s": (),
        "transcript": (),
        "outcome": None,
        "code": None,
        "timed_out": False,
        "failure": "intake joined but said nothing.",
    }
    return CallResult(**known | changed)  # type: ignore[arg-type]


def test_a_silent_agent_is_a_failed_dispatch() -> None:
    """Only a call in which the agent spoke passes the check."""
    with pytest.raises(DispatchError, match="said nothing"):
        _result().check()

    _result(failure=None).check()


def test_options_do_not_show_the_key() -> None:
    """Options in a traceback or a test's output hold no credential."""
    options = CallOptions("intake", "{}", "ws://127.0.0.1:1", "some-key", "some-secret")

    assert "some-" not in repr(options)
