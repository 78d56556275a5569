"""Text in the picture and speech, on rendered titles and real word vectors."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from cinescribe.encoders import catalogue
from cinescribe.encoders.speech_words import said, spoken_vectors
from cinescribe.encoders.words import WordVectors
from cinescribe.errors import UsageError
from cinescribe.utterance import Utterance, Word


def title(*lines: str) -> np.ndarray:
    picture = Image.new("RGB", (480, 270), (40, 60, 80))
    draw = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        draw.text((40, 40 + 90 * row), line, font=ImageFont.load_default(40), fill="white")
    return np.asarray(picture)


@pytest.fixture(scope="module")
def words():
    return WordVectors()


def test_titles_are_read_and_a_frame_without_text_is_absent():
    pytest.importorskip("rapidocr")
    ocr = catalogue.load("ocr", threads=1)
    frames = np.stack([title("The old house", "London 1940"), title()])
    assert ocr.reader.read_text(frames) == ["The old house\nLondon 1940", ""]
    features = ocr(frames[:, None])
    assert features.shape == (2, 300)
    assert features.dtype == np.float16
    assert np.isnan(features[1]).all()
    house, banana = WordVectors()(["house", "banana"]).vectors[:, 0]
    assert features[0] @ house > 2 * abs(features[0] @ banana)


def test_ocr_has_one_model():
    with pytest.raises(UsageError, match="one model"):
        catalogue.spec("ocr:tesseract")


SPEECH = [
    Utterance(0.0, 2.0, "Good morning, doctor.", role="dialogue"),
    Utterance(
        1.0, 4.0, "He opens the door.", role="narrator", words=(Word(1.0, 1.4, "He"), Word(1.5, 2.0, "opens"))
    ),
    Utterance(
        4.0,
        6.0,
        "Where is zzyzxq?",
        role="unknown",
        words=(Word(4.0, 4.4, "Where"), Word(4.4, 4.8, "is"), Word(5.0, 6.0, "zzyzxq?")),
    ),
]


def test_a_clip_hears_the_words_whose_middle_lies_in_it():
    assert said(SPEECH, 0.0, 6.0) == ["Good", "morning,", "doctor.", "Where", "is", "zzyzxq?"]
    assert said(SPEECH, 1.0, 4.5) == ["morning,", "doctor.", "Where"]  # spread evenly: middles 1/3, 1, 5/3 s
    assert said(SPEECH, 4.6, 5.5) == ["is"]
    assert said(SPEECH, 6.0, 9.0) == []


def test_the_description_itself_is_heard_only_when_asked_for():
    assert said(SPEECH, 1.0, 2.0, roles=["narrator"]) == ["He", "opens"]


def test_words_become_vectors_and_unknown_ones_are_left_out(words):
    vectors = spoken_vectors(SPEECH, words, 4.0, 6.0)
    np.testing.assert_array_equal(vectors, words(["where is"]).vectors[0])
    assert spoken_vectors(SPEECH, words, 7.0, 9.0).shape == (0, 300)
