from itertools import pairwise
from pathlib import Path

import pytest

from cinescribe.cineworld.blocking import TITLE, TimedScene, narrated, people_on_stage, pose, schedule
from cinescribe.cineworld.shots import HEIGHT, WIDTH, PlannedShot, character_boxes, plan
from cinescribe.cineworld.story import tell
from cinescribe.cineworld.truth import Truth, read_truth, truth_path
from cinescribe.errors import UsageError


def timed(seed: int, characters: int) -> tuple[tuple[TimedScene, ...], tuple[PlannedShot, ...]]:
    """A film's plan with every line as long as such a line takes to say (58 ms a letter)."""
    story = tell(seed, characters)
    beats = [beat for scene in story.scenes for beat in scene.beats]
    scenes = schedule(story, [0.25 + 0.058 * len(beat.text) for beat in beats])
    return scenes, plan(scenes)


FILMS = [(seed, 2 + seed % 2) for seed in range(24)]


def test_no_line_overlaps_another_and_narration_lies_in_the_gaps() -> None:
    for film in FILMS:
        scenes, _ = timed(*film)
        lines = [line for scene in scenes for line in scene.spoken]
        assert lines[0].start > TITLE
        assert all(b.start - a.end >= 0.3 for a, b in pairwise(lines))
        assert {narrated(line) for line in lines} == {True, False}


def test_an_action_is_performed_while_or_right_after_it_is_described() -> None:
    for film in FILMS:
        scenes, _ = timed(*film)
        for scene in scenes:
            for line in scene.spoken:
                done = [p for p in scene.performances if p.cue in line.beat.cues and p.start >= line.start]
                if line.beat.cues:
                    assert line.start <= min(p.start for p in done) <= line.end
            assert all(scene.start <= p.start < p.end <= scene.end for p in scene.performances)


def test_people_who_act_or_speak_are_on_the_stage() -> None:
    for film in FILMS:
        scenes, _ = timed(*film)
        for scene in scenes:
            for p in scene.performances:
                assert p.cue.who in people_on_stage(scene, (p.start + p.end) / 2)
            for line in scene.spoken:
                if not narrated(line):
                    assert line.beat.speaker in people_on_stage(scene, line.start)


def test_what_is_given_and_picked_up_is_then_carried() -> None:
    for film in FILMS:
        scenes, _ = timed(*film)
        for scene in scenes:
            for p in scene.performances:
                taker = {"give": p.cue.target, "pick_up": p.cue.who}.get(p.cue.verb)
                if taker:
                    assert pose(scene, taker, p.end).carries == scene.token
                if p.cue.verb == "give":
                    assert pose(scene, p.cue.who, p.start).carries == scene.token
                    assert abs(pose(scene, taker or "", p.start).x - pose(scene, p.cue.who, p.start).x) < 100
                if p.cue.verb in ("read", "open", "examine"):
                    assert pose(scene, p.cue.who, p.start).carries == scene.token


def test_shots_tile_the_film_and_each_lasts_a_while() -> None:
    for film in FILMS:
        scenes, shots = timed(*film)
        assert shots[0].start == 0
        assert shots[-1].end == scenes[-1].end
        assert all(a.end == b.start for a, b in pairwise(shots))
        assert all(shot.end - shot.start >= 1 for shot in shots)
        assert 10 <= len(shots) <= 26


def test_whoever_walks_in_comes_from_outside_the_picture_and_whoever_leaves_goes_out_of_it() -> None:
    for film in FILMS:
        scenes, shots = timed(*film)
        for index, scene in enumerate(scenes):
            for p in scene.performances:
                moments = {"walk_in": p.start + 0.01, "leave": p.end - 0.01}
                if p.cue.verb in moments:
                    time = moments[p.cue.verb]
                    shot = next(s for s in shots if s.scene == index and s.start <= time < s.end)
                    assert p.cue.who not in {box[0] for box in character_boxes(shot, scene, time)}, (film, p)


def test_boxes_are_inside_the_picture_and_a_close_view_has_one_person() -> None:
    for film in FILMS:
        scenes, shots = timed(*film)
        for shot in shots[1:]:
            boxes = character_boxes(shot, scenes[shot.scene], (shot.start + shot.end) / 2)
            assert all(0 <= x0 < x1 <= WIDTH and 0 <= y0 < y1 <= HEIGHT for _, x0, y0, x1, y1 in boxes)
            if shot.framing == "close":
                assert [box[0] for box in boxes] == [shot.subject]


def test_a_film_without_truth_says_so(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    assert truth_path(film) == tmp_path / "film.truth.json"
    with pytest.raises(UsageError, match=r"film\.truth\.json"):
        read_truth(film)


def test_truth_survives_json() -> None:
    truth = Truth(7, "T", 1.0, 25, 640, 360, "joe", (), (), (), (), ((0.0, 1.0),))
    assert Truth.from_json(truth.to_json()) == truth
