"""Collaborative Experts (Liu et al. 2019), trained as its authors' code trains it.

Ranger, its learning rate times 0.95 after each epoch; one random caption of each clip in a step; the margin
ranking loss over the batch; the best model by the geometric mean of R@1, 5 and 10, text to video. A recipe
for each data set of the paper, which differ in their settings only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from cinescribe.encoders import text_tokens
from cinescribe.encoders.experts import Expert
from cinescribe.encoders.words import WORD2VEC
from cinescribe.errors import UsageError
from cinescribe.models import collaborative_experts_files
from cinescribe.models.collaborative_experts import (
    Aggregation,
    CEConfig,
    ClipVectors,
    CollaborativeExperts,
    ExpertConfig,
    TextConfig,
    TextVectors,
    similarity,
)
from cinescribe.models.margin_ranking import max_margin_loss
from cinescribe.models.ranger import Ranger
from train.recipe import Data, NoStep, Optimisation, Outcome, Split, option
from train.recipes import ce_data, clip_scores
from train.recipes.ce_data import ClipBatch, Clips

# The rows of Table 6 (left), and the paper's equations: how experts come together, and whether the text
# weighs them.
VARIANTS: dict[str, tuple[Aggregation, bool]] = {
    "ce": ("collaborative", True),
    "equations": ("equations", True),
    "no-gating": ("projected", True),
    "moee": ("native", True),
    "no-mixture": ("native", False),
    "concat": ("concat", False),
}
_ROWS = 1024  # texts of which similarities are computed at once


@dataclass(frozen=True, kw_only=True)
class MSRVTT(Optimisation):
    """Settings of MSR-VTT: appendix A.3; the values that a search found are in the authors' code [code]."""

    batch: int = option(64, "clips of a step [code]; each part of a batch has negatives of its own")
    epochs: float = option(100.0, "times through the clips; appendix A.2")
    learning_rate: float = option(0.1, "of the first epoch [code]")
    weight_decay: float = option(1e-3, "of all parameters [code]")
    warmup: int = option(0, "steps of linear warm-up; none [code]")
    schedule: str = option("decay", "decay (x 0.95 an epoch [code]), constant or cosine")
    margin: float = option(0.093812, "of the ranking loss, eq. 3 [code]")
    variant: str = option("ce", "ce, equations, no-gating, moee, no-mixture or concat; Table 6")
    width: int = option(768, "of the common space; Table 10 compares 384 to 1024")
    experts: str = option("paper", "paper, small, or NAME=TABLE,... (features/TABLE, or speech)")
    clusters: str = option("audio=8,ocr=43,speech=19,text=28", "of NetVLAD, of the sequences [code]")
    tokens: str = option("audio=29,ocr=49,speech=32,text=37", "kept of the sequences [code]")
    ghosts: int = option(1, "ghost clusters of the text [code]")
    text: str = option(text_tokens.GPT, "token encoder; section 4.1. Others: word2vec-googlenews-26k, ...")
    annotations: str = option("msrvtt", "data set; Cineworld's are cineworld-films, cineworld-howtos")
    annotations_at: str = option("", "folder of its files; default --data")


@dataclass(frozen=True, kw_only=True)
class LSMDC(MSRVTT):
    """Settings of LSMDC."""

    batch: int = option(256, "clips of a step [code]; each part of a batch has negatives of its own")
    epochs: float = option(15.0, "times through the clips [code]")
    learning_rate: float = option(0.01, "of the first epoch [code]")
    margin: float = option(0.121330, "of the ranking loss, eq. 3 [code]")
    clusters: str = option("audio=3,ocr=30,speech=5,text=43", "of NetVLAD, of the sequences [code]")
    tokens: str = option("audio=11,ocr=6,speech=35,text=36", "kept of the sequences [code]")
    ghosts: int = option(0, "ghost clusters of the text [code]")
    text: str = option(WORD2VEC, "token encoder; word2vec [code]")
    annotations: str = option("lsmdc", "data set")


