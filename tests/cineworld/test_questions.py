"""Choices and blanks of a world, against its truth."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cinescribe.annotations import catalogue
from cinescribe.annotations.types import BLANK
from cinescribe.cineworld import questions
from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.errors import UsageError
from cinescribe.models.concepts import FUNCTION_WORDS


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_world(str(root), WorldSettings(), 10, 10)
    return root


def truth(world: Path, film: str) -> Any:
    return json.loads((world / "truth" / f"{film}.json").read_text())


@pytest.mark.parametrize("kind", ["films", "howtos"])
def test_one_candidate_is_the_clips_and_the_others_are_not_true_of_it(world: Path, kind: Any) -> None:
    clips = catalogue.load(f"cineworld-{kind}", world).splits["train"]
    asked = questions.multiple_choice(world, kind, "train")
    assert len(asked) == len(clips)
    told: dict[str, list[tuple[set[tuple[str, str]], str]]] = {}  # by text: deeds of any clip it is said of
    for clip in clips:
        known = truth(world, clip.video_id)
        deeds = _deeds(known, clip, kind)
        for caption in clip.captions:
            told.setdefault(caption, []).append((deeds, clip.video_id))
    for clip, question in zip(clips, asked, strict=True):
        assert (question.video_id, question.start, question.end) == (clip.video_id, clip.start, clip.end)
        assert len(set(question.candidates)) == 5
        assert question.candidates[question.answer] in clip.captions
        done = _deeds(truth(world, clip.video_id), clip, kind)
        for place, candidate in enumerate(question.candidates):
            # at least one clip that the sentence was said of shows something that this one doesn't
            if place != question.answer:
                assert any(not deeds <= done for deeds, _ in told[candidate])
    answers = [question.answer for question in asked]
    assert set(answers) == {0, 1, 2, 3, 4}
    assert questions.multiple_choice(world, kind, "train") == asked
    assert questions.multiple_choice(world, kind, "train", seed=1) != asked


def _deeds(known: Any, clip: Any, kind: str) -> set[tuple[str, str]]:
    rows = known["actions"] if kind == "films" else known["steps"]
    words = ("verb", "object") if kind == "films" else ("deed", "thing")
    shown = {(r[words[0]], r[words[1]]) for r in rows if r["start"] < clip.end and r["end"] > clip.start}
    if kind == "films":
        shots = known["shots"]
        shown |= {("place", s["place"]) for s in shots if s["start"] < clip.end and s["end"] > clip.start}
    return shown


@pytest.mark.parametrize("kind", ["films", "howtos"])
def test_blanks_are_content_words_of_the_caption(world: Path, kind: Any) -> None:
    clips = catalogue.load(f"cineworld-{kind}", world).splits["validation"]
    captions = {(clip.video_id, clip.start): [text.lower() for text in clip.captions] for clip in clips}
    blanks = questions.fill_in(world, kind, "validation")
    counts: dict[tuple[str, str], int] = {}
    for blank in blanks:
        assert blank.sentence.count(BLANK) == 1
        whole = blank.sentence.replace(BLANK, blank.answer).lower()
        assert whole in captions[blank.video_id, blank.start]
        assert blank.answer not in FUNCTION_WORDS
        assert re.fullmatch(r"[a-z']+", blank.answer)
        if kind == "films":
            names = {person["name"].lower() for person in truth(world, blank.video_id)["people"]}
            assert blank.answer not in names
        key = (f"{blank.video_id} {blank.start}", whole)
        counts[key] = counts.get(key, 0) + 1
    assert max(counts.values()) == 3
    assert len(counts) > 0.8 * sum(map(len, captions.values()))


def test_a_world_that_is_too_small_is_told_of(tmp_path: Path) -> None:
    write_world(str(tmp_path), WorldSettings(), 0, 1)
    path = tmp_path / "truth" / "howto-00000.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, "steps": known["steps"][:3]}))
    split = next(name for name, clips in catalogue.load("cineworld-howtos", tmp_path).splits.items() if clips)
    with pytest.raises(UsageError, match="make a larger world"):
        questions.multiple_choice(tmp_path, "howtos", split)
    with pytest.raises(UsageError, match="no split 'exam'"):
        questions.fill_in(tmp_path, "howtos", "exam")
