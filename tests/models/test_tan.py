"""TAN as the paper and its authors' code define it: sizes, what depends on what, labels, losses."""

import math

import pytest
import torch
from torch import Tensor

from cinescribe.errors import UsageError
from cinescribe.models.tan import TAN, TANConfig, TANOutput, TANPair
from cinescribe.models.tan_labels import IGNORED, LabelRule, pseudo_labels, spans_to_seconds
from cinescribe.models.tan_loss import (
    alignability_loss,
    correspondence,
    first_stage_loss,
    second_stage_loss,
)

SMALL = TANConfig(video_width=12, text_width=10, width=16, heads=2, dual_layers=3, joint_layers=3, longest=64)


def count(module: torch.nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(**changes: object) -> TAN:
    torch.manual_seed(0)
    return TAN(TANConfig(**{**{name: getattr(SMALL, name) for name in SMALL.__slots__}, **changes})).eval()


def outputs_with(joint: Tensor, dual: Tensor) -> TANOutput:
    """An output whose cosines [batch, sentences, seconds] are the given ones."""
    sentences = joint.shape[1]
    unit = torch.eye(sentences).expand(joint.shape[0], -1, -1)
    return TANOutput(dual.transpose(1, 2)[:, None], unit, joint.transpose(1, 2)[:, None], unit[:, None], None)


# --- the network


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):  # only counted, so without memory
        assert count(TAN(TANConfig(head="none"))) == 39_931_392
        assert count(TAN(TANConfig(head="binary"))) == 39_931_905
        assert count(TAN()) == 39_931_392 + 2 * 513


def test_each_encoder_has_a_stage_for_each_layer_and_cosines_are_cosines() -> None:
    output = small(dual_layers=2)(random(2, 9, 12), random(2, 4, 10))
    assert output.dual_video.shape == (2, 2, 9, 16)
    assert output.joint_video.shape == (2, 3, 9, 16)
    assert output.joint_text.shape == (2, 3, 4, 16)
    assert output.alignability is not None
    assert output.alignability.shape == (2, 4, 2)
    for cosines in (output.joint, output.dual):
        assert cosines.shape == (2, 4, 9)
        assert cosines.abs().max() <= 1 + 1e-6


def test_permuting_sentences_permutes_rows() -> None:
    network, video, text = small(), random(1, 9, 12), random(1, 4, 10, seed=1)
    order = torch.tensor([2, 0, 3, 1])
    one, other = network(video, text), network(video, text[:, order])
    torch.testing.assert_close(one.joint[:, order], other.joint, atol=1e-5, rtol=0)
    torch.testing.assert_close(one.dual[:, order], other.dual, atol=1e-5, rtol=0)
    torch.testing.assert_close(one.alignability[:, order], other.alignability, atol=1e-5, rtol=0)


def test_with_text_positions_the_order_of_sentences_counts() -> None:
    network, video, text = small(text_positions=True), random(1, 9, 12), random(1, 4, 10, seed=1)
    order = torch.tensor([2, 0, 3, 1])
    difference = network(video, text).joint[:, order] - network(video, text[:, order]).joint
    assert difference.abs().max() > 1e-3


def test_only_the_joint_encoder_sees_the_other_sentences() -> None:
    network, video, text = small(), random(1, 9, 12), random(1, 4, 10, seed=1)
    changed = text.clone()
    changed[:, 3] += 5
    one, other = network(video, text), network(video, changed)
    torch.testing.assert_close(one.dual[:, :3], other.dual[:, :3])
    assert (one.joint[:, :3] - other.joint[:, :3]).abs().max() > 1e-4


def test_padding_changes_nothing() -> None:
    network, video, text = small(), random(1, 9, 12), random(1, 4, 10, seed=1)
    alone = network(video, text)
    longer = torch.cat([video, random(1, 3, 12, seed=2)], 1)
    more = torch.cat([text, random(1, 2, 10, seed=3)], 1)
    padded = network(longer, more, torch.arange(12)[None] >= 9, torch.arange(6)[None] >= 4)
    torch.testing.assert_close(padded.joint[:, :4, :9], alone.joint, atol=1e-5, rtol=0)
    torch.testing.assert_close(padded.dual[:, :4, :9], alone.dual, atol=1e-5, rtol=0)


