"""The demo's described film: a small AutoAD, and what it says of a film that it was not trained on."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from cinescribe import tables
from cinescribe.demo.alignment import options
from cinescribe.demo.stage import Demo, Stopped
from cinescribe.subtitles import from_vtt
from cinescribe.utterance import Utterance

# Easy: what is seen has no noise, things have few other words, and people are not named.
WORLD = {"films": 200, "videos": 400, "seed": 7, "noise": 0, "paraphrase": 0.3, "words": "nameless"}
HELD_OUT = "film-00020"  # the shortest of the test films of this world
VOICE = "kristin"
# Small enough for minutes on two cores; the paper's defaults are `cinescribe train autoad --help`.
MODEL = {
    "features": "world-clip-aligned",
    "context": "no",
    "subtitles": "none",
    "latents": 4,
    "layers": 1,
    "heads": 4,
    "language-model": "fresh",
    "fresh-layers": 2,
    "fresh-width": 128,
    "fresh-words": 512,
    "workers": 0,
    "batch": 2,
    "consecutive": 8,
    "steps": 500,
    "warmup": 30,
    "learning-rate": 0.002,
    "evaluate-every": 500,
}


def make_world(demo: Demo) -> None:
    """Write the data set, and render one of its test films without its narrator."""
    if (demo.world / "aligned" / "world-s3d.npz").exists():  # the last of its files
        demo.say(f"{demo.world} is here.")
    else:
        demo.cinescribe("world", "--out", demo.world, *options(WORLD))
        demo.python("cinescribe.cineworld.aligned", demo.world)
    film = demo.films / f"{HELD_OUT}.mp4"
    if film.exists() and tables.read_features(str(demo.out), str(MODEL["features"]), HELD_OUT) is not None:
        demo.say(f"{film} is here.")
    else:
        places = ("--films", demo.films, "--out", demo.out)
        demo.python("cinescribe.cineworld.screening", demo.world, "--film", HELD_OUT, *places)


def train(demo: Demo) -> None:
    """Fit a small AutoAD."""
    demo.cinescribe("train", "autoad", "--data", demo.world, "--out", demo.runs / "autoad", *options(MODEL))
    metrics = json.loads((demo.runs / "autoad" / "best" / "metrics.json").read_text(encoding="utf-8"))
    films = json.loads((demo.world / "splits.json").read_text(encoding="utf-8"))["films"]
    told = (
        f"an AutoAD trained on {len(films['train'])} Cineworld films, in plain sentences without names. "
        f"On {len(films['val'])} others: CIDEr {metrics['cider']:.3f}, ROUGE-L {metrics['rouge_l']:.3f}"
    )
    demo.say(f"This is {told}.")
    demo.summary.append(("describe", told))


def describe(demo: Demo) -> None:
    """Describe the held-out film, and show it beside what Cineworld's narrator would have said."""
    film = demo.films / f"{HELD_OUT}.mp4"
    model = demo.runs / "autoad" / "best"
    demo.cinescribe("describe", film, "--out", demo.out, "--model", model, "--voice", VOICE)
    row = tables.read_row(str(demo.out), "descriptions", HELD_OUT)
    if row is None:
        demo.say("The film could not be described; see the failure above.")
        raise Stopped(1)
    script = film.with_suffix(".script.vtt")
    show(demo, row["cues"], from_vtt(script.read_text(encoding="utf-8"), str(script)))
    dropped = [sentence["reason"] for sentence in row["sentences"] if sentence["cue"] < 0]
    demo.say(
        f"\n{len(row['cues'])} of {len(row['sentences'])} sentences found room"
        + (f" (not: {', '.join(sorted(set(dropped)))})" if dropped else "")
        + ". Small models err: people, places and deeds may be wrong."
    )
    files = demo.out / "files"
    demo.summary.append(
        (
            "described film",
            f"{len(row['cues'])} cues: {files / HELD_OUT}.described.mp4 (second sound track), .described.vtt",
        )
    )


def show(demo: Demo, cues: Sequence[dict[str, Any]], script: Sequence[Utterance]) -> None:
    """Print the cues and the script in one order of time."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("time", "the model says", "Cineworld's narrator would say"):
        table.add_column(heading, overflow="fold")
    lines = [(cue["start"], str(cue["text"]), "") for cue in cues]
    lines += [(line.start, "", line.text) for line in script]
    for start, said, true in sorted(lines):
        table.add_row(f"{start:6.1f}", f"[cyan]{said}[/]", f"[yellow]{true}[/]")
    demo.console.print(table)
