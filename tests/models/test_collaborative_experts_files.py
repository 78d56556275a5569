"""Collaborative Experts on disk, its released files, and what an index can hold of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cinescribe.encoders.experts import Expert
from cinescribe.errors import WeightsError
from cinescribe.models import collaborative_experts_files, collaborative_experts_search
from cinescribe.models.collaborative_experts import CollaborativeExperts
from cinescribe.models.collaborative_experts_files import SavedCE
from cinescribe.models.collaborative_experts_released import load_released
from tests.models.test_collaborative_experts import SMALL, inputs, small

NAMES = [expert.name for expert in SMALL.experts]
TOKENS = {"audio": 4, "text": 5}
EXPERTS = [Expert(e.name, e.name, e.dim, e.tokens) for e in SMALL.experts]

# The published tensors of a model with one sequence expert ("audio", the first of three).
UNIT = ["fc.weight", "fc.bias"]
NORM = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
VLAD = ["clusters", "clusters2", *(f"batch_norm.{name}" for name in NORM)]
PUBLISHED = {
    *(f"text_pooling.{name}" for name in VLAD),
    *(f"pooling.audio.{name}" for name in VLAD),
    "ce.moe_fc.weight",
    "ce.moe_fc.bias",
    "ce.g_reason_1.weight",
    "ce.g_reason_1.bias",
    *(f"ce.g_reason_shared.{at}.{name}" for at in (0, 3) for name in NORM),
    *(f"ce.g_reason_shared.{at}.{name}" for at in (2, 5) for name in ("weight", "bias")),
    *(f"ce.video_dim_reduce.{i}.{name}" for i in range(3) for name in UNIT),
    *(f"ce.video_GU.{i}.cg.{name}" for i in range(3) for name in UNIT),
    *(f"ce.video_GU.{i}.cg.{bn}.{n}" for i in range(3) for bn in ("batch_norm", "batch_norm2") for n in NORM),
    *(f"ce.text_GU.{i}.{part}{name}" for i in range(3) for part in ("", "cg.") for name in UNIT),
    *(f"ce.text_GU.{i}.cg.batch_norm.{name}" for i in range(3) for name in NORM),
}


def released(path: Path, model: CollaborativeExperts, **change: object) -> Path:
    """A file as the authors' trainer writes it."""
    content = {
        "arch": "CENet",
        "epoch": 100,
        "state_dict": {**model.state_dict(), **change},
        "optimizer": {"state": {}, "param_groups": []},
        "monitor_best": 26.0,
        "config": {"n_gpu": 1},
    }
    torch.save(content, path)
    return path


def test_the_tensors_are_named_as_the_published_ones() -> None:
    assert set(small().state_dict()) == PUBLISHED


@pytest.mark.parametrize("aggregation", ["collaborative", "projected", "native"])
def test_a_released_file_is_loaded(tmp_path: Path, aggregation: str) -> None:
    model = small(aggregation=aggregation)
    loaded = load_released(released(tmp_path / "trained_model.pth", model), NAMES, TOKENS)
    width = SMALL.width if aggregation != "native" else SMALL.experts[0].dim
    assert loaded.config == replace(SMALL, aggregation=aggregation, width=width)  # type: ignore[arg-type]
    assert torch.equal(loaded(*inputs()), model(*inputs()))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trained_model.pth"
    with pytest.raises(WeightsError, match="3 experts, and 2 are named"):
        load_released(released(path, small()), NAMES[:2], TOKENS)
    with pytest.raises(WeightsError, match="pools audio"):
        load_released(released(path, small()), ["sound", *NAMES[1:]], TOKENS)
    strange = {"ce.h_reason.2.weight": torch.zeros(2, 2)}
    with pytest.raises(WeightsError, match=r"trained_model\.pth.*h_reason"):
        load_released(released(path, small(), **strange), NAMES, TOKENS)
    torch.save({"state_dict": {"fc.weight": torch.zeros(1)}}, path)
    with pytest.raises(WeightsError, match="no tensor"):
        load_released(path, NAMES, TOKENS)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match=r"trained_model\.pth"):
        load_released(path, NAMES, TOKENS)


@pytest.mark.parametrize("aggregation", ["collaborative", "equations", "concat"])
def test_a_saved_model_comes_back(tmp_path: Path, aggregation: str) -> None:
    model = small(aggregation=aggregation)
    collaborative_experts_files.save(SavedCE(model, "glove-6b-50d", EXPERTS), tmp_path)
    loaded = collaborative_experts_files.load(tmp_path)
    assert (loaded.text, loaded.experts, loaded.model.config) == ("glove-6b-50d", EXPERTS, model.config)
    assert torch.equal(loaded.model(*inputs()), model(*inputs()))


def test_a_broken_folder_is_told_of(tmp_path: Path) -> None:
    collaborative_experts_files.save(SavedCE(small(), "glove-6b-50d", EXPERTS), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="train ce"):
        collaborative_experts_files.load(tmp_path)


def test_where_all_experts_are_there_the_index_ranks_as_the_model_does() -> None:
    model = small()
    tokens, experts, available = inputs(texts=8, clips=200)
    filled = {name: torch.nan_to_num(value, 0.3) for name, value in experts.items()}
    available[:] = True
    texts, clips = model.encode_text(tokens), model.encode_clips(filled, available)
    queries = collaborative_experts_search.query_vectors(texts, model.config.widths)
    products = queries @ collaborative_experts_search.index_vectors(clips).T
    np.testing.assert_allclose(products, model.similarity(texts, clips).detach().numpy(), atol=1e-6)


def test_where_experts_lack_rescoring_gives_the_model_s_ranking_and_says_how_far() -> None:
    model = small()
    tokens, experts, available = inputs(texts=20, clips=400)
    texts, clips = model.encode_text(tokens), model.encode_clips(experts, available)
    exact = model.similarity(texts, clips).detach().numpy()
    queries = collaborative_experts_search.query_vectors(texts, model.config.widths)
    products = queries @ collaborative_experts_search.index_vectors(clips).T
    flags = collaborative_experts_search.flags(clips)
    assert np.array_equal(collaborative_experts_search.available(flags, 3), available.numpy())
    weights = texts.weights.detach().numpy()
    changed, certain = 0, 0
    for row in range(len(tokens)):
        # All clips as candidates: the model's own ranking.
        ranked = np.argsort(-products[row], kind="stable")
        whole = collaborative_experts_search.rescore(weights[row], products[row][ranked], flags[ranked])
        best = ranked[whole.order]
        assert whole.certain <= len(best)
        np.testing.assert_allclose(exact[row][best], -np.sort(-exact[row]), atol=1e-6)
        np.testing.assert_allclose(whole.similarity, exact[row][best], atol=1e-6)
        # A hundred of the four hundred: what is called certain is so.
        near = ranked[:100]
        some = collaborative_experts_search.rescore(
            weights[row], products[row][near], flags[near], np.unique(flags)
        )
        assert np.array_equal(near[some.order][: some.certain], best[: some.certain])
        certain += some.certain
        changed += int((near[some.order][:10] != near[:10]).any())
    assert changed > 0  # the dot product alone ranks otherwise
    assert certain > 0
