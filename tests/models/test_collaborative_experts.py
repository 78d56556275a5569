"""Collaborative Experts against what its paper publishes and what its similarity promises."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.metrics.retrieval import text_to_video_ranks
from cinescribe.models.collaborative_experts import (
    MSR_VTT,
    UNKNOWN,
    CEConfig,
    CollaborativeExperts,
    ExpertConfig,
    TextConfig,
    pair_weights,
    similarity,
)
from cinescribe.models.collaborative_experts_layers import PairBatchNorm
from cinescribe.models.margin_ranking import max_margin_loss
from cinescribe.models.netvlad import NetVLAD

SMALL = CEConfig(
    experts=(
        ExpertConfig("audio", 6, clusters=3, tokens=4),
        ExpertConfig("face", 5),
        ExpertConfig("scene", 9),
    ),
    text=TextConfig(7, clusters=4, ghosts=1, tokens=5),
    width=8,
)
AGGREGATIONS = ("collaborative", "equations", "projected", "native", "concat")
Inputs = tuple[Tensor, dict[str, Tensor], Tensor]


def parameters(config: CEConfig) -> int:
    with torch.device("meta"):
        return sum(value.numel() for value in CollaborativeExperts(config).parameters())


def with_clusters(clusters: dict[str, int]) -> tuple[ExpertConfig, ...]:
    return tuple(replace(e, clusters=clusters[e.name]) if e.clusters else e for e in MSR_VTT)


def small(**other: object) -> CollaborativeExperts:
    torch.manual_seed(0)
    model = CollaborativeExperts(replace(SMALL, **other))  # type: ignore[arg-type]
    with torch.no_grad():
        for module in model.modules():  # running statistics as after training, not zeros and ones
            if isinstance(module, nn.BatchNorm1d) and module.running_mean is not None:
                module.running_mean.normal_(0, 0.1)
    return model.eval()


def inputs(texts: int = 6, clips: int = 5, seed: int = 0) -> Inputs:
    """Texts and clips; of each clip but the first some expert is missing, and NaN."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randn(texts, SMALL.text.tokens, SMALL.text.dim, generator=random)
    available = torch.rand(clips, len(SMALL.experts), generator=random) < 0.6
    available[0] = True
    available[1:, 2] = True
    available[1, 0] = False
    experts = {}
    for number, expert in enumerate(SMALL.experts):
        shape = (clips, expert.tokens, expert.dim) if expert.tokens else (clips, expert.dim)
        experts[expert.name] = torch.randn(shape, generator=random)
        experts[expert.name][~available[:, number]] = torch.nan
    return tokens, experts, available


def test_the_parameters_are_those_of_the_paper() -> None:
    assert parameters(CEConfig()) == 183_448_607
    assert parameters(CEConfig(aggregation="projected")) == 181_070_111


@pytest.mark.parametrize(
    ("width", "millions"), [(384, 88.62), (512, 119.51), (640, 151.12), (768, 183.45), (1024, 250.27)]
)
def test_the_parameters_by_width_are_those_of_table_10(width: int, millions: float) -> None:
    assert round(parameters(CEConfig(width=width)) / 1e6, 2) == millions


def test_the_parameters_of_the_other_aggregations_are_those_of_table_6() -> None:
    searched = CEConfig(  # the settings that were searched for MoEE
        experts=with_clusters({"ocr": 20, "audio": 27, "speech": 45}),
        text=TextConfig(clusters=50, ghosts=2),
        aggregation="native",
    )
    assert round(parameters(searched) / 1e6, 2) == 400.41
    assert round(parameters(CEConfig(aggregation="native", mixture=False)) / 1e6, 2) == 246.22
    concat = CEConfig(text=TextConfig(clusters=39), aggregation="concat", mixture=False)
    assert round(parameters(concat) / 1e3, 2) == 369.72


def test_vlad_of_zeros_and_of_one_cluster_is_known() -> None:
    torch.manual_seed(0)
    pool = NetVLAD(5, 3, ghosts=2).eval()
    random = torch.randn(4, 6, 5)
    out = pool(random)
    assert out.shape == (4, pool.width)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(4))
    # One cluster takes everything: what is left is the direction of the sum of the differences.
    one = NetVLAD(5, 1).eval()
    expected = F.normalize((random - one.clusters2[:, :, 0]).sum(1), dim=1)
    torch.testing.assert_close(one(random), expected)
    # The order of the tokens is nothing to it, padding is.
    torch.testing.assert_close(pool(random.flip(1)), out)
    assert not torch.allclose(pool(torch.cat([random, torch.zeros(4, 2, 5)], 1)), out, atol=1e-3)


