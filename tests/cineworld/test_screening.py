"""Films shown without their narrator."""

import json
from pathlib import Path

import numpy as np
import pytest

from cinescribe import tables, zoo
from cinescribe.cineworld.aligned import learn, load, write_aligned
from cinescribe.cineworld.blocking import narrated
from cinescribe.cineworld.film import produce_story
from cinescribe.cineworld.howto import Narration
from cinescribe.cineworld.plain import plain_utterances
from cinescribe.cineworld.screening import main
from cinescribe.cineworld.stored import read_settings
from cinescribe.cineworld.story import tell
from cinescribe.cineworld.voices import RATE, VOICES
from cinescribe.cineworld.world import World, WorldSettings, write_world
from cinescribe.errors import UsageError, WeightsError


@pytest.fixture(scope="module")
def voices() -> None:
    pytest.importorskip("piper")
    try:
        for voice in VOICES:
            zoo.path(voice.base)
    except WeightsError as error:
        pytest.skip(f"no voices here: {error}")


def test_the_narrator_is_silent_and_the_others_are_not(voices: None) -> None:
    film = produce_story(tell(5, 2, 2), described=False)
    lines = [line for scene in film.scenes for line in scene.spoken]
    assert {narrated(line) for line in lines} == {True, False}
    for line in lines:
        heard = film.sound.speech[round(line.start * RATE) : round(line.end * RATE)]
        assert heard.any() != narrated(line), line.beat.text
    said = [line.beat.text for line in lines if not narrated(line)]
    assert [line.text for line in film.truth.utterances] == said
    assert film.truth.narrator_voice == ""


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


def test_what_is_said_of_a_stretch_is_found_in_its_aligned_features() -> None:
    random = np.random.default_rng(0)
    words = ["kitchen", "sits", "walks", "reads", "waves", "smiles"]
    looks = random.standard_normal((len(words), 40)).astype(np.float32)
    pairs = [
        (
            looks[one] + looks[two] + 0.1 * random.standard_normal(40).astype(np.float32),
            [words[one], words[two]],
        )
        for one, two in random.integers(0, len(words), (200, 2))
    ]
    aligned = learn(pairs, 0.01)
    assert aligned.width == 32
    seen = aligned(looks.astype(np.float16))
    order = sorted(words)  # a column a word, the rest 0
    assert [order[int(best)] for best in seen.argmax(axis=1)] == words
    assert not seen[:, len(words) :].any()


def test_aligned_features_of_a_world_are_kept_with_their_maps(tmp_path: Path) -> None:
    write_world(str(tmp_path), WorldSettings(seed=1, words="nameless"), 2, 2)
    assert load(str(tmp_path), "world-clip") is None
    write_aligned(str(tmp_path))
    for film, encoder in (("film-00001", "world-clip"), ("howto-00001", "world-s3d")):
        raw = tables.read_features(str(tmp_path), encoder, film)
        made = tables.read_features(str(tmp_path), f"{encoder}-aligned", film)
        fitted = load(str(tmp_path), encoder)
        assert raw is not None
        assert made is not None
        assert fitted is not None
        assert np.array_equal(made.array, fitted(raw.array))
        assert (made.hz, made.etag) == (raw.hz, raw.etag)
