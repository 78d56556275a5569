import re
from collections import Counter

import pytest

from cinescribe.cineworld.lexicon import PLACES, TOKENS
from cinescribe.cineworld.picture import PAINTERS
from cinescribe.cineworld.story import NARRATOR, tell
from cinescribe.errors import UsageError

FIRST_PERSON = re.compile(r"\b(i|i'm|i'd|i'll|i've|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
SEEDS = range(40)


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z']+", text)


@pytest.mark.parametrize("characters", [2, 3])
def test_the_narrator_never_speaks_of_itself_and_every_character_does(characters: int) -> None:
    for seed in SEEDS:
        story = tell(seed, characters)
        for scene in story.scenes:
            for beat in scene.beats:
                if beat.speaker == NARRATOR:
                    assert not FIRST_PERSON.search(beat.text), beat.text
        for character in story.characters:
            said = " ".join(b.text for s in story.scenes for b in s.beats if b.speaker == character.name)
            assert FIRST_PERSON.search(said), (seed, character.name)


def test_narrator_and_characters_speak_enough_to_be_told_apart_by_their_pronouns() -> None:
    for seed in SEEDS:
        story = tell(seed)
        counts: Counter[str] = Counter()
        first: Counter[str] = Counter()
        for scene in story.scenes:
            for beat in scene.beats:
                counts[beat.speaker] += len(words(beat.text))
                first[beat.speaker] += len(FIRST_PERSON.findall(beat.text))
        assert counts[NARRATOR] >= 50
        assert all(first[c.name] / counts[c.name] > 0.05 for c in story.characters)


def test_a_name_is_not_narrated_before_it_is_known() -> None:
    for seed in SEEDS:
        story = tell(seed, 3)
        spoken = ""
        for beat in (b for scene in story.scenes for b in scene.beats):
            for name in (c.name for c in story.characters):
                if beat.speaker == NARRATOR and re.search(rf"\b{name}\b", beat.text):
                    assert name in spoken or f"{name}, a" in beat.text, (seed, beat.text)
            spoken += beat.text


def test_same_seed_same_story_and_other_seeds_other_stories() -> None:
    stories = [tell(seed) for seed in SEEDS]
    assert stories == [tell(seed) for seed in SEEDS]
    scripts = {tuple(b.text for s in story.scenes for b in s.beats) for story in stories}
    assert len(scripts) == len(stories)
    assert {scene.place for story in stories for scene in story.scenes} == set(PLACES) == set(PAINTERS)
    assert {story.token for story in stories} == set(TOKENS)
    assert {story.narrator.name for story in stories} == {"kristin", "joe", "northern"}
    verbs = {cue.verb for story in stories for s in story.scenes for b in s.beats for cue in b.cues}
    assert verbs >= {"walk_in", "sit", "open", "pick_up", "give", "pour", "read", "wave", "look", "leave"}


def test_no_two_people_of_a_film_share_a_voice_a_name_or_a_look() -> None:
    for seed in SEEDS:
        story = tell(seed, 3)
        voices = [story.narrator, *(c.voice for c in story.characters)]
        assert len({(v.base, v.pitch) for v in voices}) == 4
        assert story.narrator.base not in {c.voice.base for c in story.characters}
        assert len({c.name for c in story.characters}) == 3
        assert len({c.look.garment_colour for c in story.characters}) == 3
        assert all(c.look.gender == c.voice.gender for c in story.characters)


def test_narration_uses_plain_present_tense_sentences() -> None:
    for seed in SEEDS:
        for scene in tell(seed, 3).scenes:
            for beat in scene.beats:
                assert beat.text[0].isupper()
                assert beat.text[-1] in ".!?"
                assert "{" not in beat.text


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="2 or 3 characters"):
        tell(1, characters=4)
    with pytest.raises(UsageError, match="2 to 5 scenes"):
        tell(1, scenes=1)
