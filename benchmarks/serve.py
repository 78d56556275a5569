"""Search over HTTP under load: `python -m benchmarks.serve`. Only this machine, a few minutes.

Writes the tables of made-up speech for as many films as asked, indexes them, serves them on Ray Serve, and
asks over HTTP: with and without batching of the query encoder, and at twice what there is room for.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from cinescribe import tables

_WHO = "the nurse,a boy,Emma,the driver,an old man,the dog,two girls,a soldier,the cook,a woman in red".split(
    ","
)
_DOES = "opens,carries,drops,looks at,runs towards,paints,hides,breaks,wraps,points at,forgets,kicks".split(
    ","
)
_WHAT = "a letter,the red door,a bicycle,the broken lamp,an umbrella,the map,a ladder,the piano,a boat".split(
    ","
)
_WHERE = "in the kitchen,at the harbour,by the window,in the snow,under a tree,on the stairs,at night".split(
    ","
)


@dataclass(frozen=True, slots=True)
class Load:
    """What came of a stretch of requests.

    Attributes:
        seconds: it took.
        statuses: how many replies of each.
        milliseconds: of each 200.
    """

    seconds: float
    statuses: Counter[int]
    milliseconds: list[float]

    def line(self, name: str) -> str:
        """A row of the table."""
        cuts = statistics.quantiles(self.milliseconds, n=100) if len(self.milliseconds) > 1 else [0.0] * 99
        rate = self.statuses[200] / self.seconds
        refused = self.statuses[503]
        other = sum(self.statuses.values()) - self.statuses[200] - refused
        return (
            f"| {name} | {rate:.1f} | {cuts[49]:.0f} | {cuts[94]:.0f} | {cuts[98]:.0f} | "
            f"{self.statuses[200]} | {refused} | {other} |"
        )


def sentence(chance: random.Random) -> str:
    """A made-up sentence."""
    return " ".join(chance.choice(words) for words in (_WHO, _DOES, _WHAT, _WHERE)).capitalize() + "."


def write_library(root: Path, films: int, utterances: int) -> None:
    """Tables and index of films that were never shot."""
    write_tables(str(root), films, utterances)
    from pipelines import index

    index.run(index.Config(root=str(root), threads=1, quiet=True))


def write_tables(root: str, films: int, utterances: int) -> None:
    """Tables of films that were never shot, in a folder or on S3."""
    chance = random.Random(7)
    for k in range(films):
        film_id = f"made up/{k:04}"
        film = {"film_id": film_id, "uri": f"/nowhere/{k:04}.mp4", "etag": "1", "duration": utterances * 5.0}
        size = {"fps": 25.0, "width": 1280, "height": 720, "rotation": 0, "audio_rate": 48000, "shots": []}
        tables.write_row(root, "films", film_id, {**film, **size})
        said: list[tables.Row] = [
            {"start": 5.0 * n, "end": 5.0 * n + 4, "text": sentence(chance), "speaker": f"SPEAKER_{n % 3:02}",
             "role": "dialogue" if n % 3 else "narrator", "words": [], "confidence": 1.0}
            for n in range(utterances)
        ]  # fmt: skip
        speech = {"film_id": film_id, "etag": "1", "utterances": said, "language": "en", "evidence": []}
        facts = {"language_probability": 1.0, "narrator_confidence": 1.0, "suppressed": [], "weights": []}
        tables.write_row(root, "speech", film_id, {**speech, **facts, "damaged_seconds": 0.0})


def ask(port: int, until: float, seed: int) -> Iterator[tuple[int, float]]:
    """Ask one question after the other over one connection until the time is over: status, milliseconds."""
    chance = random.Random(seed)
    with closing(HTTPConnection("127.0.0.1", port, timeout=90)) as connection:
        while time.monotonic() < until:
            began = time.perf_counter()
            body = json.dumps({"text": sentence(chance), "limit": 10})
            try:
                connection.request("POST", "/v1/search", body, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                reply.read()
                status = reply.status
            except (OSError, HTTPException):
                connection.close()
                status = 0
            yield status, 1000 * (time.perf_counter() - began)
            if status == 503:
                time.sleep(float(reply.headers.get("Retry-After") or 1))


def load(port: int, clients: int, seconds: float) -> Load:
    """So many clients, each with one question at a time."""
    began = time.monotonic()
    until = began + seconds
    with ThreadPoolExecutor(clients) as pool:
        told = list(pool.map(lambda k: list(ask(port, until, k)), range(clients)))
    replies = [reply for one in told for reply in one]
    return Load(
        time.monotonic() - began,
        Counter(status for status, _ in replies),
        [ms for status, ms in replies if status == 200],
    )


def measure(root: Path, batch: int, seconds: float, ongoing: int, queued: int) -> Iterator[str]:
    """The rows of one service."""
    from serve.app import Arguments
    from serve.command import free_port, running

    port = free_port(0)
    arguments = Arguments(
        root=str(root), batch=batch, ongoing=ongoing, queued=queued, log=os.devnull, name=["127.0.0.1"]
    )
    room = ongoing + queued
    with running(arguments, "127.0.0.1", port):
        load(port, 2, 3.0)  # the first questions load what is loaded late
        for clients in (1, 8, room):
            yield load(port, clients, seconds).line(f"batch {batch}, {clients} clients")
        yield load(port, 2 * room, seconds).line(f"batch {batch}, {2 * room} clients, twice the room")
        yield load(port, 8, seconds).line(f"batch {batch}, 8 clients again")


def main() -> int:
    """Run the benchmark."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    p.add_argument("--films", type=int, default=100, help="default: %(default)s")
    p.add_argument("--utterances", type=int, default=100, help="of each (default: %(default)s)")
    p.add_argument("--seconds", type=float, default=10.0, help="of each row (default: %(default)s)")
    p.add_argument("--ongoing", type=int, default=16, help="requests in the replica (default: %(default)s)")
    p.add_argument("--queued", type=int, default=16, help="requests that wait (default: %(default)s)")
    p.add_argument("--batches", type=int, nargs="+", default=[1, 16], help="default: 1 and 16")
    arguments = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_library(root, arguments.films, arguments.utterances)
        print(f"{arguments.films} films, {arguments.films * arguments.utterances} utterances\n", flush=True)
        print("| | answers/s | p50 ms | p95 ms | p99 ms | 200 | 503 | other |\n" + 8 * "|---" + "|")
        for batch in arguments.batches:
            for line in measure(root, batch, arguments.seconds, arguments.ongoing, arguments.queued):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
