"""The command `cinescribe search`: find the moment in an index."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from cinescribe.search.query import SOURCES, Answer, Evidence, Filters, Query

if TYPE_CHECKING:
    from rich.text import Text


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
    p.add_argument("--role", action="append", default=[], help="narrator, dialogue or unknown")
    p.add_argument("--source", action="append", default=[], help=f"only evidence of: {', '.join(SOURCES)}")
    p.add_argument("--json", action="store_true", help="the answer as JSON")
    p.add_argument("--threads", type=int, default=0, metavar="N", help="threads to compute with")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code.

    Raises:
        CinescribeError: no index there, or a query that can't be answered.
    """
    arguments = parser().parse_args(argv)
    query = Query(
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
    from cinescribe.search.searcher import Searcher

    answer = Searcher(arguments.root, threads=arguments.threads).search(query)
    if arguments.json:
        print(json.dumps(asdict(answer), ensure_ascii=False, indent=2))
    else:
        show(answer)
    return 0 if answer.moments else 1


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
    for name, justify in (("time", "right"), ("film", "left"), ("score", "right"), ("why", "left")):
        table.add_column(name, justify=justify, no_wrap=name in ("time", "score"))  # type: ignore[arg-type]
    for moment in answer.moments:
        time = f"{clock(moment.start)}-{clock(moment.end)}"
        shown = [e for e in moment.why if e.share > 0] or list(moment.why)
        for k, evidence in enumerate(shown):
            first = (time, moment.film_id, f"{moment.score:.3f}") if k == 0 else ("", "", "")
            table.add_row(*first, _why(evidence))
    console.print(table)


def _why(evidence: Evidence) -> "Text":
    """One line of evidence, the query's words in it marked."""
    from rich.text import Text

    who = {"speech": evidence.speaker or "speech", "description": "narrator"}.get(evidence.source, "seen")
    said = Text(evidence.text or f"looks like it ({evidence.similarity:.2f})")
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
            seconds = 60 * seconds + float(part)
    except ValueError:
        raise argparse.ArgumentTypeError("is seconds, m:ss or h:mm:ss") from None
    return seconds


if __name__ == "__main__":
    from cinescribe import cli

    sys.exit(cli.main(["search", *sys.argv[1:]]))