def test_training_starts_at_a_random_second_and_testing_at_the_first() -> None:
    network, video, text = small(), random(1, 20, 12), random(1, 2, 10, seed=1)
    assert torch.equal(network(video, text).dual, network(video, text).dual)
    network.train()
    different = {network(video, text).dual.sum().item() for _ in range(12)}
    assert len(different) > 1
    network = small(random_start=False).train()
    assert torch.equal(network(video, text).dual, network(video, text).dual)


def test_positions_can_be_stretched_and_are_not_invented() -> None:
    network, text = small(), random(1, 2, 10, seed=1)
    with pytest.raises(UsageError, match="65 seconds"):
        network(random(1, 65, 12), text)
    assert network(random(1, 65, 12), text, stretch_from=32).joint.shape == (1, 2, 65)
    video = random(1, 20, 12)
    same = network(video, text, stretch_from=20)
    torch.testing.assert_close(same.joint, network(video, text).joint, atol=1e-5, rtol=0)


def test_sine_positions_are_not_trained() -> None:
    network = small(positions="sine")
    assert "temporal_pos_embed" not in dict(network.named_parameters())
    assert network.temporal_pos_embed.shape == (64, 16)
    assert network.temporal_pos_embed[0].tolist() == [0.0, 1.0] * 8


def test_the_average_moves_by_the_momentum() -> None:
    torch.manual_seed(0)
    pair = TANPair(SMALL, momentum=0.9)
    old = {name: value.clone() for name, value in pair.target.named_parameters()}
    with torch.no_grad():
        for value in pair.online.parameters():
            value.add_(1.0)
    pair.update_target()
    for (name, value), new in zip(pair.target.named_parameters(), pair.online.parameters(), strict=True):
        torch.testing.assert_close(value, 0.9 * old[name] + 0.1 * new)
        assert not value.requires_grad


def test_the_paper_s_momentum_is_the_default_and_the_average_never_trains() -> None:
    pair = TANPair(SMALL).train()
    assert pair.momentum == 0.99
    assert pair.online.training
    assert not pair.target.training


# --- the loss


def test_a_second_belongs_to_a_sentence_from_its_start_until_before_its_end() -> None:
    own = spans_to_seconds(torch.tensor([[1.0, 1.5, 2.0]]), torch.tensor([[3.0, 3.5, 2.5]]), 5)
    assert own[0].int().tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 0, 0]]


def test_loss_of_equal_similarities_is_the_logarithm_of_the_odds() -> None:
    own = torch.zeros(2, 3, 8, dtype=torch.bool)
    own[:, :, 2:4] = True
    similarity = torch.full((4, 2, 8, 2, 3), 0.3)
    expected = math.log(2 * 8 / 2)  # all seconds of the batch over those of the sentence
    assert correspondence(similarity, own, directions="sentence").item() == pytest.approx(expected, abs=1e-5)
    # From the second's side: all six sentences over the three that claim it.
    assert correspondence(similarity, own).item() == pytest.approx((expected + math.log(6 / 3)) / 2, abs=1e-5)


def test_padding_is_neither_right_nor_wrong() -> None:
    own = torch.zeros(2, 3, 8, dtype=torch.bool)
    own[:, :2, 2:4] = True
    video_padding = torch.zeros(2, 8, dtype=torch.bool)
    video_padding[1, 5:] = True
    text_padding = torch.zeros(2, 3, dtype=torch.bool)
    text_padding[:, 2] = True
    similarity = random(1, 2, 8, 2, 3) / 10
    base = correspondence(similarity, own, None, video_padding, text_padding)
    changed = similarity.clone()
    changed[:, 1, 5:] = 0.9
    changed[..., 2] = -0.9
    torch.testing.assert_close(correspondence(changed, own, None, video_padding, text_padding), base)
    equal = correspondence(torch.zeros(1, 2, 8, 2, 3), own, None, video_padding, text_padding, "sentence")
    assert equal.item() == pytest.approx(math.log(13 / 2), abs=1e-5)


