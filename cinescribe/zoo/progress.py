"""What a person sees while weights are pulled: a bar on a terminal, else lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class Display:
    """Writes to standard error; bars only where that is a terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def line(self, text: str) -> None:
        """Print one line that stays."""
        self._console.print(text, markup=False)

    @contextmanager
    def bar(self, text: str, total_bytes: int | None) -> Iterator[Callable[[int], None]]:
        """A bar for one download, gone when it ends; yields the function that tells it the bytes arrived."""
        task = self._progress.add_task(text, total=total_bytes)
        self._progress.start()
        try:
            yield lambda arrived: self._progress.update(task, completed=arrived)
        finally:
            self._progress.stop()
            self._progress.remove_task(task)
