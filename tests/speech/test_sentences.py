from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cinescribe.speech.sentences import is_sentence_end, restore_sentences
from cinescribe.utterance import Utterance, Word


def spoken(start: float, text: str, speaker: str = "A", seconds: float = 0.3) -> Utterance:
    """Words of `seconds` each, one after the other."""
    words = tuple(
        Word(start + i * seconds, start + (i + 1) * seconds, w, 0.5) for i, w in enumerate(text.split())
    )
    return Utterance(start, words[-1].end, text, speaker, "dialogue", words, confidence=0.5)


def texts(utterances: list[Utterance]) -> list[str]:
    return [utterance.text for utterance in utterances]


@pytest.mark.parametrize(
    "word",
    ["end.", "end!", "end?", "What?!", 'end."', "end.”", "(end.)", "end。", "end؟", "No.", "I.", "1999."],
)
def test_sentences_end_at(word: str) -> None:
    assert is_sentence_end(word, "He")
    assert is_sentence_end(word)


@pytest.mark.parametrize(
    ("word", "following"),
    [
        *[
            ("Mr.", "Smith"),
            ("Dr.", "Who"),
            ("(Mrs.", "Hess"),
            ("U.S.", "Army"),
            ("J.", "Smith"),
            ("3.5", "He"),
        ],
        *[("Well...", "He"), ("Well…", "He"), ("p.m.", "on"), ("No.", "5"), ('"Who?"', "he"), ("end", "He")],
        *[("end,", "He"), ("e.g.", "Paris"), ("example.com", "He")],
    ],
)
def test_sentences_do_not_end_at(word: str, following: str) -> None:
    assert not is_sentence_end(word, following)


def test_an_abbreviation_can_end_a_sentence() -> None:
    assert is_sentence_end("U.S.", "He")
    assert not is_sentence_end("U.S.", "Marines")


def test_segments_are_joined_and_cut_at_word_times() -> None:
    first, second = spoken(0.0, "He goes home. Dr. Smith"), spoken(1.6, "stays with 3.5 men.")
    restored = restore_sentences([first, second])
    assert texts(restored) == ["He goes home.", "Dr. Smith stays with 3.5 men."]
    assert [(u.start, u.end) for u in restored] == [
        (0.0, first.words[2].end),
        (first.words[3].start, second.end),
    ]
    assert restored[1].words == first.words[3:] + second.words
    assert [u.confidence for u in restored] == [0.5, 0.5]
    assert {(u.speaker, u.role) for u in restored} == {("A", "dialogue")}


def test_a_pause_parts_and_a_short_one_does_not() -> None:
    segments = [spoken(0.0, "He looks up and"), spoken(3.0, "sees Anna.")]
    assert texts(restore_sentences(segments)) == ["He looks up and", "sees Anna."]
    assert texts(restore_sentences(segments, max_gap=2.0)) == ["He looks up and sees Anna."]


def test_speakers_are_never_joined_even_when_they_interleave() -> None:
    segments = [spoken(0.0, "I want to", "A"), spoken(0.9, "Yes.", "B"), spoken(1.2, "go home.", "A")]
    assert [(u.speaker, u.text) for u in restore_sentences(segments)] == [
        ("A", "I want to go home."),
        ("B", "Yes."),
    ]


def test_the_next_cue_of_a_narrator_without_full_stops_is_a_sentence_of_its_own() -> None:
    segments = [
        spoken(0.0, "Anna nods. She turns to Tom"),
        spoken(2.0, "The door opens."),
        spoken(3.0, "Well..."),
    ]
    segments.append(spoken(3.4, "Tom smiles."))
    assert texts(restore_sentences(segments)) == [
        "Anna nods.",
        "She turns to Tom",
        "The door opens.",
        "Well...",
        "Tom smiles.",
    ]


def test_a_capital_is_given_only_where_a_segment_was_cut() -> None:
    segments = [spoken(0.0, "add the salt. then stir."), spoken(5.0, "serve it.")]
    restored = restore_sentences(segments)
    assert texts(restored) == ["add the salt.", "Then stir.", "serve it."]
    assert restored[1].words[0].text == "Then"


def test_unpunctuated_text_is_cut_where_the_punctuator_says() -> None:
    segments = [spoken(0.0, "we add salt now"), spoken(1.2, "stir it well")]
    assert texts(restore_sentences(segments)) == ["we add salt now", "stir it well"]
    restored = restore_sentences(segments, punctuator=lambda words: [word.text == "salt" for word in words])
    assert texts(restored) == ["we add salt", "Now stir it well"]


def test_text_without_word_times_is_interpolated_and_gets_no_words() -> None:
    [first, second] = restore_sentences([Utterance(10.0, 20.0, "abcd. Efgh")])
    assert (first.start, first.end, second.start, second.end) == (10.0, 15.0, 16.0, 20.0)
    assert first.words == second.words == ()


def test_languages_without_blanks() -> None:
    words = (Word(0.0, 1.0, "こんにちは。"), Word(1.0, 1.5, "元気"), Word(1.5, 2.0, "ですか？"))
    restored = restore_sentences([Utterance(0.0, 2.0, "こんにちは。元気ですか？", words=words)])
    assert texts(restored) == ["こんにちは。", "元気ですか？"]
    assert [len(u.words) for u in restored] == [1, 2]


TOKENS = st.sampled_from(
    ["He", "he", "Mr.", "end.", "What?!", "no...", "I", "U.S.", '"Go!"', "3.5", ".", "日。", "and,"]
)
SEGMENTS = st.lists(
    st.tuples(
        st.lists(TOKENS, min_size=1, max_size=6),
        st.sampled_from(["A", "B", ""]),
        st.integers(0, 20),
        st.booleans(),
    ),
    max_size=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SEGMENTS)
def test_no_word_is_lost_invented_or_reordered(segments: list[tuple[list[str], str, int, bool]]) -> None:
    given_utterances, clock = [], 0.0
    for tokens, speaker, gap, timed in segments:
        utterance = spoken(clock + gap / 10, " ".join(tokens), speaker)
        given_utterances.append(
            utterance if timed else Utterance(utterance.start, utterance.end, utterance.text, speaker)
        )
        clock = utterance.end
    restored = restore_sentences(given_utterances)
    for speaker in ("A", "B", ""):
        before = " ".join(u.text for u in given_utterances if u.speaker == speaker).lower().split()
        after = " ".join(u.text for u in restored if u.speaker == speaker).lower().split()
        assert after == before
    assert [u.start for u in restored] == sorted(u.start for u in restored)
    for utterance in restored:
        assert utterance.start <= utterance.end
        assert [w.text for w in utterance.words] in ([], utterance.text.split())
        assert all(b.start - a.end <= 1.0 for a, b in pairwise(utterance.words))
