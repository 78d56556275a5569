"""What a person sees of a run: films coming in, and the table at the end."""

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from pipelines.units import Outcome

# Controls, ends of lines, half characters, and marks that turn the direction of what follows.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """The text on one line of a terminal: a film's name can neither forge lines nor steer the terminal."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


@dataclass(slots=True)
class Totals:
    """Over the units of this run that are done: how many, and the sums of their numbers."""

    units: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one unit that is done, or note its failure."""
        if outcome.message:
            self.failures.append(outcome)
            return
        self.units += 1
        self.sums.update({name: n for name, n in outcome.numbers.items() if isinstance(n, int | float)})


class Report:
    """A live bar on a terminal, a line for each unit elsewhere, nothing when quiet.

    Time runs from its making, so it holds the start of Ray and the loading of the models.

    Args:
        planned, settled: units of the plan, and those that were done or failed before.
        noun: what the units are.
        every: seconds between two lines of units that are done, where there is no bar.
        quiet: say nothing.
    """

    def __init__(
        self, planned: int, settled: int, *, noun: str = "films", every: float = 0.0, quiet: bool = False
    ) -> None:
        self.console = Console(quiet=quiet, soft_wrap=True)
        self.planned, self.settled, self.noun, self.totals = planned, settled, noun, Totals()
        self.began = time.monotonic()
        self._every, self._said = every, self.began
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(
            *columns, TextColumn("{task.fields[state]}"), console=self.console, transient=True
        )
        self._task = self._bar.add_task(noun, total=planned, completed=settled, state="loading the models")
        self._live = self.console.is_terminal and not quiet

    def __enter__(self) -> "Report":
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bar.stop()

    @property
    def waiting(self) -> int:
        """Units that have not come in yet."""
        done = self.settled + self.totals.units + len(self.totals.failures)
        return max(0, self.planned - done)  # one that was tried again may come in twice

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(escape(printable(text)), highlight=False)

    def unit(self, outcome: Outcome) -> None:
        """One unit came in."""
        self.totals.add(outcome)
        finished = self.planned - self.waiting
        now = time.monotonic()
        seconds = now - self.began
        left = self.waiting * seconds / max(1, finished - self.settled)
        duration = self.totals.sums["duration"]
        name = outcome.film_id if outcome.chunk is None else f"{outcome.film_id}, chunk {outcome.chunk}"
        if outcome.message:
            self.say(f"[{finished}/{self.planned}] {name}  failed: {outcome.kind}")
        elif not self._live and (now - self._said >= self._every or finished == self.planned):
            self._said = now
            length = _clock(outcome.numbers.get("duration", 0.0))
            self.say(f"[{finished}/{self.planned}] {name}  ({length} of film)")
        state = (
            f"{len(self.totals.failures)} failed  {duration / 3600:.2f} h  "
            f"{duration / seconds:.1f} x real time  about {_clock(left)} left"
        )
        self._bar.update(self._task, completed=finished, state=state)

    def summary(self, rows: Sequence[tuple[str, str]], places: Sequence[tuple[str, str]]) -> None:
        """The table at the end: what this run did, and where everything is."""
        seconds = time.monotonic() - self.began
        duration = self.totals.sums["duration"]
        table = Table(show_header=False, box=None, pad_edge=False)
        ours = [
            (f"{self.noun} done in this run", str(self.totals.units)),
            ("hours of film", f"{duration / 3600:.2f}"),
            ("time taken", _clock(seconds)),
            ("speed, start-up included", f"{duration / seconds:.2f} x real time"),
            *rows,
        ]
        for name, value in (*(ours if self.totals.units else ()), *places):
            table.add_row(name, escape(printable(value)))
        self.console.print(table)


def failures(console: Console, rows: Iterable[dict[str, str]]) -> None:
    """Every failed film with its reason."""
    for row in rows:
        text = f"failed: {row['film_id']} ({row['stage']}, {row['kind']}): {row['message']}"
        console.print(escape(printable(text)), highlight=False)


def complain(message: str) -> None:
    """A message to stderr, also when quiet."""
    lines = (printable(line) for line in message.split("\n"))
    print("cinescribe: " + "\n  ".join(lines), file=sys.stderr)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
