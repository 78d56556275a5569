"""JSFusion: the sizes of Table 5.1, what padding may not change, the loss, tables of pairs, re-ranking."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cinescribe.errors import UsageError, WeightsError
from cinescribe.models import jsfusion_files
from cinescribe.models.jsfusion import VARIANTS, JSFusion, JSFusionConfig, Steps
from cinescribe.models.jsfusion_files import SavedJSFusion
from cinescribe.models.jsfusion_pairs import (
    encode_texts,
    encode_videos,
    encoder_operations,
    pair_operations,
    score_table,
)
from cinescribe.models.jsfusion_rerank import rerank
from cinescribe.models.ranking import matrix_loss, ranking_loss, weight_penalty
from cinescribe.models.vocabulary import Vocabulary

SMALL = JSFusionConfig(
    video_width=12, word_width=10, hidden=8, joint=16, attention=16, fusion=16, channels=8, dense=(8, 8, 8)
)
BLANK = replace(SMALL, joint=8, outputs=30)


def small(config: JSFusionConfig = SMALL, words: int = 34) -> JSFusion:
    torch.manual_seed(0)
    model = JSFusion(config, words)
    for layer in model.modules():  # statistics as after some training
        if isinstance(layer, torch.nn.BatchNorm1d):
            layer.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return model.eval()


def inputs(videos: int = 6, texts: int = 5, width: int = 12) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Videos of 1 to 40 frames and texts of 1 to 40 words, padded."""
    random = torch.Generator().manual_seed(1)
    frame_counts = torch.tensor([40, 1, 13, 7, 9, 22][:videos])
    word_counts = torch.tensor([5, 40, 1, 11, 8][:texts])
    frames = torch.randn(videos, 40, width, generator=random)
    ids = torch.randint(4, 34, (texts, 40), generator=random)
    frames[torch.arange(40) >= frame_counts[:, None]] = 0
    ids[torch.arange(40) >= word_counts[:, None]] = 0
    return frames, frame_counts, ids, word_counts


@torch.no_grad()
def encoded(model: JSFusion) -> tuple[Steps, Steps]:
    frames, frame_counts, ids, word_counts = inputs()
    return model.encode_video(frames, frame_counts), model.encode_text(ids, word_counts)


def all_pairs(videos: int = 6, texts: int = 5) -> Tensor:
    return torch.cartesian_prod(torch.arange(videos), torch.arange(texts))


def test_layers_have_the_sizes_of_table_5_1() -> None:
    model = JSFusion(JSFusionConfig(), 4 + 16_824)
    shapes = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert shapes["video.project.linear.weight"] == (512, 3200)  # 512 + 512 + 2176
    assert shapes["text.project.linear.weight"] == (512, 1324)  # 512 + 512 + 300
    assert shapes["tensor.attention.linear.weight"] == shapes["tensor.first.linear.weight"] == (512, 512)
    assert shapes["tensor.second.linear.weight"] == (512, 512)
    assert shapes["decoder.stages.0.weight"] == (257, 512, 3, 3)  # Conv1 and the one channel of ConvG1
    assert shapes["decoder.stages.2.weight"] == (257, 256, 3, 3)
    assert [shapes[f"dense.{k}.linear.weight"] for k in range(3)] == [(256, 256), (256, 256), (128, 256)]
    assert shapes["out.weight"] == (1, 128)
    blanks = JSFusion(JSFusionConfig().for_blanks(16_824), 5)
    shapes = {name: tuple(value.shape) for name, value in blanks.named_parameters()}
    assert shapes["video.project.linear.weight"] == (1024, 3200)
    assert shapes["tensor.second.linear.weight"] == (2048, 2048)
    assert shapes["decoder.stages.1.weight"] == (1025, 1024, 3, 3)
    assert shapes["out.weight"] == (16_824, 1024)


def test_maps_shrink_from_40_to_38_36_17_and_1() -> None:
    model, seen = small(), []
    for stage in model.decoder.stages:
        stage.register_forward_hook(lambda layer, given, made: seen.append(tuple(made.shape[2:])))
    full = torch.tensor([40])
    assert model.decoder(torch.randn(1, 16, 40, 40), full, full).shape == (1, 8)
    assert seen == [(38, 38), (36, 36), (17, 17)]


