"""Prompting CLIP's checks, on CLIP's text half with random weights: none of the numbers mean anything."""

from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.transformer import QuickGELU, TextTransformer

from cinescribe.errors import UsageError, WeightsError
from cinescribe.metrics.detection import ActionSpan, mean_average_precision
from cinescribe.models import prompting_clip_files
from cinescribe.models.prompted_text import PromptedText, clip_tokeniser, fresh_text
from cinescribe.models.prompting_clip import (
    PromptingCLIP,
    PromptingCLIPConfig,
    contrast,
    cut,
    recognise,
    spread,
)
from cinescribe.models.prompting_clip_files import Inputs
from cinescribe.models.prompting_clip_localisation import detect, fit_actionness, propose
from cinescribe.models.prompting_clip_search import PromptingCLIPSearch

NAMES = ["jump", "ride a bicycle", "brush hair"]


def random_text(width: int = 64, dim: int = 64, layers: int = 2) -> PromptedText:
    """A frozen text half as CLIP's, small and drawn at random."""
    torch.manual_seed(0)
    text = TextTransformer(width=width, heads=width // 64, layers=layers, output_dim=dim, act_layer=QuickGELU)
    return PromptedText(text, clip_tokeniser())


@pytest.fixture(scope="module")
def model() -> PromptingCLIP:
    text = random_text()
    return PromptingCLIP(text, PromptingCLIPConfig(prompts=3, frames=6, layers=1, heads=2)).eval()


def clips(count: int, frames: int = 6, dim: int = 64) -> torch.Tensor:
    return torch.randn(count, frames, dim, generator=torch.Generator().manual_seed(1))


def test_the_published_number_of_parameters() -> None:
    with torch.device("meta"):  # nothing but shapes
        text = random_text(width=512, dim=512, layers=1)
    released = PromptingCLIP(text, PromptingCLIPConfig(gaps=()))
    assert released.trainable() == 6_352_384
    assert PromptingCLIP(text, PromptingCLIPConfig()).trainable() == 6_352_384 + 8 * 512  # a vector a gap
    bare = PromptingCLIP(text, PromptingCLIPConfig(layers=0))
    assert bare.trainable() == 77 * 512


def test_clip_stays_and_the_prompts_learn(model: PromptingCLIP) -> None:
    texts = model.encode_texts(NAMES)
    gaps = torch.zeros(4, dtype=torch.long)
    loss = contrast(model, model.encode_clips(clips(4), gaps), texts, torch.tensor([0, 1, 2, 0]))
    model.zero_grad()
    loss.backward()
    assert all(value.grad is None for value in model.text.parameters())
    assert model.embedding.weight.grad is not None
    rows = model.embedding.weight.grad.abs().sum(dim=1) > 0
    longest = max(len(model.text.words(name, 70)) for name in NAMES)
    assert rows[1:4].all()
    assert not rows[0]  # the start token stands there
    assert not rows[2 * 3 + 1 + longest :].any()  # beyond the end of all texts
    learned = [value for name, value in model.named_parameters() if not name.startswith("text.")]
    assert all(value.grad is not None for value in learned)


def test_the_end_comes_after_all_prompts(model: PromptingCLIP) -> None:
    inputs, ends = model.prompted(NAMES)
    words = [model.text.words(name, 70) for name in NAMES]
    assert ends.tolist() == [2 * 3 + 1 + len(one) for one in words]
    for row, end, one in zip(inputs, ends, words, strict=True):
        torch.testing.assert_close(row[end], model.text.vectors([model.text.tokeniser.eot_token_id])[0])
        torch.testing.assert_close(row[4 : 4 + len(one)], model.text.vectors(one))
        torch.testing.assert_close(row[1:4], model.embedding.weight[1:4])


def test_what_follows_the_end_has_no_effect(model: PromptingCLIP) -> None:
    before = model.encode_texts(NAMES).detach()
    shortest = min(len(model.text.words(name, 70)) for name in NAMES)
    alone = model.encode_texts(NAMES[:1]).detach()
    torch.testing.assert_close(alone[0], before[0])  # read without the rows that a longer text adds
    kept = model.embedding.weight.detach().clone()
    with torch.no_grad():
        model.embedding.weight[2 * 3 + 2 + shortest :].normal_()
        after = model.encode_texts(NAMES)
        model.embedding.weight.copy_(kept)
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-3  # of a longer text those rows are prompts


def test_a_long_text_is_cut_to_leave_room_for_the_prompts(model: PromptingCLIP) -> None:
    _, ends = model.prompted(["a very long sentence " * 40])
    assert ends.tolist() == [76]
    assert torch.isfinite(model.encode_texts(["word " * 200, "", "short"])).all()


def test_logits_are_cosines_over_the_temperature(model: PromptingCLIP) -> None:
    texts = model.encode_texts(NAMES)
    videos = model.encode_clips(100 * clips(5), torch.arange(5))
    logits = model.logits(videos, texts)
    assert logits.abs().max() <= 1 / 0.07 + 1e-4
    torch.testing.assert_close(model.logits(texts, texts).diagonal(), torch.full((3,), 1 / 0.07))


def test_order_counts_only_with_a_temporal_module(model: PromptingCLIP) -> None:
    bare = PromptingCLIP(model.text, PromptingCLIPConfig(layers=0))
    frames, gaps = clips(2), torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(bare.encode_clips(frames, gaps), bare.encode_clips(frames.flip(1), gaps))
    difference = model.encode_clips(frames, gaps) - model.encode_clips(frames.flip(1), gaps)
    assert difference.abs().max() > 1e-5
    faster = model.encode_clips(frames, gaps + 7)
    assert (faster - model.encode_clips(frames, gaps)).abs().max() > 1e-5


def test_several_views_are_averaged(model: PromptingCLIP) -> None:
    texts = model.encode_texts(NAMES).detach()
    views, gaps = clips(6).view(2, 3, 6, 64), torch.zeros(2, 3, dtype=torch.long)
    likely = recognise(model, views, gaps, texts)
    torch.testing.assert_close(likely.sum(dim=1), torch.ones(2))
    one = model.logits(model.encode_clips(views[0], gaps[0]), texts).softmax(-1)
    torch.testing.assert_close(likely[0], one.mean(dim=0))


def test_frames_of_a_clip() -> None:
    features = np.arange(10, dtype=np.float32)[:, None].repeat(2, axis=1)
    assert cut(features, 4, 2, 1)[:, 0].tolist() == [1, 3, 5, 7]
    assert cut(features, 4, 3, 5)[:, 0].tolist() == [5, 8, 9, 9]
    features[9] = np.inf
    assert cut(features, 3, 2, 6)[:, 0].tolist() == [6, 8, 8]
    evenly, apart = spread(features[:8], 4)
    assert (evenly[:, 0].tolist(), apart) == ([1, 3, 5, 7], 2.0)
    assert cut(np.full((3, 2), np.nan), 4, 1, 0).tolist() == [[0, 0]] * 4


def test_gaps_are_told_in_seconds(model: PromptingCLIP) -> None:
    assert [model.gap_number(gap / 30) for gap in model.config.gaps] == list(range(8))
    assert model.gap_number(1.0) == 7


def test_a_folder_gives_the_model_back(tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = PromptingCLIPConfig(prompts=2, frames=4, layers=1, heads=2)
    model = PromptingCLIP(fresh_text(32, width=32, layers=1), config).eval()
    prompting_clip_files.save(model, tmp_path, Inputs("eye", 5.0))
    again, inputs = prompting_clip_files.load(tmp_path)
    assert inputs == Inputs("eye", 5.0)
    torch.testing.assert_close(again.encode_texts(NAMES), model.encode_texts(NAMES))
    gaps = torch.tensor([1, 2])
    frames = clips(2, 4, 32)
    torch.testing.assert_close(again.encode_clips(frames, gaps), model.encode_clips(frames, gaps))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="not a folder of Prompting CLIP"):
        prompting_clip_files.load(tmp_path)


def _released(path: Path, **changes: torch.Tensor | None) -> PromptingCLIP:
    """A checkpoint as the authors' code writes it, and the model it is of."""
    text = random_text()
    model = PromptingCLIP(text, PromptingCLIPConfig(frames=16, layers=1, gaps=(), scale=1.0)).eval()
    clip = {f"clipmodel.{name}": value for name, value in text.state_dict().items()}
    own = {name: value for name, value in model.state_dict().items() if not name.startswith("text.")}
    state = {**own, **clip, "clipmodel.visual.proj": torch.zeros(4, 4), **changes}
    state = {name: value for name, value in state.items() if value is not None}
    torch.save({"state_dict": state, "optimizer": {}, "iteration": 7}, path)
    return model


def test_a_released_checkpoint(tmp_path: Path) -> None:
    text = PromptingCLIP(random_text(width=64), PromptingCLIPConfig(layers=1, heads=8, gaps=()))
    names = {name for name in text.state_dict() if not name.startswith("text.")}
    block = "temporalModelling.resblocks.0."
    assert names == {"embedding.weight", "temporalEmbedding.weight"} | {
        block + name
        for part in ("attn.in_proj_", "attn.out_proj.", "ln_1.", "ln_2.", "mlp.c_fc.", "mlp.c_proj.")
        for name in (part + "weight", part + "bias")
    }
    path = tmp_path / "checkpoint.pth.tar"
    model = _released(path)
    again = prompting_clip_files.load_released(path)
    torch.testing.assert_close(again.encode_texts(NAMES), model.encode_texts(NAMES))
    frames, gaps = clips(2, 16), torch.zeros(2, dtype=torch.long)
    torch.testing.assert_close(again.encode_clips(frames, gaps), model.encode_clips(frames, gaps))
    _released(path, **{"temporalModelling.resblocks.0.ln_1.weight": None})
    with pytest.raises(WeightsError, match="ln_1"):
        prompting_clip_files.load_released(path)
    torch.save({"state_dict": {"weight": torch.ones(3)}}, path)
    with pytest.raises(WeightsError, match="not a checkpoint of Prompting CLIP"):
        prompting_clip_files.load_released(path)


def test_another_text_half_is_refused() -> None:
    both_ways = TextTransformer(width=64, heads=1, layers=1, output_dim=64, no_causal_mask=True)
    with pytest.raises(UsageError, match="left to right"):
        PromptedText(both_ways, clip_tokeniser())


def test_proposals_are_the_runs_of_action() -> None:
    actionness = np.array([0, 0, 0.9, 0.9, 0, 0.9, 0.9, 0, 0, 0, 0, 0, 0.6, 0.6, 0, 0], float)
    found = propose(actionness, hz=2.0)
    spans = {(one.start, one.end): one.score for one in found}
    assert spans[(1.0, 2.0)] == pytest.approx(0.9)
    assert spans[(1.0, 3.5)] == pytest.approx(0.72)  # joined over the gap
    assert spans[(6.0, 7.0)] == pytest.approx(0.6)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert propose(np.zeros(8), hz=1.0) == []


def test_actions_are_found_and_named_in_two_stages() -> None:
    """Features that are the texts' own vectors while an action lasts: everything can be found."""
    text = random_text()
    bare = PromptingCLIP(text, PromptingCLIPConfig(prompts=1, layers=0, frames=4)).eval()
    vectors = bare.encode_texts(NAMES).detach().numpy()
    random = np.random.default_rng(0)
    going_on = random.standard_normal(64)  # what all actions have in common

    def film(actions: list[tuple[int, int, int]]) -> np.ndarray:
        features = 0.02 * random.standard_normal((60, 64))
        for first, last, label in actions:
            features[first:last] += vectors[label] + 0.05 * going_on
        return features

    known = [(5, 15, 0), (25, 30, 1), (40, 55, 2)]
    seen = film(known)
    actionness = fit_actionness([(seen, 2.0, [(a / 2, b / 2) for a, b, _ in known])])
    shown = [(10, 20, 2), (35, 45, 1)]
    features = film(shown)
    found = detect(bare, "v", features, 2.0, propose(actionness(features), 2.0), NAMES)
    truth = [ActionSpan("v", a / 2, b / 2, NAMES[label]) for a, b, label in shown]
    assert mean_average_precision(truth, found, (0.5, 0.7)).mean == 1
    assert detect(bare, "v", features, 2.0, [], NAMES) == []
    with pytest.raises(UsageError, match="not all the time"):
        fit_actionness([(seen, 2.0, [])])


def test_vectors_for_search_give_the_models_scores(model: PromptingCLIP) -> None:
    search = PromptingCLIPSearch(model, Inputs("eye", 2.0))
    features = clips(1, 20)[0].numpy()
    windows = [(0.0, 3.0), (4.0, 10.0)]
    found = search.window_vectors(features, windows) @ search.text_vectors(NAMES).T
    frames = torch.from_numpy(features[:6])[None]
    expected = model.encode_clips(frames, torch.tensor([model.gap_number(0.5)])) @ model.encode_texts(NAMES).T
    np.testing.assert_allclose(found[:1], expected.detach().numpy(), atol=1e-5)
    assert not search.window_vectors(np.full((4, 64), np.nan), [(0.0, 1.0)]).any()
    with pytest.raises(UsageError, match="features of 3 numbers"):
        search.window_vectors(np.zeros((4, 3)), windows)