def test_what_ghost_clusters_take_is_dropped() -> None:
    pool = NetVLAD(3, 2, ghosts=1).eval()
    with torch.no_grad():
        pool.clusters.copy_(50 * torch.eye(3))  # a token along axis 0, 1 or 2 goes to cluster 0, 1, the ghost
    kept, ghost = torch.tensor([1.0, 0.1, 0.0]), torch.tensor([0.0, 0.1, 1.0])
    alone, both = pool(kept[None, None]), pool(torch.stack([kept, ghost])[None])
    torch.testing.assert_close(both.view(3, 2)[:, 0], alone.view(3, 2)[:, 0], atol=1e-4, rtol=0)
    expected = F.normalize(kept - pool.clusters2[0, :, 0], dim=0)
    torch.testing.assert_close(F.normalize(both.view(3, 2)[:, 0], dim=0), expected, atol=1e-4, rtol=0)


def test_pairs_are_normalised_as_if_one_after_the_other() -> None:
    torch.manual_seed(0)
    pairs = torch.randn(4, 6, 3) * 2 + 1
    together, apart = PairBatchNorm(3), nn.BatchNorm1d(3)
    with torch.no_grad():
        together.weight.uniform_()
        apart.weight.copy_(together.weight)
    torch.testing.assert_close(together(pairs), torch.stack([apart(pair) for pair in pairs]))
    torch.testing.assert_close(together.running_mean, apart.running_mean)
    torch.testing.assert_close(together.running_var, apart.running_var)
    assert int(together.num_batches_tracked) == int(apart.num_batches_tracked) == 4  # type: ignore[arg-type]
    together.eval()
    apart.eval()
    torch.testing.assert_close(together(pairs), torch.stack([apart(pair) for pair in pairs]))


def test_gating_follows_the_released_order() -> None:
    """Written out as the published code does it, pair by pair."""
    model = small()
    tokens, experts, available = inputs()
    del tokens
    fusion = model.ce
    pooled = []
    for number, expert in enumerate(SMALL.experts):
        value = experts[expert.name].clone()
        value[~available[:, number]] = 0
        pooled.append(model.pooling[expert.name](value) if expert.clusters else value)
    seen = [layer(value) for layer, value in zip(fusion.video_dim_reduce, pooled, strict=True)]
    for i in range(3):
        total: Tensor | float = 0.0
        count: Tensor | float = 0.0
        for j in range(3):
            pair = torch.cat([seen[i], seen[j]], 1)
            hidden = fusion.g_reason_1(pair)
            for at in (0, 3):
                bn, fc = fusion.g_reason_shared[at], fusion.g_reason_shared[at + 2]
                assert isinstance(bn, nn.BatchNorm1d)
                normed = F.batch_norm(hidden, bn.running_mean, bn.running_var, bn.weight, bn.bias)
                hidden = fc(normed * torch.tanh(F.softplus(normed)))
            both = (available[:, i] & available[:, j]).float()
            total, count = total + hidden * both[:, None], count + both
        assert isinstance(count, Tensor)
        seen[i] = fusion.video_GU[i](seen[i], total / (count + 1e-11)[:, None])
    expected = torch.cat(seen, 1) * available.repeat_interleave(8, 1)
    torch.testing.assert_close(model.encode_clips(experts, available).vectors, expected)


def test_the_equations_don_t_depend_on_the_order_of_experts_and_the_code_does() -> None:
    tokens, experts, available = inputs()
    turned = [2, 0, 1]
    for aggregation in ("equations", "collaborative"):
        model = small(aggregation=aggregation)
        other = small(aggregation=aggregation, experts=tuple(SMALL.experts[i] for i in turned))
        state = model.state_dict()
        for name in list(state):  # give every expert its own weights at its new place
            for part in ("video_dim_reduce", "video_GU", "text_GU"):
                for new, old in enumerate(turned):
                    if name.startswith(f"ce.{part}.{old}."):
                        state[name.replace(f"{part}.{old}.", f"{part}.{new}.")] = model.state_dict()[name]
        for name in ("ce.moe_fc.weight", "ce.moe_fc.bias"):
            state[name] = model.state_dict()[name][turned]
        other.load_state_dict(state)
        same = torch.allclose(
            model(tokens, experts, available), other(tokens, experts, available[:, turned]), atol=1e-5
        )
        assert same == (aggregation == "equations")


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_similarity_is_finite_whatever_stands_in_missing_slots(aggregation: str) -> None:
    model = small(aggregation=aggregation)
    tokens, experts, available = inputs()
    found = model(tokens, experts, available)
    assert bool(found.isfinite().all())
    filled = {name: torch.nan_to_num(value, 123.0) for name, value in experts.items()}
    assert torch.equal(model(tokens, filled, available), found)
    loss = max_margin_loss(found[:5], 0.1)
    loss.backward()  # type: ignore[no-untyped-call]
    for name, value in model.named_parameters():
        assert value.grad is None or bool(value.grad.isfinite().all()), name


