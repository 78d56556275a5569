"""BERTScore: its arithmetic, on a small model with random weights made here."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from cinescribe.errors import UsageError, WeightsError
from cinescribe.metrics.bertscore import BertScore, BertScores, read_baseline
from cinescribe.metrics.spice import spice_score

WORDS = "a the dog cat runs sleeps over under grass bed red two women".split()
CAPTIONS = ["a dog runs over the grass", "the cat sleeps", "two women"]
REFERENCES = [["the red dog runs"], ["a cat sleeps under the bed"], ["two women"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bert")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=32, initializer_range=0.5,
    )  # fmt: skip
    BertModel(config).save_pretrained(place)
    BertTokenizer(vocab={word: number for number, word in enumerate(vocabulary)}).save_pretrained(place)
    return place


def test_each_word_counts_by_its_best_match_of_the_layer(folder: Path) -> None:
    """The arithmetic in plain loops; alone and in a batch with padding."""
    model, tokeniser = BertModel.from_pretrained(folder).eval(), BertTokenizer.from_pretrained(folder)

    def vectors(text: str) -> torch.Tensor:
        with torch.no_grad():
            output = model(**tokeniser(text, return_tensors="pt"), output_hidden_states=True)
        return torch.nn.functional.normalize(output.hidden_states[2][0], dim=-1)

    scored = BertScore(str(folder), layer=2)(REFERENCES, CAPTIONS)
    for caption, (reference,), score in zip(CAPTIONS, REFERENCES, scored, strict=True):
        said, true = vectors(caption), vectors(reference)
        best = [max(float(one @ other) for other in true) for one in said[1:-1]]
        back = [max(float(one @ other) for other in said) for one in true[1:-1]]
        precision, recall = sum(best) / len(best), sum(back) / len(back)
        f = 2 * precision * recall / (precision + recall)
        assert (score.precision, score.recall, score.f) == pytest.approx((precision, recall, f), abs=1e-5)


def test_the_reference_itself_scores_one_and_the_best_reference_counts(folder: Path) -> None:
    score = BertScore(str(folder), layer=3)
    (same,) = score([["two women", "a dog"]], ["a dog"])
    assert (same.precision, same.recall, same.f) == pytest.approx((1, 1, 1))
    assert score([["a dog"]], [""]) == [BertScores(0.0, 0.0, 0.0)]


def test_a_baseline_becomes_zero(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "baseline.tsv"
    table.write_text("LAYER,P,R,F\n0,0.1,0.1,0.1\n2,0.3,0.4,0.5\n")
    assert read_baseline(table, 2) == (0.3, 0.4, 0.5)
    (plain,), (stretched,) = (
        BertScore(str(folder), 2, base)(REFERENCES[:1], CAPTIONS[:1]) for base in (None, (0.3, 0.4, 0.5))
    )
    assert stretched.f == pytest.approx((plain.f - 0.5) / 0.5)
    assert stretched.precision == pytest.approx((plain.precision - 0.3) / 0.7)
    with pytest.raises(WeightsError, match="no baseline of layer 7"):
        read_baseline(table, 7)
    with pytest.raises(WeightsError, match="not a baseline"):
        read_baseline(tmp_path / "none.tsv", 7)


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="3 layers"):
        BertScore(str(folder), layer=4)
    with pytest.raises(WeightsError, match="can't be loaded"):
        BertScore(str(tmp_path), layer=1)
    with pytest.raises(UsageError, match="references"):
        BertScore(str(folder), layer=1)([[]], ["a dog"])


def test_spice_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match="no java"):
        spice_score([["a dog"]], ["a dog"])