def test_loss_of_one_sentence_is_computed_as_eq_7_6_reads() -> None:
    similarity = torch.tensor([0.5, -0.2, 0.1]).reshape(1, 1, 3, 1, 1)
    own = torch.tensor([[[True, False, False]]])
    a, b, c = (math.exp(value / 0.07) for value in (0.5, -0.2, 0.1))
    assert correspondence(similarity, own, directions="sentence").item() == pytest.approx(
        -math.log(a / (a + b + c)), abs=1e-5
    )


def test_sentences_that_are_not_trained_on_are_only_told_apart_from() -> None:
    own = torch.zeros(1, 2, 6, dtype=torch.bool)
    own[0, 0, 1], own[0, 1, 4] = True, True
    similarity = random(1, 1, 6, 1, 2) / 10
    trained = torch.tensor([[True, False]])
    alone = correspondence(similarity, own, trained, directions="sentence")
    only_first = correspondence(similarity[..., :1], own[:, :1], directions="sentence")
    torch.testing.assert_close(alone, only_first)
    assert correspondence(similarity, own, torch.zeros_like(trained)).item() == 0


def test_every_stage_is_trained() -> None:
    network = small().train()
    output = network(random(2, 9, 12), random(2, 4, 10, seed=1))
    for vectors in (output.dual_video, output.joint_video, output.joint_text):
        vectors.retain_grad()
    start = torch.tensor([[0.0, 2.0, 4.0, 6.0]]).repeat(2, 1)
    loss = first_stage_loss(output, start, start + 2)
    loss.total.backward()
    assert loss.alignability is None
    for vectors in (output.dual_video, output.joint_video, output.joint_text):
        assert (vectors.grad.abs().sum((0, 2, 3)) > 0).all()


# --- labels


def test_two_encoders_of_one_mind_agree_on_one_window_of_the_spoken_length() -> None:
    cosines = random(2, 5, 20).tanh()
    spoken = spans_to_seconds(torch.full((2, 5), 3.0), torch.tensor([[4.0, 5, 6, 7, 8]] * 2), 20)
    output = outputs_with(cosines, cosines)
    labels = pseudo_labels(output, output, spoken)
    assert labels.moved.all()
    assert torch.equal(labels.own.sum(-1), spoken.sum(-1))
    for row, own, length in zip(
        cosines.flatten(0, 1), labels.own.flatten(0, 1), spoken.sum(-1).flatten(), strict=True
    ):
        first = max(range(20 - int(length) + 1), key=lambda at: row[at : at + int(length)].mean().item())
        assert own.nonzero().flatten().tolist() == list(range(first, first + int(length)))


def test_what_is_spoken_at_its_best_place_stays_there() -> None:
    spoken = spans_to_seconds(torch.tensor([[2.0, 7.0]]), torch.tensor([[5.0, 9.0]]), 12)
    cosines = spoken.float() * 0.8 + random(1, 2, 12) * 0.01
    output = outputs_with(cosines, cosines)
    assert torch.equal(pseudo_labels(output, output, spoken).own, spoken)


def test_where_the_windows_are_apart_the_sentence_stays_where_it_was_spoken() -> None:
    spoken = spans_to_seconds(torch.tensor([[5.0]]), torch.tensor([[7.0]]), 12)
    joint, dual = torch.zeros(1, 1, 12), torch.zeros(1, 1, 12)
    joint[..., 0:2], dual[..., 9:11] = 1, 1
    output = outputs_with(joint, dual)
    labels = pseudo_labels(output, output, spoken)
    assert torch.equal(labels.own, spoken)
    assert not labels.moved.any()
    assert not pseudo_labels(output, output, spoken, rule=LabelRule(where_apart="dropped")).own.any()


