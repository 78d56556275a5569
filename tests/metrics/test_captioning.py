"""Caption scores: known by hand, and to the digit those of coco-caption's own program."""

import json
import math
import shutil
from pathlib import Path

import pytest

from cinescribe.errors import UsageError, WeightsError
from cinescribe.metrics.captioning import (
    CaptionScores,
    bleu,
    cider,
    rouge_l,
    score_captions,
    tokenise_captions,
)

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="there is no java on the PATH")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data are not here")


def words(*sentences: str) -> list[list[str]]:
    return [sentence.split() for sentence in sentences]


def coco(name: str, count: int | None = None) -> tuple[dict[str, list[str]], dict[str, str], dict]:
    """References and captions of coco-caption's example, and the digits of its program."""
    annotations = json.loads((DATA / "captions/coco/captions_val2017.json").read_text())["annotations"]
    references: dict[str, list[str]] = {}
    for row in annotations:
        references.setdefault(str(row["image_id"]), []).append(row["caption"])
    rows = json.loads((DATA / f"metrics/coco/{name}.json").read_text())
    captions = {str(row["image_id"]): row["caption"] for row in rows if str(row["image_id"]) in references}
    captions = dict(list(captions.items())[:count])
    expected = json.loads((DATA / "metrics/coco/expected_pycocoevalcap.json").read_text())[name]
    return {name: references[name] for name in captions}, captions, expected


def check(scores: CaptionScores, expected: dict) -> None:
    assert scores.captions == expected["n"]
    assert scores.bleu == pytest.approx(tuple(expected["BLEU"]), rel=1e-9)
    assert scores.rouge_l == pytest.approx(expected["ROUGE_L"], rel=1e-9)
    assert scores.cider == pytest.approx(expected["CIDEr"], rel=1e-9)


# --- the published digits


@needs_data
@pytest.mark.parametrize("tokeniser", ["python", pytest.param("stanford", marks=needs_java)])
def test_the_example_of_coco_caption_has_its_digits_with_either_tokeniser(tokeniser: str) -> None:
    references, captions, expected = coco("captions_val2014_fakecap_results")
    scores = score_captions(references, captions, tokeniser=tokeniser)
    check(scores, expected)
    assert scores.tokeniser == tokeniser
    assert scores.meteor is None


@needs_data
@needs_java
@pytest.mark.slow
def test_meteor_and_the_whole_of_val2017_have_the_program_s_digits() -> None:
    references, captions, expected = coco("captions_val2014_fakecap_results")
    scores = score_captions(references, captions, meteor=True, tokeniser="stanford")
    assert scores.meteor == pytest.approx(expected["METEOR"], rel=1e-9)
    references, captions, expected = coco("captions_val2017_fakecap_results")
    check(score_captions(references, captions, tokeniser="stanford"), expected)


@needs_data
@needs_java
def test_the_example_of_nlg_eval_has_its_published_digits() -> None:
    """Two sentences with two references each; digits of the README of nlg-eval."""
    folder = DATA / "metrics/nlgeval"
    said, *true = ((folder / name).read_text().splitlines() for name in ("hyp.txt", "ref1.txt", "ref2.txt"))
    references = {str(row): list(texts) for row, texts in enumerate(zip(*true, strict=True))}
    scores = score_captions(references, {str(row): text for row, text in enumerate(said)})
    assert [round(value, 6) for value in scores.bleu] == [0.55, 0.428174, 0.284043, 0.201143]
    assert round(scores.rouge_l, 6) == 0.522104
    assert round(scores.cider, 6) == 1.242192


# --- by hand


def test_bleu_clips_counts_and_punishes_short_captions() -> None:
    scores = bleu(
        [words("the cat is on the mat", "there is a cat on the mat")], words("the the the the the the the")
    )
    assert scores[0] == pytest.approx(2 / 7)
    short = bleu([words("a b c d")], words("a b"))
    assert short[0] == pytest.approx(math.exp(1 - 2))
    assert bleu([words("a b c d e")], words("a b c d e")) == pytest.approx((1, 1, 1, 1))


def test_bleu_takes_the_closest_length_the_shorter_of_two() -> None:
    references = [words("a b c d e f", "a b")]
    assert bleu(references, words("a b c d"))[0] == pytest.approx(1.0)


def test_rouge_weighs_recall_more() -> None:
    # Three of the caption's four words in order among the six of the reference.
    (score,) = rouge_l([words("the cat sat on the mat")], words("the mat cat sat"))
    precision, recall = 3 / 4, 3 / 6
    assert score == pytest.approx((1 + 1.44) * precision * recall / (recall + 1.44 * precision))
    assert rouge_l([words("a b"), words("a b")], words("c d", "")) == [0.0, 0.0]


def test_cider_of_the_reference_itself_is_ten() -> None:
    references = [
        words("a red dog runs in the park"),
        words("two women cook a big meal"),
        words("he sings on a stage"),
    ]
    assert cider(references, [true[0] for true in references]) == pytest.approx([10, 10, 10])


def test_words_of_every_reference_tell_nothing() -> None:
    references = [words("a dog"), words("a cat")]
    assert cider(references, words("a", "a")) == [0, 0]
    assert cider([words("a dog runs")], words("a dog runs")) == [0]  # a single caption has no rare words


def test_cider_d_does_not_reward_repetition() -> None:
    references = [words("a dog runs over the grass"), words("a cat sleeps under the bed")]
    plain, repeated = (
        cider(references, [*words(text), references[1][0]])[0] for text in ("dog", "dog dog dog dog")
    )
    assert repeated < plain


def test_cider_counts_in_the_set_that_is_scored() -> None:
    one = words("a dog runs"), words("a cat sleeps")
    first = cider(one, words("a dog runs", "x"))[0]
    more = cider([*one, words("a dog barks")], words("a dog sits", "x", "y"))[0]
    assert first == pytest.approx(7.5)  # there is no 4-gram in three words
    assert 0 < more < first


# --- what is asked for


def test_ids_must_match_and_each_caption_needs_references() -> None:
    with pytest.raises(UsageError, match="'b'"):
        score_captions({"a": ["x"], "b": ["y"]}, {"a": "x"}, tokeniser="python")
    with pytest.raises(UsageError, match="'a' needs a list"):
        score_captions({"a": []}, {"a": "x"}, tokeniser="python")
    with pytest.raises(UsageError, match="'a' needs a list"):
        score_captions({"a": "x"}, {"a": "x"}, tokeniser="python")
    with pytest.raises(UsageError, match="no captions"):
        score_captions({}, {}, tokeniser="python")


def test_words_come_in_the_order_of_the_captions() -> None:
    true, said = tokenise_captions({"b": ["B b."], "a": ["A.", "a a"]}, {"a": "One.", "b": "Two."}, "python")
    assert true == [[["a"], ["a", "a"]], [["b", "b"]]]
    assert said == [["one"], ["two"]]


def test_meteor_says_that_it_needs_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cinescribe import zoo

    if not zoo.is_pulled("meteor-1.5"):
        pytest.skip("meteor-1.5 is not on this machine")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match="no java on the PATH"):
        score_captions({"a": ["x"]}, {"a": "x"}, meteor=True)
