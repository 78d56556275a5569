"""Films to audio description: `python -m pipelines.describe FILM... --out FOLDER --model MODEL`.

It reads the tables `speech` and `features/<name>` (the model says which) of the folder. The stages, each
writing one row per film into the table of its name:

    films           probe the container, find the shots               a task on any CPU
    descriptions    say what each interval shows, find it a place     a worker that holds the model

Before the row come the film's files: `files/<film>.described.vtt` and, with a voice, the described track
(`.described.m4a`) and the film with it beside its own sound (`.described.mp4`). A film whose rows changed is
done again; started again after any stop, a run does what is missing.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cinescribe import storage, tables
from cinescribe.cineworld.voices import VOICES
from cinescribe.describe import track
from cinescribe.describe.describer import FilmDescriber
from cinescribe.describe.intervals import merge_shots, read_intervals
from cinescribe.describe.phrases import forms
from cinescribe.describe.placement import Placed, PlacementSettings, Span, place
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.library import FilmRef, list_films
from cinescribe.utterance import Utterance
from pipelines import cluster, command, described, listing, plan, progress, units
from pipelines.align import read_features, read_speech
from pipelines.command import Common
from pipelines.films import prepare_films
from pipelines.run import Record, finish, follow
from pipelines.units import Job, Numbers, Passenger

STAGES = (plan.SHARED, "descriptions")
_PLAN = "tables/describe"  # of the second stage, which goes by the rows it reads
_LIMIT = 100.0  # seconds of work for a second of film, after which it turns in circles


@dataclass(frozen=True, slots=True, kw_only=True)
class Describing:
    """What the rows depend on besides the films and their tables.

    Attributes:
        model: folder of an AutoAD.
        beams: of the search for each sentence.
        placement: of the cues.
        shortest, longest: seconds of the intervals that are made of the shots.
        intervals: address of a file with intervals in place of these, "" for none.
        over_narrator: the film's own description counts as silence.
        voice: that speaks the cues, "" for none.
        duck: dB by which the film is lowered under it.
    """

    model: str
    beams: int = 5
    placement: PlacementSettings = field(default_factory=PlacementSettings)
    shortest: float = 3.0
    longest: float = 12.0
    intervals: str = ""
    over_narrator: bool = False
    voice: str = ""
    duck: float = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """One run of the pipeline; see `--help` for what each means."""

    describing: Describing


# ---- the stage ----------------------------------------------------------------------------------


class DescribeStage:
    """Describe films with a model that is loaded once."""

    def __init__(
        self,
        job: Job,
        settings: Describing,
        given: Mapping[str, Sequence[Span]],
        cast: Mapping[str, Sequence[str]],
        threads: int,
        device: str,
    ) -> None:
        self.job, self.settings, self.given, self.cast = job, settings, given, cast
        made, self.fault = units.made(
            lambda: FilmDescriber(Path(settings.model), beams=settings.beams, device=device, threads=threads)
        )
        self.describer: FilmDescriber = made  # type: ignore[assignment]  # not used when there is a fault

    def __call__(self, passenger: Passenger) -> Passenger:
        """Describe one film."""
        if self.fault:
            return {**passenger, "message": passenger["message"] or self.fault}
        try:
            film = tables.read_row(self.job.out, "films", passenger["film_id"])
        except (UsageError, OSError) as error:
            return {**passenger, "message": str(error)}
        limit = _LIMIT * film["duration"] if film else 0.0
        return units.attempt(self.job, "descriptions", passenger, partial(self.work, film), limit)

    def work(self, known: tables.Row | None, film: FilmRef, path: Path) -> tuple[tables.Row, Numbers]:
        """The row of `descriptions`; the files come before it, for the row is what counts."""
        if known is None:
            raise UsageError(f"{self.job.out}: the row of {film.film_id} in films is gone; run again")
        out, settings = self.job.out, self.settings
        speech = self._speech(known)
        features = read_features(out, self.describer.inputs.features, film.film_id)
        if features.etag != known["etag"]:
            raise MediaError("damaged", _of_another_version(out, "features", film.film_id, "extract"))
        sentences = self.describer(
            film.film_id, features, self._intervals(known), speech, self.cast.get(film.film_id, ())
        )
        voice = track.voice_named(settings.voice) if settings.voice else None
        lines = [(u.start, u.end) for u in speech if not (settings.over_narrator and u.role == "narrator")]
        seconds = None
        if voice:
            texts = [text for sentence in sentences for text in forms(sentence.text)]
            seconds = track.measure(texts, voice).__getitem__
        placed = place(sentences, lines, known["duration"], settings.placement, seconds)
        cues = [one.cue for one in placed if one.cue]
        described.write_text(out, film.film_id, cues)
        if voice:
            described.write_sound(out, film.film_id, path, cues, voice, track.Mix(duck=settings.duck))
        row = description_row(known, placed, {"autoad": self.describer.weight} | dict(features.weights))
        return row, {
            "duration": known["duration"],
            "sentences": len(placed),
            "cues": len(cues),
            "described": sum(cue.end - cue.start for cue in cues),
        }

    def _speech(self, known: tables.Row) -> list[Utterance]:
        """All that is said in the film; without it nobody knows where a cue may be."""
        if not known["audio_rate"]:
            return []
        speech = read_speech(self.job.out, known["film_id"])
        if speech["etag"] != known["etag"]:
            raise MediaError(
                "damaged", _of_another_version(self.job.out, "speech", known["film_id"], "transcribe")
            )
        return tables.utterances_of(speech)

    def _intervals(self, known: tables.Row) -> Sequence[Span]:
        if not self.settings.intervals:
            shots = [(shot["start"], shot["end"]) for shot in known["shots"]]
            if not shots:
                raise MediaError("no-video", f"{known['uri']}: has no picture to describe; give a film")
            return merge_shots(shots, self.settings.shortest, self.settings.longest)
        given = [span for span in self.given.get(known["film_id"], ()) if span[0] < known["duration"]]
        if not given:
            raise MediaError(
                "missing", f"{self.settings.intervals}: no interval within {known['film_id']}; add its rows"
            )
        return given


def description_row(film: tables.Row, placed: Sequence[Placed], weights: Mapping[str, str]) -> tables.Row:
    """The row of `descriptions` of a film, from its row of `films` and what became of its sentences."""
    numbers = iter(range(len(placed)))
    return {
        "film_id": film["film_id"],
        "etag": film["etag"],
        "cues": [asdict(one.cue) for one in placed if one.cue],
        "sentences": [
            {**asdict(one.sentence), "cue": next(numbers) if one.cue else -1, "reason": one.reason}
            for one in placed
        ],
        "weights": [{"role": role, "weight": weight} for role, weight in sorted(weights.items())],
    }


def _of_another_version(out: str, table: str, film_id: str, command_: str) -> str:
    return f"{out}: {table} of {film_id} are of another version of the film; `cinescribe {command_}` it again"


# ---- the run ------------------------------------------------------------------------------------


def run(config: Config) -> int:
    """Do what is missing of a run; 0 when every film is done or recorded as failed (with `strict`: is done).

    Raises:
        CinescribeError: nothing to do it on, or with (see the message); what is done stays done.
    """
    settings = config.describing
    describer = FilmDescriber(Path(settings.model))  # here once: one that can't be had stops the run
    inputs, weight = describer.inputs, describer.weight
    del describer
    given = read_intervals(settings.intervals) if settings.intervals else {}
    cast = _cast(config.out) if inputs.subtitles == "names" else {}
    if settings.voice:
        track.voice_named(settings.voice)
    films = list_films(config.inputs)
    unknown = plan.make_plan(
        config.out, "describe", films, (plan.SHARED,), settings={}, retry_failed=config.retry_failed
    )
    record = Record(config, len(films), len(unknown))
    record.weights = {"autoad": weight}
    with ExitStack() as stack:
        if unknown:
            stack.enter_context(cluster.session(config.address))
        if not prepare_films(config, "describe", films, unknown, record):
            return _end(config, films, progress.Report(0, 0, quiet=config.quiet), record)
        pending = _plan_descriptions(config, films, inputs.features, weight, given)
        report = progress.Report(len(films), len(films) - len(pending), quiet=config.quiet)
        record.content["films_to_describe"] = len(pending)
        if not pending:
            report.say(
                f"Nothing to do: all {len(films)} films were done or failed before (again: --retry-failed)."
            )
        elif not (config.strict and plan.standing(config.out, films, STAGES)["descriptions"].failed):
            _process(config, pending, given, cast, report, record)
    return _end(config, films, report, record)


def _plan_descriptions(
    config: Config, films: Sequence[FilmRef], encoder: str, weight: str, given: Mapping[str, Sequence[Span]]
) -> list[plan.Unit]:
    """The films whose description is missing; their etags change with the rows it is made of."""
    known = listing.rows_of_films(config.out, ("speech", tables.FEATURES + encoder))
    done = plan.standing(config.out, films, (plan.SHARED,))[plan.SHARED].done
    stamped = []
    for film in films:
        if film.film_id in done:
            stamps = {table: listing.together(names) for table, names in known.get(film.film_id, {}).items()}
            stamped.append(replace(film, etag=listing.together({**stamps, plan.SHARED: film.etag})))
    settings = {**asdict(config.describing), "model": weight}
    if given:
        settings["intervals"] = listing.together({film: repr(spans) for film, spans in given.items()})
    return plan.make_plan(
        config.out,
        _PLAN,
        stamped,
        STAGES[1:],
        settings=settings,
        files_of=partial(described.addresses, config.out),
        retry_failed=config.retry_failed,
    )


def _process(
    config: Config,
    pending: Sequence[plan.Unit],
    given: Mapping[str, Sequence[Span]],
    cast: Mapping[str, Sequence[str]],
    report: progress.Report,
    record: Record,
) -> None:
    """Describe the films, by Ray or, by one worker on this machine, here."""
    job = replace(command.job(config, _PLAN), films=bool(config.describing.voice))
    if config.workers == 1 and not (config.address or os.environ.get("RAY_ADDRESS")):
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        work = DescribeStage(job, config.describing, given, cast, config.threads, device)
        outcomes = (units.leave(work(units.board(unit))) for unit in pending)
        follow(outcomes, report, record, strict=config.strict)
        return
    with cluster.session(config.address):
        machines = cluster.machines()
        shares = cluster.share(
            machines, len(pending), "features", config.workers, config.threads, cluster.gpu_share(machines)
        )
        report.say(f"{len(pending)} of {report.planned} films to do: {shares}")
        dataset = cluster.map_workers(
            cluster.source(pending),
            DescribeStage,
            shares,
            len(pending),
            job=job,
            settings=config.describing,
            given=given,
            cast=cast,
            threads=shares.threads,
            device="cuda" if shares.gpus else "cpu",
        )
        if not follow(cluster.outcomes(dataset), report, record, strict=config.strict):
            return
    by_id = {unit.film.film_id: unit.film for unit in pending}
    stands = plan.standing(config.out, list(by_id.values()), STAGES)["descriptions"]
    for outcome in units.write_crashed(
        job, "descriptions", [(by_id[film_id], None) for film_id in sorted(stands.missing)]
    ):
        report.unit(outcome)


def _cast(out: str) -> Mapping[str, Sequence[str]]:
    """The characters' names by film, of `cast.json` in the folder of the tables."""
    address = storage.join(out, "cast.json")
    try:
        found: dict[str, list[str]] = json.loads(storage.read_bytes(address))
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(
            f"{address}: the model was trained on names alone and needs them, {{film: [names]}} ({error})"
        ) from error
    return found


