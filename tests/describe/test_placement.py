"""The laws of placement, for any sentences in any dialogue; and what shortening may do to a sentence."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinescribe.describe.intervals import merge_shots, read_intervals
from cinescribe.describe.phrases import FEWEST_WORDS, forms
from cinescribe.describe.placement import (
    Cue,
    PlacementSettings,
    Sentence,
    Span,
    place,
)
from cinescribe.errors import UsageError

DURATION = 120.0
TEXTS = [
    "Anna walks to the door and then she looks back, smiling at Tom.",
    "Tom sits down; the dog barks.",
    "She waits.",
    "...",
    "",
    "The old man, who carries a basket of apples, opens the heavy door of the house with a rusty key.",
    "He sees the boat. It leaves the harbour while the sun goes down.",
]
moments = st.floats(0, DURATION, allow_nan=False)
spans = st.tuples(moments, st.floats(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
sentences = st.builds(
    lambda span, text, score: Sentence(*span, text, score), spans, st.sampled_from(TEXTS), st.floats(0, 1)
)
settings = st.builds(
    PlacementSettings,
    words_per_minute=st.floats(60, 400),
    shortest_gap=st.floats(0, 5),
    apart=st.floats(0, 1),
    early=st.floats(0, 5),
    late=st.floats(0, 8),
)
TINY = 1e-9  # of binary fractions; all is in whole milliseconds


def cues_of(text: str, start: float, end: float, dialogue: list[Span], **chosen: float) -> list[Cue | None]:
    found = place([Sentence(start, end, text)], dialogue, DURATION, PlacementSettings(**chosen))
    return [placed.cue for placed in found]


@given(st.lists(sentences, max_size=25), st.lists(spans, max_size=25), settings)
def test_laws(given_sentences: list[Sentence], dialogue: list[Span], chosen: PlacementSettings) -> None:
    found = place(given_sentences, dialogue, DURATION, chosen)
    # each is placed or dropped with a reason, none is lost or made up
    assert sorted(map(repr, given_sentences)) == sorted(repr(placed.sentence) for placed in found)
    assert all((placed.cue is None) == bool(placed.reason) for placed in found)
    cues = [placed.cue for placed in found if placed.cue]
    for placed in found:
        if (cue := placed.cue) is None:
            continue
        assert 0 <= cue.start < cue.end <= DURATION + TINY
        assert cue.end - cue.start >= chosen.seconds(cue.text) - TINY  # its words fit
        assert cue.text in forms(placed.sentence.text)
        assert cue.start >= placed.sentence.start - chosen.early - 0.001
        assert cue.end <= placed.sentence.end + chosen.late + 0.001
        for start, end in dialogue:
            if start < DURATION:
                assert cue.end <= start - chosen.apart + 0.001 or cue.start >= end + chosen.apart - 0.001
                assert cue.end <= start + TINY or cue.start >= end - TINY
        assert (cue.start, cue.end) == (round(cue.start, 3), round(cue.end, 3))
    for before, after in pairwise(cues):
        assert after.start - before.end >= chosen.apart - 0.001


@given(st.text(alphabet="ab s,.;—\"and'\n", max_size=80))
def test_a_shorter_form_is_a_beginning(text: str) -> None:
    found = forms(text)
    whole = " ".join(text.split())
    assert found[:1] in ([], [whole])
    for longer, shorter in pairwise(found):
        assert len(shorter.split()) <= len(longer.split())
        assert whole.startswith(shorter.rstrip(".\"'"))
        assert len(shorter.split()) >= FEWEST_WORDS


@pytest.mark.parametrize(
    ("text", "shorter"),
    [
        (TEXTS[0], ["Anna walks to the door and then she looks back.", "Anna walks to the door."]),
        ("The old man, smiling, opens the door.", []),
        ("The cats and dogs run.", []),
        ("Anna Berg, Tom Hill, and dogs run away.", []),
        ("As she enters, he smiles and she sits down.", ["As she enters, he smiles."]),
        ("Mr. Smith walks in. Anna Berg, in red, sits.", ["Mr. Smith walks in."]),
        ("In the kitchen, Anna cooks while he sleeps.", ["In the kitchen, Anna cooks."]),
        ('"He says so. Yes" she says.', []),
        ("She dances\nalone.", []),
    ],
)
def test_only_whole_phrases_fall_away(text: str, shorter: list[str]) -> None:
    assert forms(text) == [" ".join(text.split()), *shorter]


def test_a_cue_begins_with_its_interval_where_nobody_speaks() -> None:
    assert cues_of("She waits here now.", 10, 14, []) == [Cue(10.0, 11.5, "She waits here now.", 1.0)]


def test_a_line_moves_a_cue_to_the_nearest_gap() -> None:
    (cue,) = cues_of("She waits here now.", 10, 14, [(9.0, 11.0)])
    assert cue is not None
    assert cue.start == pytest.approx(11.2)
    (cue,) = cues_of("She waits here now.", 10, 14, [(9.8, 17.0)])
    assert cue is not None
    assert cue.end == pytest.approx(9.6)


def test_a_text_loses_phrases_until_it_fits_and_is_dropped_when_none_does() -> None:
    around = [(0.0, 10.0), (13.0, 60.0)]  # 2.6 s of room, 6 words at 160 a minute
    (cue,) = cues_of(TEXTS[0], 10, 14, around)
    assert cue is not None
    assert cue.text == "Anna walks to the door."
    found = place([Sentence(10, 14, TEXTS[5])], around, DURATION)
    assert [placed.reason for placed in found] == ["too-long"]


def test_reasons() -> None:
    waits = "She waits here now."
    given_sentences = [
        Sentence(0, 2, " ... "),
        Sentence(2, 4, waits),
        Sentence(4, 6, waits),
        Sentence(30, 32, "He waits here now."),
        Sentence(60, 61, "He reads a very old letter."),
        Sentence(60, 61, "He reads a very long letter."),
    ]
    found = place(given_sentences, [(20.0, 50.0), (50.0, 60.0), (63.0, 90.0)], DURATION)
    assert [placed.reason for placed in found] == ["empty", "", "repeated", "no-gap", "", "taken"]


def test_measured_lengths_count_instead_of_words() -> None:
    found = place([Sentence(10, 14, "She waits.")], [], DURATION, seconds=lambda text: 3.0)
    assert found[0].cue == Cue(10.0, 13.0, "She waits.", 1.0)


def test_short_pauses_are_not_used() -> None:
    lines = [(0.0, 10.0), (11.9, 60.0)]
    assert cues_of("Go.", 10, 12, lines) == [None]
    assert cues_of("Go.", 10, 12, lines, shortest_gap=1.5) != [None]


@given(st.lists(st.floats(0.04, 40), min_size=1, max_size=30))
def test_intervals_tile_the_shots(lengths: list[float]) -> None:
    edges = [sum(lengths[:n]) for n in range(len(lengths) + 1)]
    shots = list(pairwise(edges))
    found = merge_shots(shots)
    assert found[0][0] == 0
    assert found[-1][1] == edges[-1]
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(end - start <= 12.0 + 1e-6 for start, end in found)
    if edges[-1] >= 3:
        assert all(end - start >= 3.0 - 1e-6 for start, end in found)


def test_settings_that_cannot_be_meant_are_told() -> None:
    with pytest.raises(UsageError, match="words per minute"):
        PlacementSettings(words_per_minute=0)
    with pytest.raises(UsageError, match="shortest"):
        merge_shots([(0, 1)], 5, 2)


def test_intervals_of_a_file_are_in_order_and_by_film(tmp_path: Path) -> None:
    path = tmp_path / "intervals.csv"
    path.write_text("film_id,start,end\na/b,4,6.5\nc,0,1\na/b,1,2\n")
    assert read_intervals(str(path)) == {"a/b": [(1.0, 2.0), (4.0, 6.5)], "c": [(0.0, 1.0)]}
    path.write_text("film_id,start,end\na,0,1\na,0,1.0\n")  # twice the same is described once
    assert read_intervals(str(path)) == {"a": [(0.0, 1.0)]}


@pytest.mark.parametrize(
    "text", ["film_id,start\na,1\n", "film_id,start,end\na,2,1\n", "film_id,start,end\n", ""]
)
def test_a_file_without_intervals_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "intervals.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"intervals\.csv"):
        read_intervals(str(path))
