"""CT-SAN: traces, semantic attention, its losses and tasks, beam search, files."""

import itertools
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cinescribe.errors import UsageError, WeightsError
from cinescribe.models import ct_san_files
from cinescribe.models.compact_bilinear import CompactBilinearPooling
from cinescribe.models.concepts import concept_words
from cinescribe.models.ct_san import (
    ConceptDetector,
    CTSANConfig,
    GridReduction,
    InputAttention,
    OutputAttention,
    Watcher,
    attention_penalty,
    concept_loss,
)
from cinescribe.models.ct_san_decoding import describe
from cinescribe.models.ct_san_files import SavedCTSAN
from cinescribe.models.ct_san_tasks import (
    Choice,
    Description,
    FillIn,
    Retrieval,
    build,
    score_table,
    transfer,
)
from cinescribe.models.layer_norm_lstm import LayerNormLSTM
from cinescribe.models.vocabulary import BLANKED, END, START, Vocabulary, word_vectors

SMALL = CTSANConfig(
    input_grid=3, input_channels=5, width=6, word_width=4, concepts=3, tracing_channels=4, sketch=16, joint=5
)
WORDS, CONCEPTS = 12, [5, 7, 8, 9, 11]


def model(task: str, config: CTSANConfig = SMALL) -> nn.Module:
    torch.manual_seed(0)
    return build(task, config, WORDS, CONCEPTS).eval()  # type: ignore[arg-type]


def videos(count: int = 3) -> tuple[Tensor, Tensor]:
    """Videos of 1, 4 and 6 frames, padded."""
    torch.manual_seed(1)
    lengths = torch.tensor([6, 1, 4][:count])
    frames = torch.randn(count, 6, 3 * 3 * 5)
    frames[torch.arange(6) >= lengths[:, None]] = 0
    return frames, lengths


def sentences() -> tuple[Tensor, Tensor]:
    return torch.tensor([[5, 6, BLANKED, 8], [7, BLANKED, 0, 0], [BLANKED, 9, 10, 0]]), torch.tensor(
        [4, 2, 3]
    )


def test_layers_have_the_sizes_of_the_thesis() -> None:
    config = CTSANConfig()
    detector = ConceptDetector(config, 2000)
    assert detector.out.weight.shape == (2000, 8000)
    assert config.grid**2 == 16
    reduced = GridReduction(config)(torch.randn(1, 2, 7 * 7 * 2048))
    assert reduced.shape == (1, 2, 16, 500)
    lstm = sum(value.numel() for value in detector.lstm.parameters())
    assert lstm == 4 * 500 * (500 + 500 + 2)
    pooled = CTSANConfig()
    assert (pooled.joint * pooled.pieces, pooled.sketch) == (3000, 8000)
    assert InputAttention(config).out.weight.shape == (500, 300)
    assert OutputAttention(config).project.weight.shape == (500, 300)


def test_a_map_is_read_with_its_channels_last() -> None:
    reduction = GridReduction(CTSANConfig(input_grid=7, input_channels=2, width=3))
    frames = torch.randn(1, 1, 7, 7, 2)
    pooled = torch.stack(
        [
            frames[0, 0, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].amax((0, 1))
            for row in range(4)
            for column in range(4)
        ]
    )
    wanted = reduction.convolution(pooled.T.view(1, 2, 4, 4)).flatten(2)[0].T
    torch.testing.assert_close(reduction(frames.flatten(2))[0, 0], wanted)


def test_traces_attend_to_each_frame_once_and_begin_at_their_own_cell() -> None:
    torch.manual_seed(0)
    detector = ConceptDetector(SMALL, 5)
    cells = torch.randn(3, 6, 4, 6)
    traced = detector(cells, torch.tensor([6, 1, 4]))
    torch.testing.assert_close(traced.attention.sum(-1), torch.ones(3, 6, 4))
    assert torch.equal(traced.attention[:, 0], torch.eye(4).expand(3, -1, -1))
    contexts = traced.attention[:, 0] @ cells[:, 0]
    assert all(
        not torch.equal(contexts[0, a], contexts[0, b]) for a, b in itertools.combinations(range(4), 2)
    )
    second = traced.attention[0, 1]
    assert not torch.allclose(second[0], second[1])  # so the traces go their own ways


