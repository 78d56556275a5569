"""Where a stage's CPU time goes: functions measured from outside, by name, without a change to them."""

import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


class Meter:
    """CPU seconds of what is wrapped, each part without the parts that run within it.

    A thread's own clock is read, so two threads at once do not count each other's time. What runs in threads
    that no Python runs in (decoders', CTranslate2's, Lance's) is the process's time less that of all Python
    threads: `elsewhere`. Enter it, wrap, work, leave; then all functions are as they were.

    Attributes:
        seconds: by part.
        calls: by part; of a generator, how many items it gave.
        inputs: by part, the shapes of the tensors that it was called with, and how often.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: Counter[str] = Counter()
        self.inputs: dict[str, Counter[tuple[int, ...]]] = {}
        self._open = threading.local()
        self._undo = ExitStack()
        self._others = 0.0  # CPU seconds of Python's threads that ended, besides the one that entered
        self._process = self._own = 0.0

    def __enter__(self) -> "Meter":
        run = threading.Thread.run

        def run_and_count(thread: threading.Thread) -> None:
            try:
                run(thread)
            finally:
                self._others += time.thread_time()

        self._replace(threading.Thread, "run", run_and_count)
        self._process, self._own = time.process_time(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._process = time.process_time() - self._process
        self._own = time.thread_time() - self._own
        self._undo.close()

    @property
    def total(self) -> float:
        """CPU seconds of the process while it was entered."""
        return self._process

    @property
    def elsewhere(self) -> float:
        """CPU seconds of threads that Python does not run in."""
        return self._process - self._own - self._others

    def wrap(self, owner: Any, name: str, part: str, *, tensor: int | None = None) -> None:
        """Count a function, or a method of a class, as `part`; `tensor`: which argument's shape to note."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            if tensor is not None:
                self.inputs.setdefault(part, Counter())[tuple(arguments[tensor].shape)] += 1
            self.calls[part] += 1
            with self._counting(part):
                return function(*arguments, **named)

        self._replace(owner, name, counted)

    def wrap_generator(self, owner: Any, name: str, part: str) -> None:
        """Count what a generator does to make its items."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Iterator[Any]:
            items = function(*arguments, **named)
            try:
                while True:
                    with self._counting(part):
                        try:
                            item = next(items)
                        except StopIteration:
                            return
                    self.calls[part] += 1
                    yield item
            finally:
                items.close()

        self._replace(owner, name, counted)

    @contextmanager
    def _counting(self, part: str) -> Iterator[None]:
        within: list[float] = self._open.__dict__.setdefault("within", [])  # of each open part, its parts'
        within.append(0.0)
        began = time.thread_time()
        try:
            yield
        finally:
            took = time.thread_time() - began
            self.seconds[part] = self.seconds.get(part, 0.0) + took - within.pop()
            if within:
                within[-1] += took

    def _replace(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        held = vars(owner).get(name)
        setattr(owner, name, function)
        self._undo.callback(lambda: setattr(owner, name, held) if held is not None else delattr(owner, name))
