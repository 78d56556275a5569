"""What a person sees of a training: a live bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY = 10.0  # seconds between lines where there is no bar


class Bar:
    """The steps of a run.

    Args:
        quiet: say nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, soft_wrap=True, file=sys.stderr)
        self._bar = Progress(
            TextColumn("steps"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=self.console,
        )
        self._task = self._bar.add_task("steps", total=None, state="starting")
        self._live = self.console.is_terminal and not quiet
        self._known: dict[str, Any] = {}
        self._said = 0.0

    def __enter__(self) -> Self:
        if self._live:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live:
            self._bar.stop()

    def show(self, numbers: Mapping[str, Any]) -> None:
        """Take news: step, steps, loss, state (what is done before the first step or between), workers."""
        if not numbers:
            return
        before, doing = self._known.get("step"), self._known.get("state", "")
        self._known |= {"state": "", **numbers}
        state = self._state()
        if self._live:
            done, steps = self._known.get("step", 0), self._known.get("steps")
            self._bar.update(self._task, completed=done, total=steps, state=escape(state))
        elif "step" not in self._known:
            if self._known["state"] not in ("", doing):
                self.console.print(f"{self._known['state']} ...", markup=False)
        elif self._known["step"] != before and time.monotonic() - self._said > _EVERY:
            self._said = time.monotonic()
            self.console.print(
                f"step {self._known['step']} of {self._known.get('steps', '?')}  {state}", markup=False
            )

    def _state(self) -> str:
        words = [str(self._known["state"])] if self._known.get("state") else []
        if "loss" in self._known:
            words.append(f"loss {self._known['loss']:.4g}")
        if self._known.get("workers", 1) > 1:
            words.append(f"{self._known['workers']} workers")
        return "  ".join(words)
