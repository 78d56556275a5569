"""TAN (Han, Xie and Zisserman 2022; chapter 7 of the thesis), trained in two stages.

Stage 1 takes every sentence to be shown when it is spoken. Stage 2 starts from it and learns from places that
the averaged network's two encoders agree on, and to tell which sentences are shown at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cinescribe.errors import UsageError
from cinescribe.metrics.alignment import SentenceAlignment, score_alignment
from cinescribe.models import tan_files
from cinescribe.models.tan import TANConfig, TANPair
from cinescribe.models.tan_inference import align_held_out
from cinescribe.models.tan_labels import LabelRule
from cinescribe.models.tan_loss import TANLoss, first_stage_loss, second_stage_loss
from cinescribe.models.tan_text import TRAINED, TextReader
from train.recipe import Data, NoStep, Optimisation, Outcome, Pick, Split, option
from train.recipes import tan_data
from train.recipes.tan_data import HeldOut, WindowBatch, Windows
from train.recipes.tan_text import fill_words, words_of


@dataclass(frozen=True, kw_only=True)
class CommonOptions(Optimisation):
    """What both stages share: section 7.4.3, "[code]" where only the published code tells."""

    batch: int = option(64, "videos of a step; section 7.4.3, the code's README has 128")
    steps: int = option(50_000, "section 7.4.3: 50 k of each stage")
    learning_rate: float = option(1e-4, "section 7.4.3")
    weight_decay: float = option(1e-5, "section 7.4.3; none of biases and layer norms [code]")
    warmup: int = option(1000, "steps of linear warm-up; section 7.4.3, then a cosine to 0")
    features: str = option("s3d", "of the video, features/NAME, one a second; section 7.4.2: MIL-NCE's S3D")
    subtitles: str = option(
        "subtitles.json", "sentences as `cinescribe curate` writes them; else table speech"
    )
    align: str = option("htm_align_val.json", "held-out videos with true spans, as HTM-Align")
    window: int = option(64, "seconds shown at once; Table 7.1 compares 32, 64 and 128")
    longest: float = option(1000.0, "seconds of a video; longer ones are left out [code]")


@dataclass(frozen=True, kw_only=True)
class FirstOptions(CommonOptions):
    """Stage 1."""

    text: str = option("mil-nce", "of sentences: mil-nce, word2vec, fresh, or a frozen encoder of the zoo")
    dim: int = option(512, "width of both transformers; section 7.4.3")
    layers: int = option(6, "of each; Table 7.1 compares 6 and 3")
    heads: int = option(8, "of their attention; section 7.4.3")


@dataclass(frozen=True, kw_only=True)
class SecondOptions(CommonOptions):
    """Stage 2."""

    stage1: str = option("", "folder of a model of stage 1 (.../best); needed")
    alpha: float = option(0.5, "share of the sentences called alignable; Table 7.1 compares .25, .5, .75")
    momentum: float = option(0.99, "of the averaged network, section 7.3.4; the code has .999")
    rule: str = option("paper", "how labels are made: paper (section 7.3.4) or code")


class FirstStage(NoStep):
    """`tan-stage1`."""

    name = "tan-stage1"
    best = ("recall", "-loss")
    Options: type[CommonOptions] = FirstOptions

    def __init__(self, options: Any) -> None:
        self.options = options
        self._text: str = getattr(options, "text", "")
        self._words: Sequence[str] = ()
        self._reader: TextReader | None = None

    def data(self, root: str, split: Split) -> Data:
        """Windows of videos; for validation HTM-Align's videos if there are any."""
        options = self.options
        return tan_data.read(
            root,
            split,
            features=options.features,
            window=options.window,
            longest=options.longest,
            subtitles=options.subtitles,
            align=options.align,
        )

    def model(self, data: Data) -> TANPair:
        """A network without a head, its weights random; the words as `--text` says."""
        if not isinstance(data, Windows):
            raise TypeError(f"not of training: {data}")
        options = self.options
        if options.text in TRAINED:
            self._words = words_of(options.text, data.texts())
        reader = self._read_with(options.text, self._words)
        config = TANConfig(
            video_width=data.features.dim(data.ids),
            text_width=512 if options.text in TRAINED else reader.encoder.dim,
            width=options.dim,
            heads=options.heads,
            dual_layers=options.layers,
            joint_layers=options.layers,
            head="none",
        )
        words = len(self._words) + 1 if options.text in TRAINED else None
        pair = TANPair(config, words=words)
        if pair.lang_model is not None:
            fill_words(pair.lang_model, options.text, self._words)
        return pair

    def loss(self, model: nn.Module, batch: WindowBatch) -> Outcome:
        """Eq. 7.6 over the spoken spans."""
        pair, inputs, times, paddings = self._inputs(model, batch)
        output = pair.online(*inputs, *paddings)
        return _outcome(first_stage_loss(output, *times, *paddings), len(batch.video))

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Alignments of held-out videos, or the losses of windows of them where there is no truth."""
        if isinstance(data, Windows):
            losses = [self.loss(model, data.batch([Pick(item, item)])) for item in items]
            return [float(outcome.loss) for outcome in losses]
        if not isinstance(data, HeldOut) or not isinstance(model, TANPair):
            raise TypeError(f"can't evaluate {model} on {data}")
        return [self._align(model, data, data.ids[item]) for item in items]

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """HTM-Align's R@1 and AUC, as fractions; else the mean loss."""
        if not results:
            return {}
        if isinstance(results[0], SentenceAlignment):
            scores = score_alignment(results)
            return {"recall": scores.recall, "auc": scores.auc}
        return {"loss": sum(results) / len(results)}

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.models.tan_files` reads it."""
        if not isinstance(model, TANPair):
            raise TypeError(f"not a TAN: {model}")
        options = self.options
        saved = tan_files.SavedTAN(model, self._text, self._words, options.features, options.window)
        tan_files.save(saved, folder, average=isinstance(self, SecondStage))

    def _read_with(self, text: str, words: Sequence[str]) -> TextReader:
        self._text, self._words, self._reader = text, words, TextReader(text, words)
        return self._reader

    def _inputs(
        self, model: nn.Module, batch: WindowBatch
    ) -> tuple[TANPair, tuple[Tensor, Tensor], tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The pair; video and sentence vectors; starts and ends; paddings: all on its device."""
        if not isinstance(model, TANPair) or self._reader is None:
            raise TypeError(f"not a TAN of this recipe: {model}")
        vectors = self._reader(model, batch.texts)
        there = ~batch.text_padding.to(vectors.device)
        text = vectors.new_zeros(*there.shape, vectors.shape[-1])
        text[there] = vectors
        device = vectors.device
        return (
            model,
            (batch.video.to(device), text),
            (batch.start.to(device), batch.end.to(device)),
            (batch.video_padding.to(device), ~there),
        )

    def _align(self, pair: TANPair, data: HeldOut, film: str) -> SentenceAlignment:
        """A video by sliding windows (section 7.5.1)."""
        if self._reader is None:
            raise TypeError("no model was made")
        rows = data.truth[film]
        vectors = self._reader(pair, [str(row[3]) for row in rows])
        array = tan_data.seconds_of(data.features, film)
        return align_held_out(pair.online, array, vectors, rows, self.options.window)


class SecondStage(FirstStage):
    """`tan-stage2`."""

    name = "tan-stage2"
    Options = SecondOptions

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        if not options.stage1:
            raise UsageError("tan-stage2 starts from a model of stage 1: give --stage1 RUN/best")
        if options.rule not in ("paper", "code"):
            raise UsageError(f"--rule {options.rule}: paper or code")
        self._rule = (
            LabelRule.of_code(options.alpha) if options.rule == "code" else LabelRule(alpha=options.alpha)
        )

    def model(self, data: Data) -> TANPair:
        """The network of stage 1 and a new head; its average is equal to it."""
        first = tan_files.load(Path(self.options.stage1))
        self._read_with(first.text, first.words)
        head = replace(first.pair.online.config, head="binary" if self.options.rule == "code" else "two-way")
        if self.options.rule == "code":
            head = replace(head, head_stage=min(2, head.joint_layers - 1))
        words = len(first.words) + 1 if first.pair.lang_model is not None else None
        pair = TANPair(head, self.options.momentum, words)
        pair.online.load_state_dict(first.pair.online.state_dict(), strict=False)  # all but the head
        if pair.lang_model is not None and first.pair.lang_model is not None:
            pair.lang_model.load_state_dict(first.pair.lang_model.state_dict())
            pair.lang_model.word_embd.requires_grad_(first.text == "fresh")
        pair.restart_target()
        return pair

    def loss(self, model: nn.Module, batch: WindowBatch) -> Outcome:
        """Places and alignability from the average's two encoders (section 7.3.4)."""
        pair, inputs, times, paddings = self._inputs(model, batch)
        place = batch.place.to(paddings[1].device)
        loss = second_stage_loss(pair, *inputs, *times, *paddings, self._rule, place)
        return _outcome(loss, len(batch.video))

    def after_step(self, model: nn.Module) -> None:
        """The average follows."""
        if isinstance(model, TANPair):
            model.update_target()


def _outcome(loss: TANLoss, videos: int) -> Outcome:
    metrics = {"joint": loss.joint, "dual": loss.dual}
    if loss.alignability is not None:
        metrics["alignability"] = loss.alignability
    if loss.labels is not None:
        there = loss.labels.score > -torch.inf
        metrics["moved"] = loss.labels.moved.sum() / there.sum().clamp(min=1)
    return Outcome(loss.total, videos, metrics)
