"""The service under kills and requests: each is answered, by what it asked for or by an error."""

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.chaos_attack import Told, draw, strike
from benchmarks.chaos_data import questions
from benchmarks.chaos_machines import Machines, free_port, wait_for
from benchmarks.chaos_scenes import LIBRARY

_REPLICAS = r"ServeReplica:cinescribe:"
_START_SECONDS = 1200.0
_RECOVERY_SECONDS = 600.0  # until all replicas are back and a search is answered
_CLIENT_SECONDS = 120.0  # the service answers after 60 at most, by what docs/threats.md says
_SEARCHERS = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """One request: when it was sent and answered (of the monotonic clock), and by what.

    `what` is "200", a status with the code of our error body ("503 lost"), "formless 500" where an error has
    no such body, "lost: ..." where there was no answer, or "wrong" where a search found something else.
    """

    path: str
    sent: float
    answered: float
    what: str


@dataclass(slots=True)
class Load:
    """Clients that ask one question after the other, each over a connection of its own.

    Args:
        port: of the service.
        wanted: what each text finds; empty takes any answer.
    """

    port: int
    wanted: dict[str, list[str]] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self._search, args=(n,)) for n in range(_SEARCHERS)]
        self._threads += [
            threading.Thread(target=self._look, args=(path,)) for path in ("/healthz", "/readyz")
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(_CLIENT_SECONDS + 30)

    def _search(self, seed: int) -> None:
        chance = random.Random(seed)
        texts = questions(10)
        while not self._over.wait(chance.uniform(0.02, 0.1)):
            self.replies.append(self.search(chance.choice(texts)))

    def _look(self, path: str) -> None:
        while not self._over.wait(0.25):
            sent = time.monotonic()
            what, _ = self._ask("GET", path, None)
            self.replies.append(Reply(path, sent, time.monotonic(), what))

    def find(self, text: str) -> list[str]:
        """What a text finds, best first; nothing where there is no answer."""
        what, body = self._ask("POST", "/v1/search", _question(text))
        return _found(body) if what == "200" else []

    def search(self, text: str) -> Reply:
        """Ask once, and hold the answer against what is wanted."""
        sent = time.monotonic()
        what, body = self._ask("POST", "/v1/search", _question(text))
        if what == "200" and text in self.wanted and _found(body) != self.wanted[text]:
            what = "wrong"
        return Reply("/v1/search", sent, time.monotonic(), what)

    def _ask(self, method: str, path: str, body: str | None) -> tuple[str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_CLIENT_SECONDS)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            reply = connection.getresponse()
            read = reply.read()
        except (OSError, http.client.HTTPException) as error:
            return f"lost: {type(error).__name__}", b""
        finally:
            connection.close()
        if reply.status == 200:
            return "200", read
        try:
            return f"{reply.status} {json.loads(read)['error']['code']}", read
        except (ValueError, KeyError, TypeError):
            return f"formless {reply.status}", read


def _question(text: str) -> str:
    return json.dumps({"text": text, "limit": 10})


def _found(body: bytes) -> list[str]:
    return [f"{m['film_id']} {m['start']} {m['end']}" for m in json.loads(body)["moments"]]


def serving(machines: Machines, told: Told, chance: random.Random) -> None:
    """`cinescribe serve` on the cluster, its index on S3; replicas, a node, S3 and at last the driver die."""
    strikes = draw(chance, ["worker", "worker", "worker", "node", "s3"], longest_delay=3.0)
    port = free_port()
    words = ["serve", LIBRARY, "--address", machines.address, "--port", str(port), "--replicas", "2"]
    command = [sys.executable, "-m", "cinescribe.cli", *words, "--refresh", "5"]
    told.tries = 1
    replies: list[Reply] = []
    driver = machines.start(command, f"{told.round:02}-serving")
    try:
        calm = Load(port)
        wait_for(lambda: calm.search("a film").what == "200", _START_SECONDS, "the service")
        whole = 6  # two of each of the three parts
        wait_for(lambda: len(machines.workers(_REPLICAS)) >= whole, _START_SECONDS, "all replicas")
        wanted = {text: calm.find(text) for text in questions(10)}
        with Load(port, wanted) as load:
            replies = load.replies
            time.sleep(5)
            for blow in strikes:
                time.sleep(blow.delay)
                before = time.monotonic()
                if not strike(machines, blow, _REPLICAS, told):
                    continue
                _recover(machines, load, told, blow.kind, before, whole)
            driver.kill()
            driver.wait(30)
            told.kills["driver"] += 1
            told.killed.append("the driver of the service, which goes on")
            gone = time.monotonic()
            time.sleep(8)
            _recover(machines, load, told, "driver", gone, whole)
    except TimeoutError as error:
        told.broken.append(str(error))
    finally:
        _judge(replies, told)
        driver.kill()
        driver.wait(30)
        _end_service(machines)


def _recover(machines: Machines, load: Load, told: Told, kind: str, since: float, whole: int) -> None:
    """Wait until all replicas are back and a search that was sent after that is answered."""
    wait_for(lambda: len(machines.workers(_REPLICAS)) >= whole, _RECOVERY_SECONDS, f"replicas after a {kind}")
    back = time.monotonic()

    def answered() -> bool:
        return any(r.what == "200" and r.sent > back and r.path == "/v1/search" for r in load.replies[-200:])

    wait_for(answered, _RECOVERY_SECONDS, f"an answer after a {kind}")
    bad = [r.answered for r in load.replies if r.sent < back and r.answered > since and r.what != "200"]
    told.recoveries.append((kind, round(max(bad, default=since) - since, 1)))


def _judge(replies: Sequence[Reply], told: Told) -> None:
    for reply in replies:
        told.requests[reply.what] += 1
    told.units = told.requests["200"]
    told.slowest = round(max((r.answered - r.sent for r in replies), default=0.0), 1)
    for what, count in told.requests.items():
        if what.startswith("lost"):
            told.broken.append(f"{count} requests without an answer ({what})")
        elif what.startswith("formless"):
            told.broken.append(f"{count} errors without our body ({what})")
        elif what == "wrong":
            told.differences.append(f"{count} searches found something else than before")


def _end_service(machines: Machines) -> None:
    """End what the driver left: Ray Serve goes on without it."""
    program = (
        "import sys, ray\nfrom ray import serve\nray.init(sys.argv[1], namespace='serve')\nserve.shutdown()"
    )
    ending = machines.start([sys.executable, "-c", program, machines.address], "serve-shutdown")
    try:
        ending.wait(120)
    finally:
        ending.kill()
        ending.wait(30)
    wait_for(lambda: not machines.workers(_REPLICAS), 60, "the end of the service")
