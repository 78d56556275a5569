"""JSFusion's data and recipes, on a small world."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cinescribe.annotations.types import CaptionedClip, FillIn
from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.errors import UsageError
from cinescribe.models import jsfusion_files
from cinescribe.models.clip_frames import ClipFrames
from cinescribe.models.jsfusion import JSFusion
from cinescribe.models.vocabulary import BLANKED, Vocabulary
from tests.train.worlds import write_film
from train import loop, recipes
from train.recipe import Pick
from train.recipes.clip_examples import Blanks, Choices, Matches
from train.recipes.clip_scores import captions, retrieval
from train.recipes.clip_tasks import Source, blank_batch

SMALL = {"features": "world-clip", "vectors": "fresh", "least": 2, "scale": 16, "steps": 1, "most": 12}


def step(model: torch.nn.Module, loss: torch.Tensor) -> None:
    """Of the gradient's signs."""
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for value in model.parameters():
            if value.grad is not None:
                value -= 5e-3 * value.grad.sign()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("world")
    write_world(str(root), WorldSettings(film_dim=32), 10, 0)
    return str(root)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A film of 60 s, whose features tell their number: 10 a second of pictures, 1 a second of sound."""
    root = tmp_path_factory.mktemp("numbered")
    for name, hz, width in (("pictures", 10.0, 2), ("sound", 1.0, 1)):
        rows = np.arange(60 * hz)[:, None].repeat(width, 1)
        rows[-1] = np.nan
        write_film(root, "film", rows, hz, [], name)
    return str(root)


def test_frames_of_a_clip_are_equally_distant_and_of_all_encoders(numbered: str) -> None:
    frames = ClipFrames(numbered, "pictures, sound", 5.0, 40)
    assert frames.width("film") == 3
    short = frames.read(CaptionedClip("film", 2.0, 4.0, ()))
    assert short[:, 0].tolist() == list(range(20, 40, 2))  # five a second of ten
    assert short[:, 2].tolist() == [2] * 5 + [3] * 5
    long = frames.read(CaptionedClip("film", 0.0, 50.0, ()))
    assert (len(long), long[0, 0], long[-1, 0]) == (40, 0, 498)
    assert set(np.diff(long[:, 0])) <= {12, 14}
    assert len(frames.read(CaptionedClip("film", 3.0, 3.0, ()))) == 1
    assert frames.read(CaptionedClip("film", 59.9, 70.0, ())).tolist() == [[0, 0, 0]]  # nothing seen
    assert len(ClipFrames(numbered, "sound", 5.0, 40).read(CaptionedClip("film", 0, 9, ()))) == 9
    with pytest.raises(UsageError, match="none of whose videos"):
        frames.having([CaptionedClip("other", 0, 1, ("a",))], "set")


def test_times_of_clips_that_were_cut_are_of_another_clock(numbered: str, tmp_path: Path) -> None:
    times = "\t".join(["00.11.40.000", "00.11.45.000"] * 2)
    row = f"film\t{times}\t"
    (tmp_path / "LSMDC16_challenge_1000_publictest.csv").write_text(f"{row}Rain falls.\n")
    (tmp_path / "LSMDC16_annos_test_FIB.csv").write_text(f"{row}Rain falls.\tRain _____.\tfalls\n")
    (tmp_path / "LSMDC16_multiple_choice_test_randomized.csv").write_text(f"{row}a\tb\tc\td\te\t2\n")
    source, frames = Source("lsmdc", str(tmp_path), "test"), ClipFrames(numbered, "sound", 5.0, 40)
    for read in (source.clips, source.blanks, source.choices):
        (clip,) = read("validation")
        assert len(frames.read(clip)) == 40


def test_a_long_sentence_keeps_its_blank(numbered: str) -> None:
    vocabulary = Vocabulary([f"w{k}" for k in range(100)])
    words = [f"w{k}" for k in range(100)]
    words[90] = "_____"
    question = FillIn("film", 0.0, 2.0, " ".join(words), "w90")
    batch = blank_batch(ClipFrames(numbered, "sound", 5.0, 40), vocabulary, 40, [question])
    assert batch.ids.shape == (1, 40)
    assert int(batch.ids[0, batch.blanks[0]]) == BLANKED
    assert vocabulary.text(batch.ids[0].tolist()).split()[-1] == "w99"
    assert int(batch.answers[0]) == vocabulary.number("w90")
    assert batch.captions[0].split()[90] == "w90"


def test_a_question_has_one_right_pair_and_nine_wrong_ones(world: str) -> None:
    recipe = recipes.load("jsfusion-retrieval", SMALL)
    data = recipe.data(world, "train")
    assert isinstance(data, Matches)
    batch = data.batch([Pick(3, 5), Pick(9, 6)])
    assert batch.pairs[:, 1].tolist() == [0] * 10 + [1] * 10
    assert batch.pairs[:, 0].tolist() == list(range(20))
    assert batch.answers.tolist() == [0, 0]
    right = data.examples[3][1]
    assert batch.captions[0] == right
    assert right not in batch.captions[1:10]
    again, other = data.batch([Pick(3, 5)]), data.batch([Pick(3, 7)])
    assert torch.equal(again.frames, batch.frames[:10, : again.frames.shape[1]])
    assert other.captions[0] == right
    assert list(other.captions) != list(again.captions)
    whole = recipes.load("jsfusion-retrieval", {**SMALL, "candidates": 0}).data(world, "train")
    batch = whole.batch([Pick(k, 0) for k in range(3)])
    assert batch.pairs.tolist() == [[v, t] for v in range(3) for t in range(3)]
    assert batch.answers.tolist() == [0, 1, 2]


def test_a_choice_has_five_further_sentences_in_training(world: str) -> None:
    recipe = recipes.load("jsfusion-choice", SMALL)
    data = recipe.data(world, "train")
    assert isinstance(data, Choices)
    batch = data.batch([Pick(0, 1), Pick(1, 2)])
    assert batch.frames.shape[0] == 2
    assert batch.pairs[:, 0].tolist() == [0] * 10 + [1] * 10
    assert batch.answers.tolist() == [question.answer for question in data.questions[:2]]
    assert data.all_of([0, 1]).pairs[:, 0].tolist() == [0] * 5 + [1] * 5
    with pytest.raises(UsageError, match="five of its own"):
        recipes.load("jsfusion-choice", {**SMALL, "candidates": 4})


def test_words_come_from_the_training_captions_alone(world: str) -> None:
    recipe: Any = recipes.load("jsfusion-fill-in", SMALL)
    train, held_out = recipe.data(world, "train"), recipe.data(world, "validation")
    assert isinstance(train, Blanks)
    assert train.reading.vocabulary is held_out.reading.vocabulary
    assert all(question.answer in train.reading.vocabulary for question in train.questions)
    held = {question.video_id for question in held_out.questions}
    assert not held & {question.video_id for question in train.questions}
    assert len(held_out) == 12


@pytest.mark.parametrize("task", ["retrieval", "choice", "fill-in"])
def test_it_learns_what_it_is_shown_is_scored_and_saved(world: str, tmp_path: Path, task: str) -> None:
    quick = {} if task == "fill-in" else {"margin": 1.0, "candidates": 5}
    recipe: Any = recipes.load(f"jsfusion-{task}", {**SMALL, **quick})
    data, held_out = recipe.data(world, "train"), recipe.data(world, "validation")
    torch.manual_seed(0)
    model = recipe.model(data).train()
    batch = data.batch([Pick(k, k) for k in range(4)])
    losses = []
    for _ in range(12):
        outcome = recipe.loss(model, batch)
        step(model, outcome.loss)
        losses.append(float(outcome.loss.detach()))
    assert outcome.weight == 4
    assert losses[-1] < 0.8 * losses[0]
    model.eval()
    with torch.no_grad():
        some = recipe.evaluate(model, held_out, range(5))
        results = some + recipe.evaluate(model, held_out, range(5, len(held_out)))
    numbers = recipe.score(results)
    name = recipe.best[0]
    assert 0 <= numbers[name] <= 100
    if task == "retrieval":
        assert len(results) == 12
        assert all(len(row) == 12 for _, row in results)
        assert 1 <= numbers["t2v_median"] <= 12
    recipe.save(model, tmp_path)
    saved = jsfusion_files.load(tmp_path)
    assert (saved.task, list(saved.features)) == (task, ["world-clip"])
    assert isinstance(saved.model, JSFusion)
    if task == "fill-in":
        assert saved.model.config.outputs == len(saved.vocabulary.words)


def test_the_learning_rate_is_halved_every_100_000_steps() -> None:
    options = recipes.load("jsfusion-retrieval", {}).options
    rates = [loop.learning_rate(options, step, options.steps, 1000) for step in (0, 99_999, 100_000, 250_000)]
    assert rates == [1e-4, 1e-4, 5e-5, 2.5e-5]


def test_known_scores() -> None:
    numbers = retrieval(np.array([[3.0, 1.0], [2.0, 1.0]]), np.array([0, 1]))
    assert (numbers["t2v_r1"], numbers["t2v_median"], numbers["v2t_r1"]) == (50, 1.5, 100 / 2)
    scores = captions([(["a man runs down the road"], "a man runs down the road")])
    assert scores["bleu4"] == pytest.approx(1)


def test_wrong_options_are_told_of(world: str) -> None:
    with pytest.raises(UsageError, match="JSTmean"):
        recipes.load("jsfusion-retrieval", {**SMALL, "variant": "JSTmode"})
    with pytest.raises(UsageError, match="train jsfusion-fill-in"):
        recipes.load("jsfusion-choice", {**SMALL, "variant": "code-blank"})
    with pytest.raises(UsageError, match="no data set"):
        recipes.load("jsfusion-retrieval", {**SMALL, "annotations": "none"}).data(world, "train")
    with pytest.raises(UsageError, match="has no choices or blanks"):
        Source("msrvtt", world, "test").choices("validation")