def test_weights_of_a_pair_sum_to_one_over_the_experts_that_are_there() -> None:
    tokens, _, available = inputs()
    weights = pair_weights(small().encode_text(tokens).weights, available)
    assert weights.shape == (6, 5, 3)
    torch.testing.assert_close(weights.sum(2), torch.ones(6, 5))
    assert bool((weights[:, ~available] == 0).all())
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    assert bool((pair_weights(small().encode_text(tokens).weights, nothing) == 0).all())


@pytest.mark.parametrize("aggregation", ["collaborative", "native"])
def test_the_similarity_is_the_weighted_sum_over_experts(aggregation: str) -> None:
    model = small(aggregation=aggregation)
    tokens, experts, available = inputs()
    texts, clips = model.encode_text(tokens), model.encode_clips(experts, available)
    widths = list(model.config.widths)
    parts = zip(torch.split(texts.vectors, widths, 1), torch.split(clips.vectors, widths, 1), strict=True)
    products = torch.stack([text @ clip.T for text, clip in parts], 2)  # [texts, clips, experts]
    expected = (pair_weights(texts.weights, available) * products).sum(2)
    torch.testing.assert_close(model.similarity(texts, clips), expected)
    torch.testing.assert_close(model.similarity(texts, clips, rows=4), expected)
    for text in torch.split(texts.vectors, widths, 1):
        torch.testing.assert_close(text.norm(dim=1), torch.ones(6))


def test_a_clip_without_experts_ranks_last() -> None:
    model = small()
    tokens, experts, available = inputs()
    available[3] = False
    found = model(tokens, experts, available)
    assert bool((found[:, 3] == UNKNOWN).all())
    assert bool((found >= UNKNOWN - 1e-6).all())


Score = Callable[[Tensor, dict[str, Tensor], Tensor], Tensor]


def check_nothing_leaks(score: Score) -> None:
    """A clip's flags and features may change its own column and nothing else."""
    tokens, experts, available = inputs(texts=5)
    before = score(tokens, experts, available)
    for clip in range(len(available)):
        flags = available.clone()
        flags[clip] = torch.tensor([not bool(flags[clip, 0]), bool(flags[clip, 1]), True])
        changed = {name: torch.nan_to_num(value.clone(), 0.5) for name, value in experts.items()}
        changed["scene"][clip] += 1
        after = score(tokens, changed, flags)
        others = [column for column in range(len(available)) if column != clip]
        torch.testing.assert_close(after[:, others], before[:, others])
        assert not torch.allclose(after[:, clip], before[:, clip])


@pytest.mark.parametrize("aggregation", ["collaborative", "equations", "projected", "native"])
def test_nothing_of_a_clip_reaches_the_similarities_of_others(aggregation: str) -> None:
    check_nothing_leaks(small(aggregation=aggregation))


def test_the_first_publication_s_leak_would_be_found() -> None:
    """Weights [texts, experts] times the flags of the clip in the same row, as before the correction."""
    model = small()

    def leaking(tokens: Tensor, experts: dict[str, Tensor], available: Tensor) -> Tensor:
        texts, clips = model.encode_text(tokens), model.encode_clips(experts, available)
        weights = texts.weights * available  # row by row: what the right clip lacks is told to its text
        weights = weights / weights.sum(1, keepdim=True)
        everything = torch.ones_like(available)
        told = replace(texts, weights=weights)
        return similarity(told, replace(clips, available=everything), model.config.widths)

    with pytest.raises(AssertionError):
        check_nothing_leaks(leaking)


def test_equal_similarities_lose_the_margin_and_rank_in_the_middle() -> None:
    equal = torch.full((7, 7), 0.3)
    assert max_margin_loss(equal, 0.0938).item() == pytest.approx(0.0938)
    # eq. 3 sums 2 n (n - 1) terms and divides by n
    assert max_margin_loss(equal, 0.1, per_pair=False).item() == pytest.approx(0.1 * 2 * 6)
    assert text_to_video_ranks(equal.numpy(), np.arange(7)).tolist() == [4.0] * 7


def test_the_loss_is_that_of_both_directions() -> None:
    scores = torch.tensor([[0.9, 0.8], [0.1, 0.5]])
    # text 0 against clip 1: .2 - .9 + .8; text 1: .2 - .5 + .1; clip 0: .2 - .9 + .1; clip 1: .2 - .5 + .8
    assert max_margin_loss(scores, 0.2).item() == pytest.approx((0.1 + 0 + 0 + 0.5) / 4)
    assert max_margin_loss(torch.eye(3), 0.2).item() == 0


def test_what_can_t_be_is_refused() -> None:
    with pytest.raises(UsageError, match="two or more"):
        CEConfig(experts=(ExpertConfig("face", 5),))
    with pytest.raises(UsageError, match="each name once"):
        CEConfig(experts=(ExpertConfig("face", 5), ExpertConfig("face", 5)))
    with pytest.raises(UsageError, match="clusters and tokens"):
        CEConfig(experts=(ExpertConfig("face", 5), ExpertConfig("audio", 5, clusters=3)))
