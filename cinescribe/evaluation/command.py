"""`cinescribe evaluate`: how well a search ranks, and a page of what it got wrong.

cinescribe evaluate --model SEED0/best SEED1/best SEED2/best --data DIR --annotations NAME --out RUN
                                         trained models: write their run, a table each, and score it
cinescribe evaluate RUN                  the folder of a run, with a table of similarities for each seed
cinescribe evaluate RUN-A RUN-B RUN-C    one model a folder, over the same texts and videos
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cinescribe import storage
from cinescribe.annotations.catalogue import DATA_SETS
from cinescribe.errors import CinescribeError
from cinescribe.evaluation import page
from cinescribe.evaluation.run import Run, encodable, read_run
from cinescribe.evaluation.scores import NAMES, Scores, evaluate
from cinescribe.evaluation.thumbnails import Thumbnails

SEEDS = 3  # below which a spread says little


def main(argv: Sequence[str] | None = None) -> int:
    """Print the scores and write the page; 2 with one message when a user can mend it."""
    parser = argparse.ArgumentParser(
        prog="cinescribe evaluate",
        usage="%(prog)s RUN... [options]\n"
        "       %(prog)s --model DIR... --data DIR --annotations NAME --out RUN [options]",
        description="How well a search ranks: recall, median and mean rank, from trained models or from "
        "tables of similarities.",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        type=_folder,
        metavar="RUN",
        help="folder with similarity tables, texts.jsonl, videos.jsonl",
    )
    _add_models(parser)
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="page of the worst queries (default RUN/worst.html)"
    )
    parser.add_argument("--media", metavar="DIR", help="folder of the films, for pictures on the page")
    parser.add_argument(
        "--worst", type=int, default=50, metavar="N", help="queries on the page (default %(default)s)"
    )
    arguments = parser.parse_args(argv)
    if bool(arguments.runs) == bool(arguments.model):
        parser.error("give the folders of runs, or --model")
    if arguments.model and None in (arguments.data, arguments.annotations, arguments.out):
        parser.error("--model needs --data, --annotations and --out")
    try:
        runs = arguments.runs or [_written(arguments)]
        run = read_run(runs)
        forward, backward, ranks = evaluate(run)
        target = arguments.page or runs[0] / "worst.html"
        films = _films(arguments.media) if arguments.media else {}
        failures = page.worst(run, ranks, max(0, arguments.worst))
        title = encodable(f"Retrieval: {runs[0].resolve().name}")
        target.write_text(
            page.render(run, title, (forward, backward), failures, Thumbnails(films)), encoding="utf-8"
        )
    except (CinescribeError, OSError) as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    if len(run.tables) < SEEDS:
        print(
            f"cinescribe: {len(run.tables)} seed(s); give {SEEDS} or more for a spread that says something",
            file=sys.stderr,
        )
    if told := _shared(run):
        print(
            f"cinescribe: {told} of {len(run.texts)} texts are also another video's, as actions' names are; "
            "only their own counts as right, so ranks look worse than they are",
            file=sys.stderr,
        )
    if arguments.json:
        print(json.dumps(_as_json(run, forward, backward), indent=1))
        return 0
    print(f"{len(run.texts)} texts, {len(run.videos)} videos, seeds: {_seeds(run)}")
    print("\n".join(_lines(forward, backward)))
    print(f"the worst queries: {target}")
    return 0


def _add_models(parser: argparse.ArgumentParser) -> None:
    models = parser.add_argument_group("trained models (ce, jsfusion, ct-san, prompting-clip, tan)")
    models.add_argument(
        "--model", type=_folder, nargs="+", metavar="DIR", help="such as run/best; several are as many seeds"
    )
    models.add_argument("--data", metavar="DIR", help="folder or s3:// prefix with the tables that they read")
    models.add_argument(
        "--annotations", choices=DATA_SETS, metavar="NAME", help=f"one of {', '.join(DATA_SETS)}"
    )
    models.add_argument("--annotations-at", default="", metavar="DIR", help="of its files; default --data")
    models.add_argument("--split", default="test", metavar="NAME", help="default: %(default)s")
    models.add_argument("--out", type=_folder, metavar="RUN", help="folder where the run is written")
    models.add_argument("--ensemble", action="store_true", help="the models are one: their tables' mean")
    models.add_argument(
        "--leave-out", action="store_true", help="score without the clips that the model can't see"
    )


def _folder(text: str) -> Path:
    """A folder on this machine."""
    if storage.is_s3(text):
        raise argparse.ArgumentTypeError(f"{text}: give a folder of this machine; copy what is on S3 to one")
    return Path(text)


def _written(arguments: argparse.Namespace) -> Path:
    """Write the run of the models that were given; its folder."""
    from cinescribe.evaluation.writing import write  # torch and the models

    left, count = write(
        arguments.model,
        arguments.data,
        arguments.annotations,
        arguments.annotations_at,
        arguments.split,
        arguments.out,
        ensemble=arguments.ensemble,
        leave_out=arguments.leave_out,
    )
    if left:
        print(f"cinescribe: {left} of {count} clips left out, which the model can't see", file=sys.stderr)
    return Path(arguments.out)


def _films(folder: str) -> dict[str, Path]:
    from cinescribe.media.library import list_films

    return {film.film_id: Path(film.uri) for film in list_films([folder])}


def _shared(run: Run) -> int:
    """How many texts are also a text of another video."""
    videos: dict[str, set[int]] = {}
    for text in run.texts:
        videos.setdefault(text.text, set()).add(text.video)
    return sum(len(videos[text.text]) > 1 for text in run.texts)


def _seeds(run: Run) -> str:
    return ", ".join(table.seed or table.path.parent.name for table in run.tables)


def _lines(forward: Scores, backward: Scores) -> list[str]:
    lines = [f"{'':14}" + "".join(f"{name:>14}" for name in NAMES)]
    for direction, scores in (("text to video", forward), ("video to text", backward)):
        cells = []
        for name in NAMES:
            spread = "" if scores.deviation is None else f" ± {scores.deviation[name]:.1f}"
            cells.append(f"{scores.mean[name]:.1f}{spread}")
        lines.append(f"{direction:14}" + "".join(f"{cell:>14}" for cell in cells))
    return lines


def _as_json(run: Run, forward: Scores, backward: Scores) -> dict[str, object]:
    return {
        "texts": len(run.texts),
        "videos": len(run.videos),
        "tables": [{"seed": table.seed, "path": str(table.path)} for table in run.tables],
        "text_to_video": asdict(forward),
        "video_to_text": asdict(backward),
    }


if __name__ == "__main__":
    sys.exit(main())