@dataclass(frozen=True, kw_only=True)
class DiDeMo(MSRVTT):
    """Settings of DiDeMo, a paragraph a video."""

    epochs: float = option(30.0, "times through the clips [code]")
    margin: float = option(0.166428, "of the ranking loss, eq. 3 [code]")
    clusters: str = option("audio=16,ocr=13,speech=55,text=8", "of NetVLAD, of the sequences [code]")
    tokens: str = option("audio=23,ocr=8,speech=48,text=48", "kept of the sequences [code]")
    ghosts: int = option(0, "ghost clusters of the text [code]")
    annotations: str = option("didemo", "data set")


@dataclass(frozen=True, kw_only=True)
class MSVD(MSRVTT):
    """Settings of MSVD, whose videos have no sound."""

    batch: int = option(16, "clips of a step [code]; each part of a batch has negatives of its own")
    epochs: float = option(300.0, "times through the clips [code]")
    learning_rate: float = option(0.01, "of the first epoch [code]")
    weight_decay: float = option(5e-5, "of all parameters [code]")
    margin: float = option(0.307647, "of the ranking loss, eq. 3 [code]")
    experts: str = option("face,i3d,resnext101,senet154,ocr,r2p1d,scene", "those that need no sound")
    clusters: str = option("ocr=75,text=12", "of NetVLAD, of the sequences [code]")
    tokens: str = option("ocr=30,text=30", "kept of the sequences [code]")
    ghosts: int = option(0, "ghost clusters of the text [code]")
    annotations: str = option("msvd", "data set")


@dataclass(frozen=True, kw_only=True)
class ActivityNet(MSRVTT):
    """Settings of ActivityNet Captions, a paragraph a video."""

    batch: int = option(32, "clips of a step [code]; each part of a batch has negatives of its own")
    epochs: float = option(200.0, "times through the clips; appendix A.2, the code has 150")
    margin: float = option(0.060497, "of the ranking loss, eq. 3 [code]")
    clusters: str = option("audio=6,ocr=44,speech=100,text=39", "of NetVLAD, of the sequences [code]")
    tokens: str = option("audio=4,ocr=6,speech=29,text=49", "kept of the sequences [code]")
    ghosts: int = option(0, "ghost clusters of the text [code]")
    annotations: str = option("activitynet", "data set")


