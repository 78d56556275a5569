import re
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from cinescribe.cineworld.blocking import pose
from cinescribe.cineworld.drama import tell_drama
from cinescribe.cineworld.drama_words import FEELINGS
from cinescribe.cineworld.script import Film, on_paper
from cinescribe.cineworld.story import NARRATOR, Beat, Story
from cinescribe.errors import UsageError

FIRST_PERSON = re.compile(r"\b(i|i'm|i'd|i'll|i've|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)


@cache
def films() -> tuple[Film, ...]:
    return tuple(on_paper(tell_drama(seed, 2 + seed % 3, 3)) for seed in range(60))


def beats(story: Story) -> list[Beat]:
    return [beat for scene in story.scenes for beat in scene.beats]


def test_same_seed_same_story_and_no_two_alike() -> None:
    scripts = {tuple(beat.text for beat in beats(film.story)) for film in films()}
    assert len(scripts) == len(films())
    assert tell_drama(5, 4, 3) == films()[5].story


def test_no_description_over_dialogue() -> None:
    for film in films():
        said = film.utterances()
        assert all(a.end < b.start for a, b in pairwise(said))


def test_the_describer_never_says_i_and_people_do() -> None:
    for film in films():
        for beat in beats(film.story):
            if beat.speaker == NARRATOR:
                assert not FIRST_PERSON.search(beat.text), beat.text
                assert re.fullmatch(r"[A-Z][^{}]*[a-z]\.", beat.text), beat.text
                assert not re.search(r",,|,\.|  ", beat.text), beat.text
        lines = " ".join(beat.text for beat in beats(film.story) if beat.speaker != NARRATOR)
        assert FIRST_PERSON.search(lines)


def test_a_pronoun_is_of_the_one_the_last_description_named() -> None:
    pronouns = 0
    for film in films():
        gender = {c.name: c.look.gender for c in film.story.characters}
        for scene in film.story.scenes:
            last = ""
            for number, beat in enumerate(scene.beats):
                if beat.speaker != NARRATOR:
                    continue
                cues = scene.beats[number + beat.describes].cues
                if not cues:
                    continue
                who = cues[0].who
                subject = re.search(r"(?:^|, |\b)(he|she|He|She) [a-z]", beat.text)
                if subject:
                    pronouns += 1
                    assert who == last, beat.text
                    assert gender[who] == ("woman" if subject[1].lower() == "she" else "man")
                last = who
    assert pronouns > 50


def test_a_name_is_not_told_before_it_is_known() -> None:
    for film in films():
        heard = ""
        for beat in beats(film.story):
            for name in (c.name for c in film.story.characters):
                if beat.speaker == NARRATOR and re.search(rf"\b{name}\b", beat.text):
                    assert name in heard or f"{name}, a" in beat.text, beat.text
            heard += beat.text


def test_only_what_is_possible_happens() -> None:
    for film in films():
        for timed in film.scenes:
            here, seated = {name for name, _ in timed.scene.present}, set()
            holder = timed.scene.holder
            for beat in timed.scene.beats:
                assert beat.speaker == NARRATOR or beat.speaker in here, beat.text
                for cue in beat.cues:
                    if cue.verb == "walk_in":
                        assert cue.who not in here
                        here.add(cue.who)
                    assert cue.who in here, beat
                    assert not (cue.verb in ("walk_to", "leave", "pick_up") and cue.who in seated)
                    if cue.verb == "sit":
                        assert not seated
                        seated.add(cue.who)
                    elif cue.verb == "stand":
                        seated.remove(cue.who)
                    elif cue.verb == "pick_up":
                        assert holder == "surface"
                        holder = cue.who
                    elif cue.verb == "give":
                        assert holder == cue.who
                        assert cue.target in here - {cue.who}
                        holder = cue.target
                    elif cue.verb in ("read", "open", "examine"):
                        assert holder == cue.who
                    elif cue.verb == "leave":
                        here.remove(cue.who)


def test_the_truth_tells_what_each_description_is_about() -> None:
    tells: Counter[str] = Counter()
    for film in films():
        truth, said = film.truth(), film.utterances()
        for description in truth["descriptions"]:
            spoken = said[description["utterance"]]
            tells[description["tells"]] += 1
            assert (description["tells"] == "place") == (not description["actions"]), spoken
            for action in (truth["actions"][number] for number in description["actions"]):
                assert action["start"] < action["end"] <= film.duration
                if description["tells"] == "now":
                    assert action["start"] < spoken.end + 3
                    assert action["end"] > spoken.start
                elif description["tells"] == "before":
                    assert action["start"] < spoken.start
                else:
                    assert action["start"] > spoken.end
    told = tells.total() - tells["place"]
    assert tells["now"] > 0.7 * told
    assert min(tells["before"], tells["after"]) > 0.02 * told
    assert len([a for f in films() for a in f.truth()["actions"]]) > told  # some are left out


def test_feelings_are_told_of_those_who_have_them() -> None:
    cues = [cue for film in films() for beat in beats(film.story) for cue in beat.cues]
    assert {cue.feeling for cue in cues} == {"", *FEELINGS}
    for film in films():
        for beat in beats(film.story):
            if beat.speaker == NARRATOR and re.search(
                r"angrily|crossly|irritably|scowling|glaring", beat.text, re.I
            ):
                scene = next(s for s in film.story.scenes if any(b is beat for b in s.beats))
                of = scene.beats[next(k for k, b in enumerate(scene.beats) if b is beat) + beat.describes]
                assert of.cues[-1].feeling == "angry", beat.text


def test_no_two_people_of_a_film_share_a_voice_a_name_or_a_coat() -> None:
    for film in films():
        people = film.story.characters
        assert len({c.name for c in people}) == len({c.voice.name for c in people}) == len(people)
        assert len({c.look.garment_colour for c in people}) == len(people)
        assert film.story.narrator.base not in {c.voice.base for c in people}


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="2 to 4 characters"):
        tell_drama(1, 5, 3)
    with pytest.raises(UsageError, match="2 or more scenes"):
        tell_drama(1, 2, 1)


def test_feelings_can_be_seen_in_the_face() -> None:
    faces: dict[str, tuple[float, float]] = {}
    for film in films():
        for scene in film.scenes:
            for p in scene.performances:
                if p.cue.verb == "look" and p.end - p.start > 1.5:
                    seen = pose(scene, p.cue.who, (p.start + p.end) / 2)
                    faces[p.cue.feeling] = (round(seen.smile, 1), round(seen.frown, 1))
    assert set(faces) == {"", *FEELINGS}
    assert len(set(faces.values())) == len(faces)
    assert faces[""] == (0.0, 0.0)
    assert faces["glad"][0] > 0 > max(faces[name][0] for name in ("sad", "angry", "afraid"))
