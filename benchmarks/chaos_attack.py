"""A command that a person would give, and what is killed while it works."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from benchmarks.chaos_machines import Machines

LIMIT = 1800.0  # seconds until a command must have ended, with all its tries
_WORK_SECONDS = 600.0  # that is waited until something is at work
_MOST_TRIES = 12


@dataclass(slots=True)
class Told:
    """What came of one run of a scene.

    Attributes:
        kills: how many of each kind.
        tries: how often its commands were given.
        units: films, indexed films or steps that were done.
        given_up: units that got an error row, by its kind; `--retry-failed` was then given.
        needed_again: last words of commands that gave up, S3 having been away, and were given again.
        recoveries: kind of a kill, and the seconds until the work went on.
        differences: from the quiet run; there must be none.
        broken: promises that did not hold.
        requests: replies by what they were (serving).
        loss_difference: largest of a step (training).
        interrupted: it was stopped before its end.
        slowest: seconds that the slowest reply took (serving).
    """

    scene: str
    round: int
    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    killed: list[str] = field(default_factory=list)
    tries: int = 0
    units: int = 0
    given_up: Counter[str] = field(default_factory=Counter)
    needed_again: list[str] = field(default_factory=list)
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    loss_difference: float = 0.0
    slowest: float = 0.0
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Strike:
    """A kill, drawn before anything runs: the same seed gives the same ones in the same order.

    Attributes:
        kind: worker, node, driver or s3.
        moment: what it waits for: nothing ("any"), something at work ("work"), a row written since the
            command was given ("write"). Only drivers die at any moment.
        delay: seconds it waits from then on.
        victim: which one, as a share of those there are.
        absent: seconds until what was killed is there again (nodes, S3).
    """

    kind: str
    moment: str
    delay: float
    victim: float
    absent: float


def draw(chance: random.Random, kinds: Sequence[str], longest_delay: float = 6.0) -> list[Strike]:
    """The kinds in random order, each with all that is random about it."""
    shuffled = list(kinds)
    chance.shuffle(shuffled)
    return [
        Strike(
            kind,
            moment=chance.choice(("any", "work", "write")) if kind == "driver" else "work",
            delay=chance.uniform(0.2, longest_delay),
            victim=chance.random(),
            absent=chance.uniform(1.0, 8.0),
        )
        for kind in shuffled
    ]


def strike(machines: Machines, blow: Strike, pattern: str, told: Told) -> bool:
    """Kill a worker, a node or S3; False when there was nothing to kill."""
    if blow.kind == "worker":
        name = machines.kill_worker(pattern, lambda found: found[int(blow.victim * len(found))])
        if not name:
            return False
        told.killed.append(name)
    elif blow.kind == "node":
        if not machines.kill_node(pattern, lambda found: found[int(blow.victim * len(found))], blow.absent):
            return False
        told.killed.append("a node")
    else:
        machines.kill_s3(blow.absent)
        told.killed.append(f"S3 for {blow.absent:.1f} s")
    told.kills[blow.kind] += 1
    return True


class Attack:
    """One command under kills, given again each time its process was killed.

    Args:
        machines: it runs on.
        told: is told what happens.
        words: of the command: its module and its arguments.
        pattern: what the workers that do its work are called.
        progress: how far it is, a number that grows.
        environment: beside that of the machines.
    """

    def __init__(
        self,
        machines: Machines,
        told: Told,
        words: Sequence[str],
        pattern: str,
        progress: Callable[[], float],
        **environment: str,
    ) -> None:
        self.machines, self.told, self.pattern, self.progress = machines, told, pattern, progress
        self.words, self.environment = list(words), environment
        self.log = f"{told.round:02}-{told.scene}"
        self.ended = False
        self._waiting: list[tuple[str, float, float]] = []  # kills that the work has not got over yet
        self._lost_s3 = False  # since the command was given
        self._looked = 0.0

    def run(self, strikes: Sequence[Strike]) -> None:
        """From the start to the end, with all kills that there is time for."""
        self._deadline = time.monotonic() + LIMIT
        self._start()
        try:
            self._hit(strikes)
        finally:
            self._driver.kill()
            self._driver.wait(30)

    def _hit(self, strikes: Sequence[Strike]) -> None:
        for blow in strikes:
            if blow.moment == "work":
                self._until(lambda: bool(self.machines.workers(self.pattern)), _WORK_SECONDS)
            elif blow.moment == "write":
                self._until(lambda: self.progress() > self._reached, LIMIT)
            # What is written last is written quickly.
            self._until(lambda: False, blow.delay / 4 if blow.moment == "write" else blow.delay)
            if self.ended:
                return
            self._strike(blow)
        while not self.ended:
            self._until(lambda: False, 60.0)

    def _start(self) -> None:
        self.told.tries += 1
        self._lost_s3 = False
        self._reached = self.progress()
        words = [sys.executable, "-m", *self.words]
        self._driver: subprocess.Popen[bytes] = self.machines.start(words, self.log, **self.environment)

    def _strike(self, blow: Strike) -> None:
        before = self.progress()
        if blow.kind == "driver":
            self._driver.kill()
            self._driver.wait(30)
            self.told.kills["driver"] += 1
            self.told.killed.append("the driver")
            self._start()
        elif not strike(self.machines, blow, self.pattern, self.told):
            return
        self._lost_s3 |= blow.kind == "s3"
        self._waiting.append((blow.kind, time.monotonic(), before))

    def _until(self, happens: Callable[[], bool], seconds: float) -> None:
        """Wait, but no longer than so many seconds, or until the command has ended."""
        end = time.monotonic() + seconds
        while not self.ended and time.monotonic() < end and not happens():
            self._look()
            time.sleep(0.3)

    def _look(self) -> None:
        """See to a command that ended, to one that does not, and to kills that were got over."""
        now, code = time.monotonic(), self._driver.poll()
        if self._waiting and (code == 0 or now - self._looked > 1.0):
            self._looked = now
            reached = self.progress()
            over = [kill for kill in self._waiting if code == 0 or reached > kill[2]]
            self.told.recoveries += [(kind, round(now - since, 1)) for kind, since, _ in over]
            self._waiting = [kill for kill in self._waiting if kill not in over]
        if code == 0:
            self.ended = True
        elif code is not None:
            last = self._last_words()
            if self._lost_s3:
                self.told.needed_again.append(last)
            else:
                self.told.broken.append(f"the command ended with {code}, S3 being there: {last}")
            if self.told.tries >= _MOST_TRIES:
                self.told.broken.append(f"not done after {_MOST_TRIES} tries")
                self.ended = True
            else:
                self._start()
        elif now > self._deadline:
            self._driver.kill()
            self.told.broken.append(f"not done within {LIMIT:g} s")
            self.ended = True

    def _last_words(self) -> str:
        text = (self.machines.folder / "logs" / f"{self.log}.log").read_text(errors="replace")
        lines = [line for line in text.splitlines() if line.strip()]
        ours = [line for line in lines if line.startswith("cinescribe: ")]  # Ray may say something after it
        return (ours or lines or ["nothing was said"])[-1][:400]


def quietly(machines: Machines, words: Sequence[str], **environment: str) -> None:
    """Run a command without kills. Raises SystemExit when it fails, for nothing can be held against it."""
    process = machines.start([sys.executable, "-m", *words], "quiet", **environment)
    try:
        code = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        code = -1
    if code != 0:
        raise SystemExit(
            f"without any kill, {words[1]} ended with {code}: see {machines.folder}/logs/quiet.log"
        )


def listed(told: Told) -> dict[str, Any]:
    """For a JSON file."""
    return {entry.name: getattr(told, entry.name) for entry in fields(told)}
