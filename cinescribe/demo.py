"""`make demo`: render a film, clean its speech, and show what was found beside what was really said."""

import html
import json
import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from cinescribe import tables, zoo
from cinescribe.cineworld.truth import Truth, read_truth
from cinescribe.errors import CinescribeError
from cinescribe.utterance import Utterance

SEED = 7


def main(folder: Path = Path("demo")) -> int:
    """Run every step that is missing; returns the exit code."""
    from rich.console import Console

    console = Console(highlight=False)
    film = folder / "films" / "sample.mp4"
    try:
        console.print("[bold]1 of 4[/]  weights: speech recognition, voices (270 MB the first time)")
        voices = [name for name, weight in zoo.entries().items() if weight.role == "voice"]
        zoo.pull([*zoo.PROFILES["small"].values(), *voices])
        if film.exists():
            console.print(f"[bold]2 of 4[/]  the sample film is here: {film}")
        else:
            console.print("[bold]2 of 4[/]  rendering a sample film with two characters and a narrator")
            from cinescribe.cineworld.film import render_film

            render_film(SEED, film)
        console.print("[bold]3 of 4[/]  cinescribe transcribe demo/films --out demo/out")
        from pipelines.transcribe import main as transcribe

        if code := transcribe([str(film.parent), "--out", str(folder / "out")]):
            return code
        row = tables.read_row(str(folder / "out"), "speech", "sample")
        if row is None:
            console.print("the film could not be cleaned; see the failure above")
            return 1
        utterances = tables.utterances_of(row)
        truth = read_truth(film)
        page = folder / "index.html"
        page.write_text(render_page(film, page.parent, utterances, truth), encoding="utf-8")
        console.print("[bold]4 of 4[/]  what was found, beside what was really said\n")
        show(console, utterances, truth)
        console.print(f"\nLook and listen: open [bold]{page}[/] in a browser.")
        console.print(f"Subtitles, descriptions and tables: {folder / 'out'}")
    except CinescribeError as error:
        print(f"cinescribe demo: {error}", file=sys.stderr)
        return 2
    return 0


def show(console: "object", utterances: Sequence[Utterance], truth: Truth) -> None:
    """Print the transcript and its score against the truth."""
    from rich.console import Console
    from rich.table import Table

    from cinescribe.metrics.speech import time_overlap, word_errors

    assert isinstance(console, Console)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("time", "who", "said"):
        table.add_column(heading, overflow="fold")
    for line in utterances:
        colour = "yellow" if line.role == "narrator" else "cyan"
        who = "narrator" if line.role == "narrator" else line.speaker.lower().replace("_", " ")
        table.add_row(f"{line.start:6.1f}", f"[{colour}]{who}[/]", f"[{colour}]{line.text}[/]")
    console.print(table)
    told = [u for u in truth.utterances if u.role == "narrator"]
    found = [u for u in utterances if u.role == "narrator"]
    shares = time_overlap([(u.start, u.end) for u in told], [(u.start, u.end) for u in found])
    errors = word_errors(" ".join(u.text for u in told), " ".join(u.text for u in found))
    console.print(
        f"\nOf the narrator's time {shares.found:.0%} was found; of what was taken for the narrator "
        f"{shares.right:.0%} is. Word error rate of the descriptions: {errors.rate:.1%}."
    )


def render_page(film: Path, folder: Path, utterances: Sequence[Utterance], truth: Truth) -> str:
    """The page: the film, a lane per voice as found and as true, and the words, each a way into the film."""
    data = {
        "duration": truth.duration,
        "found": [_cue(u) for u in utterances],
        "true": [_cue(u) for u in truth.utterances],
        "shots": [shot.start for shot in truth.shots],
    }
    template = files("cinescribe").joinpath("demo_page.html").read_text(encoding="utf-8")
    safe = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return (
        template.replace("{{title}}", html.escape(truth.title))
        .replace("{{film}}", html.escape(Path(os.path.relpath(film, folder)).as_posix()))
        .replace("{{data}}", safe)
    )


def _cue(utterance: Utterance) -> dict[str, object]:
    return {
        "start": utterance.start,
        "end": utterance.end,
        "text": utterance.text,
        "speaker": utterance.speaker,
        "role": utterance.role,
    }


if __name__ == "__main__":
    sys.exit(main())
