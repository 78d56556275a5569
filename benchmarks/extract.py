"""Extraction measured: `cinescribe extract` against decoding alone, the networks alone, and a plain loop.

    python -m benchmarks.extract --film FILM --seconds 60 --encoders objects,actions --workers 1 2

The film's first seconds are copied out without encoding. Every way runs in processes of its own, as many as
there are workers, each on its share of the chunks:

    decoding alone   the frames all encoders need, decoded once, and dropped
    networks alone   the time inside the encoders, on the same batches
    plain loop       decord and the encoders by hand: one second after the other, decoding, then encoding
    extract          the command; its rate is that of the chunks after each worker's first, start-up apart

"of the floor" is the rate against the slower of decoding and networks. Memory is of all processes together.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from rich.console import Console
from rich.table import Table

from benchmarks.processes import Watched
from cinescribe.encoders import catalogue

_COMMON = """
import json, sys, time
from pathlib import Path
import numpy as np
from cinescribe.encoders import catalogue
from cinescribe.encoders.chunks import chunks, features_in
from cinescribe.media.frames import FrameReader
from cinescribe.media.sharing import Wanted, share_frames

way, film, names, threads, length, part, parts = sys.argv[1:]
threads, length, part, parts = int(threads), float(length), int(part), int(parts)
encoders = {}
for name in names.split(","):
    encoder = catalogue.load(name, threads=threads)
    encoders[encoder.spec.name] = encoder
reader = FrameReader(Path(film))
duration = reader.info.duration
mine = [chunk for chunk in chunks(duration, length) if chunk.number % parts == part]
def wanted(chunk):
    inside = {n: features_in(e.spec, chunk.number, length, duration) for n, e in encoders.items()}
    return {n: Wanted(encoders[n].spec, k.start, k.stop) for n, k in inside.items()}
def warm():
    for batch in share_frames(reader, {n: Wanted(e.spec, 0, 1) for n, e in encoders.items()}):
        encoders[batch.name](batch.array())
"""
_FLOORS = (
    _COMMON
    + """
warm()
print("ready", flush=True)
sys.stdin.readline()
inside, begin = 0.0, time.perf_counter()
for chunk in mine:
    for batch in share_frames(reader, wanted(chunk)):
        if way == "decode":
            continue
        array, started = batch.array(), time.perf_counter()
        encoders[batch.name](array)
        inside += time.perf_counter() - started
print(json.dumps(inside if way == "networks" else time.perf_counter() - begin))
"""
)
_LOOP = (
    _COMMON
    + """
import decord
warm()
video = decord.VideoReader(film)
rate = video.get_avg_fps()
print("ready", flush=True)
sys.stdin.readline()
begin = time.perf_counter()
for chunk in mine:
    for name, encoder in encoders.items():
        rows = []
        for k in features_in(encoder.spec, chunk.number, length, duration):
            times = k / encoder.spec.hz + np.array(encoder.spec.offsets)
            frames = video.get_batch(np.minimum((times * rate + 0.01).astype(int), len(video) - 1)).asnumpy()
            rows.append(encoder(frames[None]))
        if rows:
            np.concatenate(rows)
print(json.dumps(time.perf_counter() - begin))
"""
)


@dataclass(frozen=True, slots=True)
class Rate:
    """One measured way; seconds of film a second, CPU seconds for a second of film, bytes."""

    way: str
    workers: int
    speed: float
    cpu: float
    peak_bytes: int


def cut(film: Path, target: Path, seconds: float) -> Path:
    """The first seconds of a film's picture, its packets as they are."""
    with av.open(str(film)) as source, av.open(str(target), "w") as result:
        stream = source.streams.video[0]
        copy = result.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is None or (packet.pts or 0) * stream.time_base > seconds:
                continue
            packet.stream = copy
            result.mux(packet)
    return target


