"""The demo's how-to videos: a TAN in two stages, and narration put where it is seen."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from cinescribe import tables
from cinescribe.demo.stage import Demo

# Small enough for minutes on two cores; the papers' defaults are `cinescribe train tan-stage1 --help`.
COMMON = {"features": "world-s3d-aligned", "window": 64, "workers": 0, "batch": 16, "warmup": 20}
FIRST = {
    "text": "all-MiniLM-L6-v2",
    "dim": 128,
    "layers": 2,
    "heads": 4,
    "learning-rate": 0.001,
    "steps": 200,
    "evaluate-every": 200,
}
SECOND = {"learning-rate": 0.001, "steps": 150, "evaluate-every": 50}


def options(values: Mapping[str, object]) -> list[str]:
    """As they are typed."""
    return [word for name, value in values.items() for word in (f"--{name}", str(value))]


def train(demo: Demo) -> None:
    """Fit a small TAN, stage after stage."""
    one, two = demo.runs / "tan1", demo.runs / "tan2"
    data = ("--data", demo.world, "--out")
    demo.cinescribe("train", "tan-stage1", *data, one, *options(COMMON | FIRST))
    demo.cinescribe("train", "tan-stage2", *data, two, "--stage1", one / "best", *options(COMMON | SECOND))


def align(demo: Demo) -> None:
    """Align all how-to videos, and show what became of the held-out ones."""
    truth = demo.world / "htm_align_test.json"
    model = demo.runs / "tan2" / "best"
    chosen = ("--films", "howto-*", "--truth", truth, "--workers", 1, "--quiet")
    demo.cinescribe("align", demo.world, "--model", model, *chosen)
    rows: dict[str, list[list[Any]]] = json.loads(truth.read_text(encoding="utf-8"))
    aligned = {video: tables.read_row(str(demo.world), "alignments", video) for video in rows}
    pairs = [
        (sentence, true)
        for video, row in aligned.items()
        if row is not None
        for sentence, true in zip(row["sentences"], rows[video], strict=True)
    ]
    seen = [(sentence, true) for sentence, true in pairs if true[0]]
    spoken = inside(((s["spoken_start"], s["spoken_end"]) for s, _ in seen), [true for _, true in seen])
    found = inside(((s["start"], s["end"]) for s, _ in seen), [true for _, true in seen])
    show(demo, seen[:8])
    records = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted((demo.world / "runs").iterdir())
    ]
    scores = next(record["truth"] for record in reversed(records) if "truth" in record)
    demo.say(
        f"\nOn {len(rows)} held-out videos with {len(seen)} shown sentences: R@1 {scores['recall']:.3f}; "
        f"the middle of the span lies within the step: {spoken:.1%} as spoken, {found:.1%} as aligned. "
        f"Which sentences are shown: AUC {scores['auc']:.3f} (chance 0.5)."
    )
    trained = len(json.loads((demo.world / "splits.json").read_text(encoding="utf-8"))["howtos"]["train"])
    worse = "" if found > spoken else "; so few steps don't place sentences better than their speaker does"
    demo.summary.append(
        (
            "align",
            f"a TAN trained on {trained} Cineworld how-to videos. On {len(rows)} others: R@1 "
            f"{scores['recall']:.3f}, AUC {scores['auc']:.3f}; within their step {spoken:.1%} of sentences "
            f"as spoken, {found:.1%} as aligned{worse}",
        )
    )


def inside(spans: Iterable[tuple[float, float]], truth: Sequence[Sequence[Any]]) -> float:
    """Share of the spans whose middle lies within the true one.

    Args:
        spans: start and end, seconds.
        truth: [alignable, start, end, text] of each, as HTM-Align has it.
    """
    hits = [
        float(start) <= (first + last) / 2 <= float(end)
        for (first, last), (_, start, end, _) in zip(spans, truth, strict=True)
    ]
    return sum(hits) / len(hits)


def show(demo: Demo, pairs: Sequence[tuple[Mapping[str, Any], Sequence[Any]]]) -> None:
    """Print sentences: when spoken, where aligned, where their step is shown."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("spoken", "aligned", "shown", "sentence"):
        table.add_column(heading, overflow="fold", justify="left" if heading == "sentence" else "right")
    for sentence, (_, start, end, text) in pairs:
        middle = (sentence["start"] + sentence["end"]) / 2
        mark = "green" if start <= middle <= end else "red"
        table.add_row(
            f"{sentence['spoken_start']:.0f}-{sentence['spoken_end']:.0f}",
            f"[{mark}]{sentence['start']:.0f}-{sentence['end']:.0f}[/]",
            f"{start:.0f}-{end:.0f} s",
            str(text),
        )
    demo.console.print(table)
