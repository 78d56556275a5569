"""Prompting CLIP's two recipes, with a small text half that is trained along: there is no CLIP here."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.errors import UsageError
from cinescribe.evaluation.run import read_run
from cinescribe.evaluation.scores import evaluate
from cinescribe.evaluation.writing import write
from cinescribe.models.prompting_clip_search import PromptingCLIPSearch
from tests.train.worlds import ACTIONS, write_film
from train import folder, loop, recipes
from train.recipe import Pick
from train.recipes.prompting_clip import Recognition, Retrieval
from train.recipes.prompting_clip_data import Clips
from train.settings import Settings

SMALL = {
    "features": "eye",
    "text": "fresh",
    "prompts": 2,
    "frames": 4,
    "layers": 1,
    "heads": 2,
    "learning_rate": 3e-3,
    "batch": 16,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight actions, twelve times each for training and four times held out, 4 s of 2 features a second."""
    root = tmp_path_factory.mktemp("actions")
    random = np.random.default_rng(0)
    looks = random.standard_normal((len(ACTIONS), 16))
    for split, films in (("train", 6), ("validation", 2)):
        lines = []
        for number in range(films):
            chosen = random.permutation(np.arange(2 * len(ACTIONS)) % len(ACTIONS))
            features = np.repeat(looks[chosen], 8, axis=0) + 0.3 * random.standard_normal((128, 16))
            features /= np.linalg.norm(features, axis=1, keepdims=True)
            film = f"{split} {number}"
            write_film(root, film, features, 2.0, [], "eye")
            for at, action in enumerate(chosen):
                clip = {"video": film, "start": 4 * at, "end": 4 * at + 4, "captions": [ACTIONS[action]]}
                lines.append(json.dumps(clip) + "\n")
        (root / f"{split}.jsonl").write_text("".join(lines))
    return root


def train(name: str, root: Path, out: Path, steps: int, **options: object) -> dict[str, float]:
    """The last evaluation of a run."""
    options = {**SMALL, **options, "steps": steps}
    settings = Settings(
        recipe=name, data=str(root), out=str(out), options=options, evaluate_every=steps, quiet=True
    )
    torch.set_num_threads(1)
    loop.train(recipes.load(name, settings.options), settings)
    return next(line["evaluation"] for line in folder.read_lines(str(out)) if "evaluation" in line)


def data(root: Path, split: str = "train", **options: object) -> Clips:
    return Recognition(Recognition.Options(**{**SMALL, **options})).data(str(root), split)  # type: ignore[arg-type]


def test_actions_are_learned_by_name(root: Path, tmp_path: Path) -> None:
    numbers = train("prompting-clip", root, tmp_path, 20)
    assert numbers["top1"] > 0.8  # one in eight by chance
    assert numbers["top5"] >= numbers["top1"]
    search = PromptingCLIPSearch.load(tmp_path / "best")
    assert (search.inputs.features, search.inputs.hz) == ("eye", 2.0)


def test_a_trained_text_half_is_kept_and_prompted_anew(root: Path, tmp_path: Path) -> None:
    train("prompting-clip", root, tmp_path / "first", 2)
    train("prompting-clip", root, tmp_path / "second", 2, text=str(tmp_path / "first/last"), prompts=1)
    first, second = (load_file(tmp_path / run / "last/model.safetensors") for run in ("first", "second"))
    halves = [{name: value for name, value in one.items() if "text." in name} for one in (first, second)]
    assert halves[0].keys() == halves[1].keys() != set()
    assert all(torch.equal(value, halves[1][name]) for name, value in halves[0].items())
    assert PromptingCLIPSearch.load(tmp_path / "second/last").text_vectors(["stir the pot"]).shape == (1, 16)


def test_sentences_are_learned_and_evaluated(root: Path, tmp_path: Path) -> None:
    numbers = train("prompting-clip-retrieval", root, tmp_path / "run", 20)
    # Four clips show the same action: the own one is at best second or third of them.
    assert numbers["recall5"] > 80  # about 16 by chance
    model, alike = tmp_path / "run" / "last", tmp_path / "alike"
    write([model], str(root), "clips", "", "validation", alike)
    forward, _, _ = evaluate(read_run([alike]))
    assert forward.queries == 32
    assert forward.mean["R@5"] > 80


def test_a_batch_tells_its_texts_from_other_classes(root: Path) -> None:
    clips = data(root, contrast=6)
    batch = clips.batch([Pick(index, index) for index in range(3)])
    assert batch.frames.shape == (3, 4, 16)
    own = [clips.clips[index].captions[0] for index in range(3)]
    assert [batch.texts[number] for number in batch.own.tolist()] == own
    assert len(batch.texts) == len(set(batch.texts)) == 6
    assert set(batch.texts) <= set(ACTIONS)
    again = clips.batch([Pick(index, index) for index in range(3)])
    assert again.texts == batch.texts
    assert torch.equal(again.frames, batch.frames)
    sentences = Retrieval(Retrieval.Options(**SMALL)).data(str(root), "train")  # type: ignore[arg-type]
    batch = sentences.batch([Pick(index, index) for index in range(3)])
    assert set(batch.texts) == set(own)


def test_an_episode_has_few_classes_and_few_shots_of_each(root: Path) -> None:
    few = data(root, ways=5, shots=3, episode=1)
    names = [clip.captions[0] for clip in few.clips]
    assert {name: names.count(name) for name in names} == dict.fromkeys(few.classes, 3)
    assert len(few.classes) == 5
    held_out = data(root, "validation", ways=5, shots=3, episode=1)
    assert held_out.classes == few.classes
    assert len(held_out) == 5 * 4  # all that there are
    episodes = {data(root, ways=5, episode=number).classes for number in range(6)}
    assert len(episodes) > 1


def test_unseen_classes_are_never_trained_on(root: Path) -> None:
    seen, unseen = data(root, unseen=0.25), data(root, "validation", unseen=0.25)
    assert (len(seen.classes), len(unseen.classes)) == (6, 2)
    assert not set(seen.classes) & set(unseen.classes)
    assert {clip.captions[0] for clip in seen.clips} == set(seen.classes)
    assert {clip.captions[0] for clip in unseen.clips} == set(unseen.classes)


def test_cineworlds_actions_are_classes(tmp_path: Path) -> None:
    write_world(str(tmp_path), WorldSettings(film_dim=16), films=10, videos=0)
    options = {"annotations": "cineworld-actions", "features": "world-clip", "frames": 16}
    clips = data(tmp_path, **options)
    assert len(clips) > 100
    assert "sit down" in clips.classes or "sit" in " ".join(clips.classes)
    batch = clips.batch([Pick(0, 0), Pick(1, 1)])
    assert batch.frames.shape == (2, 16, 16)
    assert set(batch.apart) <= {0.2, 0.4}  # five a second: the smaller gaps are one feature, 15 frames two
    assert len(data(tmp_path, "validation", **options)) > 0


def test_what_is_wrong_is_told(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ways 9: there are 8"):
        data(root, ways=9)
    with pytest.raises(UsageError, match="no features in"):
        data(root, features="ear")
    with pytest.raises(UsageError, match="no split 'dev'"):
        data(root, "validation", validation="dev")
    (tmp_path / "train.jsonl").write_text('{"video": "train 0", "captions": ["a", "b"]}\n')
    with pytest.raises(UsageError, match="2 captions, where one, the class"):
        data(root, annotations_at=str(tmp_path))
