"""Ends the process when the work in it has stopped moving."""

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType


class Watchdog:
    """While entered, watches this process; when it stalls, calls `on_stall(reason)` and ends the process.

    A stall is either `patience` seconds in which the process used less than 1% of one core (it waits for
    something that will not come), or more than `limit` seconds of work in all (it turns in circles). The
    place where it hangs goes to stderr, which Ray keeps in the worker's log. Where C code holds the
    interpreter's lock for twice the patience, the process ends without `on_stall`, which can't run then.

    Args:
        patience: seconds.
        limit: seconds, above `patience`.
        on_stall: what to leave behind; the process exits also if it fails.
    """

    _BUSY = 0.01  # of a core; an idle Ray worker measures .002

    def __init__(self, patience: float, limit: float, on_stall: Callable[[str], None]) -> None:
        self.patience, self.limit, self.on_stall = patience, limit, on_stall
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        self._wind()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _wind(self) -> None:
        """Set a timer that needs no interpreter: it goes off when our thread does not come to set it anew."""
        faulthandler.dump_traceback_later(2 * self.patience, exit=True, file=2)

    def _watch(self) -> None:
        begin = moved = time.monotonic()
        used = time.process_time()
        while not self._finished.wait(min(5.0, self.patience / 10)):
            self._wind()
            now, cpu = time.monotonic(), time.process_time()
            if cpu - used > self._BUSY * self.patience:
                moved, used = now, cpu
            if now - moved > self.patience:
                self._stop(f"the work stood still for {self.patience:g} s")
            if now - begin > self.limit:
                self._stop(f"the work was not done after {self.limit:.0f} s")

    def _stop(self, reason: str) -> None:
        try:
            faulthandler.dump_traceback(file=2)
            self.on_stall(reason)
        finally:
            os._exit(1)
