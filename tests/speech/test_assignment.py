"""Words go to who speaks them, none is lost, none doubled."""

from hypothesis import given
from hypothesis import strategies as st

from cinescribe.speech.assignment import assign_words
from cinescribe.speech.diarization import Turn
from cinescribe.utterance import Word


def spoken(utterances):
    return [(u.speaker, u.text) for u in utterances]


def words(text, start, step=0.4):
    return [Word(start + i * step, start + (i + 1) * step - 0.05, w, 0.9) for i, w in enumerate(text.split())]


def test_words_follow_their_turns():
    said = words("a b c", 0) + words("d e", 2)
    turns = [Turn(0, 1.3, "A"), Turn(1.9, 3, "B")]
    assert spoken(assign_words(said, turns)) == [("A", "a b c"), ("B", "d e")]


def test_a_turn_edge_inside_a_sentence_does_not_tear_a_word_off():
    said = words("we walk down the long street.", 0)
    turns = [Turn(0, 2.25, "A"), Turn(2.1, 2.4, "B")]  # the last word is B's by 60 ms
    assert spoken(assign_words(said, turns)) == [("A", "we walk down the long street.")]


def test_in_overlapping_turns_the_voice_it_was_read_in_decides():
    said = sorted([*words("no no wait", 0), *words("listen to me", 0.1)], key=lambda w: w.start)
    heard = ["A" if w.text in ("no", "wait") else "B" for w in said]
    found = assign_words(said, [Turn(0, 2, "A"), Turn(0, 2, "B")], heard=heard)
    assert {(u.speaker, w.text) for u in found for w in u.words} == {
        ("A", "no"), ("A", "wait"), ("B", "listen"), ("B", "to"), ("B", "me"),
    }  # fmt: skip


def test_a_word_far_from_every_turn_has_no_speaker():
    assert spoken(assign_words(words("hello", 10), [Turn(0, 1, "A")])) == [("", "hello")]


def test_a_pause_ends_an_utterance():
    said = words("a b", 0) + words("c d", 5)
    assert spoken(assign_words(said, [Turn(0, 7, "A")])) == [("A", "a b"), ("A", "c d")]


def test_nothing_said():
    assert assign_words([], [Turn(0, 1, "A")]) == []


@given(
    st.lists(st.tuples(st.floats(0, 60), st.floats(0, 2)), max_size=30),
    st.lists(st.tuples(st.floats(0, 60), st.floats(0.05, 9), st.sampled_from("ABC")), max_size=12),
)
def test_every_word_is_in_exactly_one_utterance(times, spans):
    said = sorted((Word(s, s + d, f"w{i}") for i, (s, d) in enumerate(times)), key=lambda w: (w.start, w.end))
    found = assign_words(said, [Turn(s, s + d, name) for s, d, name in spans])
    assert sorted(w.text for u in found for w in u.words) == sorted(w.text for w in said)
    for u in found:
        assert u.text.split() == [w.text for w in u.words]
        assert u.start == u.words[0].start
        assert u.end == max(w.end for w in u.words)
