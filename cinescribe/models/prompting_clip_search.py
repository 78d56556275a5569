"""Prompting CLIP as a search's two encoders: a vector of a text, and one of each window of a film.

The test of a trained model, for `cinescribe evaluate`:

python -m cinescribe.models.prompting_clip_search RUN/best --data DIR --annotations msrvtt-1k-a --out ALIKE
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cinescribe import tables
from cinescribe.annotations.catalogue import DATA_SETS, load
from cinescribe.annotations.types import CaptionedClip
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.evaluation.run import Text, Video, write_run
from cinescribe.models import prompting_clip_files
from cinescribe.models.prompting_clip import PromptingCLIP, spread
from cinescribe.models.prompting_clip_files import Inputs

_BATCH = 64


class PromptingCLIPSearch:
    """The two encoders; how near a window is to a text is the product of their vectors, the cosine.

    Args:
        model: in evaluation mode.
        inputs: what it was trained on: windows are to be of such features.
    """

    def __init__(self, model: PromptingCLIP, inputs: Inputs) -> None:
        self.model, self.inputs = model.eval(), inputs
        self._device = model.embedding.weight.device

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "PromptingCLIPSearch":
        """From the folder `best` or `last` of a run; WeightsError where it isn't one."""
        return cls(*prompting_clip_files.load(folder, device))

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.model.text.dim

    def text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, dim] of length 1."""
        parts = [np.zeros((0, self.dim), np.float32)]
        with torch.no_grad():
            for first in range(0, len(texts), _BATCH):
                parts.append(self.model.encode_texts(texts[first : first + _BATCH]).cpu().numpy())
        return np.concatenate(parts)

    def window_vectors(
        self, features: NDArray[np.floating], windows: Sequence[tuple[float, float]]
    ) -> NDArray[np.float32]:
        """[windows, dim] of length 1; zero where nothing was seen.

        Args:
            features: [T, dim] of a film, `inputs.hz` a second.
            windows: starts and ends, seconds.

        Raises:
            UsageError: the features have another width than those of training.
        """
        if features.shape[1] != self.dim:
            raise UsageError(
                f"features of {features.shape[1]} numbers; the model takes {self.dim}, those of "
                f"{self.inputs.features}"
            )
        parts = [np.zeros((0, self.dim), np.float32)]
        hz, frames = self.inputs.hz, self.model.config.frames
        for begin in range(0, len(windows), _BATCH):
            cuts = []
            for start, end in windows[begin : begin + _BATCH]:
                first = min(int(start * hz), max(0, len(features) - 1))
                cuts.append(spread(features[first : max(first + 1, round(end * hz))], frames))
            clips = torch.from_numpy(np.stack([clip for clip, _ in cuts])).to(self._device)
            gaps = torch.tensor([self.model.gap_number(apart / hz) for _, apart in cuts], device=self._device)
            with torch.no_grad():
                vectors = self.model.encode_clips(clips, gaps).cpu().numpy()
            vectors[[not clip.any() for clip, _ in cuts]] = 0
            parts.append(vectors)
        return np.concatenate(parts)


def write_retrieval_run(
    search: PromptingCLIPSearch, root: str, clips: Sequence[CaptionedClip], folder: Path, seed: int
) -> None:
    """Write how alike all captions and all clips of a split are, for `cinescribe evaluate`.

    Args:
        search: the encoders.
        root: folder or `s3://` prefix with the table `features/<inputs.features>`.
        clips: of the split.
        folder: of the run.
        seed: of the model.

    Raises:
        UsageError: a video has no features, or others than the model reads, or there are no clips.
    """
    films = sorted({clip.video_id for clip in clips})
    found = tables.read_features_of(root, search.inputs.features, films)
    missing = [film for film in films if film not in found]
    if missing or not clips:
        told = f"{len(missing)} videos have no features {search.inputs.features}, such as {missing[:1]}"
        raise UsageError(f"{root}: {told if missing else 'no clips to write a run of'}")
    vectors = np.zeros((len(clips), search.dim), np.float32)
    for film in films:
        mine = [number for number, clip in enumerate(clips) if clip.video_id == film]
        if found[film].hz != search.inputs.hz:
            raise UsageError(
                f"{root}: features/{search.inputs.features} of {film} are {found[film].hz:g} a second, and "
                f"the model reads {search.inputs.hz:g}; give the features that it was trained on"
            )
        array = found[film].whole()
        whole = (0.0, len(array) / search.inputs.hz)
        windows = [_span(clips[number]) or whole for number in mine]
        vectors[mine] = search.window_vectors(array, windows)
    texts = [Text(caption, number) for number, clip in enumerate(clips) for caption in clip.captions]
    alike = search.text_vectors([text.text for text in texts]) @ vectors.T
    videos = [Video(clip.video_id, clip.start, clip.end) for clip in clips]
    write_run(folder, alike, texts, videos, seed)


def _span(clip: CaptionedClip) -> tuple[float, float] | None:
    return None if clip.start is None or clip.end is None else (clip.start, clip.end)


def main(argv: Sequence[str] | None = None) -> int:
    """The command: writes a run of one model and one split."""
    parser = argparse.ArgumentParser(prog="python -m cinescribe.models.prompting_clip_search")
    parser.add_argument("model", type=Path, help="folder best or last of a run of training")
    parser.add_argument("--data", required=True, help="folder or s3:// prefix with the features")
    parser.add_argument("--annotations", required=True, choices=DATA_SETS, metavar="NAME", help="data set")
    parser.add_argument("--annotations-at", metavar="DIR", help="its folder (default that of the data)")
    parser.add_argument("--split", default="test", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the model, for the table's name")
    parser.add_argument("--out", required=True, type=Path, help="folder of the retrieval run")
    arguments = parser.parse_args(argv)
    try:
        splits = load(arguments.annotations, arguments.annotations_at or arguments.data).splits
        if arguments.split not in splits:
            raise UsageError(f"{arguments.annotations} has no split {arguments.split}: {', '.join(splits)}")
        search = PromptingCLIPSearch.load(arguments.model)
        clips = splits[arguments.split]
        write_retrieval_run(search, arguments.data, clips, arguments.out, arguments.seed)
    except (CinescribeError, OSError) as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.out}: {len(clips)} clips; next: cinescribe evaluate {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
