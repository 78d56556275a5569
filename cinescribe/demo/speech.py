"""The demo's films, and their speech: what was found beside what was really said."""

import html
import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from rich.table import Table

from cinescribe import tables
from cinescribe.cineworld.truth import Truth, read_truth
from cinescribe.demo.stage import Demo, Stopped
from cinescribe.utterance import Utterance

SEED, SAMPLE = 7, "sample"


def make_film(demo: Demo) -> None:
    """Render the sample film."""
    film = demo.films / f"{SAMPLE}.mp4"
    if film.exists():
        demo.say(f"{film} is here.")
    else:
        demo.cinescribe("film", film, "--seed", SEED)


def clean(demo: Demo) -> None:
    """Transcribe all films, and show what became of the sample film's speech."""
    demo.cinescribe("transcribe", demo.films, "--out", demo.out)
    row = tables.read_row(str(demo.out), "speech", SAMPLE)
    if row is None:
        demo.say("The film could not be cleaned; see the failure above.")
        raise Stopped(1)
    film, utterances = demo.films / f"{SAMPLE}.mp4", tables.utterances_of(row)
    truth = read_truth(film)
    page = demo.folder / "index.html"
    page.write_text(render_page(film, page.parent, utterances, truth), encoding="utf-8")
    demo.say("\nWhat was found in the sample film:\n")
    show(demo, utterances, truth)
    demo.say(f"Beside what was really said: open [bold]{page}[/] in a browser.")


def show(demo: Demo, utterances: Sequence[Utterance], truth: Truth) -> None:
    """Print the transcript and its score against the truth."""
    from cinescribe.metrics.speech import time_overlap, word_errors

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("time", "who", "said"):
        table.add_column(heading, overflow="fold")
    for line in utterances:
        colour = "yellow" if line.role == "narrator" else "cyan"
        who = "narrator" if line.role == "narrator" else line.speaker.lower().replace("_", " ")
        table.add_row(f"{line.start:6.1f}", f"[{colour}]{who}[/]", f"[{colour}]{line.text}[/]")
    demo.console.print(table)
    told = [u for u in truth.utterances if u.role == "narrator"]
    found = [u for u in utterances if u.role == "narrator"]
    shares = time_overlap([(u.start, u.end) for u in told], [(u.start, u.end) for u in found])
    errors = word_errors(" ".join(u.text for u in told), " ".join(u.text for u in found))
    demo.say(
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
    template = files("cinescribe.demo").joinpath("page.html").read_text(encoding="utf-8")
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
