"""AutoAD (Han et al. 2023; chapter 8 of the thesis): one sentence of audio description for a clip of a film.

A small network maps the clip's frames to prompt vectors of a language model; before the sentence it also
reads the descriptions and the dialogue that came before. The language model stays frozen unless it is told to
learn.

The defaults are the paper's; what only its published code tells (the latents of the visual network, a learned
first token) is named so. Names of parameters are those of that code. Its authors published no weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.models.decoding import Decoding, Generated, generate, positions
from cinescribe.models.language_model import LanguageModel
from cinescribe.models.transformer import Encoder

# Which parts are used and trained (section 8.3.3). "visual": captioned pictures or clips without context, the
# language model frozen. "text": descriptions without pictures, the language model trained. "all": both.
Stage = Literal["all", "visual", "text"]


@dataclass(frozen=True, slots=True)
class AutoADConfig:
    """Sizes and variants of an AutoAD; the language model brings its own.

    Attributes:
        frame_width: of a frame's features; 512 is CLIP ViT-B/32's.
        latents: prompt vectors made of a clip.
        layers: of the visual network.
        heads: of its attention.
        longest: frames there are positions for.
        uses_context: reads the descriptions before.
        uses_subtitles: reads the dialogue before.
        context_sentences: at most so many descriptions.
        context_tokens: at most so many tokens of them, the last ones.
        subtitle_sentences: at most so many lines of dialogue.
        subtitle_seconds: spoken at most so long before the clip.
        subtitle_tokens: at most so many tokens of them, the last ones.
        target_tokens: of the sentence in training, the first ones.
        learns_end: the sentence is followed by the end-of-text token in training, as the code's generation
            needs it; the paper's ends at a full stop.
    """

    frame_width: int = 512
    latents: int = 10
    layers: int = 2
    heads: int = 8
    longest: int = 512
    uses_context: bool = True
    uses_subtitles: bool = True
    context_sentences: int = 6
    context_tokens: int = 64
    subtitle_sentences: int = 4
    subtitle_seconds: float = 60.0
    subtitle_tokens: int = 32
    target_tokens: int = 36
    learns_end: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A clip to be described.

    Attributes:
        frames: [frames, frame_width] features, or None without pictures.
        past: the descriptions before, in order; the last ones are used.
        subtitles: the dialogue before, in order; the last lines are used.
        text: the true description, for training.
    """

    frames: Tensor | None
    past: Sequence[str] = ()
    subtitles: Sequence[str] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Rows of tokens of several lengths: ids [batch, length], mask [batch, length] 1 where there is one."""

    ids: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples put together by `AutoAD.batch`; a part that is not used is None.

    Attributes:
        frames: [batch, frames, frame_width].
        frame_padding: [batch, frames] True where there is no frame.
        context: tokens of the descriptions before.
        subtitles: tokens of the dialogue before.
        target: tokens of the descriptions.
    """

    frames: Tensor | None
    frame_padding: Tensor | None
    context: Tokens | None
    subtitles: Tokens | None
    target: Tokens


class Perceiver(nn.Module):
    """Frames to a fixed number of vectors: learned latents attend with the frames; 6,573,056 parameters."""

    def __init__(self, config: AutoADConfig) -> None:
        super().__init__()
        width = config.frame_width
        self.latent = nn.Parameter(torch.empty(config.latents, width).normal_())
        self.temporal_pos_embed = nn.Parameter(torch.empty(config.longest, width).normal_())
        self.encoder = Encoder(width, config.layers, config.heads)
        self.visual_prenorm = nn.LayerNorm(width)

    def forward(self, frames: Tensor, padding: Tensor | None = None) -> Tensor:
        """[batch, frames, width] (padding [batch, frames]) to [batch, latents, width].

        Raises:
            UsageError: no frame, or more than there are positions for.
        """
        batch, count, _ = frames.shape
        if not 1 <= count <= self.temporal_pos_embed.shape[0]:
            raise UsageError(f"{count} frames; a clip has 1 to {self.temporal_pos_embed.shape[0]}")
        latents = self.latent.expand(batch, -1, -1)
        placed = self.visual_prenorm(frames) + self.temporal_pos_embed[:count]
        hidden = None
        if padding is not None:
            hidden = torch.cat([padding.new_zeros(latents.shape[:2]), padding], 1)
        return self.encoder(torch.cat([latents, placed], 1), hidden)[-1][:, : latents.shape[1]]


