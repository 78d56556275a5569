"""`cinescribe evaluate`: how well a search ranks, and a page of what it got wrong.

cinescribe evaluate RUN                  the folder of a run, with a table of similarities for each seed
cinescribe evaluate RUN-A RUN-B RUN-C    one model a folder, over the same texts and videos
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cinescribe.errors import CinescribeError
from cinescribe.evaluation import page
from cinescribe.evaluation.run import Run, read_run
from cinescribe.evaluation.scores import NAMES, Scores, evaluate
from cinescribe.evaluation.thumbnails import Thumbnails

SEEDS = 3  # below which a spread says little


def main(argv: Sequence[str] | None = None) -> int:
    """Print the scores and write the page; 2 with one message when a user can mend it."""
    parser = argparse.ArgumentParser(
        prog="cinescribe evaluate",
        description="How well a search ranks: recall, median and mean rank, from tables of similarities.",
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="folder with similarity tables, texts.jsonl, videos.jsonl",
    )
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="page of the worst queries (default RUN/worst.html)"
    )
    parser.add_argument("--media", metavar="DIR", help="folder of the films, for pictures on the page")
    parser.add_argument(
        "--worst", type=int, default=50, metavar="N", help="queries on the page (default %(default)s)"
    )
    arguments = parser.parse_args(argv)
    try:
        run = read_run(arguments.runs)
        forward, backward, ranks = evaluate(run)
        target = arguments.page or arguments.runs[0] / "worst.html"
        films = _films(arguments.media) if arguments.media else {}
        failures = page.worst(run, ranks, max(0, arguments.worst))
        title = f"Retrieval: {arguments.runs[0].resolve().name}"
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
    if arguments.json:
        print(json.dumps(_as_json(run, forward, backward), indent=1))
        return 0
    print(f"{len(run.texts)} texts, {len(run.videos)} videos, seeds: {_seeds(run)}")
    print("\n".join(_lines(forward, backward)))
    print(f"the worst queries: {target}")
    return 0


def _films(folder: str) -> dict[str, Path]:
    from cinescribe.media.library import list_films

    return {film.film_id: Path(film.uri) for film in list_films([folder])}


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
