"""TAN on whole videos, and from files with the names and shapes of the released ones."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cinescribe.errors import UsageError, WeightsError
from cinescribe.metrics.alignment import SentenceAlignment, score_alignment
from cinescribe.models.tan import TAN, TANConfig, TANPair
from cinescribe.models.tan_inference import align_video, segment_vector
from cinescribe.models.tan_released import load_released
from cinescribe.models.word2vec_text import Word2VecText, WordIds

SMALL = TANConfig(8, 8, 64, 1, 2, 2, longest=300, random_start=False, head="binary", head_stage=1)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def network(**changes: object) -> TAN:
    torch.manual_seed(0)
    return TAN(TANConfig(**{**{name: getattr(SMALL, name) for name in SMALL.__slots__}, **changes})).eval()


# --- whole videos


def test_a_video_of_one_window_is_aligned_as_the_network_does() -> None:
    model, video, sentences = network(), random(40, 8), random(3, 8, seed=1)
    found = align_video(model, video, sentences, [5.0, 20.0, 35.0])
    output = model(video[None], sentences[None])
    expected = (output.joint[0] + output.dual[0]) / 2 / 0.07
    torch.testing.assert_close(torch.tensor(found.similarity).float(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        torch.tensor(found.alignability).float(), output.alignability[0, :, 0], atol=1e-4, rtol=1e-4
    )


def test_overlapping_windows_are_averaged_and_as_published_summed() -> None:
    model, video, sentences = network().requires_grad_(False), random(96, 8), random(2, 8, seed=1)
    middles = [10.0, 80.0]
    windows = {start: model(video[None, start : start + 64], sentences[None]) for start in (0, 16, 32, 48)}
    mean = align_video(model, video, sentences, middles)
    total = align_video(model, video, sentences, middles, combination="sum")
    for second, seen in ((5, [0]), (20, [0, 16]), (50, [0, 16, 32, 48]), (90, [32, 48])):
        values = [
            (windows[start].joint[0, 1, second - start] + windows[start].dual[0, 1, second - start]) / 0.14
            for start in seen
        ]
        assert total.similarity[1, second] == pytest.approx(float(sum(values)), abs=1e-3)
        assert mean.similarity[1, second] == pytest.approx(float(sum(values)) / len(seen), abs=1e-3)
    heads = [float(output.alignability[0, 1, 0]) for output in windows.values()]
    assert mean.alignability[1] == pytest.approx(sum(heads) / 4, abs=1e-4)
    assert total.alignability[1] == pytest.approx(sum(heads), abs=1e-4)


def test_each_encoder_can_be_asked_alone_and_the_mean_is_of_both() -> None:
    model, video, sentences = network(), random(70, 8), random(2, 8, seed=1)
    both, joint, dual = (
        align_video(model, video, sentences, [9.0, 60.0], encoders=which).similarity
        for which in ("both", "joint", "dual")
    )
    assert both == pytest.approx((joint + dual) / 2, abs=1e-4)


def test_one_pass_stretches_the_positions_of_a_window() -> None:
    model, video, sentences = network(), random(150, 8), random(2, 8, seed=1)
    found = align_video(model, video, sentences, [9.0, 60.0], one_pass=True)
    output = model(video[None], sentences[None], stretch_from=64)
    expected = (output.joint[0] + output.dual[0]) / 2 / 0.07
    torch.testing.assert_close(torch.tensor(found.similarity).float(), expected)


def test_without_a_head_the_highest_similarity_tells_alignability() -> None:
    model = network(head="none")
    found = align_video(model, random(100, 8), random(3, 8, seed=1), [9.0, 50.0, 90.0])
    assert found.alignability.tolist() == found.similarity.max(1).tolist()


def test_the_two_way_head_scores_alignable_over_not() -> None:
    model, video, sentences = network(head="two-way"), random(40, 8), random(3, 8, seed=1)
    scores = model(video[None], sentences[None]).alignability[0]
    found = align_video(model, video, sentences, [5.0, 20.0, 35.0])
    torch.testing.assert_close(
        torch.tensor(found.alignability).float(), scores[:, 1] - scores[:, 0], atol=1e-5, rtol=1e-4
    )


def test_aligning_leaves_the_network_in_training_and_asks_for_something_to_align() -> None:
    model = network().train()
    align_video(model, random(40, 8), random(1, 8), [5.0])
    assert model.training
    with pytest.raises(UsageError, match=r"must be \[n, width\]"):
        align_video(model, random(40, 8), random(0, 8), [])


def test_what_is_found_is_scored_from_end_to_end() -> None:
    model = network()
    found = align_video(model, random(90, 8), random(4, 8, seed=1), [5.0, 20.0, 40.0, 70.0])
    best = found.similarity.argmax(1)
    order = found.alignability.argsort()
    alignable = [bool(row in order[2:]) for row in range(4)]
    spans = [(float(second), float(second)) for second in best]
    scores = score_alignment([SentenceAlignment(found.similarity, found.alignability, alignable, spans)])
    assert (scores.recall, scores.auc, scores.sentences, scores.alignable) == (1.0, 1.0, 4, 2)


# --- segments


def test_a_segment_is_a_vector_of_length_one_of_its_own_seconds() -> None:
    model, video = network(), random(120, 8)
    vector = segment_vector(model, video, 30, 50)
    assert vector.shape == (64,)
    assert float(vector.norm()) == pytest.approx(1)
    # One window of 40 seconds, a quarter of its slack before the segment: from second 25 on.
    seconds = torch.nn.functional.normalize(model.video_features(video[None, 25:65])[0, -1, 5:25], dim=-1)
    expected = torch.nn.functional.normalize(seconds.mean(0), dim=-1)
    torch.testing.assert_close(segment_vector(model, video, 30, 50, windows=1), expected)


def test_long_segments_are_seen_in_part_and_the_video_s_ends_repeat() -> None:
    model = network()
    assert segment_vector(model, random(290, 8), 5, 285).shape == (64,)  # longer than 256 seconds
    assert segment_vector(model, random(10, 8), 0, 10).shape == (
        64,
    )  # its window of 32 is longer than the video
    for start, end in ((5.0, 5.5), (-1.0, 4.0), (10.0, 14.0)):
        with pytest.raises(UsageError, match="segment"):
            segment_vector(model, random(10, 8), start, end)


# --- sentences


def test_tan_keeps_unknown_words_in_their_place_and_mil_nce_drops_them() -> None:
    words = ["cut", "the", "don't"]
    assert WordIds(words)(["Cut THE zebra; don't!"])[0, :5].tolist() == [1, 2, 0, 3, 0]
    assert WordIds(words).limit == 32
    assert WordIds(words, "mil-nce")(["Cut THE zebra; don't!"])[0, :4].tolist() == [1, 2, 3, 0]
    assert WordIds(words, limit=2)(["the the cut"]).tolist() == [[2, 2]]


def test_padding_is_left_out_by_tan_and_takes_part_in_mil_nce() -> None:
    torch.manual_seed(0)
    tan, milnce = Word2VecText(50), Word2VecText(50, "mil-nce")
    milnce.load_state_dict(tan.state_dict())
    short, padded = torch.tensor([[4, 7]]), torch.tensor([[4, 7, 0, 0]])
    torch.testing.assert_close(tan(short), tan(padded))
    assert (milnce(short) - milnce(padded)).abs().max() > 1e-4
    torch.testing.assert_close(
        tan(torch.zeros(1, 3, dtype=torch.long)), milnce(torch.zeros(1, 3, dtype=torch.long))
    )
    assert not tan.word_embd.weight.requires_grad
    assert sum(value.numel() for value in Word2VecText().parameters()) == 21_540_536


# --- released files


def released_state(pair: TANPair, text: str = "lang_model") -> dict[str, Tensor]:
    """Names as the authors' code writes them: the sentence encoder is repeated in both branches."""
    state = {f"{part}.{name}": value for part in ("online", "target")
             for name, value in getattr(pair, part).state_dict().items()}  # fmt: skip
    for name, value in pair.lang_model.state_dict().items():
        state |= {f"{prefix}{text}.{name}": value for prefix in ("online.", "target.", "")}
    return state