class AutoAD(nn.Module):
    """The model; with GPT-2 small frozen it has 6,970,880 parameters to train.

    Args:
        language_model: pretrained (`load_language_model`), or `fresh` for experiments from nothing.
        config: sizes and variants.
    """

    def __init__(self, language_model: LanguageModel, config: AutoADConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AutoADConfig()
        self.language_model = language_model
        self.gpt = language_model.model
        width = self.gpt.get_input_embeddings().weight.shape[1]
        self.perceiver = Perceiver(config)
        self.project = nn.Linear(config.frame_width, width)
        nn.init.normal_(self.project.weight, std=config.frame_width**-0.5)
        nn.init.zeros_(self.project.bias)
        self.bos_token = nn.Embedding(1, width)  # a learned first token [code]
        if config.uses_context:
            self.context_special_token = nn.Embedding(2, width)
        if config.uses_subtitles:
            self.subtitle_special_token = nn.Embedding(2, width)
        self.stage: Stage = "all"
        self.set_stage("all")

    def set_stage(self, stage: Stage, train_language_model: bool | None = None) -> None:
        """Choose the parts that are used and trained.

        Args:
            stage: "visual" leaves out the context, "text" the pictures.
            train_language_model: by default only in the stage "text".
        """
        self.stage = stage
        self.requires_grad_(True)
        self.gpt.requires_grad_(stage == "text" if train_language_model is None else train_language_model)
        if stage == "text":
            self.perceiver.requires_grad_(False)
            self.project.requires_grad_(False)
        if stage == "visual":
            for name in ("context_special_token", "subtitle_special_token"):
                if hasattr(self, name):
                    getattr(self, name).requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "AutoAD":
        """Training mode; a frozen language model stays without dropout."""
        super().train(mode)
        if not any(value.requires_grad for value in self.gpt.parameters()):
            self.gpt.eval()
        return self

    def visual_prompt(self, frames: Tensor, padding: Tensor | None = None) -> Tensor:
        """[batch, frames, frame_width] to [batch, latents, width of the language model]."""
        return self.project(self.perceiver(frames, padding))

    def batch(self, examples: Sequence[Example]) -> Batch:
        """Put examples together, on the model's device; what the stage does not use is left out.

        Raises:
            UsageError: no examples, or one without pictures where they are used.
        """
        if not examples:
            raise UsageError("there is no clip to describe")
        config, use_text = self.config, self.stage != "visual"
        frames = padding = context = subtitles = None
        if self.stage != "text":
            clips = [example.frames for example in examples if example.frames is not None]
            if len(clips) < len(examples):
                raise UsageError('a clip has no frames; without pictures the stage is "text"')
            frames = nn.utils.rnn.pad_sequence(clips, batch_first=True).to(self.bos_token.weight)
            lengths = torch.tensor([len(clip) for clip in clips], device=frames.device)
            padding = torch.arange(frames.shape[1], device=frames.device) >= lengths[:, None]
        if use_text and config.uses_context:
            past = [" ".join(list(example.past)[-config.context_sentences :]) for example in examples]
            context = self._tokens([self.language_model.ids(text)[-config.context_tokens :] for text in past])
        if use_text and config.uses_subtitles:
            lines = [" ".join(list(example.subtitles)[-config.subtitle_sentences :]) for example in examples]
            subtitles = self._tokens(
                [self.language_model.ids(text)[-config.subtitle_tokens :] for text in lines]
            )
        ends = [self.language_model.end] if config.learns_end else []
        targets = [
            (self.language_model.ids(example.text) + ends)[: config.target_tokens] for example in examples
        ]
        return Batch(frames, padding, context, subtitles, self._tokens(targets))

    def loss(self, batch: Batch) -> Tensor:
        """Mean negative log likelihood of the targets' tokens, and of nothing else (eq. 8.2).

        Raises:
            UsageError: no target has a token.
        """
        target = batch.target
        if not bool(target.mask.any()):
            raise UsageError("no clip of the batch has a description to learn")
        prompt, mask = self.prompt(batch)
        vectors = torch.cat([prompt, self._embed(target.ids)], 1)
        mask = torch.cat([mask, target.mask], 1)
        output = self.gpt(inputs_embeds=vectors, attention_mask=mask, position_ids=positions(mask))
        logits = output.logits[:, prompt.shape[1] - 1 : -1]
        wanted = target.ids.masked_fill(target.mask == 0, -100)
        return F.cross_entropy(logits.flatten(0, 1).float(), wanted.flatten(), ignore_index=-100)

    def prompt(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the description follows: pictures, descriptions and dialogue before, the first token.

        Returns:
            [batch, length, width] vectors and [batch, length] mask, 0 for padding between the parts.
        """
        size = batch.target.ids.shape[0]
        parts: list[Tensor] = []
        masks: list[Tensor] = []

        def add(vectors: Tensor, mask: Tensor | None = None) -> None:
            vectors = vectors.expand(size, -1, -1)
            parts.append(vectors)
            masks.append(batch.target.mask.new_ones(vectors.shape[:2]) if mask is None else mask)

        if batch.frames is not None:
            add(self.visual_prompt(batch.frames, batch.frame_padding))
        for tokens, name in ((batch.context, "context"), (batch.subtitles, "subtitle")):
            if tokens is not None:
                wrap = getattr(self, f"{name}_special_token").weight[None]
                add(wrap[:, :1])
                add(self._embed(tokens.ids), tokens.mask)
                add(wrap[:, 1:])
        add(self.bos_token.weight[None])
        return torch.cat(parts, 1), torch.cat(masks, 1)

    def describe(self, examples: Sequence[Example], decoding: Decoding | None = None) -> list[str]:
        """The best description of each clip; puts the model into evaluation mode for the time being."""
        return [self.text(beams[0]) for beams in self.generate(examples, decoding)]

    def generate(
        self, examples: Sequence[Example], decoding: Decoding | None = None
    ) -> list[list[Generated]]:
        """All beams of each clip, best first."""
        decoding = decoding or Decoding()
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                batch = self.batch(examples)
                ends = [self.language_model.end]
                if decoding.until_full_stop:
                    ends += self.language_model.full_stops
                return generate(self.gpt, *self.prompt(batch), ends, decoding, _history(batch))
        finally:
            self.train(training)

    def text(self, generated: Generated) -> str:
        """The words of a beam."""
        words: str = self.language_model.tokeniser.decode(generated.tokens, skip_special_tokens=True)
        return words.strip()

    def _embed(self, ids: Tensor) -> Tensor:
        return self.gpt.get_input_embeddings()(ids)

    def _tokens(self, rows: Sequence[Sequence[int]]) -> Tokens:
        """Rows padded at their end; what stands there (0) is masked and never attended to."""
        device = self.bos_token.weight.device
        length = max(len(row) for row in rows)
        ids = torch.zeros(len(rows), length, dtype=torch.long, device=device)
        mask = torch.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[at, : len(row)] = 1
        return Tokens(ids, mask)


def _history(batch: Batch) -> list[list[int]]:
    """For each clip the tokens of its context."""
    rows: list[list[int]] = [[] for _ in range(batch.target.ids.shape[0])]
    for tokens in (batch.context, batch.subtitles):
        if tokens is not None:
            for row, ids, mask in zip(rows, tokens.ids, tokens.mask.bool(), strict=True):
                row += ids[mask].tolist()
    return rows