def test_frames_after_the_last_one_change_no_concept() -> None:
    torch.manual_seed(0)
    detector = ConceptDetector(SMALL, 5)
    cells = torch.randn(1, 6, 4, 6)
    alone = detector(cells[:, :3], torch.tensor([3])).logits
    torch.testing.assert_close(detector(cells, torch.tensor([3])).logits, alone)


def test_the_order_of_the_concepts_is_of_no_account() -> None:
    torch.manual_seed(0)
    words, states, concepts = torch.randn(2, 5, 4), torch.randn(2, 5, 6), torch.randn(2, 3, 4)
    order = [2, 0, 1]
    reading, saying = InputAttention(SMALL), OutputAttention(SMALL)
    for layer, given in ((reading, words), (saying, states)):
        out, weights = layer(given, concepts)
        other, moved = layer(given, concepts[:, order])
        torch.testing.assert_close(out, other)
        torch.testing.assert_close(weights[..., order], moved)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))


def test_without_its_scale_attention_has_no_effect() -> None:
    torch.manual_seed(0)
    words, states, concepts = torch.randn(2, 5, 4), torch.randn(2, 5, 6), torch.randn(2, 3, 4)
    reading, saying = InputAttention(SMALL), OutputAttention(SMALL)
    assert not torch.allclose(reading(words, concepts)[0], reading(words, None)[0])
    with torch.no_grad():
        reading.scale.zero_()
        saying.scale.zero_()
    torch.testing.assert_close(reading(words, concepts)[0], reading.out(words))
    torch.testing.assert_close(saying(states, concepts)[0], states)


def test_known_losses() -> None:
    assert float(concept_loss(torch.zeros(2, 7), torch.randint(2, (2, 7)))) == pytest.approx(math.log(2))
    uniform = torch.full((1, 4, 10), 0.1)
    there = torch.ones(1, 4, dtype=torch.bool)
    # [sum_i (4 / 10)^2]^(1/2), and (10 * 10^-.5)^2 = 10 a step
    assert float(attention_penalty(uniform, there)) == pytest.approx(0.4 * 10**0.5 + 4 * 10, rel=1e-5)
    one = torch.eye(10)[None, :4]
    assert float(attention_penalty(one, there)) == pytest.approx(2 + 4, rel=1e-3)
    short = torch.tensor([[True, True, False, False]])
    assert float(attention_penalty(uniform, short)) == pytest.approx(0.2 * 10**0.5 + 2 * 10, rel=1e-5)


def test_the_detector_learns_from_the_concepts_alone() -> None:
    """What is taken of a video is a choice, through which no gradient flows."""
    describing = model("description")
    watched = describing.watcher.watch(*videos())
    ids, lengths = sentences()
    likelihood, penalty = describing(watched, ids, lengths)
    (likelihood.mean() + penalty).backward(retain_graph=True)
    assert all(value.grad is None for value in describing.watcher.detector.parameters())
    assert describing.watcher.input_attention.query.weight.grad is not None
    concept_loss(watched.logits, torch.zeros(3, 5)).backward()
    assert all(value.grad is not None for value in describing.watcher.detector.parameters())


def test_concepts_are_the_models_own_likeliest_words() -> None:
    watcher = model("description").watcher
    watched = watcher.watch(*videos())
    assert torch.equal(watched.found, watched.logits.topk(3).indices)
    numbers = torch.tensor(CONCEPTS)[watched.found]
    assert torch.equal(watched.concepts, watcher.words(numbers))
    assert torch.equal(watched.of(torch.tensor([2, 2])).concepts[1], watched.concepts[2])


@pytest.mark.parametrize("attends", [True, False])
@pytest.mark.parametrize("task", ["description", "fill-in", "choice", "retrieval"])
def test_padding_changes_nothing_and_every_part_learns(task: str, attends: bool) -> None:
    made = model(task, CTSANConfig(**{**_fields(SMALL), "semantic_attention": attends}))
    frames, frame_counts = videos()
    ids, counts = sentences()

    def run(frames: Tensor, frame_counts: Tensor, ids: Tensor, counts: Tensor) -> Tensor:
        watched = made.watcher.watch(frames, frame_counts)
        if isinstance(made, FillIn):
            return made(watched, ids, counts, (ids == BLANKED).long().argmax(1))[0]
        return made(watched, ids, counts)[0]

    whole = run(frames, frame_counts, ids, counts)
    assert (hasattr(made.watcher, "detector"), whole.shape[0]) == (attends, 3)
    for row in range(3):
        n, m = int(frame_counts[row]), int(counts[row])
        alone = run(frames[row, None, :n], frame_counts[row, None], ids[row, None, :m], counts[row, None])
        torch.testing.assert_close(alone[0], whole[row], rtol=1e-4, atol=1e-5)
    whole.square().sum().backward()
    unlearned = {name for name, value in made.named_parameters() if value.grad is None}
    assert all(name.startswith("watcher.detector") for name in unlearned)
    assert bool(unlearned) == attends


