"""What each stage costs on this machine, for `cinescribe plan`: seconds of one core for an hour of film.

    python -m benchmarks.rates --out rates.json
    python -m benchmarks.rates --out rates.json --film FILM --encoders objects,clip --describe RUN/best

The stages of the pipelines do their work in this process, with one thread and models that are loaded already;
what counts is CPU time, which other programs on the machine touch less than they do the clock. The least and
the most of `--turns` are kept. The encoders are measured one by one, then all together, for they share the
decoding. At last as many processes as there are cores do the speech at once: what a worker is then worth
beside one alone is the `efficiency`. With `--device cuda` the seconds of the GPU are the wall time of the
stages that have a network.

Without `--film` it is a film that is rendered here (`cinescribe film`); films of another size or kind of
picture and sound cost something else, so measure one of yours.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cinescribe import __version__, tables
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import FilmRef, list_films
from cinescribe.media.probe import MediaInfo, probe
from cinescribe.zoo import Profile
from pipelines.command import listed
from pipelines.plan import Unit
from pipelines.rates import Cost, Rates
from pipelines.units import Job, Passenger, board

_CHUNK = 60.0  # seconds, as `cinescribe extract` has it
_DEFAULT_ENCODERS = ("objects", "actions")


@dataclass(slots=True)
class Bench:
    """One film on one machine, and what was measured of it."""

    film: FilmRef
    info: MediaInfo
    job: Job
    device: str
    turns: int
    stages: dict[str, Cost] = field(default_factory=dict)

    def measure(self, work: Callable[[], object], start: float = 0.0, *, network: bool = True) -> Cost:
        """The cost of an hour of film of a work on the whole film; `start`: seconds to load what it needs."""
        cores, gpus = [], []
        for _ in range(self.turns):
            began, used = time.perf_counter(), time.process_time()
            work()
            cores.append(time.process_time() - used)
            gpus.append(time.perf_counter() - began if self.device == "cuda" and network else 0.0)
        hours = self.info.duration / 3600
        spans = [(round(min(s) / hours, 1), round(max(s) / hours, 1)) for s in (cores, gpus)]
        return Cost(spans[0], spans[1], round(start, 1))


def _do(worker: Callable[..., Passenger], *units: Unit, **more: Any) -> None:
    """Some units by one stage; a failure ends the benchmark."""
    for unit in units:
        arrived = worker(board(unit), **more)
        if arrived["message"]:
            raise UsageError(arrived["message"])


def measure_films(bench: Bench) -> None:
    """The container and the shots."""
    from pipelines.films import films_stage

    unit = Unit(bench.film, ("films",))
    bench.stages["films"] = bench.measure(lambda: _do(films_stage, unit, job=bench.job), network=False)


def measure_speech(bench: Bench, profile: Profile) -> None:
    """Speech."""
    worker, seconds = _loaded(lambda: _speech_worker(bench.job, profile, bench.device))
    unit = Unit(bench.film, ("speech",))
    bench.stages["speech"] = bench.measure(lambda: _do(worker, unit), seconds)


def measure_features(bench: Bench, written: Sequence[str]) -> float:
    """Each encoder alone, then all of them; returns what they cost together of what they cost apart."""
    from cinescribe.encoders import catalogue
    from cinescribe.encoders.chunks import chunks
    from pipelines.extract_stage import FeaturesStage

    def cost(some: Sequence[str]) -> Cost:
        worker, seconds = _loaded(
            lambda: FeaturesStage(bench.job, some, _CHUNK, 1, bench.device, catalogue)  # type: ignore[arg-type]
        )
        names = tuple(tables.FEATURES + catalogue.spec(one).name for one in some)
        units = [Unit(bench.film, names, chunk.number) for chunk in chunks(bench.info.duration, _CHUNK)]
        return bench.measure(lambda: _do(worker, *units), seconds)

    costs = {tables.FEATURES + catalogue.spec(one).name: cost([one]) for one in written}
    bench.stages |= costs
    if len(written) < 2:
        return 1.0
    apart = sum(sum(one.core_seconds) for one in costs.values())
    return round(min(1.0, sum(cost(written).core_seconds) / apart), 3)


def measure_index(bench: Bench, written: Sequence[str]) -> None:
    """Sentences to vectors, words of the features, and their commit."""
    from cinescribe.encoders.text import SentenceEncoder
    from cinescribe.encoders.visual_words import Kind
    from cinescribe.search.documents import text_rows, word_rows
    from cinescribe.search.store import FilmRows, IndexedFilm, Store

    out, film_id = bench.job.out, bench.film.film_id
    encoder, seconds = _loaded(lambda: SentenceEncoder(threads=1, device=bench.device))
    store = Store(out)
    kinds: tuple[Kind, ...] = ("objects", "actions")

    def work() -> None:
        speech = tables.read_row(out, "speech", film_id)
        assert speech is not None
        seen = {kind: tables.read_features(out, kind, film_id) for kind in kinds if kind in written}
        rows = {"texts": text_rows(speech, encoder)}
        if known := {kind: features for kind, features in seen.items() if features is not None}:
            rows["visuals"] = word_rows(film_id, known)
        indexed = IndexedFilm(film_id, bench.film.uri, bench.info.duration, {}, "")
        store.replace([FilmRows(indexed, rows)])

    work()  # the first makes the tables of the index
    bench.stages["index"] = bench.measure(work, seconds)


def measure_descriptions(bench: Bench, model: str) -> None:
    """Sentences of a trained AutoAD and their places, without a voice."""
    from pipelines.describe_stage import TABLE, DescribeStage, Describing

    settings = Describing(model=model)
    worker, seconds = _loaded(lambda: DescribeStage(bench.job, settings, {}, {}, 1, bench.device))

    def work() -> None:
        tables.delete_row(bench.job.out, TABLE, bench.film.film_id)  # else only its corrections are looked at
        _do(worker, Unit(bench.film, (TABLE,)))

    bench.stages["descriptions"] = bench.measure(work, seconds)


def measure_efficiency(bench: Bench, profile: Profile, workers: int) -> float:
    """What one of so many processes at once is worth beside one alone, by the CPU time of the speech."""
    alone = bench.stages["speech"].core_seconds[0] * bench.info.duration / 3600
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers) as pool:
        used = pool.map(_speech_beside_others, [(bench.job, bench.film, profile)] * workers, chunksize=1)
    return round(min(1.0, alone * workers / sum(used)), 3)


def _speech_beside_others(given: tuple[Job, FilmRef, Profile]) -> float:
    job, film, profile = given
    worker = _speech_worker(job, profile, "cpu")
    used = time.process_time()
    _do(worker, Unit(film, ("speech",)))
    return time.process_time() - used


def _speech_worker(job: Job, profile: Profile, device: str) -> Callable[..., Passenger]:
    from cinescribe.speech.clean import SpeechCleaner, SpeechSettings
    from pipelines.transcribe import SpeechStage

    return SpeechStage(job, SpeechSettings(profile=profile), False, 1, device, SpeechCleaner)


def _loaded(make: Callable[[], Any]) -> tuple[Any, float]:
    """What is made, and the seconds of a core that it took."""
    began = time.process_time()
    made = make()
    if fault := getattr(made, "fault", ""):
        raise UsageError(fault)
    return made, time.process_time() - began


def _machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{os.cpu_count()} cores ({(names or [platform.machine()])[0]}), {platform.system()}"


def _load_note(cores: int, at_the_start: float) -> str:
    """How busy the machine was before and in the end, this work included."""
    loads = at_the_start, os.getloadavg()[0]
    busy = ": other work ran beside it" if max(loads) > cores else ""
    return f"load {loads[0]:.1f} before and {loads[1]:.1f} at the end{busy}"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write the file."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.rates", description=(__doc__ or "").split("\n")[0])
    p.add_argument("--out", required=True, type=Path, metavar="FILE.json")
    p.add_argument("--film", default="", help="measure this one (default: one that is rendered)")
    p.add_argument("--encoders", type=listed, default=_DEFAULT_ENCODERS, metavar="A,B,...")
    p.add_argument("--describe", default="", metavar="M", help="folder of an AutoAD; else not measured")
    p.add_argument("--profile", choices=("small", "paper"), default="small", help="of the speech")
    p.add_argument("--turns", type=int, default=3, help="default 3")
    p.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = p.parse_args(argv)
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    with TemporaryDirectory() as folder:
        name = options.film or str(Path(folder, "cineworld.mp4"))
        if not options.film:
            from cinescribe.cineworld.film import render_film

            render_film(7, Path(name))
        try:
            film, *more = list_films([name])
            info = probe(Path(film.uri))
        except CinescribeError as error:
            p.error(str(error))
        if more:
            p.error(f"--film: names {1 + len(more)} films; name one")
        plan = Path(folder, "plan")
        plan.touch()
        job = Job(folder, str(plan), folder, 0, stall_seconds=3600.0)
        bench = Bench(film, info, job, options.device, options.turns)
        measure_films(bench)
        measure_speech(bench, options.profile)
        together = measure_features(bench, options.encoders)
        measure_index(bench, options.encoders)
        if options.describe:
            measure_descriptions(bench, os.path.abspath(options.describe))
        workers = cores if options.device == "cpu" else 1
        efficiency = measure_efficiency(bench, options.profile, workers) if workers > 1 else 1.0
    command = shlex.join(["python", "-m", "benchmarks.rates", *(sys.argv[1:] if argv is None else argv)])
    rates = Rates(
        measured={
            "command": command,
            "date": time.strftime("%Y-%m-%d"),
            "machine": _machine(),
            "load": _load_note(cores, load),
            "cinescribe": __version__,
            "device": options.device,
            "profile": options.profile,
            "film": f"{Path(film.uri).name}: {info.duration:.0f} s of {info.video_codec}, "
            f"{info.width}x{info.height} at {info.fps:.3g} a second",
        },
        stages=bench.stages,
        pixels=round(max(1.0, info.width * info.height * info.fps)),
        together=together,
        workers=workers,
        efficiency=efficiency,
    )
    options.out.write_text(rates.to_json() + "\n")
    print(json.dumps(json.loads(rates.to_json()), indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
