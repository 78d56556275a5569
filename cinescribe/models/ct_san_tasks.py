"""CT-SAN's tasks (sections 4.2.4 to 4.2.7): description, fill-in-the-blank, multiple choice, retrieval."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.models.compact_bilinear import CompactBilinearPooling
from cinescribe.models.ct_san import CTSANConfig, OutputAttention, Task, Watched, Watcher, attention_penalty
from cinescribe.models.layer_norm_lstm import LayerNormLSTM, State
from cinescribe.models.vocabulary import START


class Description(nn.Module):
    """A sentence for a video: an LSTM begins with the video's state; attention at its input and output."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        config = watcher.config
        self.watcher = watcher
        self.decoder = LayerNormLSTM(config.width, config.width, config.layers, config.dropout)
        self.output_attention = OutputAttention(config)
        self.out = nn.Linear(config.width, watcher.words.num_embeddings)  # W_y

    def forward(self, watched: Watched, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Each word from those before it.

        Args:
            watched: the videos.
            ids: [batch, steps] of the sentences, the end included.
            lengths: [batch].

        Returns:
            [batch] negative log likelihood of the sentences, and the penalty of both attentions.
        """
        before = torch.cat([torch.full_like(ids[:, :1], START), ids[:, :-1]], 1)
        inputs, gamma = self.watcher.input_attention(self.watcher.words(before), watched.concepts)
        states, _ = self.decoder(inputs, lengths, watched.states)
        attended, beta = self.output_attention(states, watched.concepts)
        valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        logits = self.out(attended[valid]).float()
        words = F.cross_entropy(logits, ids[valid], reduction="none")
        likelihood = words.new_zeros(valid.shape)
        likelihood[valid] = words
        return likelihood.sum(1), _penalty([gamma, beta], valid, words)

    def next_words(
        self, words: Tensor, states: Sequence[State], watched: Watched
    ) -> tuple[Tensor, list[State]]:
        """[batch] last words and the states to [batch, words] log probabilities and the states after them."""
        inputs, _ = self.watcher.input_attention(self.watcher.words(words)[:, None], watched.concepts)
        hidden, after = self.decoder.step(inputs[:, 0], states)
        attended, _ = self.output_attention(hidden[:, None], watched.concepts)
        return self.out(attended[:, 0]).float().log_softmax(-1), after


class FillIn(nn.Module):
    """The word for a blank: a BLSTM begins with the video's state; output attention at the blank alone."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        config = watcher.config
        self.watcher = watcher
        self.forwards = LayerNormLSTM(config.width, config.width, config.layers, config.dropout)
        self.backwards = LayerNormLSTM(config.width, config.width, config.layers, config.dropout)
        self.join = nn.Linear(2 * config.width, config.width)  # W_o
        self.output_attention = OutputAttention(config)
        self.out = nn.Linear(config.width, watcher.words.num_embeddings)  # W_y

    def forward(
        self, watched: Watched, ids: Tensor, lengths: Tensor, blanks: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[batch, steps] ids with a blank at [batch] places to [batch, words] logits and the penalty."""
        inputs, gamma = self.watcher.input_attention(self.watcher.words(ids), watched.concepts)
        before, _ = self.forwards(inputs, lengths, watched.states)
        after, _ = self.backwards(inputs, lengths, watched.states, backward=True)
        items = torch.arange(len(ids), device=ids.device)
        joined = torch.tanh(self.join(torch.cat([before[items, blanks], after[items, blanks]], -1)))
        attended, beta = self.output_attention(joined[:, None], watched.concepts)
        logits = self.out(attended[:, 0])
        valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        there = torch.ones(len(ids), 1, dtype=torch.bool, device=ids.device)
        return logits, _penalty([gamma], valid, logits) + _penalty([beta], there, logits)


class Choice(nn.Module):
    """How well a sentence fits a video: it is read from the video's state on (eq. 4.21 and 4.22)."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        config = watcher.config
        self.watcher = watcher
        self.reader = LayerNormLSTM(config.width, config.width, config.layers, config.dropout)
        self.hidden = nn.Linear(config.width, config.width)  # W_a
        self.out = nn.Linear(config.width, 1, bias=False)  # W_s

    def forward(self, watched: Watched, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Videos and sentences [batch, steps], one each, to [batch] scores and the penalty."""
        inputs, gamma = self.watcher.input_attention(self.watcher.words(ids), watched.concepts)
        _, states = self.reader(inputs, lengths, watched.states)
        scores = self.out(torch.relu(self.hidden(states[-1][0])))[:, 0]
        valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        return scores, _penalty([gamma], valid, scores)


class Retrieval(nn.Module):
    """How well a sentence fits a video: both states in a compact bilinear pooling (eq. 4.24 and 4.25).

    The sentence is read with the video's concepts, so it is encoded anew for every video.
    """

    def __init__(self, watcher: Watcher) -> None:
        super().__init__()
        config = watcher.config
        self.watcher = watcher
        self.reader = LayerNormLSTM(config.width, config.width, config.layers, config.dropout)
        self.pooling = CompactBilinearPooling(config.width, config.width, config.sketch)
        self.project = nn.Linear(config.sketch, config.joint * config.pieces, bias=False)  # W_p
        self.out = nn.Linear(config.joint, 1, bias=False)  # W_s

    def forward(self, watched: Watched, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Videos and sentences [batch, steps], one each, to [batch] scores and the penalty."""
        inputs, gamma = self.watcher.input_attention(self.watcher.words(ids), watched.concepts)
        _, states = self.reader(inputs, lengths)
        joint = self.pooling(watched.states[-1][0], states[-1][0])
        pieces = self.project(joint).view(len(ids), -1, self.watcher.config.pieces)
        scores = self.out(pieces.amax(-1))[:, 0]
        valid = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        return scores, _penalty([gamma], valid, scores)


Model = Description | FillIn | Choice | Retrieval
_MODELS: dict[Task, type[Model]] = {
    "description": Description,
    "fill-in": FillIn,
    "choice": Choice,
    "retrieval": Retrieval,
}


def build(
    task: Task,
    config: CTSANConfig,
    words: int,
    concept_words: Sequence[int],
    vectors: Tensor | None = None,
) -> Model:
    """The model of a task; arguments as of `Watcher`."""
    return _MODELS[task](Watcher(config, words, concept_words, vectors))


def transfer(detected: Watcher, model: Model) -> None:
    """Give a model what the concept detector of another learned (section 4.2.4, end): it goes on learning.

    The reduced maps that it looks at and the vectors of the words go with it; both must know the same words
    and the same concepts.
    """
    for name in ("words", "reduction", "detector"):
        getattr(model.watcher, name).load_state_dict(getattr(detected, name).state_dict())
    model.watcher.get_buffer("concept_words").copy_(detected.get_buffer("concept_words"))


def score_table(
    model: Choice | Retrieval, watched: Watched, ids: Tensor, lengths: Tensor, pairs: int = 512
) -> Tensor:
    """Scores of all pairs, [texts, videos] float32 on the CPU; so many pairs at once."""
    device = model.out.weight.device
    videos = len(watched.states[-1][0])
    chosen = torch.cartesian_prod(torch.arange(len(ids)), torch.arange(videos)).to(device)
    parts = []
    with torch.no_grad():
        for start in range(0, len(chosen), pairs):
            some = chosen[start : start + pairs]
            parts.append(model(watched.of(some[:, 1]), ids[some[:, 0]], lengths[some[:, 0]])[0].float().cpu())
    return torch.cat(parts).view(len(ids), videos)


def _penalty(attentions: Sequence[Tensor | None], valid: Tensor, like: Tensor) -> Tensor:
    """The sum of g over the attentions there are."""
    total = like.new_zeros(())
    for weights in attentions:
        if weights is not None:
            total = total + attention_penalty(weights, valid)
    return total
