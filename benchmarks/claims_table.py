"""What the claims benchmark keeps and prints: numbers of rows by seed, and ratios beside the paper's."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import UsageError
from cinescribe.metrics.retrieval import score_ranks

if TYPE_CHECKING:
    from cinescribe.metrics.bertscore import BertScore

Numbers = dict[str, float]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a row is measured.

    Attributes:
        out: folder of all that is made for the seed: data, models, texts.
        seed: of the world and of the training.
        sizes: of the system's data and models.
        threads: of the computations.
        bertscore: the scorer, None where its model isn't given.
    """

    out: Path
    seed: int
    sizes: Any
    threads: int
    bertscore: "BertScore | None" = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: a model or baseline, and what the paper prints for it by metric, if anything."""

    key: str
    label: str
    paper: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Claim:
    """That one row is better than another by a metric.

    Attributes:
        text: what the paper says.
        better, worse: keys of the rows whose ratio is printed, the paper's beside it.
        metric: by which.
        other_metric: of the row `worse`, where it is another one.
        paper: the ratio, where it does not follow from the rows' own paper numbers.
    """

    text: str
    better: str
    worse: str
    metric: str
    other_metric: str = ""
    paper: float | None = None


@dataclass(frozen=True)
class System:
    """One system's comparison.

    Attributes:
        name: as `--systems` takes it.
        title: of its tables.
        note: what the sizes are, printed below the tables.
        metrics: key -> heading, in order; those that no row has are left out.
        rows, claims: of the tables.
        parts: name of a part -> the keys of its rows.
        sizes: name -> sizes.
        measure: the numbers of a row.
    """

    name: str
    title: str
    note: Callable[[Any], str]
    metrics: Mapping[str, str]
    rows: Sequence[Row]
    claims: Sequence[Claim]
    parts: Mapping[str, Sequence[str]]
    sizes: Mapping[str, Any]
    measure: Callable[[str, Bench], Numbers]


class Results:
    """The rows measured so far, a JSON line each, in `results.jsonl` of a folder.

    Raises:
        UsageError: the folder holds results of other sizes.
    """

    def __init__(self, out: Path, system: System, size: str) -> None:
        self.system, self._path = system, out / system.name / "results.jsonl"
        self.folder = self._path.parent
        wanted = json.loads(json.dumps(asdict(system.sizes[size])))
        settings = self.folder / "sizes.json"
        if settings.exists() and json.loads(settings.read_text()) != wanted:
            raise UsageError(f"{settings}: results of other sizes are there; give another --out")
        self.folder.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(wanted, indent=1) + "\n")
        self.found: dict[tuple[str, int], Numbers] = {
            (told["row"], told["seed"]): told["numbers"] for told in kept_lines(self._path)
        }

    def add(self, row: str, seed: int, numbers: Numbers, seconds: float) -> None:
        """Keep a row's numbers of a seed; `seconds` is what one core computed for it."""
        self.found[row, seed] = numbers
        told = {"row": row, "seed": seed, "numbers": numbers, "core_seconds": round(seconds, 1)}
        with self._path.open("a") as file:
            file.write(json.dumps(told) + "\n")

    def of(self, row: str, metric: str) -> dict[int, float]:
        """Seed -> number."""
        return {
            seed: numbers[metric]
            for (key, seed), numbers in sorted(self.found.items())
            if key == row and metric in numbers
        }

    def tables(self) -> str:
        """Both tables in Markdown: the rows' numbers, and the claims' ratios."""
        seeds = sorted({seed for _, seed in self.found})
        listed = ", ".join(map(str, seeds)) or "none yet"
        return "\n".join([f"{self.system.title}; seeds {listed}", "", *self._rows(), "", *self._claims()])

    def _rows(self) -> list[str]:
        there = {metric for numbers in self.found.values() for metric in numbers}
        metrics = {key: heading for key, heading in self.system.metrics.items() if key in there}
        lines = [f"| | {' | '.join(metrics.values())} |", "|---" * (1 + len(metrics)) + "|"]
        for row in self.system.rows:
            cells = []
            for metric in metrics:
                numbers = list(self.of(row.key, metric).values())
                cell = mean_and_spread(numbers) if numbers else "-"
                cells.append(cell + (f" [{row.paper[metric]:.1f}]" if metric in row.paper else ""))
            lines.append(f"| {row.label} | {' | '.join(cells)} |")
        return lines

    def _claims(self) -> list[str]:
        papers = {row.key: row.paper for row in self.system.rows}
        lines = ["| claim | by | ratio in the paper | ratio here (of each seed) | seeds that agree |"]
        lines.append("|---|---|---|---|---|")
        for claim in self.system.claims:
            other = claim.other_metric or claim.metric
            above, below = self.of(claim.better, claim.metric), self.of(claim.worse, other)
            ratios = [above[seed] / below[seed] for seed in above if below.get(seed)]
            paper = claim.paper
            if paper is None and claim.metric in papers[claim.better] and other in papers[claim.worse]:
                paper = papers[claim.better][claim.metric] / papers[claim.worse][other]
            told = "-" if paper is None else f"{paper:.2f}"
            each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            here = f"{statistics.mean(ratios):.2f} ({each})" if ratios else "-"
            agree = sum((ratio > 1) == (paper is None or paper > 1) for ratio in ratios)
            heading = self.system.metrics[claim.metric]
            lines.append(f"| {claim.text} | {heading} | {told} | {here} | {agree} of {len(ratios)} |")
        return lines


def kept_lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file of results, if there is one; a last line that was cut short is removed."""
    if not path.exists():
        return []
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]  # the last may have been cut when a run was stopped
    if whole != text:
        path.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def recall_and_median(ranks: Sequence[float]) -> Numbers:
    """r1, r5, r10: percent of the ranks, from 1, that are no more than that; and their median."""
    scores = score_ranks(ranks)
    return {**{f"r{k}": scores.recall[k] for k in (1, 5, 10)}, "median": scores.median_rank}


def mean_and_spread(numbers: Sequence[float]) -> str:
    """The mean and, of several, the standard deviation of the sample."""
    mean = statistics.mean(numbers)
    return f"{mean:.1f} ± {statistics.stdev(numbers):.1f}" if len(numbers) > 1 else f"{mean:.1f}"