def side_by_side(way: str, options: argparse.Namespace, film: Path, workers: int, length: float) -> Rate:
    """Run a floor or the loop in `workers` processes at once, started together when all are loaded."""
    program = _LOOP if way == "loop" else _FLOORS
    shared = [way, str(film), options.encoders, str(options.threads), str(options.chunk_seconds)]
    with Watched() as watched:
        processes = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", program, *shared, str(part), str(workers)],
                env=watched.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for part in range(workers)
        ]
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise SystemExit(f"{way}: failed to start")
        before = watched.cpu_seconds
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        told = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{way}: failed")
    slowest = max(float(json.loads(text)) for text in told)
    cpu = (watched.cpu_seconds - before) / length
    return Rate(way, workers, length / slowest, cpu, watched.peak_bytes)


def command(options: argparse.Namespace, film: Path, workers: int, length: float, out: Path) -> Rate:
    """Run `cinescribe extract` and take the rate from when its rows were written."""
    arguments = [str(film), "--out", str(out), "--encoders", options.encoders, "--quiet"]
    arguments += ["--workers", str(workers), "--threads", str(options.threads)]
    arguments += ["--chunk-seconds", str(options.chunk_seconds)]
    with Watched() as watched:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "pipelines.extract", *arguments],
            env=watched.environment,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"extract: exit code {done.returncode}")
    written: dict[str, float] = {}
    for path in out.glob("features/*/*.parquet"):
        written[path.name] = max(written.get(path.name, 0.0), path.stat().st_mtime)
    moments = sorted(written.values())
    if len(moments) <= workers:
        raise SystemExit("too few chunks to tell a rate: more --seconds or fewer --chunk-seconds")
    seconds = options.chunk_seconds * (len(moments) - workers)
    speed = seconds / (moments[-1] - moments[workers - 1])
    return Rate("extract", workers, speed, watched.cpu_seconds / length, watched.peak_bytes)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.extract", description=__doc__.partition("\n")[0])
    p.add_argument("--film", type=Path, required=True)
    p.add_argument("--seconds", type=float, default=60.0, help="of the film")
    p.add_argument("--chunk-seconds", type=float, default=5.0)
    p.add_argument(
        "--encoders",
        default="objects,actions",
        help="as `cinescribe extract` takes them (default: %(default)s)",
    )
    p.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    p.add_argument("--threads", type=int, default=1, help="of each process's networks")
    p.add_argument("--turns", type=int, default=1, help="each way is run so often, the best counts")
    options = p.parse_args(argv)
    specs = [catalogue.spec(name) for name in options.encoders.split(",")]
    per_second = sum(spec.hz for spec in specs)
    rates: list[Rate] = []
    with tempfile.TemporaryDirectory() as folder:
        film = cut(options.film, Path(folder, "film.mp4"), options.seconds)
        # whole chunks only, so that the last short one does not blur the rate
        length = options.seconds - options.seconds % options.chunk_seconds
        for workers in options.workers:
            for way in ("decode", "networks", "loop", "extract"):
                turns = []
                for turn in range(options.turns):
                    out = Path(folder, f"out-{workers}-{turn}")
                    turns.append(
                        command(options, film, workers, length, out)
                        if way == "extract"
                        else side_by_side(way, options, film, workers, length)
                    )
                rates.append(max(turns, key=lambda rate: rate.speed))
                print(f"{time.strftime('%H:%M:%S')} {rates[-1]}", file=sys.stderr)
    table = Table(
        title=f"{options.seconds:g} s of {options.film.name}, {options.encoders}, threads {options.threads}"
    )
    columns = ("", "workers", "x real time", "features/s", "of the floor", "CPU s per s of film", "peak GB")
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    names = {
        "decode": "decoding alone",
        "networks": "networks alone",
        "loop": "plain loop",
        "extract": "extract",
    }
    for rate in rates:
        floor = min(r.speed for r in rates if r.workers == rate.workers and r.way in ("decode", "networks"))
        table.add_row(
            names[rate.way],
            str(rate.workers),
            f"{rate.speed:.2f}",
            f"{rate.speed * per_second:.1f}",
            f"{100 * rate.speed / floor:.0f}%",
            f"{rate.cpu:.2f}",
            f"{rate.peak_bytes / 1e9:.2f}",
        )
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
