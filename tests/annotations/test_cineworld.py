"""Cineworld as a captioned data set."""

from pathlib import Path

import pytest

from cinescribe.annotations.catalogue import load
from cinescribe.cineworld.world import World, WorldSettings, write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    write_world(str(root), WorldSettings(video_dim=16, film_dim=16), films=10, videos=10)
    return root


def test_films_are_split_whole_and_sentences_lie_on_what_they_tell(world: Path) -> None:
    splits = load("cineworld-films", world).splits
    films = {split: {clip.video_id for clip in clips} for split, clips in splits.items()}
    assert [len(films[split]) for split in ("train", "validation", "test")] == [8, 1, 1]
    assert not films["train"] & (films["validation"] | films["test"])
    film = World(WorldSettings(video_dim=16, film_dim=16)).film(0)
    told = {u.text for u in film.utterances() if u.role == "narrator"}
    mine = [clip for clips in splits.values() for clip in clips if clip.video_id == "film-00000"]
    assert {text for clip in mine for text in clip.captions} == told
    assert all(0 <= clip.start < clip.end <= film.duration for clip in mine)  # type: ignore[operator]


def test_the_captions_of_a_step_speak_of_it(world: Path) -> None:
    splits = load("cineworld-howtos", world).splits
    howtos = {f"howto-{i:05}": World(WorldSettings(video_dim=16, film_dim=16)).howto(i) for i in range(10)}
    clips = [clip for part in splits.values() for clip in part]
    assert len({clip.video_id for clip in clips}) == 10
    for clip in clips:
        howto = howtos[clip.video_id]
        (number,) = (i for i, s in enumerate(howto.steps) if (s.start, s.end) == (clip.start, clip.end))
        assert clip.captions == tuple(s.text for s in howto.sentences if s.step == number)
