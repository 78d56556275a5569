"""A trained JSFusion or CT-SAN on a split, as a run that `cinescribe evaluate` scores and shows.

    python -m train.recipes.clip_run --model runs/jsfusion/best --data world \\
        --annotations cineworld-films --out ranked
    cinescribe evaluate ranked

Several models after --model are one ensemble: their tables' mean, as CT-SAN's of six retrieval models and one
of multiple choice. Models of several seeds are written into the same --out, each with its --seed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cinescribe.annotations import catalogue
from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.evaluation.run import Text, Video, write_run
from cinescribe.models import ct_san_files, jsfusion_files
from cinescribe.models.ct_san import joined
from cinescribe.models.ct_san_tasks import Choice, Retrieval, score_table
from cinescribe.models.jsfusion_pairs import encode_texts, encode_videos
from cinescribe.models.jsfusion_pairs import score_table as score_jsfusion
from train.recipes.clip_tasks import ClipFrames, Source

_BATCH = 32  # clips watched at once


def write(
    models: Sequence[Path], data: str, annotations: str, annotations_at: str, split: str, out: Path, seed: int
) -> None:
    """Score every caption of a split against every clip of it.

    Args:
        models: folders that `cinescribe train` wrote, of retrieval or multiple choice; their mean is taken.
        data: folder or `s3://` prefix with the features.
        annotations: data set.
        annotations_at: folder of its files; "" for `data`.
        split: of it.
        out: folder of the run.
        seed: of the models.

    Raises:
        UsageError: the split has no clips, features are missing, or a model is of another task.
        WeightsError: a folder holds no such model.
    """
    source = Source(annotations, annotations_at or data, split)
    splits = catalogue.load(annotations, source.folder).splits
    if not splits.get(split):
        raise UsageError(f"{annotations} has no clips in a split {split!r}; its splits: {', '.join(splits)}")
    clips = list(splits[split])
    texts = [Text(caption, number) for number, clip in enumerate(clips) for caption in clip.captions]
    said = [text.text for text in texts]
    tables = [_table(model, data, clips, said, source.whole) for model in models]
    mean = torch.stack(tables).mean(0).numpy()
    write_run(out, mean, texts, [Video(clip.video_id, clip.start, clip.end) for clip in clips], seed)


def _table(folder: Path, data: str, clips: list[CaptionedClip], texts: list[str], whole: bool) -> Tensor:
    """[texts, clips]."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if '"jsfusion"' in _settings(folder):
        one = jsfusion_files.load(folder)
        config = one.model.config
        if config.outputs != 1:
            raise UsageError(f"{folder}: it fills in blanks; give a model of retrieval or choice")
        frames = ClipFrames(data, ",".join(one.features), one.hz, config.frames, whole)
        _all_there(frames, clips)
        model = one.model.to(device)
        videos = encode_videos(model, [torch.from_numpy(frames.read(clip)) for clip in clips])
        return score_jsfusion(model, videos, encode_texts(model, *one.vocabulary.batch(texts, config.words)))
    other = ct_san_files.load(folder)
    matching = other.model.to(device)
    if not isinstance(matching, Choice | Retrieval):
        raise UsageError(f"{folder}: a model of {other.task}; give one of retrieval or choice")
    sizes = matching.watcher.config
    frames = ClipFrames(data, ",".join(other.features), other.hz, sizes.frames, whole)
    _all_there(frames, clips)
    parts = []
    with torch.no_grad():
        for start in range(0, len(clips), _BATCH):
            seen, counts = frames.batch(clips[start : start + _BATCH])
            parts.append(matching.watcher.watch(seen.to(device), counts.to(device)))
    ids, counts = other.vocabulary.batch(texts, sizes.words)
    return score_table(matching, joined(parts), ids.to(device), counts.to(device))


def _settings(folder: Path) -> str:
    try:
        return (folder / "config.json").read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: no model of `cinescribe train` ({error})") from error


def _all_there(frames: ClipFrames, clips: Sequence[CaptionedClip]) -> None:
    """No clip of a test may be left out."""
    missing = sorted({clip.video_id for clip in clips if clip.video_id not in frames})
    if missing:
        raise UsageError(f"{len(missing)} videos, as {missing[0]}, lack features {', '.join(frames.names)}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    p = argparse.ArgumentParser(
        prog="python -m train.recipes.clip_run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--model", type=Path, nargs="+", required=True, metavar="DIR", help="such as run/best")
    p.add_argument("--data", required=True, metavar="DIR", help="folder or s3:// prefix with the features")
    p.add_argument("--annotations", required=True, metavar="NAME", help="data set")
    p.add_argument("--annotations-at", default="", metavar="DIR", help="of its files; default --data")
    p.add_argument("--split", default="test", metavar="NAME", help="default: %(default)s")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the run")
    p.add_argument("--seed", type=int, default=0, help="of the models (default %(default)s)")
    given = p.parse_args(argv)
    at = given.annotations_at
    try:
        write(given.model, given.data, given.annotations, at, given.split, given.out, given.seed)
    except (CinescribeError, OSError) as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    print(f"{given.out}: cinescribe evaluate {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
