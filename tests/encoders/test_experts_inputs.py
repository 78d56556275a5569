"""What Collaborative Experts is given of a clip, out of real tables."""

import numpy as np
import pytest

from cinescribe import tables
from cinescribe.encoders.experts import PAPER, SMALL, available, expert_inputs
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.encoders.words import WordVectors
from cinescribe.errors import UsageError
from cinescribe.media.library import FilmRef

FILM = FilmRef("season/one", "/films/season/one.mkv", 1, "etag")


def write(root: str, name: str, hz: float, rows: np.ndarray) -> None:
    """Features of a film, in two chunks."""
    spec = EncoderSpec(name, hz, rows.shape[1], offsets=(0.0,))
    half = len(rows) // 2
    for number, first, part in ((0, 0, rows[:half]), (1, half, rows[half:])):
        chunk = (number, first / hz, (first + len(part)) / hz)
        row = tables.feature_row(FILM, chunk, spec, first, part.astype(np.float16), {"role": "weight"})
        tables.write_row(root, f"features/{name}", FILM.film_id, row, number)


@pytest.fixture
def root(tmp_path):
    """Ten seconds: appearance counts them, a face is seen in the fourth only, text in the first two."""
    root = str(tmp_path)
    write(root, "appearance", 1.0, np.arange(10.0)[:, None].repeat(1280, 1))
    write(root, "audio", 1 / 0.96, np.arange(40.0)[:, None].repeat(128, 1))
    write(root, "sound", 1 / 0.96, np.arange(40.0)[:, None].repeat(384, 1))
    face = np.full((10, 128), np.nan)
    face[3] = 0.25
    write(root, "face", 1.0, face)
    text = np.full((10, 300), np.nan)
    text[:2] = [[1.0], [2.0]]
    write(root, "ocr", 1.0, text)
    utterance = {
        "start": 0.0,
        "end": 4.0,
        "text": "good morning",
        "speaker": "A",
        "role": "dialogue",
        "words": [],
        "confidence": 1.0,
    }
    row = {
        "film_id": FILM.film_id,
        "etag": "etag",
        "utterances": [utterance],
        "language": "en",
        "language_probability": 1.0,
        "narrator_confidence": 0.0,
        "evidence": [],
        "suppressed": [],
        "damaged_seconds": 0.0,
        "weights": [],
    }
    tables.write_row(root, "speech", FILM.film_id, row)
    return root


def test_averages_sequences_and_what_is_absent(root):
    inputs = expert_inputs(root, FILM.film_id, 2.0, 5.0)
    assert list(inputs) == [expert.name for expert in SMALL]
    np.testing.assert_array_equal(inputs["appearance"], np.full(1280, 3.0))  # of seconds 2, 3 and 4
    np.testing.assert_array_equal(inputs["face"], np.full(128, 0.25))  # of the one second that has one
    np.testing.assert_array_equal(inputs["audio"][:, 0], [2.0, 3.0, 4.0])  # middles at 2.4, 3.36, 4.32 s
    np.testing.assert_array_equal(inputs["speech"], WordVectors()(["morning"]).vectors[0])
    assert inputs["ocr"] is None  # nothing is written there
    assert inputs["motion"] is None  # never extracted
    assert inputs["scene"] is None
    assert available(inputs).tolist() == [True, True, True, False, False, False, True]


def test_sequences_keep_their_first_tokens_in_order(root):
    inputs = expert_inputs(root, FILM.film_id, 0.0, 38.0)
    np.testing.assert_array_equal(inputs["audio"][:, 0], np.arange(29.0))
    np.testing.assert_array_equal(inputs["ocr"][:, 0], [1.0, 2.0])


def test_a_clip_shorter_than_a_feature_has_the_feature_it_lies_in(root):
    inputs = expert_inputs(root, FILM.film_id, 6.6, 6.9)
    np.testing.assert_array_equal(inputs["appearance"], np.full(1280, 6.0))
    assert expert_inputs(root, FILM.film_id, 50.0, 51.0)["appearance"] is None


def test_a_film_without_tables_has_nothing(root):
    inputs = expert_inputs(root, "season/two", 0.0, 5.0)
    assert not available(inputs).any()


def test_the_papers_experts_are_its_nine_in_the_order_of_the_alphabet(root):
    assert [expert.name for expert in PAPER] == sorted(expert.name for expert in PAPER)
    averaged = {expert.name: expert.dim for expert in PAPER if not expert.tokens}
    assert averaged == {
        "face": 512,
        "i3d": 1024,
        "r2p1d": 512,
        "resnext101": 2048,
        "scene": 2208,
        "senet154": 2048,
    }
    sequences = {expert.name: (expert.dim, expert.tokens) for expert in PAPER if expert.tokens}
    assert sequences == {"audio": (128, 29), "ocr": (300, 49), "speech": (300, 32)}
    assert available(expert_inputs(root, FILM.film_id, 0.0, 5.0, PAPER), PAPER).sum() == 3


def test_features_of_another_network_are_refused(root):
    write(root, "motion", 1.0, np.zeros((10, 512)))
    with pytest.raises(UsageError, match="512 numbers a feature"):
        expert_inputs(root, FILM.film_id, 0.0, 5.0)
    with pytest.raises(UsageError, match="holds nothing"):
        expert_inputs(root, FILM.film_id, 5.0, 5.0)
