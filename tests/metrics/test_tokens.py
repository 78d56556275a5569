"""The words of captions: Stanford's, and Python's by the same rules."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from cinescribe.errors import WeightsError
from cinescribe.metrics.tokens import default_tokeniser, tokenise

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="there is no java on the PATH")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared test data are not here")

# Sentences and their words as Stanford's tokeniser writes them.
KNOWN = {
    "A man can't (won't) play the piano -- he's done at 4:45pm...": (
        "a man ca n't -lrb- wo n't -rrb- play the piano he 's done at 4:45 pm"
    ),
    '"Hello," Mr. Smith said.': "hello mr. smith said",
    "The U.S. flag, a T-shirt & 3,000 people's dogs; the dogs' bowl": (
        "the u.s. flag a t-shirt & 3,000 people 's dogs the dogs bowl"
    ),
    "I'm gonna, cannot, wanna!": "i 'm gon na can not wan na",
    "black-and-white and/or 350-degree, 2-3 of No. 5 vs. $5.00, 50%": (
        "black-and-white and/or 350-degree 2-3 of no. 5 vs. $ 5.00 50 %"
    ),
    "It’s a “curly” café… 1990s": "it 's a curly café 1990s",
    "'tis O'Hara, o'clock, ma'am": "'t is o'hara o'clock ma'am",
    "the street.A bus": "the street.a bus",
    "": "",
    "...": "",
}


@pytest.mark.parametrize("sentence", [pytest.param(text, id=text or "empty") for text in KNOWN])
def test_known_words(sentence: str) -> None:
    assert tokenise([sentence], "python") == [KNOWN[sentence].split()]


@needs_java
def test_stanford_s_words_are_these() -> None:
    assert tokenise(list(KNOWN), "stanford") == [words.split() for words in KNOWN.values()]


def test_line_breaks_count_as_spaces_and_sentences_stay_apart() -> None:
    for tokeniser in ("python", *(["stanford"] if shutil.which("java") else [])):
        assert tokenise(["a\nb", "", "c\r\nd\u2028e"], tokeniser) == [["a", "b"], [], ["c", "d", "e"]]


def test_without_java_python_s_is_used_and_stanford_s_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert default_tokeniser() == "python"
    assert tokenise(["It's here."]) == [["it", "'s", "here"]]
    with pytest.raises(WeightsError, match="no java on the PATH"):
        tokenise(["It's here."], "stanford")


@needs_java
@needs_data
@pytest.mark.slow
def test_on_real_captions_the_two_hardly_ever_differ() -> None:
    """Fewer than one sentence in 500 of each source, one in 2,000 of all."""
    sources = {
        "coco": [row["caption"] for row in read("captions/coco/captions_val2017.json")["annotations"]],
        "msvd": [text for texts in read("captions/msvd/captions_msvd.json").values() for text in texts],
        "activitynet": [
            text for row in read("captions/activitynet/train.json").values() for text in row["sentences"]
        ],
        "youcook2": [
            text
            for row in read("captions/youcook2/captioning_train.json").values()
            for text in row["sentences"]
        ],
        "mad": descriptions(),
    }
    total = wrong = 0
    for name, sentences in sources.items():
        chosen = sentences[::6]
        pairs = zip(tokenise(chosen, "stanford"), tokenise(chosen, "python"), strict=True)
        differing = sum(one != other for one, other in pairs)
        assert differing < len(chosen) / 500, name
        total, wrong = total + len(chosen), wrong + differing
    assert total > 20_000
    assert wrong < total / 2000


def read(name: str) -> dict[str, object]:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def descriptions() -> list[str]:
    with (DATA / "ad_text/autoad_zero/madeval_anno.csv").open(encoding="cp1252", errors="replace") as file:
        return [row["sentence"] for row in csv.DictReader(file)]
