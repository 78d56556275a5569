"""The narrator is the voice that never says "I"; a film may have none, one split in two, or nothing else."""

import numpy as np
import pytest

from cinescribe.errors import MediaError
from cinescribe.speech.narrator import count_pronouns, separate_narrator
from cinescribe.utterance import Utterance

DESCRIBES = "she walks slowly along the old stone wall and looks at the grey sea below".split()
TALKS = "i told you that we should have left my house before the rain came back".split()


def film(**words_of):
    """Utterances of ten words, of the given number of words per speaker; their text repeats a sentence."""
    utterances = []
    at = 0.0
    for speaker, (sentence, count) in words_of.items():
        stream = (sentence * (count // len(sentence) + 1))[:count]
        for first in range(0, count, 10):
            utterances.append(Utterance(at, at + 3, " ".join(stream[first : first + 10]), speaker))
            at += 4
    return utterances


def with_rate(rate, count=200):
    """A voice whose share of first-person pronouns is `rate`."""
    pronouns = round(rate * count)
    return (["i"] * pronouns + ["word"] * (count - pronouns), count)


def roles(narration):
    return {u.speaker: u.role for u in narration.utterances}


def test_known_answer_the_lowest_of_three_rates():
    found = separate_narrator(film(one=with_rate(0.08), two=with_rate(0.01), three=with_rate(0.05)))
    assert roles(found) == {"one": "dialogue", "two": "narrator", "three": "dialogue"}
    assert [e.speaker for e in found.evidence if e.narrator] == ["two"]
    assert found.evidence[0].first_person == pytest.approx(0.08)


def test_confidence_grows_with_the_words_heard():
    short = separate_narrator(film(n=(DESCRIBES, 60), a=(TALKS, 60)))
    long = separate_narrator(film(n=(DESCRIBES, 600), a=(TALKS, 600)))
    assert 0.5 < short.confidence < long.confidence <= 1


def test_a_film_without_a_narrator_has_none():
    found = separate_narrator(film(a=(TALKS, 200), b=with_rate(0.06)))
    assert set(roles(found).values()) == {"dialogue"}
    assert found.confidence > 0.5


def test_a_track_of_pure_description_is_all_narrator():
    found = separate_narrator(film(n=(DESCRIBES, 300)))
    assert roles(found) == {"n": "narrator"}


def test_a_narrator_split_over_clusters_is_put_together():
    found = separate_narrator(film(n1=(DESCRIBES, 200), n2=(DESCRIBES, 120), a=(TALKS, 100)))
    assert roles(found) == {"n1": "narrator", "n2": "narrator", "a": "dialogue"}


def test_a_splinter_too_small_for_pronouns_is_told_by_its_voice():
    voice, other = np.eye(2, dtype=np.float32)
    said = film(n=(DESCRIBES, 200), a=(TALKS, 100), splinter=(DESCRIBES, 10), child=(["look"], 4))
    found = separate_narrator(said, voices={"n": voice, "splinter": voice, "a": other, "child": other})
    assert roles(found) == {"n": "narrator", "a": "dialogue", "splinter": "narrator", "child": "dialogue"}


def test_clusters_with_few_words_are_not_chosen():
    found = separate_narrator(film(few=(DESCRIBES, 40), a=with_rate(0.07)))
    assert roles(found)["few"] == "dialogue"
    assert "too few words" in next(e.reason for e in found.evidence if e.speaker == "few")


def test_the_answer_can_be_told():
    said = film(a=(TALKS, 100), b=(DESCRIBES, 100))
    assert roles(separate_narrator(said, choice="a")) == {"a": "narrator", "b": "dialogue"}
    assert roles(separate_narrator(said, choice="none")) == {"a": "dialogue", "b": "dialogue"}
    assert roles(separate_narrator(said, choice="all")) == {"a": "narrator", "b": "narrator"}
    with pytest.raises(MediaError, match=r"SPEAKER_09.*a, b"):
        separate_narrator(said, choice="SPEAKER_09")


def test_a_language_without_a_pronoun_list_is_not_guessed():
    found = separate_narrator(film(a=(DESCRIBES, 100)), language="th")
    assert roles(found) == {"a": "unknown"}
    assert found.confidence == 0


def test_contractions_count_as_pronouns():
    counts = count_pronouns([Utterance(0, 1, "I’m sure we'll see her, she said. It's ours.", "a")])
    assert (counts["a"].words, counts["a"].first) == (9, 3)


def test_nobody_speaks():
    assert separate_narrator([]).utterances == ()
