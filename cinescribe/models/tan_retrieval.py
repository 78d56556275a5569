"""TAN's dual encoder as a search of segments by sentences: YouCook2 zero-shot (TAN, chapter 7).

python -m cinescribe.models.tan_retrieval RUN/best --data DIR --annotations youcook2 --out ALIKE

writes a run for `cinescribe evaluate`. The model is used as it is: none of the segments was trained on.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional as F

from cinescribe import tables
from cinescribe.annotations.catalogue import DATA_SETS, load
from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.evaluation.run import Text, Video, write_run
from cinescribe.models import tan_files
from cinescribe.models.tan_files import SavedTAN
from cinescribe.models.tan_inference import seen, segment_vector
from cinescribe.models.tan_text import TextReader


def write_retrieval_run(
    saved: SavedTAN, root: str, clips: Sequence[CaptionedClip], folder: Path, seed: int
) -> int:
    """Write how alike all captions and all segments are, for `cinescribe evaluate`; how many segments.

    Segments of videos without features, and those shorter than a second or that begin after their video's
    features end, are left out.

    Args:
        saved: the model.
        root: folder or `s3://` prefix with the table `features/<saved.features>`, one feature a second.
        clips: the segments.
        folder: of the run.
        seed: of the model.

    Raises:
        UsageError: no segment can be seen, or the features are not such as the model reads.
    """
    network = saved.pair.eval().online
    width = network.config.video_width
    found = tables.read_features_of(root, saved.features, sorted({clip.video_id for clip in clips}))
    texts: list[Text] = []
    videos: list[Video] = []
    vectors = []
    for film, features in found.items():
        there = f"{root}: features/{saved.features} of {film}"
        if features.hz != 1.0 or features.array.shape[1] != width:
            raise UsageError(
                f"{there} are {features.array.shape[1]} numbers, {features.hz:g} a second, and the model "
                f"reads {width}, one a second; give the features that it was trained on"
            )
        video = seen(features.whole(), torch.zeros(1))
        for clip in clips:
            start, end = clip.start or 0.0, float(len(video)) if clip.end is None else clip.end
            if clip.video_id != film or int(end - start) < 1 or not 0 <= start < len(video):
                continue
            vectors.append(segment_vector(network, video, start, end, trained=saved.window))
            texts += [Text(caption, len(videos)) for caption in clip.captions]
            videos.append(Video(film, clip.start, clip.end))
    if not videos:
        raise UsageError(f"{root}: none of {len(clips)} segments has features {saved.features}")
    read = TextReader(saved.text, saved.words)
    with torch.no_grad():
        said = network.text_features(read(saved.pair, [text.text for text in texts]).float())
        alike = F.normalize(said, dim=-1) @ torch.stack(vectors).T
    write_run(folder, alike.numpy(), texts, videos, seed)
    return len(videos)


def main(argv: Sequence[str] | None = None) -> int:
    """The command: writes a run of one model and one split."""
    parser = argparse.ArgumentParser(prog="python -m cinescribe.models.tan_retrieval")
    parser.add_argument("model", type=Path, help="folder best or last of a run of training")
    parser.add_argument("--data", required=True, help="folder or s3:// prefix with the features")
    parser.add_argument("--annotations", required=True, choices=DATA_SETS, metavar="NAME", help="data set")
    parser.add_argument("--annotations-at", metavar="DIR", help="its folder (default that of the data)")
    parser.add_argument("--split", default="validation", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the model, for the table's name")
    parser.add_argument("--out", required=True, type=Path, help="folder of the retrieval run")
    arguments = parser.parse_args(argv)
    try:
        splits = load(arguments.annotations, arguments.annotations_at or arguments.data).splits
        if arguments.split not in splits:
            raise UsageError(f"{arguments.annotations} has no split {arguments.split}: {', '.join(splits)}")
        clips, saved = splits[arguments.split], tan_files.load(arguments.model)
        count = write_retrieval_run(saved, arguments.data, clips, arguments.out, arguments.seed)
    except (CinescribeError, OSError) as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.out}: {count} of {len(clips)} segments; next: cinescribe evaluate {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