def test_overlapping_windows_are_united_and_half_an_overlap_is_not_enough_for_the_code() -> None:
    spoken = spans_to_seconds(torch.tensor([[0.0]]), torch.tensor([[3.0]]), 12)
    joint, dual = torch.zeros(1, 1, 12), torch.zeros(1, 1, 12)
    joint[..., 4:7], dual[..., 6:9] = 1, 1
    output = outputs_with(joint, dual)
    assert pseudo_labels(output, output, spoken).own.nonzero()[:, 2].tolist() == [4, 5, 6, 7, 8]
    strict = pseudo_labels(output, output, spoken, rule=LabelRule(iou=0.5))
    assert torch.equal(strict.own, spoken)
    both = pseudo_labels(output, output, spoken, rule=LabelRule(place="intersection"))
    assert both.own.nonzero()[:, 2].tolist() == [6]
    alone = pseudo_labels(output, output, spoken, rule=LabelRule(place="joint"))
    assert alone.own.nonzero()[:, 2].tolist() == [4, 5, 6]


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
def test_the_asked_for_share_of_the_batch_is_alignable_and_it_is_the_best(alpha: float) -> None:
    joint, dual = random(4, 6, 20).tanh(), random(4, 6, 20, seed=1).tanh()
    text_padding = torch.zeros(4, 6, dtype=torch.bool)
    text_padding[:, 5] = True  # 20 sentences are left
    spoken = spans_to_seconds(torch.full((4, 6), 3.0), torch.full((4, 6), 6.0), 20)
    output = outputs_with(joint, dual)
    labels = pseudo_labels(output, output, spoken, text_padding=text_padding, rule=LabelRule(alpha=alpha))
    real = labels.alignable[~text_padding]
    assert (real == 1).float().mean().item() == alpha
    assert ((real == 0) | (real == 1)).all()
    assert (labels.alignable[text_padding] == IGNORED).all()
    assert torch.equal(labels.trained, labels.alignable == 1)
    assert labels.score[labels.alignable == 1].min() > labels.score[labels.alignable == 0].max()
    mean = ((joint + dual) * labels.own).sum(-1) / labels.own.sum(-1)
    torch.testing.assert_close(labels.score[~text_padding], mean[~text_padding])


def test_no_label_reaches_past_the_video() -> None:
    cosines = torch.zeros(1, 1, 12)
    cosines[..., 8:] = 1
    padding = torch.arange(12)[None] >= 9
    spoken = spans_to_seconds(torch.tensor([[0.0]]), torch.tensor([[3.0]]), 12)
    output = outputs_with(cosines, cosines)
    assert pseudo_labels(output, output, spoken, padding).own.nonzero()[:, 2].tolist() == [6, 7, 8]


def test_the_code_s_labels_keep_off_the_borders_and_give_a_second_to_one_sentence() -> None:
    cosines = torch.full((1, 2, 12), 0.0)
    cosines[0, 0, 0:4], cosines[0, 1, 2:6] = 1, 0.99
    spoken = spans_to_seconds(torch.tensor([[4.0, 4.0]]), torch.tensor([[8.0, 8.0]]), 12)
    output = outputs_with(cosines, cosines)
    rule = LabelRule(skips_borders=True)
    assert pseudo_labels(output, output, spoken, rule=rule).own[0, 0].nonzero().flatten().tolist() == [
        1,
        2,
        3,
    ]
    labels = pseudo_labels(output, output, spoken, rule=LabelRule(one_sentence_a_second=True))
    assert labels.own[0, 0].nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert labels.own[0, 1].nonzero().flatten().tolist() == [4, 5]
    same = outputs_with(cosines[:, :1].repeat(1, 2, 1), cosines[:, :1].repeat(1, 2, 1))
    labels = pseudo_labels(same, same, spoken, rule=LabelRule(one_sentence_a_second=True))
    assert torch.equal(labels.own[0, 1], spoken[0, 1])  # all its seconds were taken


