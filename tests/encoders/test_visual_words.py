"""What was recognised becomes words, and a query in other words finds them."""

from pathlib import Path

import numpy as np
import pytest

from cinescribe.encoders import catalogue, names
from cinescribe.encoders.text import SentenceEncoder
from cinescribe.encoders.visual_words import LABELS, WordMatcher, words_of
from cinescribe.media.frames import read_frames

VIDEO = Path(__file__).parents[2] / "../shared/data/video"
needs_video = pytest.mark.skipif(not VIDEO.is_dir(), reason="the shared films are not there")
IDS = {(label.kind, label.name): label.id for label in LABELS}


@pytest.fixture(scope="module")
def matcher() -> WordMatcher:
    return WordMatcher(SentenceEncoder())


def test_labels_are_both_encoders_outputs_in_order() -> None:
    from cinescribe.encoders import actions, objects

    assert [label.id for label in LABELS] == list(range(1400))
    for kind, known in (("objects", objects.labels()), ("actions", actions.labels())):
        found = [(label.index, label.name) for label in LABELS if label.kind == kind]
        assert found == list(enumerate(known))


def test_actions_are_named_in_torchvisions_order() -> None:
    from torchvision.models.video import S3D_Weights

    assert list(names.kinetics400()) == S3D_Weights.KINETICS400_V1.meta["categories"]


def test_a_window_is_called_what_its_seconds_agree_on() -> None:
    rows = np.zeros((4, 1000), np.float16)
    rows[:, 543], rows[0, 422] = 0.5, 0.5  # a dumbbell all along, a barbell in one second of three
    rows[3] = np.nan  # nothing to see
    (word,) = words_of("objects", rows)
    assert (word.label.name, word.confidence) == ("dumbbell", 0.5)


def test_the_surest_comes_first() -> None:
    rows = np.zeros((1, 400), np.float16)
    rows[0, 5], rows[0, 9] = 0.3, 0.6
    assert [(word.label.kind, word.label.index) for word in words_of("actions", rows)] == [
        ("actions", 9),
        ("actions", 5),
    ]


@pytest.mark.parametrize("rows", [np.zeros((0, 400)), np.full((2, 400), np.nan), np.full((2, 400), 1 / 400)])
def test_where_nothing_is_sure_nothing_is_said(rows: np.ndarray) -> None:
    assert words_of("actions", rows.astype(np.float16)) == []


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [
        ("a man lifts a barbell", "actions", "clean and jerk"),
        ("someone cooks a pancake", "actions", "flipping pancake"),
        ("a white parrot", "objects", "sulphur-crested cockatoo"),
        ("the couple embrace", "actions", "hugging"),
        ("a woman jumps into the sand pit", "actions", "long jump"),
        ("he shoots with a pistol", "objects", "revolver"),
        ("she plays a cello on stage", "actions", "playing cello"),
        ("they ride bikes down the mountain", "objects", "mountain bike"),
    ],
)
def test_a_query_finds_what_shares_no_name_with_it(
    matcher: WordMatcher, query: str, kind: str, name: str
) -> None:
    weights = matcher.weights(query)
    assert IDS[kind, name] in weights
    assert len(weights) <= 40
    assert all(0.0 < weight <= 1.0 for weight in weights.values())
    assert list(weights.values()) == sorted(weights.values(), reverse=True)


@pytest.mark.parametrize("query", ["the contract was signed in 1987", "hmm", "because of what he said"])
def test_a_query_about_nothing_visible_finds_nothing_sure(matcher: WordMatcher, query: str) -> None:
    assert all(weight < 0.4 for weight in matcher.weights(query).values())


@needs_video
@pytest.mark.slow
def test_a_real_clip_is_found_by_a_query_in_other_words(matcher: WordMatcher) -> None:
    """Ten seconds of weightlifting: recognised, and nearer to a query of it than to one of something else."""
    words = []
    for kind in ("objects", "actions"):
        encoder = catalogue.load(kind, threads=1)
        times = 2.0 + np.arange(5)[:, None] + np.array(encoder.spec.offsets)
        film = read_frames(VIDEO / "v_GGSY1Qvo990.mp4", rate=8.0, end=9.5)
        shown = np.searchsorted(film.times, times + 1e-3, side="right") - 1
        words += words_of(kind, encoder(film.frames[shown]))  # type: ignore[arg-type]
    recognised = [word.label.name for word in words]
    assert "barbell" in recognised
    assert {"clean and jerk", "snatch weight lifting", "deadlifting"} & set(recognised)

    def score(query: str) -> float:
        weights = matcher.weights(query)
        return sum(weights.get(word.label.id, 0.0) * word.confidence for word in words)

    assert score("a weightlifter at work") > 0.2
    assert score("a weightlifter at work") > 3 * score("a woman cooks dinner")
