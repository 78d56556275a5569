"""From regions to words: packing, times, and what is not believed."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinescribe.speech.diarization import Turn
from cinescribe.speech.transcription import (
    SAMPLE_RATE,
    Region,
    TranscriptionOptions,
    by_region,
    cut_loops,
    drop_echoes,
    is_loop,
    join_punctuation,
    pack,
    speech_regions,
    split_long,
)
from cinescribe.speech.whisper_engines import TimedWord
from cinescribe.utterance import Word


def timed(text):
    return [TimedWord(f" {w}", float(i), i + 0.9, 0.9) for i, w in enumerate(text.split())]


@given(
    st.lists(st.tuples(st.floats(0.1, 28), st.floats(0.1, 10), st.sampled_from("AB")), max_size=40),
    st.floats(0, 1),
)
def test_packing_loses_and_reorders_nothing_and_overfills_no_window(spans, gap):
    regions, at = [], 0.0
    for length, pause, voice in spans:
        regions.append(Region(at, at + length, voice))
        at += length + pause
    regions.sort(key=lambda r: (r.voice, r.start))
    windows = list(pack(regions, gap=gap))
    assert [(p.start, p.end, p.voice) for w in windows for p in w] == [
        (r.start, r.end, r.voice) for r in regions
    ]
    for window in windows:
        assert len({p.voice for p in window}) == 1
        assert window[-1].offset + window[-1].end - window[-1].start <= 29.0 + 1e-9
        for before, after in pairwise(window):
            assert after.offset >= before.offset + before.end - before.start + gap - 1e-9


def test_long_regions_are_cut_in_a_pause():
    sound = np.random.default_rng(0).normal(0, 3000, 60 * SAMPLE_RATE).astype(np.int16)
    sound[20 * SAMPLE_RATE : 20 * SAMPLE_RATE + 8000] = 0  # half a second of silence at 20 s
    parts = list(split_long(sound, [Region(0, 40, "A")]))
    assert parts[0].start == 0
    assert 20 <= parts[0].end <= 20.5
    assert parts[-1].end == 40
    assert all(p.end - p.start <= 28 for p in parts)


def test_turns_of_a_voice_are_joined_over_short_pauses_only():
    options = TranscriptionOptions(pad=0.1, merge=0.5)
    turns = [Turn(1, 2, "A"), Turn(2.3, 3, "A"), Turn(4, 5, "A"), Turn(2, 3, "B")]
    found = speech_regions(turns, 4.5, options)
    assert found == [Region(0.9, 3.1, "A"), Region(3.9, 4.5, "A"), Region(1.9, 3.1, "B")]


def test_words_come_back_in_film_time():
    window = next(pack([Region(100, 102, "A"), Region(200, 203, "A")], gap=0.5))
    words = [
        TimedWord(" one", 0.1, 0.5, 1),
        TimedWord(" two.", 1.5, 2.6, 1),
        TimedWord(" three", 2.6, 3.0, 1),
    ]
    (_, first), (_, second) = by_region(window, words)
    assert [w.text for w in first] == ["one", "two."]  # its end was stretched across the gap
    assert first[1].end == 102
    assert [(w.text, round(w.start, 3), round(w.end, 3)) for w in second] == [("three", 200.1, 200.5)]


def test_loops_are_cut_and_counted():
    suppressed = Counter()
    kept = cut_loops(timed("he said " + "the birds are coming " * 6 + "and left"), suppressed)
    assert "".join(w.text for w in kept).split() == "he said the birds are coming and left".split()
    assert suppressed == {"repetition": 20}


@pytest.mark.parametrize(
    "text", ["no no no no", "ha ha ha ha ha", "never again never again never again", "row row row your boat"]
)
def test_what_people_really_repeat_stays(text):
    suppressed = Counter()
    assert cut_loops(timed(text), suppressed) == timed(text)
    assert not suppressed


@given(st.lists(st.sampled_from(["a", "b", "c", "go"]), max_size=60))
def test_cutting_loops_only_removes(said):
    suppressed = Counter()
    words = [TimedWord(f" {w}", float(i), i + 1.0, 0.5) for i, w in enumerate(said)]
    kept = cut_loops(words, suppressed)
    assert len(kept) + suppressed["repetition"] == len(words)
    assert set(kept) <= set(words)


def test_a_loop_is_told_by_its_compression():
    assert is_loop("thank you. " * 30, 2.4)
    assert not is_loop("The path dead ends, stopping in the middle of nowhere above the infinite drop.", 2.4)
    assert not is_loop("", 2.4)


def test_words_read_in_two_voices_are_kept_once():
    spoken = [
        (Word(1.0, 1.4, "Trust", 0.9), "A"),
        (Word(1.4, 1.6, "me.", 0.5), "A"),
        (Word(1.45, 1.7, "Me", 0.8), "B"),
        (Word(1.8, 2.0, "now", 0.8), "B"),
    ]
    assert [(w.text, v) for w, v in drop_echoes(spoken)] == [("Trust", "A"), ("Me", "B"), ("now", "B")]


def test_repeating_oneself_is_no_echo():
    spoken = [(Word(i, i + 0.9, "no", 0.9), "A") for i in range(3)]
    assert drop_echoes(spoken) == spoken


def test_marks_stay_with_their_words():
    words = [TimedWord(t, 0, 1, 1) for t in (" well", "-known", ",", ' "', "yes", "!")]
    assert [w.text.strip() for w in join_punctuation(words)] == ["well-known,", '"yes!']