class Retrieval(NoStep):
    """`ce`; by its options for MSR-VTT."""

    name = "ce"
    best = ("geometric_mean",)
    Options: type[MSRVTT] = MSRVTT

    def __init__(self, options: Any) -> None:
        self.options = options
        if options.variant not in VARIANTS:
            raise UsageError(f"--variant {options.variant}: one of {', '.join(VARIANTS)}")
        if options.beta2 != Optimisation.beta2:
            raise UsageError("--beta2 is AdamW's, and Ranger has its own constants: leave it out")
        self._clusters = _numbers("--clusters", options.clusters)
        self._tokens = _numbers("--tokens", options.tokens)
        if self._clusters.keys() != self._tokens.keys() or "text" not in self._tokens:
            raise UsageError("--clusters and --tokens: name the same sequences in both, text among them")
        self._text: text_tokens.TokenEncoder | None = None
        self._experts: Sequence[Expert] = ()
        self._widths: tuple[int, ...] = ()

    def data(self, root: str, split: Split) -> Clips:
        """Captioned clips with the experts' inputs."""
        options = self.options
        return ce_data.read(
            root,
            split,
            annotations=options.annotations,
            annotations_at=options.annotations_at,
            experts=options.experts,
            tokens=self._tokens,
        )

    def model(self, data: Data) -> CollaborativeExperts:
        """A model with random weights."""
        if not isinstance(data, Clips):
            raise TypeError(f"not clips: {data}")
        options = self.options
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._text, self._experts = text_tokens.load(options.text, device), data.seen.experts
        aggregation, mixture = VARIANTS[options.variant]
        config = CEConfig(
            experts=tuple(
                ExpertConfig(expert.name, expert.dim, self._clusters.get(expert.name, 0), expert.tokens)
                for expert in data.seen.experts
            ),
            text=TextConfig(self._text.dim, self._clusters["text"], options.ghosts, self._tokens["text"]),
            width=options.width,
            aggregation=aggregation,
            mixture=mixture,
        )
        self._widths = config.widths
        return CollaborativeExperts(config)

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """Ranger; what is not used (such as mixture weights of a variant without) has no gradient."""
        return Ranger(model.parameters(), self.options.learning_rate, self.options.weight_decay)

    def loss(self, model: nn.Module, batch: ClipBatch) -> Outcome:
        """The ranking loss among the clips of the batch."""
        if len(batch.texts) < 2:
            raise UsageError("a part of one clip has no negatives: give a larger --batch, or fewer --parts")
        network = cast("CollaborativeExperts", model)
        experts = {name: value.to(_device(model)) for name, value in batch.experts.items()}
        scores = network(self._read(batch.texts, model), experts, batch.available.to(_device(model)))
        loss = max_margin_loss(scores, self.options.margin)
        first = (scores.argmax(1) == torch.arange(len(scores), device=scores.device)).float().mean()
        return Outcome(loss, len(scores), {"batch_recall": first})

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Of each clip: its vector and flags, and the vectors and weights of all of its captions."""
        if not isinstance(data, Clips):
            raise TypeError(f"not clips: {data}")
        network = cast("CollaborativeExperts", model)
        found = []
        for first in range(0, len(items), self.options.batch):
            clips = [data.clips[item] for item in items[first : first + self.options.batch]]
            experts, available = data.seen.inputs(clips)
            moved = {name: value.to(_device(model)) for name, value in experts.items()}
            seen = network.encode_clips(moved, available.to(_device(model)))
            for row, clip in enumerate(clips):
                said = network.encode_text(self._read(clip.captions, model))
                parts = (seen.vectors[row].float(), seen.available[row], said.vectors.float(), said.weights)
                found.append(tuple(part.detach().cpu().numpy() for part in parts))
        return found

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """Recall and ranks in both directions; what models are chosen by is `geometric_mean`."""
        if not results:
            return {}
        clips, flags, texts, weights = zip(*results, strict=True)
        owners = np.repeat(np.arange(len(clips)), [len(captions) for captions in texts])
        table = similarity(
            TextVectors(_stacked(texts), _stacked(weights)),
            ClipVectors(torch.from_numpy(np.stack(clips)), torch.from_numpy(np.stack(flags))),
            self._widths,
            _ROWS,
        ).numpy()
        return clip_scores.retrieval(table, owners)

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.models.collaborative_experts_files` reads it."""
        network = cast("CollaborativeExperts", model)
        saved = collaborative_experts_files.SavedCE(network, self.options.text, self._experts)
        collaborative_experts_files.save(saved, folder)

    def _read(self, texts: Sequence[str], model: nn.Module) -> torch.Tensor:
        """[texts, tokens, dim] on the model's device."""
        if self._text is None:
            raise TypeError("no model was made")
        return torch.from_numpy(self._text.encode(texts, self._tokens["text"])).to(_device(model))


class RetrievalLSMDC(Retrieval):
    """`ce-lsmdc`."""

    name, Options = "ce-lsmdc", LSMDC


class RetrievalDiDeMo(Retrieval):
    """`ce-didemo`."""

    name, Options = "ce-didemo", DiDeMo


class RetrievalMSVD(Retrieval):
    """`ce-msvd`."""

    name, Options = "ce-msvd", MSVD


class RetrievalActivityNet(Retrieval):
    """`ce-activitynet`."""

    name, Options = "ce-activitynet", ActivityNet


def _numbers(flag: str, written: str) -> dict[str, int]:
    """`name=number,...`."""
    try:
        pairs = [entry.split("=") for entry in written.replace(" ", "").split(",") if entry]
        found = {name: int(number) for name, number in pairs}
    except ValueError as error:
        raise UsageError(f"{flag} {written}: write it as text=28,audio=8") from error
    if any(number < 1 for number in found.values()):
        raise UsageError(f"{flag} {written}: numbers are 1 or more")
    return found


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _stacked(parts: Sequence[Any]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts))
