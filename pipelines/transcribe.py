"""Films to clean speech: `python -m pipelines.transcribe FILM... --out FOLDER`.

The stages, each writing one row per film into the table of its name:

    films    probe the container, find the shots       a task on any CPU
    speech   diarize, transcribe, find the narrator    a worker that holds the models

The speech stage also writes the files for people: `files/<film>.ad.vtt`, `.dialogue.vtt`, `.dialogue.srt`,
`.rttm`. Started again after any stop, a run does what is missing.
"""

import argparse
import getpass
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cinescribe import __version__, storage, tables
from cinescribe.errors import CinescribeError
from cinescribe.media.library import FilmRef, list_films
from cinescribe.media.probe import probe
from cinescribe.speech.clean import CleanSpeech, SpeechCleaner, SpeechSettings
from pipelines import cluster, files, plan, progress, units
from pipelines.units import Job, Passenger

STAGES = ("films", "speech")

Cleaner = Callable[[Path], CleanSpeech]


@dataclass(frozen=True, slots=True)
class Config:
    """One run of the pipeline; see `--help` for what each means."""

    inputs: tuple[str, ...]
    out: str
    speech: SpeechSettings = field(default_factory=SpeechSettings)
    unnamed: bool = False
    strict: bool = False
    retry_failed: bool = False
    workers: int = 0
    threads: int = 0
    cache_gb: float = 50.0
    stall_seconds: float = 900.0
    address: str = ""
    quiet: bool = False


# ---- the stages ---------------------------------------------------------------------------------


def films_stage(passenger: Passenger, job: Job) -> Passenger:
    """Probe a film and find its shots."""

    def work(film: FilmRef, path: Path) -> tuple[tables.Row, dict[str, Any]]:
        from cinescribe.media.shots import find_shots

        info = probe(path)
        shots = find_shots(path) if info.width else []
        return tables.film_row(film, info, shots), {"duration": info.duration}

    # The length is not known yet; a film of 100 kB/s is watched in at most its own length.
    return units.attempt(job, "films", passenger, work, limit=passenger["bytes"] / 100_000)


class SpeechStage:
    """Clean the speech of films with models that are loaded once."""

    def __init__(
        self, job: Job, settings: SpeechSettings, unnamed: bool, threads: int, device: str, cleaner: type
    ) -> None:
        self.job, self.unnamed = job, unnamed
        self.fault = ""
        try:
            self.cleaner: Cleaner = cleaner(settings, threads=threads, device=device)
        except Exception as error:  # told with the first film: Ray buries what a constructor raises
            self.fault = str(error) if isinstance(error, CinescribeError) else repr(error)

    def __call__(self, passenger: Passenger) -> Passenger:
        """Clean one film."""
        if self.fault:
            return {**passenger, "message": passenger["message"] or self.fault}
        numbers = json.loads(passenger["numbers"])
        if "duration" not in numbers and not passenger["message"]:  # probed in an earlier run
            try:
                row = tables.read_row(self.job.out, "films", passenger["film_id"])
            except CinescribeError as error:
                return {**passenger, "message": str(error)}
            numbers["duration"] = row["duration"] if row else 0.0
            passenger = {**passenger, "numbers": json.dumps(numbers)}
        limit = 20 * numbers.get("duration", 0.0)
        return units.attempt(self.job, "speech", passenger, self.work, limit=limit)

    def work(self, film: FilmRef, path: Path) -> tuple[tables.Row, dict[str, Any]]:
        """The row of `speech`; the files for people are written before it, for the row is what counts."""
        speech = self.cleaner(path)
        files.write(self.job.out, film.film_id, speech, unnamed=self.unnamed)
        seconds = {"narrator": 0.0, "dialogue": 0.0, "unknown": 0.0}
        for utterance in speech.utterances:
            seconds[utterance.role] += utterance.end - utterance.start
        return tables.speech_row(film, speech), {
            "description": seconds["narrator"],
            "dialogue": seconds["dialogue"] + seconds["unknown"],
            "words": sum(len(u.words) or len(u.text.split()) for u in speech.utterances),
            "suppressed": sum(speech.suppressed.values()),
            "weights": dict(speech.weights),
        }


# ---- the run ------------------------------------------------------------------------------------