def test_the_code_s_alignability_needs_both_encoders_above_or_below_the_median() -> None:
    high, low = torch.tensor([0.9, 0.8, 0.2, 0.1]), torch.tensor([0.8, 0.1, 0.9, 0.2])
    joint, dual = torch.zeros(1, 4, 10), torch.zeros(1, 4, 10)
    joint[0, :, 5], dual[0, :, 5] = high, low
    spoken = spans_to_seconds(torch.full((1, 4), 2.0), torch.full((1, 4), 4.0), 10)
    output = outputs_with(joint, dual)
    labels = pseudo_labels(output, output, spoken, rule=LabelRule.of_code())
    assert labels.alignable[0].tolist() == [1, IGNORED, IGNORED, 0]
    assert labels.trained.sum() == 2
    place = torch.tensor([[0.1, 0.5, 0.9, 0.5]])
    placed = pseudo_labels(output, output, spoken, rule=LabelRule.of_code(), place=place)
    assert placed.alignable[0].tolist() == [0, IGNORED, 0, 0]


def test_alignability_loss_ignores_what_has_no_label_and_balances_the_code_s_head() -> None:
    labels = torch.tensor([[1, 0, IGNORED], [0, IGNORED, 0]])
    scores = torch.zeros(2, 3, 2)
    scores[labels == IGNORED] = 50
    assert alignability_loss(scores, labels).item() == pytest.approx(math.log(2))
    # One alignable against three others: it weighs three times.
    one = torch.zeros(2, 3, 1)
    assert alignability_loss(one, labels).item() == pytest.approx((3 + 3) / 4 * math.log(2))
    assert alignability_loss(one, torch.full_like(labels, IGNORED)).item() == 0


@pytest.mark.parametrize("rule", [LabelRule(), LabelRule.of_code()])
@pytest.mark.parametrize("head", ["two-way", "binary"])
def test_co_training_trains_the_network_and_not_its_average(rule: LabelRule, head: str) -> None:
    torch.manual_seed(0)
    pair = TANPair(small(head=head, head_stage=2).config).train()
    start = torch.tensor([[0.0, 5.0, 9.0], [1.0, 4.0, 0.0]])
    loss = second_stage_loss(
        pair,
        random(2, 16, 12),
        random(2, 3, 10, seed=1),
        start,
        start + 3,
        text_padding=torch.tensor([[False] * 3, [False, False, True]]),
        rule=rule,
    )
    loss.total.backward()
    assert loss.alignability is not None
    torch.testing.assert_close(loss.total, (loss.joint + loss.dual) / 2 + loss.alignability)
    assert all(value.grad is None for value in pair.target.parameters())
    unused = {"mlp.weight", "mlp.bias", "text_temporal_pos_embed"}
    assert {name for name, value in pair.online.named_parameters() if value.grad is None} == unused


def test_a_small_tan_learns_to_place_sentences_through_both_stages() -> None:
    """Half of the sentences are spoken three seconds before they are shown."""
    torch.manual_seed(0)
    concepts, shown = random(20, 8, seed=5), torch.arange(6) * 4.0
    pair = TANPair(TANConfig(8, 8, 32, 2, 1, 1, longest=64, random_start=False), momentum=0.9).train()
    optimiser = torch.optim.AdamW(pair.online.parameters(), 3e-3)

    def batch(seed: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        which = torch.stack([torch.randperm(20, generator=generator)[:6] for _ in range(8)])
        video = concepts[which].repeat_interleave(4, 1) + 0.2 * torch.randn(8, 24, 8, generator=generator)
        early = torch.where(torch.rand(8, 6, generator=generator) < 0.5, 3.0, 0.0)
        return video, concepts[which], (shown - early).clamp(min=0)

    for step in range(60):
        video, text, start = batch(step)
        if step < 40:
            loss = first_stage_loss(pair.online(video, text), start, start + 4).total
        else:
            if step == 40:
                pair.restart_target()
            loss = second_stage_loss(pair, video, text, start, start + 4).total
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        pair.update_target()
    video, text, _ = batch(10_000)
    found = pair.eval().online(video, text).joint.argmax(-1)
    assert ((found >= shown) & (found < shown + 4)).float().mean() > 0.9
