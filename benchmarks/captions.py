"""Descriptions over HTTP under load: `python -m benchmarks.captions`. Only this machine, a few minutes.

Writes the tables of made-up films with made-up features, takes a model (or teaches a small one made-up
sentences, so that its texts have the length of sentences), serves both on Ray Serve, and asks over HTTP:
alone, as many at once as may be on their way in it, and then at given rates whatever comes back, up to twice
what it can do. The clients run on the same machine.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import numpy as np

from benchmarks.serve import Load, sentence, write_library
from cinescribe import tables
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.media.library import FilmRef
from cinescribe.models import autoad_files
from serve.replies import RETRY_AFTER

_CHUNK = 60  # seconds
_UTTERANCES = 60  # of a film; each stands for five seconds


def save_model(folder: Path, layers: int, width: int, steps: int) -> Path:
    """A small AutoAD that has seen enough made-up sentences to end its own.

    Args:
        folder: where to.
        layers, width: of its language model.
        steps: of training.
    """
    import torch
    from transformers import GPT2Config

    from cinescribe.models.autoad import AutoAD, AutoADConfig, Example
    from cinescribe.models.language_model import fresh, fresh_tokeniser

    chance = random.Random(1)
    texts = [sentence(chance) for _ in range(2000)]
    torch.manual_seed(1)
    config = GPT2Config(n_layer=layers, n_embd=width, n_head=max(1, width // 64))
    model = AutoAD(fresh(config, fresh_tokeniser(texts, 2000), 1), AutoADConfig(learns_end=True))
    model.set_stage("all", True)
    model.perceiver.requires_grad_(False)
    model.train()
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], 1e-3)
    for _ in range(steps):
        batch = [
            Example(
                torch.randn(8, 512), chance.sample(texts, 2), chance.sample(texts, 2), chance.choice(texts)
            )
            for _ in range(16)
        ]
        optimiser.zero_grad()
        model.loss(model.batch(batch)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    autoad_files.save(model, folder, autoad_files.Inputs("made-up", 5.0, 8))
    return folder


def write_features(root: Path, films: int, inputs: autoad_files.Inputs, width: int) -> None:
    """Features of films that were never shot, in chunks as `cinescribe extract` writes them."""
    chance = np.random.default_rng(7)
    count = int(_CHUNK * inputs.hz)
    spec = EncoderSpec(inputs.features, inputs.hz, width, (0.5 / inputs.hz,))
    for k in range(films):
        film = FilmRef(f"made up/{k:04}", f"/nowhere/{k:04}.mp4", 0, "1")
        for number in range(_UTTERANCES * 5 // _CHUNK):
            span = (number, float(number * _CHUNK), float((number + 1) * _CHUNK))
            part = chance.standard_normal((count, width)).astype(np.float16)
            row = tables.feature_row(film, span, spec, number * count, part, {})
            tables.write_row(str(root), tables.FEATURES + inputs.features, film.film_id, row, chunk=number)


def request(chance: random.Random, films: int, style: str) -> str:
    """The body of a question for some seconds of some film, after two sentences of context."""
    start = chance.uniform(0.0, _UTTERANCES * 5 - 10.0)
    asked = {"film": f"made up/{chance.randrange(films):04}", "start": start, "end": start + 8.0}
    return json.dumps({**asked, "context": [sentence(chance), sentence(chance)], "style": style})


def ask(port: int, body: str) -> tuple[int, float]:
    """Status and milliseconds of one question on a connection of its own; 0: there was no answer."""
    began = time.perf_counter()
    status = 0
    with closing(HTTPConnection("127.0.0.1", port, timeout=90)) as connection:
        try:
            connection.request("POST", "/v1/captions", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            status = reply.status
        except (OSError, HTTPException):
            pass
    return status, 1000 * (time.perf_counter() - began)


def as_load(seconds: float, replies: list[tuple[int, float]]) -> Load:
    """What came of a stretch of requests."""
    milliseconds = [ms for status, ms in replies if status == 200]
    return Load(seconds, Counter(status for status, _ in replies), milliseconds)


def together(port: int, clients: int, seconds: float, films: int, style: str) -> Load:
    """So many clients, each with one question at a time, which wait a little where they are refused."""
    began = time.monotonic()

    def client(seed: int) -> list[tuple[int, float]]:
        chance, replies = random.Random(seed), []
        while time.monotonic() < began + seconds:
            replies.append(ask(port, request(chance, films, style)))
            if replies[-1][0] == 503:
                time.sleep(RETRY_AFTER)
        return replies

    with ThreadPoolExecutor(clients) as pool:
        told = list(pool.map(client, range(clients)))
    return as_load(time.monotonic() - began, [reply for one in told for reply in one])


def steadily(port: int, rate: float, seconds: float, films: int, style: str) -> Load:
    """Questions at a steady rate a second, whatever comes back and when."""
    chance, replies = random.Random(3), []
    began = time.monotonic()
    threads = []

    def once(body: str) -> None:
        replies.append(ask(port, body))

    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        threads.append(threading.Thread(target=once, args=(request(chance, films, style),)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return as_load(time.monotonic() - began, replies)


def measure(root: Path, model: Path, batch: int, arguments: argparse.Namespace) -> Iterator[str]:
    """The rows of one service."""
    from serve.app import Arguments
    from serve.command import free_port, running

    port = free_port(0)
    served = Arguments(
        root=str(root), describer=str(model), caption_batch=batch, caption_queued=arguments.queued,
        device=arguments.device, threads=arguments.threads, log=os.devnull, name=["127.0.0.1"],
    )  # fmt: skip
    seconds, films, style = arguments.seconds, arguments.films, arguments.style
    room = 2 * batch + arguments.queued
    name = f"batches of {batch}"
    with running(served, "127.0.0.1", port):
        together(port, 2, 3.0, films, style)  # the first questions load what is loaded late
        yield together(port, 1, seconds, films, style).line(f"{name}, 1 client")
        full = together(port, room, seconds, films, style)
        yield full.line(f"{room} clients at once")
        most = full.statuses[200] / full.seconds
        for share in (0.5, 0.8, 1.0, 2.0):
            load = steadily(port, share * most, seconds, films, style)
            yield load.line(f"{share * most:.1f} questions/s, {share:g} of what it can do")
        yield together(port, 1, seconds, films, style).line("1 client again")


def main() -> int:
    """Run the benchmark."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.captions", description=__doc__)
    p.add_argument("--model", type=Path, help="folder of an AutoAD (default: a small one, made here)")
    p.add_argument("--layers", type=int, default=4, help="of that one (default: %(default)s)")
    p.add_argument("--width", type=int, default=256, help="of it (default: %(default)s)")
    p.add_argument("--steps", type=int, default=60, help="of its training (default: %(default)s)")
    p.add_argument("--films", type=int, default=10, help="default: %(default)s")
    p.add_argument("--seconds", type=float, default=15.0, help="of each row (default: %(default)s)")
    p.add_argument("--queued", type=int, default=16, help="requests that wait (default: %(default)s)")
    p.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="default: 1 and 8")
    p.add_argument("--style", default="careful", choices=["quick", "careful"], help="default: %(default)s")
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default: %(default)s")
    p.add_argument("--threads", type=int, default=1, help="of the model (default: %(default)s)")
    arguments = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tables"
        model = arguments.model or save_model(
            Path(folder) / "model", arguments.layers, arguments.width, arguments.steps
        )
        write_library(root, arguments.films, _UTTERANCES)
        width = json.loads((model / "config.json").read_text("utf-8"))["autoad"]["frame_width"]
        write_features(root, arguments.films, autoad_files.load_inputs(model), width)
        print("| | answers/s | p50 ms | p95 ms | p99 ms | 200 | 503 | other |\n" + 8 * "|---" + "|")
        for batch in arguments.batches:
            for line in measure(root, model, batch, arguments):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