def test_the_full_map_is_the_plain_network() -> None:
    """Without padding eq. 5.2 to 5.5 hold to the letter, computed here from the layers, cell by cell."""
    model = small()
    frames, _, ids, _ = inputs()
    with torch.no_grad():
        video = model.encode_video(frames[:1], torch.tensor([40]))
        text = model.encode_text(ids[1:2], torch.tensor([40]))
        met = video.vectors[0][:, None] * text.vectors[0][None]
        jst = model.tensor
        gamma = jst.second(jst.first(met.flatten(0, 1)))
        alpha = torch.sigmoid(jst.attention(met.flatten(0, 1)) @ jst.weight.weight[0])
        grid = (alpha[:, None] * gamma).view(40, 40, 16).permute(2, 0, 1)[None]
        for stage in model.decoder.stages:
            made = stage(grid)
            grid = made[:, :8] * torch.sigmoid(made[:, 8:])
        wanted = model.out(model.dense(grid.mean((2, 3))))[0, 0]
        assert float(model.score(video, text, torch.tensor([[0, 0]]))) == pytest.approx(
            float(wanted), rel=1e-4
        )


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "code-blank"])
def test_what_stands_in_the_padding_changes_nothing(variant: str) -> None:
    model = small(replace(SMALL, **VARIANTS[variant]))
    video, text = encoded(model)
    frames, frame_counts, ids, word_counts = inputs()
    with torch.no_grad():
        whole = model.score(video, text, all_pairs())
        for v, t in ((0, 2), (1, 1), (2, 0), (3, 4), (5, 3)):
            n, m = int(frame_counts[v]), int(word_counts[t])
            one = model.encode_video(frames[v : v + 1, :n], torch.tensor([n]))
            other = model.encode_text(ids[t : t + 1, :m], torch.tensor([m]))
            alone = model.score(one, other, torch.tensor([[0, 0]]))
            assert float(alone) == pytest.approx(float(whole[v * 5 + t]), rel=1e-3, abs=1e-5)


def test_padding_stays_out_of_the_statistics_of_training() -> None:
    model = small().train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    frames, frame_counts, ids, word_counts = inputs()
    scores = []
    for pad in (0, 9):
        video = model.encode_video(torch.nn.functional.pad(frames, (0, 0, 0, pad)), frame_counts)
        text = model.encode_text(torch.nn.functional.pad(ids, (0, pad)), word_counts)
        scores.append(model.score(video, text, all_pairs()))
    torch.testing.assert_close(scores[0], scores[1], rtol=1e-4, atol=1e-5)


def test_attention_lies_between_0_and_1() -> None:
    model = small()
    alpha = model.tensor.weights(10 * torch.randn(200, 16)).detach()
    assert bool(((alpha > 0) & (alpha < 1)).all())
    assert float(alpha.max() - alpha.min()) > 0


def test_swapping_two_videos_swaps_their_columns() -> None:
    model = small()
    video, text = encoded(model)
    table = score_table(model, video, text)
    order = torch.tensor([0, 3, 2, 1, 4, 5])
    swapped = score_table(model, Steps(video.vectors[order], video.lengths[order]), text)
    torch.testing.assert_close(swapped, table[:, order], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(table[:, 1], table[:, 3])


@pytest.mark.parametrize("cells", [1, 300, 5000, 10**6])
def test_the_table_is_the_pairs_whatever_is_computed_at_once(cells: int) -> None:
    model = small()
    video, text = encoded(model)
    scored = []
    table = score_table(
        model, video, text, cells, lambda texts, videos: scored.append(len(texts) * len(videos))
    )
    with torch.no_grad():
        pairs = model.score(video, text, all_pairs()).view(6, 5).T
    torch.testing.assert_close(table, pairs, rtol=1e-4, atol=1e-5)
    assert sum(scored) == 30
    assert (len(scored) == 30) == (cells == 1)


def test_sequences_of_any_lengths_are_encoded_alike() -> None:
    model = small()
    frames, frame_counts, ids, word_counts = inputs()
    video, text = encoded(model)
    videos = encode_videos(model, [frames[k, :n] for k, n in enumerate(frame_counts.tolist())], batch=2)
    texts = encode_texts(model, ids, word_counts, batch=2)
    torch.testing.assert_close(videos.vectors, video.vectors, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(texts.vectors, text.vectors, rtol=1e-4, atol=1e-5)


def test_operations_of_a_pair_are_those_of_its_matrix_products() -> None:
    model, counted = small(), []
    video, text = encoded(model)

    def count(layer: torch.nn.Module, given: tuple[Tensor], made: Tensor) -> None:
        counted.append(2 * made.numel() * layer.weight[0].numel())  # type: ignore[operator, index]

    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            layer.register_forward_hook(count)
    for v, t in ((0, 1), (5, 3), (3, 0)):
        counted.clear()
        with torch.no_grad():
            model.score(video, text, torch.tensor([[v, t]]))
        assert pair_operations(SMALL, int(video.lengths[v]), int(text.lengths[t])) == sum(counted)
    # at the thesis's sizes: 8 billion for 40 x 40, and the shared encoders a ninth of it
    assert pair_operations(JSFusionConfig(), 40, 40) == pytest.approx(7.9e9, rel=0.05)
    shared = encoder_operations(JSFusionConfig(), 40, of_video=True)
    assert shared == 2 * 40 * (2 * 2048 * (2176 + 512) + 3200 * 512)


def test_the_loss_is_zero_when_the_margin_is_met() -> None:
    scores = torch.tensor([[12.0, 2.0, 1.0], [0.0, 10.0, -3.0]])
    assert float(ranking_loss(scores, torch.tensor([0, 1]), 10.0)) == 0
    assert float(ranking_loss(scores, torch.tensor([0, 1]), 11.0)) == pytest.approx((1 + 0 + 1 + 0) / 2)
    assert float(ranking_loss(scores, torch.tensor([2, 1]), 10.0)) == pytest.approx((21 + 11) / 2)


def test_the_code_counts_the_diagonal_a_constant_more() -> None:
    scores = torch.tensor([[20.0, 0.0], [0.0, 20.0]])
    assert float(matrix_loss(scores, 10.0)) == pytest.approx(10 / 2)  # margin / batch
    scores = torch.randn(4, 4)
    ours = ranking_loss(scores, torch.arange(4), 10.0)
    assert float(matrix_loss(scores, 10.0)) == pytest.approx(float(ours) / 4 + 10 / 4, rel=1e-5)


def test_the_penalty_is_of_weights_alone() -> None:
    layer = torch.nn.Linear(2, 1)
    both = torch.nn.Sequential(torch.nn.Embedding(3, 2), layer)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0]]))
        layer.bias.fill_(100)
    assert float(weight_penalty(both, 0.5).detach()) == pytest.approx(12.5)


