"""AutoAD's data, whose contexts must not leak, and its three recipes."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cinescribe.errors import UsageError
from cinescribe.models import autoad_files
from tests.train.worlds import write_described
from train import folder, loop, recipes
from train.recipe import Pick
from train.recipes.autoad_data import Films, Reading, read_films, read_texts
from train.settings import Settings

AD_TEXT = Path(__file__).parents[2] / "../shared/data/ad_text/autoad_zero/madeval_anno.csv"
FRESH = {
    "language_model": "fresh",
    "fresh_layers": 1,
    "fresh_width": 64,
    "fresh_words": 300,
    "batch": 2,
    "consecutive": 5,
    "warmup": 5,
    "learning_rate": 3e-3,
    "held_out": 0.25,
}
PICTURES = {**FRESH, "features": "frames", "frames": 4, "latents": 3, "layers": 1, "heads": 2}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("films")
    write_described(root)
    return str(root)


def train(
    name: str, data: str, out: Path, options: dict[str, object], steps: int = 20
) -> list[dict[str, object]]:
    settings = Settings(
        recipe=name,
        data=data,
        out=str(out),
        options={**options, "steps": steps},
        log_every=1,
        evaluate_every=steps,
    )
    loop.train(recipes.load(name, settings.options), settings)
    return folder.read_lines(str(out))


def losses(lines: list[dict[str, object]]) -> list[float]:
    return [float(line["loss"]) for line in lines if "loss" in line]  # type: ignore[arg-type]


def number(text: str) -> tuple[int, int]:
    """Film and place of a description or a line."""
    found = re.search(r"(\d+) of film (\d+)", text)
    assert found is not None
    return int(found[2]), int(found[1])


def everything(films: str, split: str) -> Films:
    reading = Reading(None, 0, 6, 5)
    return read_films(films, split, reading, subtitles="lines", lines=4, seconds=60, share=0.25)  # type: ignore[arg-type]


def test_context_is_the_past_of_the_same_film(films: str) -> None:
    data = everything(films, "train")
    examples = data.batch([Pick(index, 0) for index in range(len(data))])
    assert len(examples) == 3 * 12
    for example in examples:
        film, place = number(example.text)
        assert [number(text) for text in example.past] == [(film, n) for n in range(max(0, place - 6), place)]
        assert [number(text) for text in example.subtitles] == [
            (film, n) for n in range(max(0, place - 3), place + 1)
        ]


def test_films_are_held_out_whole(films: str) -> None:
    training, held_out = everything(films, "train"), everything(films, "validation")
    assert set(training.films) == {"film 1", "film 2", "film 3"}
    assert set(held_out.films) == {"film 0"}
    assert len(held_out) == 1


def test_the_frames_are_those_of_the_clip(films: str) -> None:
    recipe = recipes.load("autoad", {**PICTURES, "subtitles": "none"})
    data = recipe.data(films, "train")
    assert isinstance(data, Films)
    store = data.reading.features
    assert store is not None
    for place, clip in enumerate(data.clips("film 1")):
        assert clip.frames is not None
        assert clip.frames.shape == (4, 16)
        shown = torch.from_numpy(store.read("film 1").array[8 * place + 2].astype(np.float32))
        assert torch.equal(clip.frames, shown.expand(4, -1))


def test_it_learns_to_say_what_is_shown(films: str, tmp_path: Path) -> None:
    text = train("autoad-text", films, tmp_path / "text", FRESH, 30)
    assert losses(text)[-1] < 0.7 * losses(text)[0]
    text_from = {"text_from": str(tmp_path / "text" / "best")}
    visual = train("autoad-visual", films, tmp_path / "visual", PICTURES, 30)
    assert np.mean(losses(visual)[-5:]) < 0.9 * np.mean(losses(visual)[:5])
    both = {**PICTURES, **text_from, "visual_from": str(tmp_path / "visual" / "last")}
    described = train("autoad", films, tmp_path / "both", {**both, "subtitles": "none"}, 10)
    evaluation = described[-1]["evaluation"]
    assert set(evaluation) == {"loss", "perplexity", "cider", "rouge_l"}  # type: ignore[call-overload]
    inputs = autoad_files.load_inputs(tmp_path / "both" / "best")
    assert inputs == autoad_files.Inputs("frames", 2.0, 4, "none")  # what it has to be given is told with it
    # the language model of the text stage is frozen from then on
    model, source = (autoad_files.load(tmp_path / name) for name in ("both/last", "text/best"))
    for one, other in zip(source.gpt.parameters(), model.gpt.parameters(), strict=True):
        assert torch.equal(one, other)


def test_ad_text_alone_lowers_the_perplexity_of_films_held_out(tmp_path: Path) -> None:
    if not AD_TEXT.exists():
        pytest.skip("the shared data is not here")
    rows = list(csv.DictReader(AD_TEXT.open(encoding="cp1252")))
    movies = sorted({row["movie"] for row in rows})
    reading = Reading(None, 0, 6, 16)
    training = read_texts(str(AD_TEXT), "train", reading, 0.2)
    held_out = read_texts(str(AD_TEXT), "validation", reading, 0.2)
    assert sorted([*training.films, *held_out.films]) == movies
    assert len(training.texts()) + len(held_out.texts()) == len(rows)
    lines = train("autoad-text", str(AD_TEXT), tmp_path, {**FRESH, "evaluated": 1, "held_out": 0.2}, 8)
    assert lines[-1]["evaluation"]["perplexity"] < 300  # type: ignore[index]


def test_a_file_without_sentences_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("movie,words\na,b\n")
    with pytest.raises(UsageError, match="columns movie, words"):
        read_texts(str(path), "train", Reading(None, 0, 6, 16), 0.2)