def run(config: Config, cleaner: type = SpeechCleaner) -> int:
    """Do what is missing of a run; 0 when every film is done or recorded as failed (with `strict`: is done).

    Raises:
        CinescribeError: nothing to do it on, or with (see the message); what is done stays done.
    """
    films = list_films(config.inputs)
    pending = plan.make_plan(
        config.out,
        "transcribe",
        films,
        STAGES,
        settings={**asdict(config.speech), "unnamed": config.unnamed},
        files_of=partial(files.addresses, config.out),
        retry_failed=config.retry_failed,
    )
    report = progress.Report(len(films), len(films) - len(pending), quiet=config.quiet)
    record = _Record(config, len(films), len(pending))
    before = plan.standing(config.out, films, STAGES)
    if config.strict and any(stands.failed for stands in before.values()):
        return _end(config, films, report, record)
    if not pending:
        report.say(
            f"Nothing to do: all {len(films)} films were done or failed before (again: --retry-failed)."
        )
        return _end(config, films, report, record)

    ours = cluster.connect(config.address)
    try:
        _process(config, pending, cleaner, report, record)
    finally:
        if ours:
            import ray

            ray.shutdown()
    return _end(config, films, report, record)


def _process(
    config: Config, pending: Sequence[plan.Unit], cleaner: type, report: progress.Report, record: "_Record"
) -> None:
    """Send the units through the stages. Returns early at the first failure when strict."""
    shares = cluster.share(
        cluster.machines(), len(pending), config.speech.profile, config.workers, config.threads
    )
    report.say(f"{len(pending)} of {report.planned} films to do: {shares}")
    job = Job(
        out=config.out,
        plan=plan.address(config.out, "transcribe"),
        cache_folder=str(Path(tempfile.gettempdir()) / f"cinescribe-{getpass.getuser()}"),
        cache_bytes=int(config.cache_gb * 1e9),
        stall_seconds=config.stall_seconds,
    )
    dataset = cluster.source(pending)
    dataset = cluster.map_tasks(dataset, films_stage, shares.film_cpus, job=job)
    dataset = cluster.map_workers(
        dataset,
        SpeechStage,
        shares,
        len(pending),
        job=job,
        settings=config.speech,
        unnamed=config.unnamed,
        threads=shares.threads,
        device="cuda" if shares.gpus else "cpu",
        cleaner=cleaner,
    )
    with report:
        for outcome in cluster.outcomes(dataset):
            if outcome.message and not outcome.stage:
                raise CinescribeError(outcome.message)
            record.weights.update(outcome.numbers.get("weights", {}))
            report.film(outcome)
            if config.strict and outcome.message:
                return
        films = {unit.film.film_id: unit.film for unit in pending}
        for stage, stands in plan.standing(config.out, list(films.values()), STAGES).items():
            lost = [films[film_id] for film_id in sorted(stands.missing)]
            for outcome in units.write_crashed(job, stage, lost):
                report.film(outcome)


def _end(config: Config, films: Sequence[FilmRef], report: progress.Report, record: "_Record") -> int:
    """Count, tell, and give the exit code."""
    standings = plan.standing(config.out, films, STAGES)
    failed = {film_id for stands in standings.values() for film_id in stands.failed}
    missing = sum(len(stands.missing) for stands in standings.values())
    if failed:
        known = [
            row for row in tables.read_table(config.out, "errors").to_pylist() if row["film_id"] in failed
        ]
        progress.failures(report.console, known)
    counts = {
        stage: {"planned": len(s.planned), "done": len(s.done), "failed": len(s.failed)}
        for stage, s in standings.items()
    }
    places = [
        (stage, f"{n['planned']} planned = {n['done']} done + {n['failed']} failed")
        for stage, n in counts.items()
    ]
    if missing:
        places.append(("not tried", str(missing)))
    ids = {tables.file_name(film.film_id) for film in films}
    if others := tables.written_names(config.out, "speech") - ids:
        names = ", ".join(sorted(others)[:3])
        places.append(("not in this plan", f"{len(others)} other films in the tables ({names}, ...)"))
    places.append(("files", storage.join(config.out, "files")))
    places.append(("tables", f"{config.out} ({', '.join(STAGES)}, errors)"))
    report.summary(places)
    record.write(counts)
    if config.strict and failed:
        progress.complain(f"{len(failed)} of {len(films)} films failed, and --strict was given")
        return 1
    if missing:
        progress.complain(f"{missing} films are neither done nor failed; run the same command again")
        return 1
    return 0


