"""Sentence vectors are those of the published model, and their cosine says what means the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cinescribe import zoo
from cinescribe.encoders.text import SentenceEncoder
from cinescribe.errors import WeightsError

TEXTS = [
    "Somebody opens the door and leaves the room.",
    "",
    "naïve café 東京",
    "very long " * 400,
    "He walks out through the doorway.",
]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder()


@pytest.fixture(scope="module")
def folder(encoder: SentenceEncoder) -> Path:
    return zoo.path("all-MiniLM-L6-v2")


def test_vectors_are_those_of_transformers_called_directly(encoder: SentenceEncoder, folder: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    expected = []
    for text in TEXTS:  # one by one: no padding
        tokens = tokenizer(text, truncation=True, max_length=256, padding=False, return_tensors="pt")
        with torch.inference_mode():
            mean = model(**tokens).last_hidden_state[0].mean(0)
        expected.append((mean / mean.norm()).numpy())
    found = encoder.encode(TEXTS, batch=2)
    assert found.dtype == np.float16
    assert found.shape == (len(TEXTS), encoder.dim) == (5, 384)
    assert np.abs(found - np.stack(expected)).max() < 5e-4  # float16 of values below 1


def test_the_published_models_own_example(encoder: SentenceEncoder) -> None:
    """Cosines of the first-steps example in the documentation of sentence-transformers."""
    sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    vectors = encoder.encode(sentences).astype(np.float32)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] == pytest.approx(0.6660, abs=2e-3)
    assert cosines[0, 2] == pytest.approx(0.1046, abs=2e-3)
    assert cosines[1, 2] == pytest.approx(0.1411, abs=2e-3)


@pytest.mark.parametrize(
    ("said", "paraphrase", "other"),
    [
        ("A man lifts a barbell.", "He is weightlifting.", "A cat sleeps on a sofa."),
        ("The child falls asleep in bed.", "A kid dozes off.", "He repairs a motorbike."),
        ("They drive off in a car.", "The couple leave by automobile.", "They cook dinner."),
    ],
)
def test_a_paraphrase_is_nearer_than_another_scene(
    encoder: SentenceEncoder, said: str, paraphrase: str, other: str
) -> None:
    vectors = encoder.encode([said, paraphrase, other]).astype(np.float32)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_nothing_gives_nothing(encoder: SentenceEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)
    assert encoder.weights == {"sentence": "all-MiniLM-L6-v2"}


def test_a_folder_serves_as_the_named_weight_does(encoder: SentenceEncoder, folder: Path) -> None:
    assert np.array_equal(SentenceEncoder(str(folder)).encode(TEXTS[:1]), encoder.encode(TEXTS[:1]))


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(WeightsError, match=r"no sentence encoder 'all-MiniLM'.*all-MiniLM-L6-v2"):
        SentenceEncoder("all-MiniLM")


def test_other_ways_of_pooling_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "cls")
    (copy / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    with pytest.raises(WeightsError, match="cls: pooling_mode_cls_token: only"):
        SentenceEncoder(str(copy))


def test_weights_that_lack_a_layer_are_refused_not_drawn(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "deeper")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 7}))
    with pytest.raises(WeightsError, match=r"deeper are not those of its config\.json"):
        SentenceEncoder(str(copy))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"can't be loaded from .*config\.json"):
        SentenceEncoder(str(tmp_path))
