"""The autoscaling benchmark's timeline as a picture: `python -m benchmarks.autoscale_picture JSON PNG`."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.autoscale_watch import Sample, nodes_of, of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of Okabe and Ito's palette, which the colour-blind can tell apart.
_BLUE, _ORANGE, _GREEN, _PINK, _BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#222222"
_GREY = "#777777"


def draw(timeline: Path, picture: Path) -> None:
    """Draw it: a row of panels, one a scene, nodes and processes above, the work below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    content = json.loads(timeline.read_text())
    scenes = [name for name in _BELOW if any(sample["scene"] == name for sample in content["samples"])]
    figure, axes = pyplot.subplots(
        2, len(scenes), figsize=(5 * len(scenes), 6.8), sharex="col", squeeze=False, dpi=80
    )
    pyplot.rcParams.update({"font.size": 10})
    for column, name in enumerate(scenes):
        samples = [sample for sample in content["samples"] if sample["scene"] == name]
        began = samples[0]["seconds"]
        above, below = axes[0][column], axes[1][column]
        _above(above, name, samples, began)
        _BELOW[name](below, samples, began)
        for axis in (above, below):
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_xlim(0, samples[-1]["seconds"] - began)
        events = [event for event in content["events"] if began <= event["seconds"] <= samples[-1]["seconds"]]
        _mark(above, below, events, began)
        below.set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(picture)
    pyplot.close(figure)


def _above(axis: "Axes", name: str, samples: Sequence[Sample], began: float) -> None:
    from matplotlib.ticker import MaxNLocator

    lines: list[tuple[str, str, Callable[[Sample], int]]] = [("nodes", _BLACK, lambda s: nodes_of(s, name))]
    if name == "films":
        lines.append(("workers", _BLUE, lambda s: of(s, "film workers")))
    if name == "training":
        lines.append(("workers", _BLUE, lambda s: of(s, "training workers")))
    if name == "service":
        for part, colour in (("QueryEncoder", _BLUE), ("Search", _ORANGE), ("Ingress", _GREEN)):
            lines.append((part, colour, lambda s, part=part: of(s, part)))  # type: ignore[misc]
    seconds = [sample["seconds"] - began for sample in samples]
    highest = 1
    for nth, (label, colour, count) in enumerate(lines):
        values = [count(sample) for sample in samples]
        highest = max(highest, *values)
        # Lines of whole numbers lie upon one another: each is drawn a little higher than the one before.
        shifted = [value + 0.05 * nth for value in values]
        axis.step(seconds, shifted, where="post", color=colour, linewidth=3 if label == "nodes" else 1.8)
        # There is nothing at the beginning: the names of the lines have room there.
        axis.text(
            0.02, 0.93 - 0.07 * nth, label, transform=axis.transAxes, color=colour,
            fontsize=10, fontweight="bold",
        )  # fmt: skip
    axis.set_ylim(0, highest + 1.6)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_title(_TITLES[name], loc="left", fontsize=11, fontweight="bold")
    axis.set_ylabel("there")


_TITLES = {
    "films": "films: a queue of short films",
    "service": "service: search over HTTP",
    "training": "training: --workers 1-3",
}


def _label(
    axis: "Axes", seconds: Sequence[float], values: Sequence[float], text: str, colour: str, share: float
) -> None:
    """Write the name of a line where it is highest, at one of several places that don't meet."""
    top = [n for n, value in enumerate(values) if value == max(values)]
    at = top[min(len(top) - 1, int(share * len(top)))]
    axis.annotate(
        text, (seconds[at], values[at]), (0, 3), textcoords="offset points", color=colour,
        fontsize=10, ha="center", fontweight="bold",
    )  # fmt: skip


def _films(axis: "Axes", samples: Sequence[Sample], began: float) -> None:
    seconds = [sample["seconds"] - began for sample in samples]
    for key, colour in (("waiting", _ORANGE), ("done", _GREEN)):
        values = [sample["units"][key] for sample in samples]
        axis.plot(seconds, values, color=colour, linewidth=2)
        _label(axis, seconds, values, f"films {key}", colour, 0.5)
    axis.set_ylim(0, 1.15 * max(sum(sample["units"].values()) for sample in samples))
    axis.set_ylabel("films")


def _service(axis: "Axes", samples: Sequence[Sample], began: float) -> None:
    """Answers a second over the last five."""
    seconds = [sample["seconds"] - began for sample in samples]
    for status, label, colour in (("200", "answers a second", _GREEN), ("503", "refused as full", _ORANGE)):
        counts = [sample.get("answers", {}).get(status, 0) for sample in samples]
        if not counts[-1]:
            continue
        rates = [
            (counts[n] - counts[max(0, n - 10)]) / max(0.5, seconds[n] - seconds[max(0, n - 10)])
            for n in range(len(counts))
        ]
        axis.plot(seconds, rates, color=colour, linewidth=2)
        _label(axis, seconds, rates, label, colour, 0.5)
    axis.set_ylim(bottom=0)
    axis.margins(y=0.15)
    axis.set_ylabel("requests a second")


def _training(axis: "Axes", samples: Sequence[Sample], began: float) -> None:
    told = [sample for sample in samples if sample.get("training")]
    seconds = [sample["seconds"] - began for sample in told]
    losses = [sample["training"]["loss"] for sample in told]
    axis.plot(seconds, losses, color=_PINK, linewidth=1.5)
    axis.set_ylabel("loss", color=_PINK)
    beside = axis.twinx()
    beside.plot(seconds, [sample["training"]["step"] for sample in told], color=_BLACK, linewidth=2)
    beside.set_ylabel("step")
    beside.set_ylim(bottom=0)
    beside.spines["top"].set_visible(False)


_BELOW: dict[str, Callable[..., None]] = {"films": _films, "service": _service, "training": _training}


def _mark(above: "Axes", below: "Axes", events: Sequence[dict[str, Any]], began: float) -> None:
    for event in events:
        at = event["seconds"] - began
        for axis in (above, below):
            axis.axvline(at, color=_GREY, linewidth=0.8, linestyle=":")
        above.annotate(
            event["what"], (at, 0.985), (3, 0), xycoords=("data", "axes fraction"),
            textcoords="offset points", rotation=90, va="top", color=_GREY, fontsize=8,
        )  # fmt: skip


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