class _Record:
    """What the run was made with, as `runs/<time>.json`; written at its start and completed at its end."""

    def __init__(self, config: Config, planned: int, pending: int) -> None:
        self.uri = storage.join(
            config.out, "runs", f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.json"
        )
        self.weights: dict[str, str] = {}
        self.content: dict[str, object] = {
            "cinescribe": __version__,
            "python": platform.python_version(),
            "settings": asdict(config),
            "films": planned,
            "to_do": pending,
        }
        self.write({})

    def write(self, counts: Mapping[str, object]) -> None:
        """Write what is known."""
        content = {**self.content, "weights": self.weights, "stages": counts}
        storage.write_bytes(self.uri, json.dumps(content, indent=2, ensure_ascii=False).encode())


# ---- the command --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    default = SpeechSettings()
    p = argparse.ArgumentParser(
        prog="cinescribe transcribe",
        description="Clean speech, with audio description set apart, from films.",
        epilog="Exit code 0 when every film is done or recorded in errors, 1 with --strict when one failed, "
        "2 when nothing can be done as asked.",
    )
    p.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, globs, s3://bucket/prefix")
    p.add_argument(
        "--out", required=True, metavar="DIR", help="folder or s3://bucket/prefix of the tables and files"
    )
    p.add_argument(
        "--profile",
        choices=("small", "paper"),
        default=default.profile,
        help="which weights: small (default, for a laptop) or paper (Whisper large-v2)",
    )
    p.add_argument(
        "--asr",
        default="",
        metavar="MODEL",
        help="a Whisper weight by name or path, see: cinescribe models list",
    )
    p.add_argument("--diarization", default="", metavar="NAME", help="a pyannote pipeline by name or path")
    p.add_argument(
        "--language",
        default="",
        metavar="CODE",
        help="ISO 639-1 code; detected by multilingual weights; tiny.en takes all for English",
    )
    p.add_argument(
        "--narrator",
        default=default.narrator,
        metavar="WHO",
        help="auto (default: found by its words), none, all, or labels of one film such as SPEAKER_03",
    )
    p.add_argument(
        "--names", type=_names, default=(), metavar="A,B,...", help="names to expect, such as the characters'"
    )
    p.add_argument("--speakers", type=_bounds, default=(0, 0), metavar="N|MIN-MAX", help="how many voices")
    p.add_argument(
        "--unnamed", action="store_true", help='also write FILM.ad.unnamed.vtt, persons as "someone"'
    )
    p.add_argument("--strict", action="store_true", help="stop at the first film that fails, exit code 1")
    p.add_argument(
        "--retry-failed", action="store_true", help="try films again that failed in an earlier run"
    )
    p.add_argument("--workers", type=_positive, default=0, metavar="N", help="processes that hold the models")
    p.add_argument("--threads", type=_positive, default=0, metavar="N", help="threads of each of them")
    p.add_argument(
        "--cache-gb", type=float, default=50.0, metavar="GB", help="local copies of films on S3 (default 50)"
    )
    p.add_argument(
        "--stall-seconds",
        type=float,
        default=900.0,
        metavar="S",
        help="how long a film may stand still (default 900)",
    )
    p.add_argument("--address", default="", help="a running Ray cluster; else RAY_ADDRESS, else this machine")
    p.add_argument("--quiet", action="store_true", help="say nothing but errors")
    return p


def main(argv: Sequence[str] | None = None, cleaner: type = SpeechCleaner) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments = vars(parser().parse_args(argv))
    minimum, maximum = arguments.pop("speakers")
    chosen = {
        name: arguments.pop(name)
        for name in ("profile", "asr", "diarization", "language", "narrator", "names")
    }
    speech = SpeechSettings(**chosen, min_speakers=minimum, max_speakers=maximum)
    inputs, out = tuple(arguments.pop("inputs")), arguments.pop("out")
    out = out if storage.is_s3(out) else os.path.abspath(out)  # a worker may stand in another folder
    try:
        return run(Config(inputs=inputs, out=out, speech=speech, **arguments), cleaner)
    except (CinescribeError, OSError) as error:
        progress.complain(str(error))
        return 2
    except KeyboardInterrupt:
        progress.complain("stopped; the same command goes on where it was")
        return 130


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _bounds(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    try:
        bounds = int(low), int(high or low)
    except ValueError:
        bounds = 0, 0
    if not 1 <= bounds[0] <= bounds[1]:
        raise argparse.ArgumentTypeError("is N or MIN-MAX, from 1 on")
    return bounds


if __name__ == "__main__":
    raise SystemExit(main())