def _end(config: Config, films: Sequence[FilmRef], report: progress.Report, record: Record) -> int:
    """Count, tell, and give the exit code."""
    did = report.totals.sums
    rows = [
        ("sentences", str(did["sentences"])),
        ("of them placed", str(did["cues"])),
        ("description", f"{did['described'] / 60:.1f} min"),
    ]
    places = [("files", storage.join(config.out, "files"))]
    return finish(
        config, films, plan.standing(config.out, films, STAGES), report, record, rows=rows, places=places
    )


# ---- the command --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    place_, plain = PlacementSettings(), Describing(model="")
    p = argparse.ArgumentParser(
        prog="cinescribe describe",
        description="Audio description of films by a trained AutoAD, placed where nobody speaks.",
        epilog=command.EXIT_CODES,
    )
    command.add_inputs(p)
    p.add_argument(
        "--model",
        required=True,
        metavar="M",
        help="folder of an AutoAD: RUN/best of `cinescribe train autoad`",
    )

    def number(name: str, default: float, text: str) -> None:
        p.add_argument(name, type=float, default=default, metavar="X", help=f"{text} (default {default:g})")

    p.add_argument(
        "--beams", type=command.positive, default=plain.beams, metavar="N", help="default %(default)s"
    )
    p.add_argument(
        "--intervals",
        default="",
        metavar="FILE.csv",
        help="what to describe in place of the shots: columns film_id, start, end (seconds)",
    )
    number("--shortest", plain.shortest, "seconds; shorter shots are joined")
    number("--longest", plain.longest, "seconds; longer ones are cut into equal parts")
    number("--wpm", place_.words_per_minute, "words a minute, where no voice is measured")
    number("--shortest-gap", place_.shortest_gap, "seconds of a pause of the dialogue that is used")
    number("--apart", place_.apart, "seconds between a cue and a line or another cue")
    number("--early", place_.early, "seconds a cue may begin before what it describes")
    number("--late", place_.late, "seconds a cue may end after it")
    p.add_argument(
        "--over-narrator", action="store_true", help="place cues also where the film's own narrator speaks"
    )
    p.add_argument(
        "--voice",
        choices=[voice.name for voice in VOICES],
        default="",
        help="also write the described track and the film with it; needs 'cinescribe[voices]'; English",
    )
    number("--duck", plain.duck, "dB by which the film is lowered under the voice")
    command.add_common(p)
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments: dict[str, Any] = command.common_values(vars(parser().parse_args(argv)))
    names = ("beams", "intervals", "shortest", "longest", "over_narrator", "voice", "duck")
    chosen = {name: arguments.pop(name) for name in names}
    model = os.path.abspath(arguments.pop("model"))
    spaces = {name: arguments.pop(name) for name in ("shortest_gap", "apart", "early", "late")}
    rate = arguments.pop("wpm")

    def start() -> int:
        placement = PlacementSettings(words_per_minute=rate, **spaces)
        track.Mix(duck=chosen["duck"])
        merge_shots([], chosen["shortest"], chosen["longest"])
        return run(Config(describing=Describing(model=model, placement=placement, **chosen), **arguments))

    return command.exit_code(start)


if __name__ == "__main__":
    raise SystemExit(main())
