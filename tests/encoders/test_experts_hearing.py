"""The sound expert on Whisper's weights, on real recordings."""

from pathlib import Path

import numpy as np
import pytest

from cinescribe.encoders import catalogue
from cinescribe.errors import UsageError
from cinescribe.media.audio import read_audio

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the sample recordings are not here")
def test_speech_lies_apart_from_music_and_noises():
    """Of recordings it has not heard: each second's nearest neighbour in other recordings is of its kind."""
    encoder = catalogue.load("sound", threads=1)
    found = {}
    for name in (
        "jfk.flac",
        "2412-153948-0000.flac",
        "sense_and_sensibility_01_austen_64kb-0870.wav",
        "big_buck_bunny_0_30.webm",
        "cockatoo.mp4",
        "flipping_a_pancake.mkv",
    ):
        path = next(DATA.rglob(name))
        sound = read_audio(path, end=8.0)
        starts = range(0, len(sound) - 32_000 + 1, 16_000)
        found[name] = encoder(np.stack([sound[start : start + 32_000] for start in starts]))
    features = np.concatenate(list(found.values())).astype(np.float64)
    recording = np.repeat(np.arange(6), [len(rows) for rows in found.values()])
    speech = recording < 3
    features = (features - features.mean(0)) / features.std(0)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features @ features.T
    cosines[recording[:, None] == recording] = -np.inf
    assert (speech[cosines.argmax(1)] == speech).mean() > 0.75  # the larger kind alone would give about 0.5


def test_sound_has_one_model():
    with pytest.raises(UsageError, match="one model"):
        catalogue.spec("sound:vggish")
