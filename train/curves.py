"""`cinescribe train curves RUN... --out curves.png`: the curves of runs as a picture."""

import argparse
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cinescribe import storage
from cinescribe.errors import UsageError
from train import folder

Points = dict[str, tuple[list[int], list[float]]]
_MOST_COLUMNS = 3


def main(argv: Sequence[str]) -> int:
    """Draw, and say where the picture is."""
    p = argparse.ArgumentParser(prog="cinescribe train curves", description=__doc__)
    p.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, the --out of `cinescribe train`")
    p.add_argument("--out", required=True, metavar="FILE", help="picture, .png, .svg or .pdf")
    arguments = p.parse_args(argv)
    draw(arguments.runs, Path(arguments.out))
    print(arguments.out)
    return 0


def curves_of(run: str) -> Points:
    """The curves of a run by name: steps and values.

    Raises:
        UsageError: there is no run, or it has logged nothing yet.
    """
    found: Points = defaultdict(lambda: ([], []))
    for line in folder.read_lines(run):
        evaluation = line.get("evaluation")
        numbers = {f"evaluation {k}": v for k, v in evaluation.items()} if evaluation else line
        for name, value in numbers.items():
            if name != "step":
                found[name][0].append(line["step"])
                found[name][1].append(float(value))
    if not found:
        raise UsageError(f"{storage.join(run, folder.METRICS)}: no curves; is {run} the --out of a training?")
    return dict(found)


def draw(runs: Sequence[str], out: Path) -> None:
    """Draw the curves of runs over one another, a panel for each number, losses first.

    Raises:
        UsageError: a run has no curves, or the picture's ending is unknown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = {run: curves_of(run) for run in runs}
    names = sorted({name for points in curves.values() for name in points}, key=_rank)
    columns = min(_MOST_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.8 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, name in enumerate(names, 1):
        panel = figure.add_subplot(rows, columns, number)
        for order, (run, points) in enumerate(curves.items()):
            if name in points:
                steps, values = points[name]
                marked = "o" if name.startswith("evaluation") or len(steps) == 1 else ""
                panel.plot(
                    steps, values, f"C{order}", marker=marked, markersize=3, linewidth=1, label=_short(run)
                )
        panel.set_title(name.replace("_", " "), fontsize=10)
        panel.set_xlabel("step", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.25)
    if len(runs) > 1:
        figure.axes[0].legend(fontsize=8)
    try:
        figure.savefig(out, dpi=150)
    except (ValueError, OSError) as error:
        raise UsageError(f"{out}: {error}") from error


def _rank(name: str) -> tuple[int, str]:
    """Losses, evaluations, the rest; what tells of the machine last."""
    order = 0 if name == "loss" else 1 if name.startswith("evaluation") else 2
    return (3 if name in ("learning_rate", "examples_per_second") else order, name)


def _short(run: str) -> str:
    return os.path.basename(run.rstrip("/")) or run
