import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cinescribe import tables
from cinescribe.cineworld.look import look
from cinescribe.cineworld.world import World, WorldSettings, htm_align, main, split_of, write_world
from cinescribe.errors import UsageError

SETTINGS = WorldSettings(seed=3, video_dim=48, film_dim=32)
FILMS, VIDEOS = 12, 24


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    write_world(str(folder), SETTINGS, FILMS, VIDEOS)
    return folder


def truth_of(root: Path, film_id: str) -> dict:
    return json.loads((root / "truth" / f"{film_id}.json").read_text())


def splits_of(root: Path) -> dict:
    return json.loads((root / "splits.json").read_text())


def test_same_seed_same_bytes_another_seed_others(root: Path, tmp_path: Path) -> None:
    write_world(str(tmp_path / "again"), SETTINGS, FILMS, VIDEOS)
    assert contents(tmp_path / "again") == contents(root)
    write_world(str(tmp_path / "other"), WorldSettings(4, video_dim=48, film_dim=32), 1, 1)
    other, here = contents(tmp_path / "other"), contents(root)
    assert other["truth/howto-00000.json"] != here["truth/howto-00000.json"]
    assert other["truth/film-00000.json"] != here["truth/film-00000.json"]


def test_a_film_does_not_depend_on_how_many_there_are(root: Path, tmp_path: Path) -> None:
    write_world(str(tmp_path), SETTINGS, 2, 3)
    small, large = contents(tmp_path), contents(root)
    alone = [name for name in small if "/" in name]
    assert len(alone) == 5 * 4
    assert all(small[name] == large[name] for name in alone)
    write_world(str(tmp_path), SETTINGS, FILMS, VIDEOS)  # grows to the same world
    assert contents(tmp_path) == large


def test_another_world_is_not_mixed_in(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(root)
    with pytest.raises(UsageError, match="empty folder"):
        write_world(str(root), WorldSettings(3, noise=2.0, video_dim=48, film_dim=32), FILMS, VIDEOS)
    with pytest.raises(UsageError, match="larger world"):
        write_world(str(root), SETTINGS, FILMS - 1, VIDEOS)
    assert main(["--out", str(root), "--films", "1", "--videos", "1"]) == 2
    assert "empty folder" in capsys.readouterr().err
    assert main(["--out", str(root), "--noise", "-1"]) == 2
    assert main(["--out", str(root), "--paraphrase", "1.5"]) == 2
    assert contents(root) == before


def test_splits_are_disjoint_complete_and_fixed(root: Path) -> None:
    for kind, count in (("films", FILMS), ("howtos", VIDEOS)):
        lists = splits_of(root)[kind]
        together = [film_id for ids in lists.values() for film_id in ids]
        assert len(together) == len(set(together)) == count
    counts = Counter(split_of(3, "howto", index) for index in range(1000))
    assert counts == {"train": 800, "val": 100, "test": 100}
    held = [[k for k in range(100) if split_of(seed, "film", k) == "test"] for seed in (1, 2)]
    assert held[0] != held[1]


def test_the_tables_hold_what_the_truth_says(root: Path) -> None:
    for film_id in (ids for kind in splits_of(root).values() for split in kind.values() for ids in split):
        truth = truth_of(root, film_id)
        film, speech = (tables.read_row(str(root), name, film_id) for name in ("films", "speech"))
        assert film is not None
        assert speech is not None
        said = tables.utterances_of(speech)
        encoder, hz, dim = ("world-s3d", 1, 48) if film_id.startswith("howto") else ("world-clip", 5, 32)
        features = tables.read_features(str(root), encoder, film_id)
        assert features is not None
        assert features.hz == hz
        assert features.array.shape == (int(truth["duration"] * hz), dim)
        assert np.isfinite(features.array).all()
        assert film["duration"] == truth["duration"]
        assert film["etag"] == speech["etag"] == features.etag
        assert film["shots"][0]["start"] == 0
        assert film["shots"][-1]["end"] == pytest.approx(truth["duration"])
        assert all(a.end <= b.start for a, b in pairwise(said))
        assert all(0 <= u.start < u.end <= truth["duration"] for u in said)
        if film_id.startswith("howto"):
            assert [u.text for u in said] == [s["text"] for s in truth["sentences"]]
        else:
            narrated = [k for k, u in enumerate(said) if u.role == "narrator"]
            assert [d["utterance"] for d in truth["descriptions"]] == narrated
            assert {u.speaker for u in said} <= {p["name"] for p in truth["people"]} | {"narrator"}


def test_what_is_seen_tells_the_step(root: Path) -> None:
    """Seconds of a step look more like another video's of the same deed and thing than like others."""
    quiet = WorldSettings(seed=3, noise=0.3, video_dim=256)
    world = World(quiet)
    shown: list[tuple[tuple[str, str], int, np.ndarray]] = []
    for index in range(60):
        video = world.howto(index)
        features = world.video_features(index).astype(np.float32)
        for step in video.steps:
            seconds = features[int(step.start) + 1 : int(step.end)]
            shown.append(((step.deed, step.thing), index, seconds.mean(axis=0)))
    means = np.stack([mean for _, _, mean in shown])
    means -= means.mean(axis=0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    alike = means @ means.T
    same, other = [], []
    for i, (what, video_index, _) in enumerate(shown):
        for j, (that, other_index, _) in enumerate(shown):
            if video_index < other_index:
                (same if what == that else other).append(alike[i, j])
    assert len(same) > 30
    assert np.mean(same) > np.mean(other) + 0.3


def test_htm_align_files_have_true_spans_of_held_out_videos(root: Path) -> None:
    for split in ("val", "test"):
        rows = json.loads((root / f"htm_align_{split}.json").read_text())
        assert list(rows) == splits_of(root)["howtos"][split]
        for film_id, sentences in rows.items():
            truth = truth_of(root, film_id)
            assert len(sentences) == len(truth["sentences"])
            for (alignable, start, end, text), sentence in zip(sentences, truth["sentences"], strict=True):
                assert alignable == int(sentence["step"] >= 0) == int(sentence["alignable"])
                at = truth["steps"][sentence["step"]] if alignable else sentence
                assert (start, end, text) == (at["start"], at["end"], sentence["text"])


def test_noise_is_added_and_no_noise_is_none() -> None:
    clean, usual = (World(WorldSettings(3, noise, video_dim=48)).video_features(0) for noise in (0.0, 1.0))
    added = usual.astype(float) - clean
    assert added.std() == pytest.approx(1.0, rel=0.03)
    assert np.abs(added.mean(axis=0)).max() < 0.5
    assert clean.astype(float).std() == pytest.approx(1.0, rel=0.6)


def test_a_look_shows_script_and_truth(root: Path) -> None:
    text = look(str(root), "howto-00001")
    truth = truth_of(root, "howto-00001")
    assert all(sentence["text"] in text for sentence in truth["sentences"])
    assert text.count("STEP") == len(truth["steps"])
    film = look(str(root), "film-00001")
    described = truth_of(root, "film-00001")
    assert all(f"{person['name']}: {person['look']}" in film for person in described["people"])
    assert len(re.findall(r"\[(?:now|before|after|place)", film)) == len(described["descriptions"])
    with pytest.raises(UsageError, match="no such film"):
        look(str(root), "film-99999")


def test_the_list_form_of_a_video_is_its_own() -> None:
    video = World(SETTINGS).howto(7)
    rows = htm_align(video)
    assert sum(int(row[0]) for row in rows) == sum(sentence.step >= 0 for sentence in video.sentences) > 0
