"""`make demo`: render a film, clean its speech, see what is in it, and find a moment again on the page."""

import html
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

from cinescribe import cli, tables, zoo
from cinescribe.cineworld.truth import Truth, read_truth
from cinescribe.errors import CinescribeError
from cinescribe.utterance import Utterance

SEED = 7
QUERY = "somebody fills a cup with a hot drink"  # the narrator's words are others
RIGHT = "pour"  # the action of the film's truth that it means
ENCODERS = "objects,actions"


def main(folder: Path = Path("demo")) -> int:
    """Run every step that is missing; returns the exit code."""
    from rich.console import Console

    console = Console(highlight=False)
    film, out = folder / "films" / "sample.mp4", folder / "out"
    try:
        step(console, 1, "weights: speech, voices, objects, actions, sentences (430 MB the first time)")
        voices = [name for name, weight in zoo.entries().items() if weight.role == "voice"]
        zoo.pull([*zoo.PROFILES["small"].values(), *voices])
        if film.exists():
            step(console, 2, f"the sample film is here: {film}")
        else:
            step(console, 2, "rendering a sample film with two characters and a narrator")
            from cinescribe.cineworld.film import render_film

            render_film(SEED, film)
        step(console, 3, f"cinescribe transcribe {film.parent} --out {out}")
        if code := cli.main(["transcribe", str(film.parent), "--out", str(out)]):
            return code
        row = tables.read_row(str(out), "speech", "sample")
        if row is None:
            console.print("the film could not be cleaned; see the failure above")
            return 1
        utterances = tables.utterances_of(row)
        truth = read_truth(film)
        page = folder / "index.html"
        page.write_text(render_page(film, page.parent, utterances, truth), encoding="utf-8")
        console.print("\nWhat was found, beside what was really said:\n")
        show(console, utterances, truth)
        console.print(f"Look and listen: open [bold]{page}[/] in a browser.\n")
        step(console, 4, f"cinescribe extract {film.parent} --out {out} --encoders {ENCODERS}")
        if code := cli.main(["extract", str(film.parent), "--out", str(out), "--encoders", ENCODERS]):
            return code
        step(console, 5, f"cinescribe index {out}")
        if code := cli.main(["index", str(out), "--workers", "1"]):
            return code
        step(console, 6, f'cinescribe search {out} "{QUERY}"')
        if code := find(console, out, truth):
            return code
        step(console, 7, f"cinescribe serve {out}")
        return open_page(console, out)
    except CinescribeError as error:
        print(f"cinescribe demo: {error}", file=sys.stderr)
        return 2


def step(console: "object", number: int, what: str) -> None:
    """Say what comes now."""
    from rich.console import Console

    assert isinstance(console, Console)
    console.print(f"[bold]{number} of 7[/]  {what}", soft_wrap=True)


def find(console: "object", out: Path, truth: Truth) -> int:
    """Ask the index for `QUERY`, and compare the first answer with the film's truth; the exit code."""
    from rich.console import Console

    from cinescribe.search.command import clock
    from cinescribe.search.command import show as show_answer
    from cinescribe.search.query import Query
    from cinescribe.search.searcher import Searcher

    assert isinstance(console, Console)
    answer = Searcher(str(out)).search(Query(QUERY, limit=3))
    show_answer(answer)
    action = next(action for action in truth.actions if action.verb == RIGHT)
    where = f"{action.who} does it from {clock(action.start)} to {clock(action.end)}"
    best = answer.moments[0] if answer.moments else None
    if best is None or best.start >= action.end or best.end <= action.start:
        console.print(f"\nThe first moment is not the right one: {where}.\n")
        return 1
    console.print(f"\nThe first moment is the right one: {where}.\n")
    return 0


def open_page(console: "object", out: Path) -> int:
    """Serve the page: with a terminal until Ctrl-C and in a browser, without one for a single question."""
    import webbrowser

    import requests
    from rich.console import Console

    assert isinstance(console, Console)
    command = [sys.executable, "-m", "cinescribe.cli", "serve", str(out), "--port", "0"]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    try:
        line = service.stdout.readline()  # "cinescribe: URL  (Ctrl-C ends it)", once it is ready
        if not line:
            return 1  # it has said why
        url = line.split()[1]
        reply = requests.post(f"{url}/v1/search", json={"text": QUERY, "limit": 1}, timeout=60)
        reply.raise_for_status()
        page = f"{url}/?{urlencode({'q': QUERY})}"
        console.print(f"\nThe page: [bold]{page}[/]", soft_wrap=True)
        if sys.stdin.isatty() and sys.stdout.isatty():
            webbrowser.open(page)
            console.print("Ctrl-C ends it.")
            service.wait()
        else:
            console.print(f"It answers, and is ended. To have it again: cinescribe serve {out}")
    except KeyboardInterrupt:  # the service has it from the terminal too
        pass
    finally:
        service.terminate()
        service.wait()
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
