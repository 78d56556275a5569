"""What all steps of the demo share: its folders, and commands as a person would type them."""

import importlib
import shlex
import time
from pathlib import Path

from rich.console import Console


class Stopped(Exception):
    """A command has failed and has said why; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


class Demo:
    """The demo's folder, and what it says.

    Attributes:
        folder: of all that it makes.
        films: the films.
        out: the tables of these films.
        world: the data set that models are trained on.
        runs: the models.
        summary: lines for the end.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        self.folder = folder
        self.films, self.out, self.world, self.runs = (
            folder / name for name in ("films", "out", "world", "runs")
        )
        self.console = Console(highlight=False)
        self.summary: list[tuple[str, str]] = []
        self._steps, self._step, self._began = steps, 0, time.monotonic()

    def step(self, what: str) -> None:
        """Say what comes now."""
        self._step += 1
        passed = time.monotonic() - self._began
        minutes, seconds = divmod(round(passed), 60)
        self.say(f"\n[bold]{self._step} of {self._steps}[/]  {what}  [dim](at {minutes}:{seconds:02})[/]")

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, soft_wrap=True)

    def cinescribe(self, *words: object) -> None:
        """Run `cinescribe ...`.

        Raises:
            Stopped: it failed.
        """
        from cinescribe import cli

        typed = [str(word) for word in words]
        self._show("cinescribe", typed)
        if code := cli.main(typed):
            raise Stopped(code)

    def python(self, module: str, *words: object) -> None:
        """Run `python -m MODULE ...`.

        Raises:
            Stopped: it failed.
        """
        typed = [str(word) for word in words]
        self._show(f"python -m {module}", typed)
        if code := int(importlib.import_module(module).main(typed)):
            raise Stopped(code)

    def _show(self, program: str, words: list[str]) -> None:
        self.console.print(f"$ {program} {shlex.join(words)}", style="cyan", markup=False, soft_wrap=True)