def _fields(config: CTSANConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}


def test_a_blank_reads_both_sides() -> None:
    filling = model("fill-in")
    watched = filling.watcher.watch(*videos())
    ids, counts = sentences()
    blanks = torch.tensor([2, 1, 0])
    logits, _ = filling(watched, ids, counts, blanks)
    assert logits.shape == (3, WORDS)
    before, after = ids.clone(), ids.clone()
    before[0, 0], after[0, 3] = 10, 10
    for changed in (before, after):
        other, _ = filling(watched, changed, counts, blanks)
        assert not torch.allclose(other[0], logits[0])
        torch.testing.assert_close(other[1:], logits[1:])


@pytest.mark.parametrize("task", ["choice", "retrieval"])
def test_the_table_is_the_pairs(task: str) -> None:
    matching = model(task)
    watched = matching.watcher.watch(*videos())
    ids, counts = sentences()
    assert isinstance(matching, Choice | Retrieval)
    table = score_table(matching, watched, ids, counts, pairs=4)
    for text, video in itertools.product(range(3), range(3)):
        alone = matching(watched.of(torch.tensor([video])), ids[text, None], counts[text, None])[0]
        assert float(table[text, video]) == pytest.approx(float(alone.detach()), rel=1e-4, abs=1e-6)


def test_pooling_is_the_sketch_of_the_outer_product() -> None:
    torch.manual_seed(0)
    pooling = CompactBilinearPooling(4, 3, 16)
    first, second = torch.randn(2, 4), torch.randn(2, 3)
    wanted = torch.zeros(2, 16)
    for i, j in itertools.product(range(4), range(3)):
        place = int(pooling.first_place[i] + pooling.second_place[j]) % 16
        wanted[:, place] += pooling.first_sign[i] * pooling.second_sign[j] * first[:, i] * second[:, j]
    torch.testing.assert_close(pooling(first, second), wanted, rtol=1e-4, atol=1e-5)


def test_layers_without_normalisation_are_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = LayerNormLSTM(3, 4, layers=2), nn.LSTM(3, 4, num_layers=2, batch_first=True)
    with torch.no_grad():
        for number, layer in enumerate(ours.layers):
            layer.input.weight.copy_(getattr(theirs, f"weight_ih_l{number}"))
            layer.state.weight.copy_(getattr(theirs, f"weight_hh_l{number}"))
            getattr(theirs, f"bias_ih_l{number}").zero_()
            getattr(theirs, f"bias_hh_l{number}").zero_()
            layer.input_norm = layer.state_norm = layer.cell_norm = nn.Identity()
    inputs = torch.randn(2, 5, 3)
    wanted, (hidden, cell) = theirs(inputs)
    found, states = ours(inputs, torch.tensor([5, 5]))
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(states[1], (hidden[1], cell[1]))
    backward, _ = ours(inputs.flip(1), torch.tensor([5, 5]), backward=True)
    torch.testing.assert_close(backward.flip(1), wanted)
    state = [(inputs.new_zeros(2, 4), inputs.new_zeros(2, 4))] * 2
    for step in range(5):
        said, state = ours.step(inputs[:, step], state)
        torch.testing.assert_close(said, wanted[:, step])


