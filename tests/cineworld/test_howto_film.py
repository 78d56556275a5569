"""How-to videos as pictures: what they show, when, and that a seed tells their bytes."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from cinescribe.cineworld.howto import HowTo, Step, tell_howto
from cinescribe.cineworld.howto_film import BENCHES, Picture, frames, render_howto
from cinescribe.cineworld.recipes import DEEDS, THINGS, TOOLS
from cinescribe.cineworld.workbench import DEED_LOOKS, THING_LOOKS, TOOL_LOOKS
from cinescribe.cineworld.world import World, WorldSettings, main, render_video
from cinescribe.media.frames import read_frames
from cinescribe.media.probe import probe

SMALL = Picture(96, 72, 5)


def short(craft: str = "cooking", deed: str = "chop", thing: str = "carrot", tool: str = "knife") -> HowTo:
    """Two seconds of nothing, four of a deed, two of nothing."""
    return HowTo(5, craft, 1, 8.0, (Step(2.0, 6.0, deed, thing, tool),), ())


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("howto") / "video.mp4"
    render_howto(short(), path, SMALL)
    return path


def test_every_concept_has_a_look_of_its_own() -> None:
    assert set(THING_LOOKS) == set(THINGS)
    assert set(TOOL_LOOKS) == set(TOOLS)
    assert set(DEED_LOOKS) == {deed for deeds in DEEDS.values() for deed in deeds}
    for looks in (THING_LOOKS, TOOL_LOOKS):
        assert len(set(looks.values())) == len(looks)
    for deeds in DEEDS.values():
        assert len({DEED_LOOKS[deed] for deed in deeds}) == len(deeds)


def test_a_film_of_the_asked_size_and_length(rendered: Path) -> None:
    info = probe(rendered)
    assert (info.width, info.height, info.fps) == (96, 72, 5)
    assert info.duration == pytest.approx(8.0, abs=0.2)
    assert list(rendered.parent.iterdir()) == [rendered]


def test_the_same_video_gives_the_same_bytes(rendered: Path, tmp_path: Path) -> None:
    render_howto(short(), tmp_path / "again.mp4", SMALL)
    assert (tmp_path / "again.mp4").read_bytes() == rendered.read_bytes()
    render_howto(replace(short(), seed=6), tmp_path / "other.mp4", SMALL)
    assert (tmp_path / "other.mp4").read_bytes() != rendered.read_bytes()


def test_the_step_is_shown_when_the_truth_says_so(rendered: Path) -> None:
    shown = read_frames(rendered, rate=5).frames.astype(np.float64)
    change = np.abs(np.diff(shown, axis=0)).mean((1, 2, 3))
    # the two cuts are where the step begins and ends: frames 9 to 10 and 29 to 30
    cuts = set(np.argsort(change)[-2:].tolist())
    assert {9, 29} == cuts
    assert change[10:29].min() > 0  # the hand moves all the time
    # the bench fills the lower part of the picture in the near view alone
    bench = (np.abs(shown - np.array(BENCHES[1])).max(-1) < 25).mean((1, 2))
    assert min(bench[10:30]) > 0.3 > max([*bench[:10], *bench[30:]])


def test_deeds_and_things_look_different() -> None:
    videos = [
        short(),
        short(thing="onion"),
        short(deed="fry", tool="pan"),
        short(deed="wash", tool=""),
        short(deed="peel", tool="peeler"),
    ]
    pictures = [np.stack(list(frames(video, SMALL))[12:28]).astype(np.float64) for video in videos]
    for one, other in combinations(pictures, 2):
        assert np.abs(one - other).mean() > 1.0


@pytest.mark.parametrize("craft", list(DEEDS))
def test_all_deeds_of_all_crafts_can_be_drawn(craft: str) -> None:
    steps = [
        Step(float(k), k + 1.0, deed, looks.things[0], looks.tools[0] if looks.tools else "")
        for k, (deed, looks) in enumerate(DEEDS[craft].items())
    ]
    video = HowTo(1, craft, 2, float(len(steps)), tuple(steps), ())
    assert len(list(frames(video, replace(SMALL, fps=2)))) == 2 * len(steps)


def test_a_world_renders_the_videos_of_its_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(WorldSettings(3, video_dim=8, film_dim=8))
    told: list[HowTo] = []
    monkeypatch.setattr(
        "cinescribe.cineworld.howto_film.render_howto", lambda video, path: told.append(video) or path.touch()
    )
    (tmp_path / "media").mkdir()
    assert render_video(str(tmp_path), world, 4) == tmp_path / "media" / "howto-00004.mp4"
    assert told == [world.howto(4)]
    assert told[0] == tell_howto(told[0].seed)


def test_more_pictures_than_videos_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--films", "0", "--videos", "1", "--pixels", "2"]) == 2
    assert "--pixels 2" in capsys.readouterr().err
