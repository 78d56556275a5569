"""Known answers: counted by hand, and by NIST's md-eval-22.pl (which the test data carry)."""

from math import inf, isnan
from pathlib import Path

import pytest

from cinescribe.metrics.speech import (
    DiarizationErrors,
    TimeShares,
    WordErrors,
    diarization_error,
    time_overlap,
    unite,
    word_errors,
)
from cinescribe.subtitles import read_rttm
from cinescribe.utterance import Utterance

DSCORE = Path(__file__).parents[2] / ".." / "shared" / "data" / "metrics" / "dscore"


def turns(*rows: tuple[float, float, str]) -> list[Utterance]:
    return [Utterance(start, end, "", speaker) for start, end, speaker in rows]


REFERENCE = turns((0, 10, "A"), (8, 14, "B"), (20, 25, "A"))
SYSTEM = turns((0, 6, "X"), (6, 9, "Y"), (9.5, 14, "Y"), (20, 24, "X"), (26, 27, "Z"))


def test_each_kind_of_word_error_is_counted() -> None:
    errors = word_errors("the cat sat on the mat", "the bat sat the mat today")
    assert errors == WordErrors(substitutions=1, deletions=1, insertions=1, words=6)
    assert errors.rate == pytest.approx(0.5)
    assert errors.hits == 4


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("I'm twenty-one.", "i am 21"),
        ("The colour of Mr. Smith's coat", "the color of mister smith's coat"),
        ("Well, hmm, you won't!", "[door] well you will not"),
        ("LISTEN... listen to the sounds!", "Listen, listen to the sounds."),
    ],
)
def test_english_ways_of_writing_the_same_words_are_no_errors(reference: str, hypothesis: str) -> None:
    assert word_errors(reference, hypothesis).rate == 0


def test_other_languages_keep_their_letters_and_lose_only_case_and_punctuation() -> None:
    assert word_errors("Ça va, l'été ?", "ça va l été", language="fr").rate == 0
    assert word_errors("Ça va", "ca va", language="fr") == WordErrors(1, 0, 0, 2)
    assert word_errors("won't", "will not", language="de").rate > 0


def test_nothing_said_and_nothing_recognised() -> None:
    assert word_errors("", "") == WordErrors(0, 0, 0, 0)
    assert word_errors("", "").rate == 0
    assert word_errors("two words", "") == WordErrors(0, 2, 0, 2)
    assert word_errors("", "thank you") == WordErrors(0, 0, 2, 0)
    assert word_errors("", "thank you").rate == inf


def test_word_errors_of_several_films_are_pooled() -> None:
    pooled = word_errors("one", "won") + word_errors("the cat sat on the mat", "the cat sat on the mat")
    assert pooled == WordErrors(1, 0, 0, 7)
    assert pooled.rate == pytest.approx(1 / 7)


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        # 6-8 s is B instead of A; missed: A 8-9, both 9-9.5, A 9.5-10 and 24-25; false: 26-27
        ([(0, 30)], DiarizationErrors(missed=3.5, false_alarm=1, confusion=2, total=21)),
        ([(5, 24.5)], DiarizationErrors(missed=3, false_alarm=0, confusion=2, total=15.5)),
        ([(0, 6), (25, 30)], DiarizationErrors(missed=0, false_alarm=1, confusion=0, total=6)),
    ],
)
def test_diarization_errors_are_those_of_md_eval(
    scored: list[tuple[float, float]], expected: DiarizationErrors
) -> None:
    errors = diarization_error(REFERENCE, SYSTEM, scored)
    assert (errors.missed, errors.false_alarm, errors.confusion, errors.total) == pytest.approx(
        (expected.missed, expected.false_alarm, expected.confusion, expected.total)
    )
    assert errors.rate == pytest.approx(expected.rate)


def test_pyannote_metrics_gives_the_same_rate() -> None:
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    annotations = []
    for side in (REFERENCE, SYSTEM):
        annotation = Annotation()
        for turn in side:
            annotation[Segment(turn.start, turn.end), turn.speaker] = turn.speaker
        annotations.append(annotation)
    theirs = DiarizationErrorRate()(*annotations, uem=Timeline([Segment(0, 30)]))
    assert diarization_error(REFERENCE, SYSTEM, [(0, 30)]).rate == pytest.approx(theirs)


def test_names_of_speakers_and_the_cutting_of_turns_do_not_matter() -> None:
    renamed = turns((0, 4, "B"), (3, 10, "B"), (10, 10, "C"), (8, 14, "A"), (20, 25, "B"))
    assert diarization_error(REFERENCE, renamed, [(0, 30)]).rate == 0


def test_no_reference_speech() -> None:
    assert diarization_error([], [], [(0, 30)]).rate == 0
    assert diarization_error([], SYSTEM, [(0, 30)]).rate == inf


@pytest.mark.skipif(not DSCORE.is_dir(), reason="the shared test data are not here")
def test_the_recording_of_dscore_scores_as_md_eval_says() -> None:
    errors = diarization_error(read_rttm(DSCORE / "ref.rttm"), read_rttm(DSCORE / "sys.rttm"), [(0, 60)])
    assert (errors.missed, errors.false_alarm, errors.confusion, errors.total) == pytest.approx(
        (3.726, 1.043, 3.425, 31.046)
    )
    assert round(100 * errors.rate, 2) == 26.39


def test_time_found_and_time_rightly_claimed() -> None:
    shares = time_overlap([(0, 10), (20, 30)], [(5, 12), (25, 26), (40, 42)])
    assert shares == TimeShares(both=6, reference=20, claimed=10)
    assert shares.found == pytest.approx(0.3)
    assert shares.right == pytest.approx(0.6)


def test_overlapping_spans_of_one_side_count_once() -> None:
    assert time_overlap([(4, 10), (0, 6)], [(0, 10), (2, 3)]) == TimeShares(10, 10, 10)


def test_shares_of_nothing_are_not_a_number() -> None:
    assert isnan(time_overlap([], [(0, 1)]).found)
    assert isnan(time_overlap([(0, 1)], []).right)
    assert time_overlap([(0, 1)], []).found == 0


def test_spans_are_joined_over_pauses_shorter_than_the_gap() -> None:
    assert unite([(1.0, 2.0), (2.25, 3.0), (3.5, 4.0)], gap=0.5) == [(1.0, 3.0), (3.5, 4.0)]
    assert unite([(1.0, 2.0), (2.0, 3.0)]) == [(1.0, 3.0)]
