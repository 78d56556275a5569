"""What the pipeline costs per film: many short films through it, against a plain loop over the library.

    python -m benchmarks.scale --films 40 --seconds 3 --workers 1 2

Renders the films into a temporary folder, then runs each way as a process of its own. Start-up is the time
until the first film is there (Ray, loading the models); the rate is that of all films after it. CPU seconds
are those of all processes of the run, sampled twice a second.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.processes import Watched

_LOOP = """
import sys
from pathlib import Path
from cinescribe import tables
from cinescribe.media.library import list_films
from cinescribe.media.probe import probe
from cinescribe.media.shots import find_shots
from cinescribe.speech.clean import SpeechSettings
from benchmarks.scale import cleaner_class
from pipelines import files

folder, out, name, threads = sys.argv[1:]
clean = cleaner_class(name)(SpeechSettings(), threads=int(threads), device="cpu")
films = list_films([folder])
for n, film in enumerate(films, 1):
    path = Path(film.uri)
    tables.write_row(out, "films", film.film_id, tables.film_row(film, probe(path), find_shots(path)))
    speech = clean(path)
    files.write(out, film.film_id, speech, unnamed=False)
    tables.write_row(out, "speech", film.film_id, tables.speech_row(film, speech))
    print(f"[{n}/{len(films)}]", flush=True)
"""
_PIPELINE = """
import sys
from benchmarks.scale import cleaner_class
from pipelines.transcribe import main

folder, out, name, threads, workers = sys.argv[1:]
arguments = [folder, "--out", out, "--threads", threads, "--workers", workers]
raise SystemExit(main(arguments, cleaner_class(name)))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run; seconds."""

    way: str
    start_up: float
    per_film: float
    total: float
    cpu: float


def cleaner_class(name: str) -> type:
    """The class of `module:name`."""
    module, _, attribute = name.partition(":")
    found = getattr(__import__(module, fromlist=[attribute]), attribute)
    assert isinstance(found, type)
    return found


def render(path: Path, seconds: float, sound: np.ndarray, rate: int = 16000) -> None:
    """A small film: a moving grey ramp at 25 frames per second and the given sound (float32 [N])."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 320, 180, "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout="mono")
        for n in range(round(25 * seconds)):
            ramp = (np.arange(320, dtype=np.int64) + 4 * n) % 256
            image = np.broadcast_to(ramp[None, :, None], (180, 320, 3)).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        for begin in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(
                sound[None, begin : begin + 1024], format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = rate, begin
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def sounds(source: str, films: int, seconds: float, rate: int = 16000) -> list[np.ndarray]:
    """Sound for each film: pieces of `source` one after the other, or a tone without it."""
    samples = round(seconds * rate)
    if source:
        from cinescribe.media.audio import read_audio

        whole = read_audio(Path(source), rate=rate)
        whole = np.tile(whole, math.ceil(films * samples / len(whole)))
    else:
        whole = 0.3 * np.sin(2 * np.pi * 220 * np.arange(films * samples) / rate).astype(np.float32)
    return [whole[n * samples : (n + 1) * samples].astype(np.float32) for n in range(films)]


def measure(way: str, program: str, arguments: Sequence[str]) -> Run:
    """Run a program that prints a line with "/" in brackets for each film."""
    begin = time.monotonic()
    output, arrived = [], []
    with (
        Watched() as watched,
        subprocess.Popen(
            [sys.executable, "-u", "-c", program, *arguments],
            env=watched.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            output.append(line)
            if line.startswith("["):
                arrived.append(time.monotonic() - begin)
    if process.returncode != 0 or len(arrived) < 2:
        raise SystemExit(f"{way}: exit code {process.returncode}\n{''.join(output)}")
    per_film = (arrived[-1] - arrived[0]) / (len(arrived) - 1)
    return Run(way, arrived[0], per_film, time.monotonic() - begin, watched.cpu_seconds)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.partition("\n")[0])
    p.add_argument("--films", type=int, default=40)
    p.add_argument("--seconds", type=float, default=3.0, help="of each film")
    p.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    p.add_argument("--threads", type=int, default=1, help="of each worker, and of the loop")
    p.add_argument(
        "--speech", default="", metavar="FILE", help="a recording to cut the sound from; else a tone"
    )
    p.add_argument("--cleaner", default="cinescribe.speech.clean:SpeechCleaner", help="module:class")
    options = p.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        films = Path(folder, "films")
        films.mkdir()
        for n, sound in enumerate(sounds(options.speech, options.films, options.seconds)):
            render(films / f"{n:05}.mp4", options.seconds, sound)
        common = [options.cleaner, str(options.threads)]
        runs = [measure("plain loop", _LOOP, [str(films), f"{folder}/loop", *common])]
        for workers in options.workers:
            arguments = [str(films), f"{folder}/pipeline-{workers}", *common, str(workers)]
            runs.append(measure(f"pipeline, {workers} workers", _PIPELINE, arguments))
    table = Table(
        title=f"{options.films} films of {options.seconds:g} s, {options.cleaner}, threads {options.threads}"
    )
    for column in ("", "start-up s", "films/s", "ms per film", "over the loop ms", "total s", "CPU s"):
        table.add_column(column, justify="right" if column else "left")
    for run in runs:
        figures = [
            run.start_up,
            1 / run.per_film,
            1000 * run.per_film,
            1000 * (run.per_film - runs[0].per_film),
        ]
        table.add_row(run.way, *(f"{figure:.1f}" for figure in (*figures, run.total, run.cpu)))
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
