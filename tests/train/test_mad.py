"""MAD's own files as AutoAD's training data, in the form they are published in."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from cinescribe.errors import UsageError
from train import recipes
from train.recipe import Pick
from train.recipes.autoad_data import Films

FEATURES = "CLIP_B32_frames_features_5fps"
Row = tuple[str, float, float, str]
AD: list[Row] = [
    ("10142", 2.0, 4.0, "She stands."),
    ("10142", 6.0, 7.0, "He raises a spear."),
    ("10142", 0.4, 1.0, "A river."),  # rows need not be in order
    ("2723", 3.0, 5.0, "A car stops."),
    ("3001", 1.0, 2.0, "It rains."),
    ("3001", 19.0, 21.0, "After the end of the features."),
    ("9999", 1.0, 2.0, "Without features."),
]
SUBS: list[Row] = [("10142", 1.5, 1.9, "Look out!"), ("2723", 1.0, 2.5, "Here?"), ("10142", 4.5, 5.0, "No.")]
OPTIONS = {
    "features": FEATURES,
    "language_model": "fresh",
    "fresh_layers": 1,
    "fresh_width": 64,
    "fresh_words": 300,
    "frames": 4,
    "latents": 2,
    "layers": 1,
    "heads": 2,
}


def write_csv(path: Path, rows: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("movie", "start", "end", "text"), *rows])


def as_json(rows: list[Row]) -> str:
    entries = {
        str(number): {
            "movie": movie,
            "sentence": text,
            "timestamps": [start, end],
            "ext_timestamps": [start - 1, end + 1],
            "movie_duration": 20.0,
        }
        for number, (movie, start, end, text) in enumerate(rows)
    }
    return json.dumps(entries)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder as MAD-v2's; row t of a film's features holds t."""
    (tmp_path / "features").mkdir()
    (tmp_path / "annotations" / "MAD-v2").mkdir(parents=True)
    with h5py.File(tmp_path / "features" / f"{FEATURES}.h5", "w") as file:
        for film in ("10142", "2723", "3001"):
            file[film] = np.tile(np.arange(100, dtype=np.float16)[:, None], 8)
    write_csv(tmp_path / "annotations" / "MAD-v2" / "mad-v2-ad-named.csv", AD)
    write_csv(tmp_path / "annotations" / "MAD-v2" / "mad-v2-subs.csv", SUBS)
    return tmp_path


def films_of(root: Path, split: str, **options: object) -> Films:
    recipe = recipes.load("autoad", {**OPTIONS, "held_out": 0.4, **options})
    data = recipe.data(str(root), split)  # type: ignore[arg-type]
    assert isinstance(data, Films)
    return data


def test_clips_texts_and_dialogue_are_those_of_the_film(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    held_out, training = films_of(root, "validation"), films_of(root, "train")
    assert (set(held_out.films), set(training.films)) == ({"10142"}, {"2723", "3001"})
    assert "1 of 4 films, which have no features (9999), and 1 descriptions after the end" in caplog.text
    clips = held_out.clips("10142")
    assert [clip.text for clip in clips] == ["A river.", "She stands.", "He raises a spear."]
    assert [list(clip.subtitles) for clip in clips] == [[], ["Look out!"], ["Look out!", "No."]]
    frames = clips[1].frames
    assert frames is not None
    # 2.0 to 4.0 s at five a second are the rows 10 to 19
    assert frames[:, 0].tolist() == [10, 13, 16, 19]
    examples = held_out.batch([Pick(0, 0)])
    assert [list(example.past) for example in examples] == [[], ["A river."], ["A river.", "She stands."]]


def test_it_can_be_trained_on(root: Path) -> None:
    recipe = recipes.load("autoad", {**OPTIONS, "held_out": 0.4})
    data = recipe.data(str(root), "train")
    model = recipe.model(data)
    outcome = recipe.loss(model, data.batch([Pick(0, 0)]))
    assert torch.isfinite(outcome.loss)
    assert outcome.weight > 0
    assert recipe.inputs.hz == 5.0  # type: ignore[attr-defined]


def test_mad_v1_is_read_from_json_and_its_splits_by_their_files(root: Path) -> None:
    (root / "annotations" / "MAD-v2" / "mad-v2-ad-named.csv").unlink()
    (root / "annotations" / "MAD_train.json").write_text(as_json(AD[:4]))
    (root / "annotations" / "MAD_val.json").write_text(as_json(AD[4:5]))
    assert set(films_of(root, "train").films) == {"10142", "2723"}
    assert [cue.text for cue in films_of(root, "validation").films["3001"]] == ["It rains."]


def test_the_published_split_decides(root: Path) -> None:
    (root / "mad_split.json").write_text(json.dumps({"TRAIN": ["10142", "3001"], "EVAL": ["2723"]}))
    assert set(films_of(root, "train").films) == {"10142", "3001"}
    assert set(films_of(root, "validation").films) == {"2723"}


def test_text_alone_needs_no_features(root: Path) -> None:
    recipe = recipes.load("autoad-text", {"language_model": "fresh", "held_out": 0.3})
    assert "Without features." in recipe.data(str(root), "train").texts()  # type: ignore[attr-defined]


def test_what_is_wrong_is_named(root: Path) -> None:
    with pytest.raises(UsageError, match=r"elsewhere\.csv: neither in"):
        films_of(root, "train", annotations="elsewhere.csv")
    with pytest.raises(UsageError, match="encoders with features there"):
        films_of(root, "train", features="CLIP_L14")
    with pytest.raises(UsageError, match="names needs our tables"):
        films_of(root, "train", subtitles="names")
    path = root / "annotations" / "MAD-v2" / "mad-v2-ad-named.csv"
    path.write_text("movie,start,end,text\n10142,soon,4.0,A river.\n")
    with pytest.raises(UsageError, match=r"mad-v2-ad-named\.csv, line 2"):
        films_of(root, "train")
    for row in (
        "10142,nan,4.0,A river.",
        "10142,1.0,inf,A river.",
        "10142,-1,4.0,A river.",
        '10142,1,2,"' + "x" * 140000,
    ):
        path.write_text(f"movie,start,end,text\n{row}\n")
        with pytest.raises(UsageError, match=r"mad-v2-ad-named\.csv, line 2"):
            films_of(root, "train")
    path.write_text("movie,words\n10142,a\n")
    with pytest.raises(UsageError, match="columns movie, words"):
        films_of(root, "train")
