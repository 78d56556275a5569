"""What Collaborative Experts learns from: captioned clips and what the experts saw and heard in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from cinescribe.annotations import catalogue
from cinescribe.annotations.types import CaptionedClip
from cinescribe.encoders.experts import PAPER, SMALL, SPEECH, Expert
from cinescribe.errors import UsageError
from cinescribe.models.collaborative_experts_clips import ClipExperts, source
from train.recipe import Pick

_NAMED = {expert.name: expert.table for expert in PAPER}


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips put together, with a caption each.

    Attributes:
        texts: a caption of each clip.
        experts: by name [clips, dim], or [clips, tokens, dim] with zeros behind; NaN where missing.
        available: [clips, experts] bool.
    """

    texts: Sequence[str]
    experts: Mapping[str, Tensor]
    available: Tensor


class Clips:
    """Captioned clips.

    Args:
        clips: the examples.
        seen: the experts' inputs of them.
    """

    def __init__(self, clips: Sequence[CaptionedClip], seen: ClipExperts) -> None:
        self.clips, self.seen = clips, seen

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, picks: Sequence[Pick]) -> ClipBatch:
        """The clips picked, each with one of its captions at random."""
        chosen = [self.clips[pick.index] for pick in picks]
        texts = [
            clip.captions[int(np.random.default_rng(pick.seed).integers(len(clip.captions)))]
            for clip, pick in zip(chosen, picks, strict=True)
        ]
        return ClipBatch(texts, *self.seen.inputs(chosen))


def read(
    root: str,
    split: str,
    *,
    annotations: str,
    annotations_at: str,
    experts: str,
    tokens: Mapping[str, int],
) -> Clips:
    """The clips of a split.

    Args:
        root: folder or `s3://` prefix with the tables.
        split: of the data set; one without such a split has no clips in it.
        annotations: data set, see `cinescribe.annotations.catalogue`.
        annotations_at: folder of its files; "" for `root`.
        experts: "paper", "small", or names and tables, comma-separated: `world-clip,hearing=sound`.
        tokens: of those experts that are sequences.

    Raises:
        UsageError: an expert's table is not there, or clips are of videos without any features.
    """
    known = catalogue.load(annotations, Path(annotations_at or root))
    clips = known.clips(split) if split in known.splits else ()
    if split == "train" and not clips:
        raise UsageError(f"{annotations} in {annotations_at or root}: no clips to train on")
    listed = parse_experts(experts)
    sources = {name: source(root, table) for name, table in listed.items()}
    without = sorted(
        {clip.video_id for clip in clips if not any(clip.video_id in s for s in sources.values())}
    )
    if without:
        raise UsageError(
            f"{len(without)} videos of {annotations} ({split}) have no features of {', '.join(listed)} under "
            f"{root}, such as {without[0]}; extract them, or take the videos out of the annotations"
        )
    found = []
    for name, table in listed.items():
        dim = sources[name].dim(clips)
        if dim is None and clips:
            raise UsageError(
                f"expert {name}: features/{table} has nothing of the videos of {annotations} ({split}); "
                "leave it out of --experts"
            )
        if table == SPEECH and name not in tokens:
            raise UsageError(f"the expert {name} is a sequence: name it in --clusters and --tokens")
        found.append(Expert(name, table, dim or 0, tokens.get(name, 0)))
    return Clips(clips, ClipExperts(found, sources))


def parse_experts(written: str) -> dict[str, str]:
    """Tables by name of the expert, in the order in which they are written.

    Raises:
        UsageError: a name stands twice.
    """
    if written == "paper":
        from cinescribe.models.collaborative_experts import MSR_VTT

        return {expert.name: _NAMED[expert.name] for expert in MSR_VTT}
    if written == "small":
        return {expert.name: expert.table for expert in SMALL}
    found: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in written.split(","))):
        name, _, table = entry.partition("=")
        if name in found:
            raise UsageError(f"--experts {written}: {name} stands twice; write NAME=TABLE for one of them")
        found[name] = table or _NAMED.get(name, name)
    if not found:
        raise UsageError("--experts names none")
    return found