def test_greedy_takes_the_likeliest_word_each_time_and_wide_beams_find_the_best() -> None:
    config = CTSANConfig(**{**_fields(SMALL), "semantic_attention": False})
    torch.manual_seed(3)
    describing = build("description", config, 7, []).eval()  # three words and the end
    assert isinstance(describing, Description)
    watched = describing.watcher.watch(*videos(2))

    def likelihood(row: int, words: tuple[int, ...]) -> float:
        ids = torch.tensor([words])
        seen = watched.of(torch.tensor([row]))
        states, last, total = seen.states, torch.tensor([START]), 0.0
        for word in ids[0]:
            scores, states = describing.next_words(last, states, seen)
            total += float(scores[0, word].detach())
            last = word[None]
        return total

    greedy = describe(describing, watched, 1, 3)
    wide = describe(describing, watched, 4**3, 3)
    for row in range(2):
        chosen: tuple[int, ...] = ()
        while len(chosen) < 3 and END not in chosen:
            chosen += (max((END, 4, 5, 6), key=lambda word: likelihood(row, (*chosen, word))),)
        assert greedy[row][0].words == list(chosen)
        texts = [
            (*some, *tail)
            for length in range(4)
            for some in itertools.product((4, 5, 6), repeat=length)
            for tail in ([(END,)] if length < 3 else [()])
        ]
        means = {text: likelihood(row, text) / len(text) for text in texts}
        best = max(means, key=lambda text: means[text])
        assert wide[row][0].words == list(best)
        assert wide[row][0].score == pytest.approx(means[best], rel=1e-4)
        assert greedy[row][0].score == pytest.approx(means[chosen], rel=1e-4)
        assert {tuple(sentence.words) for sentence in wide[row]} == set(texts)


def test_the_detector_goes_over_to_other_tasks_and_learns_on() -> None:
    describing, choosing = model("description"), model("choice")
    with torch.no_grad():
        for value in describing.parameters():
            value.add_(1)
    transfer(describing.watcher, choosing)  # type: ignore[arg-type]
    frames, lengths = videos()
    one, other = (made.watcher.watch(frames, lengths) for made in (describing, choosing))
    torch.testing.assert_close(one.logits, other.logits)
    torch.testing.assert_close(one.concepts, other.concepts)
    assert not torch.allclose(one.states[0][0], other.states[0][0])
    assert all(value.requires_grad for value in choosing.watcher.detector.parameters())


def test_too_few_concepts_are_told_of() -> None:
    with pytest.raises(UsageError, match="2 concept words; a video has 3"):
        Watcher(SMALL, WORDS, [5, 6])


def test_a_saved_model_is_the_same(tmp_path: Path) -> None:
    vocabulary = Vocabulary([f"word{k}" for k in range(8)])
    saved = SavedCTSAN(model("retrieval"), "retrieval", vocabulary, ("maps",), 2.4)  # type: ignore[arg-type]
    ct_san_files.save(saved, tmp_path)
    again = ct_san_files.load(tmp_path)
    assert (again.task, again.features, again.hz) == ("retrieval", ("maps",), 2.4)
    ids, counts = sentences()
    tables = []
    for one in (saved, again):
        matching = one.model
        assert isinstance(matching, Retrieval)
        tables.append(score_table(matching, matching.watcher.watch(*videos()), ids, counts))
    assert torch.equal(*tables)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"hz": 2.4', '"hz": 0'))
    with pytest.raises(WeightsError, match="hz is 0"):
        ct_san_files.load(tmp_path)
    (tmp_path / "words.txt").unlink()
    with pytest.raises(WeightsError, match="cinescribe train ct-san"):
        ct_san_files.load(tmp_path)


def test_words_and_concepts_are_those_used_often(tmp_path: Path) -> None:
    captions = ["The dog runs.", "A DOG sits, the dog barks", "She runs to the dog", "the cat runs"]
    vocabulary = Vocabulary.of(captions, least=2)
    assert vocabulary.words == ("dog", "runs", "the")
    assert vocabulary.ids("A dog _____ the unicorn runs", 3) == [4, BLANKED, 6]
    assert vocabulary.text([4, END, 5]) == "dog runs"
    ids, lengths = vocabulary.batch(["the dog", "zebra"], 9)
    assert (ids.tolist(), lengths.tolist()) == ([[6, 4], [0, 0]], [2, 1])
    assert concept_words(captions, vocabulary) == [4, 5]
    with pytest.raises(UsageError, match="9 times"):
        Vocabulary.of(captions, least=9)
    glove = tmp_path / "glove.txt"
    glove.write_text("cat 1 1 1\ndog 1 2 3\nruns 4 5 6\n")
    vectors = word_vectors(vocabulary, str(glove), 3)
    assert vectors is not None
    assert vectors[[0, 4, 5]].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    with pytest.raises(UsageError, match="line 2 has 3 numbers, not 5"):
        word_vectors(vocabulary, str(glove), 5)
    with pytest.raises(UsageError, match="no such file"):
        word_vectors(vocabulary, str(tmp_path / "none.txt"), 3)
