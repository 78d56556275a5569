"""A trained Collaborative Experts on a split, as a run that `cinescribe evaluate` scores and shows.

    python -m train.recipes.ce_run --model runs/ce/best --data world \\
        --annotations cineworld-howtos --out ranked
    cinescribe evaluate ranked

Models of several seeds are written into the same --out, each with its --seed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from cinescribe.encoders import text_tokens
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.evaluation.run import Text, Video, write_run
from cinescribe.models import collaborative_experts_files
from cinescribe.models.collaborative_experts import ClipVectors, TextVectors
from train.recipes import ce_data

_BATCH, _ROWS = 64, 1024  # clips encoded, and texts compared, at once


def write(
    model: Path, data: str, annotations: str, annotations_at: str, split: str, out: Path, seed: int
) -> None:
    """Score every caption of a split against every clip of it.

    Args:
        model: folder that `cinescribe train ce` wrote.
        data: folder or `s3://` prefix with the experts' tables.
        annotations: data set.
        annotations_at: folder of its files; "" for `data`.
        split: of it.
        out: folder of the run.
        seed: of the model.

    Raises:
        UsageError: the split has no clips, or a table is not there.
        WeightsError: the model, or its token encoder, can't be had.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    saved = collaborative_experts_files.load(model)
    network, encoder = saved.model.to(device), text_tokens.load(saved.text, device)
    clips = ce_data.read(
        data,
        split,
        annotations=annotations,
        annotations_at=annotations_at,
        experts=",".join(f"{expert.name}={expert.table}" for expert in saved.experts),
        tokens={expert.name: expert.tokens for expert in saved.experts if expert.tokens},
    )
    if not len(clips):
        raise UsageError(f"{annotations} has no clips in its split {split!r}")
    texts = [Text(caption, number) for number, clip in enumerate(clips.clips) for caption in clip.captions]
    said, seen = [], []
    with torch.inference_mode():
        for first in range(0, len(texts), _BATCH):
            tokens = encoder.encode(
                [text.text for text in texts[first : first + _BATCH]], network.config.text.tokens
            )
            said.append(network.encode_text(torch.from_numpy(tokens).to(device)))
        for first in range(0, len(clips), _BATCH):
            experts, available = clips.inputs(clips.clips[first : first + _BATCH])
            moved = {name: value.to(device) for name, value in experts.items()}
            seen.append(network.encode_clips(moved, available.to(device)))
        table = network.similarity(
            TextVectors(
                torch.cat([part.vectors for part in said]), torch.cat([part.weights for part in said])
            ),
            ClipVectors(
                torch.cat([part.vectors for part in seen]), torch.cat([part.available for part in seen])
            ),
            _ROWS,
        )
    videos = [Video(clip.video_id, clip.start, clip.end) for clip in clips.clips]
    write_run(out, table.cpu().numpy(), texts, videos, seed)


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    p = argparse.ArgumentParser(
        prog="python -m train.recipes.ce_run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--model", type=Path, required=True, metavar="DIR", help="such as runs/ce/best")
    p.add_argument("--data", required=True, metavar="DIR", help="folder or s3:// prefix with the tables")
    p.add_argument("--annotations", required=True, metavar="NAME", help="data set")
    p.add_argument("--annotations-at", default="", metavar="DIR", help="of its files; default --data")
    p.add_argument("--split", default="test", metavar="NAME", help="default: %(default)s")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the run")
    p.add_argument("--seed", type=int, default=0, help="of the model (default %(default)s)")
    given = p.parse_args(argv)
    try:
        write(
            given.model,
            given.data,
            given.annotations,
            given.annotations_at,
            given.split,
            given.out,
            given.seed,
        )
    except (CinescribeError, OSError) as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    print(f"{given.out}: cinescribe evaluate {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
