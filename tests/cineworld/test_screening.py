"""Films shown without their narrator."""

import json
from pathlib import Path

import numpy as np
import pytest

from cinescribe import tables, zoo
from cinescribe.cineworld.film import Production, produce_story
from cinescribe.cineworld.howto import Narration
from cinescribe.cineworld.plain import plain_utterances
from cinescribe.cineworld.screening import main, screen
from cinescribe.cineworld.stored import read_settings
from cinescribe.cineworld.story import tell
from cinescribe.cineworld.truth import read_truth
from cinescribe.cineworld.voices import RATE, VOICES
from cinescribe.cineworld.world import World, WorldSettings, write_world
from cinescribe.errors import UsageError, WeightsError
from cinescribe.media.library import list_films
from cinescribe.subtitles import read_subtitles


@pytest.fixture(scope="module")
def voices() -> None:
    pytest.importorskip("piper")
    try:
        for voice in VOICES:
            zoo.path(voice.base)
    except WeightsError as error:
        pytest.skip(f"no voices here: {error}")


@pytest.fixture(scope="module")
def productions(voices: None) -> tuple[Production, Production]:
    """A film with its narrator, and without."""
    story = tell(5, 2, 2)
    return produce_story(story), produce_story(story, described=False)


def test_only_the_narrator_is_missing(productions: tuple[Production, Production]) -> None:
    described, other = productions
    said = [line for line in described.truth.utterances if line.role == "dialogue"]
    assert list(other.truth.utterances) == said != []
    assert (other.truth.actions, other.truth.shots) == (described.truth.actions, described.truth.shots)
    narration = np.zeros(len(other.sound.speech), bool)
    for line in described.truth.utterances:
        if line.role == "narrator":
            # truth is rounded to 0.1 ms
            narration[round(line.start * RATE) - 5 : round(line.end * RATE) + 5] = True
    assert described.sound.speech[narration].any()
    assert not other.sound.speech[narration].any()
    assert np.array_equal(other.sound.speech[~narration], described.sound.speech[~narration])


def test_settings_are_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = WorldSettings(seed=3, noise=0.5, narration=Narration(paraphrase=0.25), words="nameless")
    write_world(str(tmp_path), settings, 1, 0)
    assert read_settings(str(tmp_path)) == settings
    row = tables.read_row(str(tmp_path), "speech", "film-00000")
    assert row is not None
    said, film = tables.utterances_of(row), World(settings).film(0)
    assert said == plain_utterances(film, names=False)
    told = " ".join(line.text for line in said if line.role == "narrator")
    assert not any(person.name in told for person in film.story.characters)
    assert "The man " in told or "The woman " in told
    arguments = ["--films", str(tmp_path / "films"), "--out", str(tmp_path / "out")]
    assert main([str(tmp_path), "--film", "film-00001", *arguments]) == 2
    assert "splits.json" in capsys.readouterr().err
    with pytest.raises(UsageError, match="cinescribe world"):
        read_settings(str(tmp_path / "nothing"))
    found = json.loads((tmp_path / "world.json").read_text())
    (tmp_path / "world.json").write_text(json.dumps({**found, "version": "0"}))
    with pytest.raises(UsageError, match="another version"):
        read_settings(str(tmp_path))


@pytest.mark.slow
def test_a_screened_film_has_a_truth_a_script_and_what_the_eye_sees(voices: None, tmp_path: Path) -> None:
    world, out = str(tmp_path / "world"), str(tmp_path / "out")
    write_world(world, WorldSettings(seed=7), 1, 0)
    path = screen(world, "film-00000", tmp_path / "films", out)
    truth, lines = read_truth(path), read_subtitles(path.with_suffix(".script.vtt"))
    assert all(line.role == "dialogue" for line in truth.utterances)
    paper = World(WorldSettings(seed=7)).film(0).utterances()
    assert [line.text for line in lines] == [line.text for line in paper if line.role == "narrator"]
    features = tables.read_features(out, "world-clip", "film-00000")
    assert features is not None
    assert features.etag == list_films([str(path)])[0].etag
    assert features.array.shape == (int(truth.duration * 5), 512)