@pytest.mark.parametrize("variant", ["JSFusion", "JSTmean-noattention", "code-blank"])
def test_blanks_get_a_logit_for_each_word(variant: str) -> None:
    model = small(replace(BLANK, **VARIANTS[variant]))
    frames, frame_counts, ids, word_counts = inputs(videos=5)
    blanks = torch.tensor([4, 20, 0, 3, 7])
    with torch.no_grad():
        video, text = model.encode_video(frames, frame_counts), model.encode_text(ids, word_counts)
        logits = model.fill(video, text, blanks)
        assert logits.shape == (5, 30)
        # the context of the blank reaches the words beside the tensor (the skip connection)
        moved = model.fill(video, text, torch.tensor([3, 20, 0, 3, 7]))
    assert not torch.allclose(moved[0], logits[0])
    torch.testing.assert_close(moved[1:], logits[1:])


def test_every_part_learns() -> None:
    model = small().train()
    frames, frame_counts, ids, word_counts = inputs()
    video, text = model.encode_video(frames, frame_counts), model.encode_text(ids, word_counts)
    scores = model.score(video, text, all_pairs()).view(6, 5)
    ranking_loss(scores, torch.tensor([0, 1, 2, 3, 4, 0]), 10.0).backward()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        # what is added to all scores cancels in their differences
        assert (float(value.grad.abs().sum()) > 0) == (name != "out.bias"), name


def test_a_sound_config_is_asked_for() -> None:
    with pytest.raises(UsageError, match="at least 7"):
        JSFusionConfig(frames=5)
    with pytest.raises(UsageError, match="as wide as D1"):
        JSFusionConfig(outputs=100)


def test_a_saved_model_reranks_as_it_scores_pairs(tmp_path: Path) -> None:
    vocabulary = Vocabulary([f"word{k}" for k in range(30)])
    saved = SavedJSFusion(small(), vocabulary, "retrieval", ("a", "b"), 5.0)
    jsfusion_files.save(saved, tmp_path)
    again = jsfusion_files.load(tmp_path)
    assert again.vocabulary.words == vocabulary.words
    assert (again.features, again.hz, again.model.config) == (("a", "b"), 5.0, SMALL)
    random = np.random.default_rng(0)
    moments = [random.standard_normal((n, 12)).astype(np.float16) for n in (8, 40, 3, 90, 20)]
    found = rerank(again, "word3 unheard WORD20 word1", moments, most=4)
    ids = torch.tensor([[7, 24, 5]])
    with torch.no_grad():
        text = again.model.encode_text(ids, torch.tensor([3]))
        wanted = {}
        for number, moment in enumerate(moments[:4]):
            kept = moment if len(moment) <= 40 else moment[np.linspace(0, 89, 40).round().astype(int)]
            frames = torch.from_numpy(kept.astype(np.float32))[None]
            video = again.model.encode_video(frames, torch.tensor([len(kept)]))
            wanted[number] = float(again.model.score(video, text, torch.tensor([[0, 0]])))
    assert [one.found for one in found] == [*sorted(wanted, key=lambda number: -wanted[number]), 4]
    assert found[-1].score is None
    for one in found[:-1]:
        assert one.score == pytest.approx(wanted[one.found], rel=1e-3, abs=1e-5)
    with pytest.raises(UsageError, match="knows none"):
        rerank(again, "nothing known", moments)
    with pytest.raises(UsageError, match="12"):
        rerank(again, "word1", [np.zeros((4, 3))])
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="cinescribe train jsfusion"):
        jsfusion_files.load(tmp_path)
