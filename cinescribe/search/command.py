"""The command `cinescribe search`: find the moment in an index."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import UsageError
from cinescribe.search.filters import ROLES
from cinescribe.search.query import SOURCES, Answer, Evidence, Filters, Query

if TYPE_CHECKING:
    from rich.text import Text

_MOST_FRAMES = 32  # of a clip that is a query


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="cinescribe search",
        description="Find the moments of films where something is said, described or seen.",
        epilog="Words in double quotes must be said or described literally: cinescribe search DIR '\"good "
        "night\" Emma'. Exit code 0 when something was found, 1 when nothing was, 2 when the query can't be "
        "answered.",
    )
    p.add_argument("root", metavar="DIR", help="folder or s3:// prefix that `cinescribe index` was given")
    p.add_argument("text", nargs="?", default="", metavar="TEXT", help="what to look for, in words")
    p.add_argument("--limit", type=int, default=10, metavar="N", help="most moments (default: %(default)s)")
    p.add_argument("--film", action="append", default=[], metavar="ID", help="in this film; may be repeated")
    p.add_argument("--from", dest="start", type=_seconds, metavar="TIME", help="from here on: 90, 1:30")
    p.add_argument("--to", dest="end", type=_seconds, metavar="TIME", help="up to here")
    p.add_argument("--speaker", action="append", default=[], metavar="LABEL", help="said by this voice")
    p.add_argument("--role", action="append", default=[], help=f"whose words: {', '.join(ROLES)}")
    p.add_argument("--source", action="append", default=[], help=f"only evidence of: {', '.join(SOURCES)}")
    p.add_argument("--image", type=Path, metavar="FILE", help="what looks like this picture")
    p.add_argument(
        "--clip", metavar="FILE[@START-END]", help="what looks like this film, or these seconds of it"
    )
    p.add_argument(
        "--reranker",
        default="",
        metavar="RUN/best",
        help="a trained JSFusion that puts the first 100 moments of a query in words in order anew",
    )
    p.add_argument("--json", action="store_true", help="the answer as JSON")
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads to compute with")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code.

    Raises:
        CinescribeError: no index there, or a query that can't be answered.
    """
    arguments = parser().parse_args(argv)
    if arguments.image and arguments.clip:
        raise UsageError("--image and --clip: one of them can be looked for at a time")
    frames = read_picture(arguments.image) if arguments.image else None
    query = Query(
        frames=read_clip(arguments.clip) if arguments.clip else frames,
        text=arguments.text,
        filters=Filters(
            films=tuple(arguments.film),
            start=arguments.start,
            end=arguments.end,
            speakers=tuple(arguments.speaker),
            roles=tuple(arguments.role),
            sources=tuple(arguments.source),
        ),
        limit=arguments.limit,
    )
    from cinescribe.search.searcher import Searcher, check_form

    check_form(query)  # told at once: opening the index and the encoder takes seconds
    searcher = Searcher(arguments.root, threads=arguments.threads, reranker=arguments.reranker)
    answer = searcher.search(query)
    if arguments.json:
        print(json.dumps(asdict(answer), ensure_ascii=False, indent=2))
    else:
        show(answer)
    return 0 if answer.moments else 1


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as a query: uint8 [1, H, W, 3], upright. Raises UsageError when it is none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))[None]
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: not a picture that can be read ({error}); give a JPEG or PNG") from error


def read_clip(written: str) -> NDArray[np.uint8]:
    """The frames of FILE or FILE@START-END as a query: uint8 [T, H, W, 3], one a second, at most 32.

    Raises:
        UsageError: the seconds can't be meant.
        MediaError: it can't be read.
    """
    from cinescribe.media.frames import read_frames
    from cinescribe.media.probe import probe

    file, at, part = written.rpartition("@")
    if not at or "-" not in part or Path(written).exists():
        file, part = written, ""
    path = Path(file)
    start, end = 0.0, probe(path).duration
    if part:
        first, _, last = part.partition("-")
        try:
            start, end = _seconds(first), _seconds(last)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"--clip {written}: {part!r} {error}") from None
    if not 0 <= start < end:
        raise UsageError(f"--clip {written}: from {start:g} s to {end:g} s there is nothing; give START-END")
    return read_frames(path, rate=min(1.0, _MOST_FRAMES / (end - start)), start=start, end=end).frames


def show(answer: Answer) -> None:
    """Print an answer as a table for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=not sys.stdout.isatty())
    for note in answer.notes:
        console.print(f"note: {note}", style="dim", markup=False, highlight=False)
    if not answer.moments:
        console.print("nothing found")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    reranked = any(moment.reranked is not None for moment in answer.moments)
    names = ("time", "film", "score", *(("re-ranked",) if reranked else ()), "why")
    for name in names:
        table.add_column(
            name, justify="left" if name in ("film", "why") else "right", no_wrap=name not in ("film", "why")
        )
    for moment in answer.moments:
        time = f"{clock(moment.start)}-{clock(moment.end)}"
        shown = [e for e in moment.why if e.share > 0] or list(moment.why)
        for k, evidence in enumerate(shown):
            anew = "" if moment.reranked is None else f"{moment.reranked:.2f}"
            first = (time, moment.film_id, f"{moment.score:.3f}", anew)[: len(names) - 1]
            table.add_row(*(first if k == 0 else [""] * len(first)), _why(evidence))
    console.print(table)


def _why(evidence: Evidence) -> "Text":
    """One line of evidence, the query's words in it marked."""
    from rich.text import Text

    machine = "description corrected by a person" if evidence.role == "corrected" else "generated description"
    names = {
        "model": "a trained model",
        "speech": evidence.speaker or "speech",
        "description": "narrator",
        "generated": machine,
    }
    who = names.get(evidence.source, "seen")
    found = "finds it alike" if evidence.source == "model" else "looks like it"
    said = Text(evidence.text or f"{found} ({evidence.similarity:.2f})")
    if evidence.matched:
        said.highlight_words(evidence.matched, "bold underline", case_sensitive=True)
    return Text(f"{who}: ", style="dim").append_text(said)


def clock(seconds: float) -> str:
    """Seconds as m:ss.s, with hours where there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def _seconds(text: str) -> float:
    try:
        seconds = 0.0
        for part in text.split(":"):
            if not 0 <= float(part) < 1e9:
                raise ValueError(part)
            seconds = 60 * seconds + float(part)
    except ValueError:
        raise argparse.ArgumentTypeError("is no time; give seconds, m:ss or h:mm:ss") from None
    return seconds


if __name__ == "__main__":
    from cinescribe import cli

    sys.exit(cli.main(["search", *sys.argv[1:]]))
