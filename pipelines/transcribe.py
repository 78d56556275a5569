"""Films to clean speech: `python -m pipelines.transcribe FILM... --out FOLDER`.

The stages, each writing one row per film into the table of its name:

    films    probe the container, find the shots       a task on any CPU
    speech   diarize, transcribe, find the narrator    a worker that holds the models

The speech stage also writes the files for people: `files/<film>.ad.vtt`, `.dialogue.vtt`, `.dialogue.srt`,
`.rttm`. Started again after any stop, a run does what is missing.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cinescribe import storage, tables
from cinescribe.errors import CinescribeError
from cinescribe.media.library import FilmRef, list_films
from cinescribe.speech.clean import CleanSpeech, SpeechCleaner, SpeechSettings
from pipelines import cluster, command, files, plan, progress, units
from pipelines.command import Common
from pipelines.films import films_stage
from pipelines.rounds import try_all
from pipelines.run import Record, finish, follow
from pipelines.units import Job, Passenger

STAGES = ("films", "speech")

Cleaner = Callable[[Path], CleanSpeech]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """One run of the pipeline; see `--help` for what each means."""

    speech: SpeechSettings = field(default_factory=SpeechSettings)
    unnamed: bool = False


# ---- the stages ---------------------------------------------------------------------------------


class SpeechStage:
    """Clean the speech of films with models that are loaded once."""

    def __init__(
        self, job: Job, settings: SpeechSettings, unnamed: bool, threads: int, device: str, cleaner: type
    ) -> None:
        self.job, self.unnamed = job, unnamed
        made, self.fault = units.made(lambda: cleaner(settings, threads=threads, device=device))
        self.cleaner: Cleaner = made  # type: ignore[assignment]  # not used when there is a fault

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
            "described": int(seconds["narrator"] > 0),
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
    record = Record(config, "transcribe", len(films), len(pending))
    before = plan.standing(config.out, films, STAGES)
    if config.strict and any(stands.failed for stands in before.values()):
        return _end(config, films, report, record)
    if not pending:
        report.say(
            f"Nothing to do: all {len(films)} films were done or failed before (again: --retry-failed)."
        )
        return _end(config, films, report, record)

    with cluster.session(config.address):
        _process(config, pending, cleaner, report, record)
    return _end(config, films, report, record)


def _process(
    config: Config, pending: Sequence[plan.Unit], cleaner: type, report: progress.Report, record: Record
) -> None:
    """Send the units through the stages. Returns early at the first failure when strict."""
    shares = cluster.share(
        cluster.machines(), len(pending), config.speech.profile, config.workers, config.threads
    )
    report.say(f"{len(pending)} of {report.planned} films to do: {shares}, films prepared beside")
    job = command.job(config, "transcribe")
    films = [unit.film for unit in pending]

    def attempt(some: Sequence[plan.Unit]) -> bool:
        dataset = cluster.source(some)
        dataset = cluster.map_tasks(dataset, films_stage, shares.beside_cpus, job=job)
        dataset = cluster.map_workers(
            dataset,
            SpeechStage,
            shares,
            len(some),
            job=job,
            settings=config.speech,
            unnamed=config.unnamed,
            threads=shares.threads,
            device="cuda" if shares.gpus else "cpu",
            cleaner=cleaner,
        )
        outcomes = cluster.outcomes(dataset)
        return follow(outcomes, report, record, strict=config.strict, workers=shares.workers)

    def missing() -> list[plan.Unit]:
        return plan.units_left(config.out, films, STAGES)

    lost, why = try_all(pending, attempt, missing, report.say)
    for stage in STAGES:
        here = [unit for unit in lost if unit.todo[0] == stage]
        follow(units.write_crashed(job, stage, here, why), report, record)


def _end(config: Config, films: Sequence[FilmRef], report: progress.Report, record: Record) -> int:
    """Count, tell, and give the exit code."""
    did = report.totals.sums
    rows = [
        ("audio description", f"{did['description'] / 60:.1f} min"),
        ("films with a narrator", f"{did['described']} of {report.totals.units}"),
        ("dialogue", f"{did['dialogue'] / 60:.1f} min"),
        ("words", str(did["words"])),
        ("suppressed words", str(did["suppressed"])),
    ]
    places = [("files", storage.join(config.out, "files"))]
    ids = {tables.file_name(film.film_id) for film in films}
    if others := tables.written_names(config.out, "speech") - ids:
        names = ", ".join(sorted(others)[:3])
        places.insert(0, ("not in this plan", f"{len(others)} other films in the tables ({names}, ...)"))
    standings = plan.standing(config.out, films, STAGES)
    return finish(config, films, standings, report, record, rows=rows, places=places)


# ---- the command --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    default = SpeechSettings()
    p = argparse.ArgumentParser(
        prog="cinescribe transcribe",
        description="Clean speech, with audio description set apart, from films.",
        epilog=command.EXIT_CODES,
    )
    command.add_inputs(p)
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
        "--names",
        type=command.listed,
        default=(),
        metavar="A,B,...",
        help="names to expect, such as the characters'",
    )
    p.add_argument("--speakers", type=_bounds, default=(0, 0), metavar="N|MIN-MAX", help="how many voices")
    p.add_argument(
        "--unnamed", action="store_true", help='also write FILM.ad.unnamed.vtt, persons as "someone"'
    )
    command.add_common(p)
    return p


def main(argv: Sequence[str] | None = None, cleaner: type = SpeechCleaner) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments = command.common_values(vars(parser().parse_args(argv)))
    minimum, maximum = arguments.pop("speakers")
    chosen = {
        name: arguments.pop(name)
        for name in ("profile", "asr", "diarization", "language", "narrator", "names")
    }
    speech = SpeechSettings(**chosen, min_speakers=minimum, max_speakers=maximum)
    config = Config(speech=speech, **arguments)
    return command.exit_code(lambda: run(config, cleaner), "transcribe", config.log)


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
