"""What a person sees of a run: films coming in, and the table at the end."""

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from pipelines.units import Outcome


@dataclass(slots=True)
class Totals:
    """Sums over the films of this run; seconds unless named otherwise."""

    films: int = 0
    duration: float = 0.0
    description: float = 0.0
    dialogue: float = 0.0
    words: int = 0
    suppressed: int = 0
    described: int = 0
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one film that is done, or note its failure."""
        if outcome.message:
            self.failures.append(outcome)
            return
        self.films += 1
        self.described += outcome.numbers.get("description", 0) > 0
        for name in ("duration", "description", "dialogue", "words", "suppressed"):
            setattr(self, name, getattr(self, name) + outcome.numbers.get(name, 0))


class Report:
    """A live bar on a terminal, a line for each film elsewhere, nothing when quiet.

    Time runs from its making, so it holds the start of Ray and the loading of the models.
    """

    def __init__(self, planned: int, settled: int, *, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, soft_wrap=True)
        self.planned, self.settled, self.totals = planned, settled, Totals()
        self.began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(
            *columns, TextColumn("{task.fields[state]}"), console=self.console, transient=True
        )
        self._task = self._bar.add_task("films", total=planned, completed=settled, state="loading the models")
        self._live = self.console.is_terminal and not quiet

    def __enter__(self) -> "Report":
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bar.stop()

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(escape(text), highlight=False)

    def film(self, outcome: Outcome) -> None:
        """One film came in."""
        self.totals.add(outcome)
        finished = self.settled + self.totals.films + len(self.totals.failures)
        seconds = time.monotonic() - self.began
        left = (self.planned - finished) * seconds / max(1, finished - self.settled)
        if outcome.message:
            self.say(f"[{finished}/{self.planned}] {outcome.film_id}  failed: {outcome.kind}")
        elif not self._live:
            duration = outcome.numbers.get("duration", 0.0)
            self.say(f"[{finished}/{self.planned}] {outcome.film_id}  ({_clock(duration)} of film)")
        state = (
            f"{len(self.totals.failures)} failed  {self.totals.duration / 3600:.2f} h  "
            f"{self.totals.duration / seconds:.1f} x real time  about {_clock(left)} left"
        )
        self._bar.update(self._task, completed=finished, state=state)

    def summary(self, places: Sequence[tuple[str, str]]) -> None:
        """The table at the end: this run's films, and where everything is."""
        seconds = time.monotonic() - self.began
        totals = self.totals
        table = Table(show_header=False, box=None, pad_edge=False)
        rows = [
            ("films done in this run", str(totals.films)),
            ("hours of film", f"{totals.duration / 3600:.2f}"),
            ("time taken", _clock(seconds)),
            ("speed, start-up included", f"{totals.duration / seconds:.2f} x real time"),
            ("audio description", f"{totals.description / 60:.1f} min"),
            ("films with a narrator", f"{totals.described} of {totals.films}"),
            ("dialogue", f"{totals.dialogue / 60:.1f} min"),
            ("words", str(totals.words)),
            ("suppressed words", str(totals.suppressed)),
        ]
        for name, value in (*(rows if totals.films else ()), *places):
            table.add_row(name, escape(value))
        self.console.print(table)


def failures(console: Console, rows: Iterable[dict[str, str]]) -> None:
    """Every failed film with its reason."""
    for row in rows:
        text = f"failed: {row['film_id']} ({row['stage']}, {row['kind']}): {row['message']}"
        console.print(escape(text), highlight=False)


def complain(message: str) -> None:
    """A message to stderr, also when quiet."""
    print(f"cinescribe: {message}", file=sys.stderr)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