def changed_pair(**changes: object) -> TANPair:
    torch.manual_seed(1)
    pair = TANPair(network(**changes).config, words=50).eval()
    for value in pair.target.parameters():
        value.add_(0.01)
    return pair


@pytest.mark.parametrize("text", ["lang_model", "bert"])
def test_a_file_of_both_stages_is_read(tmp_path: Path, text: str) -> None:
    pair = changed_pair()
    torch.save({"epoch": 3, "state_dict": released_state(pair, text)}, tmp_path / "model.pth.tar")
    back = load_released(tmp_path / "model.pth.tar")
    assert back.online.config.head == "binary"
    assert back.online.config.head_stage == 2
    assert not back.training
    for name, value in pair.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], value)


def test_a_file_of_the_first_stage_has_one_network_and_no_head(tmp_path: Path) -> None:
    pair = changed_pair(head="none")
    state = {f"module.{name}": value for name, value in pair.online.state_dict().items()}
    state |= {f"module.bert.{name}": value for name, value in pair.lang_model.state_dict().items()}
    torch.save(state, tmp_path / "stage1.pth")
    back = load_released(tmp_path / "stage1.pth")
    assert back.online.config.head == "none"
    video, sentences = random(1, 20, 8), back.lang_model(torch.tensor([[[4, 7, 0]]]))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        back.online(video, sentences)  # this small file's sentences are 512 wide, its network's 8
    output = back.online(video, random(1, 2, 8))
    torch.testing.assert_close(output.joint, back.target(video, random(1, 2, 8)).joint)


def test_the_published_shapes_are_read(tmp_path: Path) -> None:
    """Six layers each, 1024-d seconds, 512-d sentences, 66,250 words; 39,931,905 + 21,540,536 parameters."""
    with torch.device("meta"):
        pair = TANPair(TANConfig(head="binary"), words=66_250)
    state = {name: torch.zeros(1).expand(value.shape) for name, value in pair.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "model.pth.tar")
    back = load_released(tmp_path / "model.pth.tar")
    assert (back.online.config.dual_layers, back.online.config.joint_layers) == (6, 6)
    assert back.online.config.heads == 8
    assert sum(value.numel() for value in back.online.parameters()) == 39_931_905
    assert sum(value.numel() for value in back.lang_model.parameters()) == 21_540_536


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    state = released_state(changed_pair())
    del state["online.ln_text_init.weight"]
    torch.save({"state_dict": state}, tmp_path / "broken.pth.tar")
    with pytest.raises(WeightsError, match=r"broken\.pth\.tar.*ln_text_init\.weight"):
        load_released(tmp_path / "broken.pth.tar")
    torch.save({"something": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth.*TemporalAlignNet"):
        load_released(tmp_path / "other.pth")
