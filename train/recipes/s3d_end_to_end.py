"""S3D-G finetuned end to end on clips with texts that TAN aligned (Han et al. 2022; thesis, section 7.6).

What only the published code tells (TengdaHan/TemporalAlignNet end2end) is marked [code]. Evaluated by
retrieval among held-out clips, since the papers' linear probes need their data sets.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from cinescribe import zoo
from cinescribe.encoders import s3d
from cinescribe.errors import MediaError, UsageError
from cinescribe.metrics.retrieval import score_ranks, text_to_video_ranks
from cinescribe.models import s3d_joint
from cinescribe.models.s3d_joint import S3DJoint
from train.recipe import Data, NoStep, Optimisation, Outcome, Pick, Split, option
from train.recipes import s3d_data
from train.recipes.s3d_data import ClipBatch, Clips, View
from train.recipes.tan_text import words_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EndToEndOptions(Optimisation):
    """The thesis tells the loss and the epochs."""

    start: str = option(
        "mil-nce", "weights: mil-nce (of the store), a path, s3:// address or RUN/best, or fresh"
    )
    batch: int = option(16, "videos of a step, each with --clips clips; 16 a GPU [code]")
    epochs: float = option(10.0, "section 7.6; the code's README has 40")
    learning_rate: float = option(1e-4, "of the word encoder and the last layer [code]")
    backbone_learning_rate: float = option(1e-7, "of the video network [code]")
    weight_decay: float = option(1e-5, "ours, as TAN's")
    warmup: int = option(0, "steps of linear warm-up; none [code]")
    clip: float = option(3.0, "largest norm of the gradient [code]")
    loss: str = option("info-nce", "info-nce (section 7.6; cosines over .07 [code]) or mil-nce")
    freeze_norms: bool = option(True, "batch norms stay as they are [code]")
    frames: int = option(16, "of a clip [code]; even")
    fps: float = option(5.0, "of a clip's frames [code]")
    size: int = option(224, "pixels of the square picture [code]; even")
    clips: int = option(2, "of a video in a step [code]")
    pairs: str = option("htm_aa.csv", "clips and texts: vid,timestamp,text, as `cinescribe align` writes it")
    videos: str = option("", "folder of the videos; media/ of the data where it is not given")
    shortest: float = option(64.0, "seconds of a video; shorter ones are left out [code]")
    longest: float = option(2000.0, "seconds of a video; longer ones are left out [code]")
    evaluated_clips: int = option(4, "of a held-out video; ours")
    decoders: int = option(4, "threads that decode; ours")


class EndToEnd(NoStep):
    """`s3d-end-to-end`."""

    name = "s3d-end-to-end"
    best = ("geometric_mean",)
    Options = EndToEndOptions

    def __init__(self, options: EndToEndOptions) -> None:
        if options.loss not in get_args(s3d_joint.Loss):
            raise UsageError(f"--loss {options.loss}: {' or '.join(get_args(s3d_joint.Loss))}")
        if options.frames % 2 or options.size % 2 or min(options.frames, options.size) < 2:
            raise UsageError(f"--frames {options.frames} and --size {options.size} must be even")
        self.options = options

    def data(self, root: str, split: Split) -> Data:
        """Clips of the videos that are there."""
        options = self.options
        return s3d_data.read(
            root,
            split,
            View(options.frames, options.fps, options.size, options.clips, options.decoders),
            pairs=options.pairs,
            videos=options.videos,
            shortest=options.shortest,
            longest=options.longest,
            held_out=options.evaluated_clips,
        )

    def model(self, data: Data) -> S3DJoint:
        """From the published weights, or others; `fresh` learns the words of the data, too."""
        if not isinstance(data, Clips):
            raise TypeError(f"not clips: {data}")
        options = self.options
        if options.start == "fresh":
            model = S3DJoint(words_of("fresh", data.texts()), options.freeze_norms)
            model.text_module.word_embd.requires_grad_(True)
            return model
        source = options.start
        if source == "mil-nce":
            source = str(zoo.store_folder() / s3d.FOLDER / s3d.WEIGHTS_FILE)
        elif Path(source).is_dir():
            source = str(Path(source) / s3d.WEIGHTS_FILE)
        return s3d_joint.load(source, options.freeze_norms)

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW; the video network learns slower, but for its last layer, into the common space."""
        options = self.options
        slower = options.backbone_learning_rate / options.learning_rate if options.learning_rate else 1.0
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}  # whether of the video network, a vector
        for name, value in model.named_parameters():
            if value.requires_grad:
                backbone = name.startswith("s3d.") and not name.startswith("s3d.fc.")
                groups.setdefault((backbone, value.ndim <= 1), []).append(value)
        told = [
            {
                "params": values,
                "weight_decay": 0.0 if vector else options.weight_decay,
                "factor": slower if backbone else 1.0,
            }
            for (backbone, vector), values in groups.items()
        ]
        return torch.optim.AdamW(told, lr=options.learning_rate, betas=(0.9, options.beta2))

    def loss(self, model: nn.Module, batch: ClipBatch) -> Outcome:
        """Clips against texts, both ways; negatives are the other pairs of the batch."""
        if not isinstance(model, S3DJoint):
            raise TypeError(f"not an S3D with words: {model}")
        kind = next(kind for kind in get_args(s3d_joint.Loss) if kind == self.options.loss)
        value = s3d_joint.loss(model.videos(batch.videos), model.texts(batch.texts), kind)
        return Outcome(value, len(batch.texts))

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Vectors of the clips and of the texts of held-out videos, [clips, 512] each."""
        if not isinstance(data, Clips) or not isinstance(model, S3DJoint):
            raise TypeError(f"can't evaluate {model} on {data}")
        results = []
        for item in items:
            try:
                batch = data.batch([Pick(item, 0)])
            except MediaError as error:  # of one video; the others are scored
                logger.warning("left out of the evaluation: %s", error)
                continue
            pair = [model.videos(batch.videos), model.texts(batch.texts)]
            if self.options.loss == "info-nce":
                pair = [nn.functional.normalize(vectors, dim=-1) for vectors in pair]
            results.append(tuple(vectors.float().cpu().numpy() for vectors in pair))
        return results

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """Text to clip among all held-out clips: fractions in the first k, the median rank."""
        if not results:
            return {}
        videos, texts = (np.concatenate([result[side] for result in results]) for side in (0, 1))
        ranks = score_ranks(text_to_video_ranks(texts @ videos.T, np.arange(len(texts))))
        recall = {f"recall_{k}": ranks.recall[k] / 100 for k in (1, 5, 10)}
        return {**recall, "median_rank": ranks.median_rank, "geometric_mean": ranks.geometric_mean / 100}

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.encoders.s3d` reads it."""
        if not isinstance(model, S3DJoint):
            raise TypeError(f"not an S3D with words: {model}")
        s3d_joint.save(model, folder)
