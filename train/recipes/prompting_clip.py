"""Prompting CLIP (Ju et al. 2022; chapter 5 of the thesis): prompts and a small transformer, CLIP as it is.

Two recipes: names of actions are told from each other (recognition, all classes, few shots of some, or
classes that training never saw), or sentences (retrieval).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cinescribe.encoders import clip
from cinescribe.errors import UsageError
from cinescribe.feature_store import FeatureStore
from cinescribe.metrics.retrieval import score_ranks, text_to_video_ranks
from cinescribe.models import prompting_clip_files
from cinescribe.models.folders import SETTINGS
from cinescribe.models.prompted_text import PromptedText, fresh_text, from_clip
from cinescribe.models.prompting_clip import (
    RECOGNITION_GAPS,
    RETRIEVAL_GAPS,
    PromptingCLIP,
    PromptingCLIPConfig,
    contrast,
    recognise,
)
from cinescribe.models.prompting_clip_files import Inputs
from train.recipe import Data, NoStep, Optimisation, Outcome, Split, option
from train.recipes.prompting_clip_data import (
    ClipBatch,
    Clips,
    choose_classes,
    choose_shots,
    read_clips,
    views_of,
)

_AT_ONCE = 64  # clips or texts of an evaluation


@dataclass(frozen=True, kw_only=True)
class CommonOptions(Optimisation):
    """What both share: section 5.4.1, "[code]" where only the published code tells."""

    batch: int = option(64, "clips of a step; section 5.4.1")
    steps: int = option(200_000, "one period of the published code's cosine, which would then start again")
    learning_rate: float = option(1e-4, "section 5.4.1; the code's flag has 1e-3")
    weight_decay: float = option(0.01, "[code]; here none of biases and layer norms")
    warmup: int = option(0, "steps; neither the thesis nor the code has any")
    features: str = option("clip-ViT-B-16-openai-30hz", "of CLIP's picture half, features/NAME")
    hz: float = option(30.0, "features a second where they are .npy files; tables tell it")
    text: str = option(
        "ViT-B-16/openai",
        "frozen text half: of a CLIP model, as of `clip:MODEL`, or of the folder of a trained model of these "
        "recipes; or fresh: a small new one that learns",
    )
    annotations: str = option("clips", "data set, as cinescribe.annotations.catalogue names it")
    annotations_at: str = option("", "its folder; by default that of the data")
    validation: str = option("validation", "split that is evaluated; test where there is no other")
    frames: int = option(16, "of a clip; section 5.4.1")
    layers: int = option(2, "of the temporal transformer, 0 for none; Table 5.1 compares 0 to 4")
    heads: int = option(8, "of its attention [code]")
    scale: float = option(
        10.0, "what features of length 1 are multiplied by; the code takes CLIP's own length"
    )


@dataclass(frozen=True, kw_only=True)
class RecognitionOptions(CommonOptions):
    """Names of actions."""

    annotations: str = option("clips", "data set whose clips' one caption is the class")
    prompts: int = option(16, "vectors before and as many after a name; Table 5.1 compares 2, 4, 8, 16")
    contrast: int = option(400, "classes told from each other in a step [code]")
    views: int = option(5, "clips of a video whose probabilities are averaged [code]")
    shots: int = option(0, "clips of each class to learn from, 0 for all; section 5.4.2 has 5")
    ways: int = option(0, "classes of an episode, 0 for all; section 5.4.2 has 5")
    unseen: float = option(
        0.0, "share of the classes that is evaluated alone and never trained on (open set)"
    )
    episode: int = option(
        0, "which draw of classes and shots; the thesis means 200 of 5 ways, 10 of all ways"
    )


@dataclass(frozen=True, kw_only=True)
class RetrievalOptions(CommonOptions):
    """Sentences."""

    prompts: int = option(4, "vectors before and as many after a sentence; section 5.4.4")


class _PromptingCLIP(NoStep):
    """What the two recipes share."""

    gaps: tuple[int, ...] = ()

    def __init__(self, options: Any) -> None:
        self.options = options

    def model(self, data: Data) -> PromptingCLIP:
        """A new one; its text half stays as it was published or trained before, or is small and learns."""
        clips, options = _clips(data), self.options
        width = clips.features.dim([clips.clips[0].video_id])
        text = _text_half(options.text, width)
        if text.dim != width:
            raise UsageError(
                f"features {options.features} have {width} numbers, the texts of {options.text} {text.dim}: "
                "both must be of one CLIP model (--features, --text)"
            )
        config = PromptingCLIPConfig(
            options.prompts, options.frames, options.layers, options.heads, self.gaps, scale=options.scale
        )
        return PromptingCLIP(text, config)

    def loss(self, model: nn.Module, batch: ClipBatch) -> Outcome:
        """Eq. 5.2. Texts are encoded anew each step, since their prompts learn."""
        network = _network(model)
        device = network.embedding.weight.device
        gaps = torch.tensor([network.gap_number(seconds) for seconds in batch.apart], device=device)
        clips = network.encode_clips(batch.frames.to(device), gaps)
        own = batch.own.to(device)
        texts = network.encode_texts(batch.texts)
        right = (network.logits(clips, texts).argmax(1) == own).float().mean()
        return Outcome(contrast(network, clips, texts, own), len(own), {"top1": right})

    def save(self, model: nn.Module, folder: Path) -> None:
        """As `cinescribe.models.prompting_clip_files` reads it."""
        options = self.options
        hz = getattr(self, "_hz", options.hz)
        prompting_clip_files.save(_network(model), folder, Inputs(options.features, hz))

    def _store(self, root: str) -> FeatureStore:
        return FeatureStore(root, self.options.features, self.options.hz)

    def _read(self, root: str, split: Split, store: FeatureStore) -> list[Any]:
        options = self.options
        name = options.validation if split == "validation" else split
        clips = read_clips(options.annotations_at or root, options.annotations, name, store, options.features)
        if clips:
            self._hz = store.read(clips[0].video_id).hz
        return clips

    def _made(
        self, clips: Sequence[Any], classes: Sequence[str], store: FeatureStore, contrast: int
    ) -> Clips:
        return Clips(clips, classes, store, self._hz, self.options.frames, self.gaps, contrast)


class Recognition(_PromptingCLIP):
    """`prompting-clip`."""

    name = "prompting-clip"
    best = ("top1",)
    gaps = RECOGNITION_GAPS
    Options = RecognitionOptions

    def data(self, root: str, split: Split) -> Clips:
        """Clips of the episode's classes; for evaluation those kept from training, where there are such."""
        options, store = self.options, self._store(root)
        train = self._read(root, "train", store)
        clips = train if split == "train" else self._read(root, split, store)
        several = next((clip for clip in train if len(set(clip.captions)) > 1), None)
        if several is not None:
            raise UsageError(
                f"{several.video_id}: {len(several.captions)} captions, where one, the class, is wanted; for "
                "sentences train prompting-clip-retrieval"
            )
        names = sorted({clip.captions[0] for clip in train})
        seen, evaluated = choose_classes(names, options.ways, options.unseen, options.episode)
        classes = seen if split == "train" else evaluated
        clips = [clip for clip in clips if clip.captions[0] in set(classes)]
        if split == "train":
            clips = choose_shots(clips, options.shots, options.episode)
        return self._made(clips, classes, store, options.contrast)

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Of each video the place of its class, 1 the most likely."""
        network, clips = _network(model), _clips(data)
        if not items:
            return []
        texts = _texts(network, clips.classes)
        places = []
        for first in range(0, len(items), _AT_ONCE):
            chosen = items[first : first + _AT_ONCE]
            views, gaps = views_of(clips, chosen, self.options.views, network)
            likely = recognise(network, views.to(texts.device), gaps.to(texts.device), texts)
            for item, row in zip(chosen, likely.float().cpu().numpy(), strict=True):
                own = row[clips.classes.index(clips.clips[item].captions[0])]
                # As in retrieval: classes as likely as the own one share the mean of their places.
                places.append(float((row > own).sum() + ((row == own).sum() + 1) / 2))
        return places

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """Accuracy of the first and of the first five, as fractions."""
        if not results:
            return {}
        places = np.asarray(results)
        return {"top1": float((places <= 1).mean()), "top5": float((places <= 5).mean())}


class Retrieval(_PromptingCLIP):
    """`prompting-clip-retrieval`."""

    name = "prompting-clip-retrieval"
    best = ("geometric_mean",)
    gaps = RETRIEVAL_GAPS
    Options = RetrievalOptions

    def data(self, root: str, split: Split) -> Clips:
        """Clips with their sentences."""
        store = self._store(root)
        clips = self._read(root, split, store)
        return self._made(clips, (), store, 0)

    def evaluate(self, model: nn.Module, data: Data, items: Sequence[int]) -> list[Any]:
        """Of each clip its vector and those of its captions."""
        network, clips = _network(model), _clips(data)
        results: list[Any] = []
        for first in range(0, len(items), _AT_ONCE):
            chosen = items[first : first + _AT_ONCE]
            views, gaps = views_of(clips, chosen, 1, network)
            device = network.embedding.weight.device
            vectors = network.encode_clips(views[:, 0].to(device), gaps[:, 0].to(device))
            for item, vector in zip(chosen, vectors.float().cpu().numpy(), strict=True):
                results.append((vector, _texts(network, clips.clips[item].captions).cpu().numpy()))
        return results

    def score(self, results: Sequence[Any]) -> Mapping[str, float]:
        """Recall of text to video in percent, ranks, and the geometric mean of R@1, 5 and 10."""
        if not results:
            return {}
        videos = np.stack([vector for vector, _ in results]).astype(np.float32)
        texts = np.concatenate([captions for _, captions in results]).astype(np.float32)
        own = np.repeat(np.arange(len(results)), [len(captions) for _, captions in results])
        scores = score_ranks(text_to_video_ranks(texts @ videos.T, own))
        recalls = {f"recall{k}": scores.recall[k] for k in (1, 5, 10)}
        ranks = {"median_rank": scores.median_rank, "mean_rank": scores.mean_rank}
        return {**recalls, **ranks, "geometric_mean": scores.geometric_mean}


def _text_half(name: str, width: int) -> PromptedText:
    """The one that `--text` names, for features of so many numbers."""
    if name == "fresh":
        return fresh_text(width)
    if (Path(name) / SETTINGS).exists():
        return prompting_clip_files.load_text(Path(name))
    return from_clip(clip.load(name))


def _texts(model: PromptingCLIP, texts: Sequence[str]) -> Tensor:
    return torch.cat(
        [model.encode_texts(texts[first : first + _AT_ONCE]) for first in range(0, len(texts), _AT_ONCE)]
    ).float()


def _network(model: nn.Module) -> PromptingCLIP:
    if not isinstance(model, PromptingCLIP):
        raise TypeError(f"not a Prompting CLIP: {model}")
    return model


def _clips(data: Data) -> Clips:
    if not isinstance(data, Clips):
        raise TypeError(f"not clips: {data}")
    return data
