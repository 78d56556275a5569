"""Narration put where it is seen: `python -m pipelines.align DIR --model MODEL`.

One stage, which reads the tables `speech` and `features/<name>` (the model says which) and writes

    alignments    each sentence when spoken and when seen    a row a film; a worker that holds the model

and before it the film's files, the sentences that are seen at the times they are: `files/<film>.aligned.vtt`
and `.aligned.json`. At the end the run writes `htm_aa.csv`, clips with texts to train on, from the whole
table. A film whose rows changed is done again; started again after any stop, a run does what is missing.
"""

import argparse
import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cinescribe import storage, tables
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.library import FilmRef
from cinescribe.metrics.alignment import score_alignment
from cinescribe.models.tan_narration import AlignedSentence, NarrationAligner
from cinescribe.subtitles import to_vtt
from cinescribe.utterance import Utterance
from pipelines import cluster, command, files, listing, plan, progress, units
from pipelines.command import Common
from pipelines.rounds import try_all
from pipelines.run import Record, finish, follow
from pipelines.units import Job, Numbers, Passenger

STAGES = ("alignments",)
ENDINGS = (".aligned.vtt", ".aligned.json")
CLIPS = "htm_aa.csv"
Truth = Mapping[str, Sequence[Sequence[Any]]]  # of HTM-Align: video -> [alignable, start, end, text]
_PLAN = "tables/align"
_RAY_FROM = 100  # films; Ray takes as long to start as one process takes for some of them
_LIMIT = 3600.0  # seconds of work for a film, after which it turns in circles


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Common):
    """One run of the pipeline; see `--help` for what each means."""

    model: str
    films: str = "*"
    keep: float = 0.5
    truth: str = ""

    @property
    def root(self) -> str:
        """Where the tables are that are read."""
        return self.inputs[0]


# ---- the stage ----------------------------------------------------------------------------------


class AlignStage:
    """Align the narration of films with a model that is loaded once."""

    def __init__(self, job: Job, root: str, model: str, threads: int, device: str) -> None:
        self.job, self.root = job, root
        made, self.fault = units.made(lambda: NarrationAligner(model, device=device, threads=threads))
        self.aligner: NarrationAligner = made  # type: ignore[assignment]  # not used when there is a fault

    def __call__(self, passenger: Passenger) -> Passenger:
        """Align one film."""
        if self.fault:
            return {**passenger, "message": passenger["message"] or self.fault}
        return units.attempt(self.job, "alignments", passenger, self.work, _LIMIT)

    def work(self, film: FilmRef, _: Path) -> tuple[tables.Row, Numbers]:
        """The row of `alignments`; the files for people are written before it, for the row is what counts."""
        speech = read_speech(self.root, film.film_id)
        features = read_features(self.root, self.aligner.features, film.film_id)
        if speech["etag"] != features.etag:
            raise MediaError(
                "damaged",
                f"{self.root}: speech and features of {film.film_id} are of different versions of the film; "
                "transcribe and extract it again",
            )
        video = seconds_of(features)
        known = tables.read_row(self.root, "films", film.film_id)
        duration = min(float(len(video)), known["duration"]) if known else float(len(video))
        sentences = self.aligner(video, tables.utterances_of(speech), duration)
        write_files(self.job.out, film.film_id, sentences, speech["language"])
        weights = {"tan": self.aligner.weight} | dict(features.weights)
        row: tables.Row = {
            "film_id": film.film_id,
            "etag": speech["etag"],
            "sentences": [asdict(sentence) for sentence in sentences],
            "weights": [{"role": role, "weight": weight} for role, weight in sorted(weights.items())],
        }
        seen = sum(sentence.alignable for sentence in sentences)
        return row, {"duration": duration, "sentences": len(sentences), "alignable": seen}


def read_speech(root: str, film_id: str) -> tables.Row:
    """The film's row of `speech`. Raises MediaError when there is none, or it is not the film's."""
    path = storage.join(root, "speech", tables.file_name(film_id))
    try:
        row = tables.read_row(root, "speech", film_id)
    except pa.ArrowInvalid as error:
        why = f"{path}: not a row of that table ({error}); delete it and transcribe again"
        raise MediaError("damaged", why) from error
    if row is None:
        raise MediaError("missing", f"{path}: not there; run `cinescribe transcribe` on this film")
    if row["film_id"] != film_id:
        raise MediaError("damaged", f"{path}: holds another film's speech; delete it and transcribe again")
    return row


def read_features(root: str, encoder: str, film_id: str) -> tables.Features:
    """The film's features. Raises MediaError when there are none, or they can't be read."""
    try:
        features = tables.read_features(root, encoder, film_id)
    except UsageError as error:  # of this film's file; it must not stop the others
        raise MediaError("damaged", str(error)) from error
    if features is None or not len(features.array):
        place = storage.join(root, tables.FEATURES + encoder)
        raise MediaError("missing", f"{place}: nothing of {film_id}; run `cinescribe extract` on this film")
    return features


def seconds_of(features: tables.Features) -> NDArray[np.float16]:
    """[seconds, width]; NaN where a chunk is missing. Raises UsageError when there is not one a second."""
    if features.hz != 1:
        raise UsageError(f"features of {features.hz:g} a second, and TAN reads one; extract them with @1")
    return features.whole()


def write_files(out: str, film_id: str, sentences: Sequence[AlignedSentence], language: str) -> None:
    """Write the sentences that are seen, by the times they are: as subtitles, and in the form of HTM."""
    seen = sorted((s for s in sentences if s.alignable), key=lambda s: (s.start, s.end, s.spoken_start))
    lines = [Utterance(s.start, s.end, s.text) for s in seen]
    columns = {name: [getattr(s, name) for s in seen] for name in ("text", "start", "end")}
    texts = (to_vtt(lines, "captions", language), json.dumps({film_id: columns}, ensure_ascii=False))
    for address, text in zip(files.addresses(out, film_id, ENDINGS), texts, strict=True):
        storage.write_bytes(address, text.encode("utf-8", "replace"))


# ---- the run ------------------------------------------------------------------------------------


def run(config: Config) -> int:
    """Do what is missing of a run; 0 when every film is done or recorded as failed (with `strict`: is done).

    Raises:
        CinescribeError: nothing to do it on, or with (see the message); what is done stays done.
    """
    aligner = NarrationAligner(config.model)  # here once, so that one that can't be had stops the run
    films = find_films(config.root, aligner.features, config.films)
    _try(config.root, aligner, films)
    truth = read_truth(config.truth, config.root, aligner.features) if config.truth else {}
    pending = plan.make_plan(
        config.out,
        _PLAN,
        films,
        STAGES,
        settings={"model": aligner.weight},
        files_of=partial(files.addresses, config.out, endings=ENDINGS),
        retry_failed=config.retry_failed,
    )
    report = progress.Report(len(films), len(films) - len(pending), quiet=config.quiet)
    record = Record(config, "align", len(films), len(pending))
    record.weights = {"tan": aligner.weight}
    stands = plan.standing(config.out, films, STAGES)["alignments"]
    if not pending:
        report.say(
            f"Nothing to do: all {len(films)} films were done or failed before (again: --retry-failed)."
        )
    elif not (config.strict and stands.failed):
        _process(config, pending, report, record)
    clips = write_clips(config.out, config.keep)
    if truth:
        _evaluate(config, aligner, truth, report, record)
    did = report.totals.sums
    rows = [("sentences", str(did["sentences"])), ("of them alignable", str(did["alignable"]))]
    places = [
        ("files", storage.join(config.out, "files")),
        ("clips to train on", f"{clips} in {storage.join(config.out, CLIPS)}"),
    ]
    ids = {tables.file_name(film.film_id) for film in films}
    if others := tables.written_names(config.out, "alignments") - ids:
        names = ", ".join(sorted(others)[:3])
        places.insert(0, ("not in this plan", f"{len(others)} other films in the table ({names}, ...)"))
    standings = plan.standing(config.out, films, STAGES)
    return finish(config, films, standings, report, record, rows=rows, places=places)


def find_films(root: str, encoder: str, pattern: str) -> list[FilmRef]:
    """The films that have speech or the features; their etags change with these rows.

    Raises:
        UsageError: there are none.
    """
    if encoder not in tables.encoders_of(root):
        there = ", ".join(tables.encoders_of(root)) or "none"
        raise UsageError(
            f"{root}: no features {encoder!r}, which the model reads (there are: {there}); give the "
            f"folder of the tables that has them, or make them: `cinescribe extract ... --encoders {encoder} "
            f"--out {root}`"
        )
    found = listing.rows_of_films(root, ("speech", tables.FEATURES + encoder))
    films = []
    for film_id, by_table in found.items():
        if fnmatchcase(film_id, pattern):
            uri = storage.join(root, "speech", tables.file_name(film_id))
            stamp = {table: listing.together(names) for table, names in by_table.items()}
            films.append(FilmRef(film_id, uri, 0, listing.together(stamp)))
    if not films:
        raise UsageError(f"{root}: no film of {len(found)} there is named {pattern!r} (--films)")
    return films


def _try(root: str, aligner: NarrationAligner, films: Sequence[FilmRef]) -> None:
    """Refuse a model that can't read these features before the folder is said to be made with it."""
    for film in films:
        try:
            features = read_features(root, aligner.features, film.film_id)
        except MediaError:  # its own affair
            continue
        aligner.check(seconds_of(features))
        return


def _process(config: Config, pending: Sequence[plan.Unit], report: progress.Report, record: Record) -> None:
    """Align the films: here, or by Ray where they are many or a cluster is told."""
    job = replace(command.job(config, _PLAN), films=False)
    elsewhere = config.address or os.environ.get("RAY_ADDRESS")
    few = config.workers == 1 or (not config.workers and len(pending) < _RAY_FROM)
    stage = partial(AlignStage, job, config.root, config.model)
    if few and not elsewhere:
        import torch

        work = stage(config.threads, "cuda" if torch.cuda.is_available() else "cpu")
        follow(
            (units.leave(work(units.board(unit))) for unit in pending), report, record, strict=config.strict
        )
        return
    with cluster.session(config.address):
        shares = cluster.share(cluster.machines(), len(pending), "small", config.workers, config.threads)
        report.say(f"{len(pending)} of {report.planned} films to do: {shares}")
        films = [unit.film for unit in pending]

        def attempt(some: Sequence[plan.Unit]) -> bool:
            dataset = cluster.map_workers(
                cluster.source(some),
                AlignStage,
                shares,
                len(some),
                job=job,
                root=config.root,
                model=config.model,
                threads=shares.threads,
                device="cuda" if shares.gpus else "cpu",
            )
            outcomes = cluster.outcomes(dataset)
            return follow(outcomes, report, record, strict=config.strict, workers=shares.workers)

        def missing() -> list[plan.Unit]:
            return plan.units_left(config.out, films, STAGES)

        lost, why = try_all(pending, attempt, missing, report.say)
        follow(units.write_crashed(job, "alignments", lost, why), report, record)


def write_clips(out: str, keep: float) -> int:
    """Write `htm_aa.csv` from the whole table: the sentences of that score or more; how many.

    As the published HTM-AA: columns vid, timestamp, text, the second in which the middle of the span lies; by
    the film's id, then by time.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("vid", "timestamp", "text"))
    clips = [
        (row["film_id"], int((s["start"] + s["end"]) / 2), s["text"])
        for row in tables.read_table(out, "alignments").to_pylist()
        for s in row["sentences"]
        if s["score"] >= keep
    ]
    writer.writerows(sorted(clips))
    storage.write_bytes(storage.join(out, CLIPS), text.getvalue().encode("utf-8", "replace"))
    return len(clips)


def _evaluate(
    config: Config, aligner: NarrationAligner, truth: Truth, report: progress.Report, record: Record
) -> None:
    """HTM-Align's R@1 and AUC, by its protocol: on the sentences of its file, true spans hidden."""
    found = []
    for film_id, rows in sorted(truth.items()):
        features = read_features(config.root, aligner.features, film_id)
        found.append(aligner.held_out(seconds_of(features), rows))
    scores = score_alignment(found)
    report.say(
        f"R@1 {scores.recall:.3f} of {scores.alignable} alignable sentences, AUC {scores.auc:.3f} of "
        f"{scores.sentences} sentences, {len(found)} videos ({config.truth})"
    )
    record.content["truth"] = asdict(scores)


def read_truth(address: str, root: str, encoder: str) -> Truth:
    """HTM-Align's file, of the videos that have sentences. Raises UsageError when it can't be scored by."""
    kinds = set()
    try:
        found = json.loads(storage.read_bytes(address))
        for row in (row for rows in found.values() for row in rows):
            alignable, start, end, _ = row
            float(start), float(end)
            kinds.add(bool(alignable))
    except FileNotFoundError as error:
        raise UsageError(f"{address}: not there (--truth)") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{address}: should be {{video: [[alignable, start, end, text], ...]}} ({error!r})"
        ) from error
    if len(kinds) < 2:
        raise UsageError(f"{address}: has not both alignable sentences and others, so nothing can be scored")
    truth = {film_id: rows for film_id, rows in found.items() if rows}
    there = {name.rpartition("@")[0] for name in tables.written_names(root, tables.FEATURES + encoder)}
    lacking = [film for film in truth if tables.file_name(film).removesuffix(".parquet") not in there]
    if lacking:
        raise UsageError(
            f"{address}: {len(lacking)} of its {len(truth)} videos have no features {encoder} in {root}: "
            f"{min(lacking)}"
        )
    return truth


# ---- the command --------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    p = argparse.ArgumentParser(
        prog="cinescribe align",
        description="Narration put where it is seen, and which of it can be seen at all, by a trained TAN.",
        epilog=command.EXIT_CODES,
    )
    p.add_argument("root", metavar="DIR", help="folder or s3://bucket/prefix of the tables (their --out)")
    p.add_argument(
        "--model", required=True, metavar="M", help="a TAN, on disk or S3: RUN/best of `cinescribe train`"
    )
    p.add_argument("--out", default="", metavar="DIR", help="where alignments go (default: to the tables)")
    p.add_argument(
        "--films", default="*", metavar="PATTERN", help="only films with such ids, as 'howto-*' (default all)"
    )
    p.add_argument(
        "--keep",
        type=_share,
        default=0.5,
        metavar="X",
        help=f"score from which a sentence is in {CLIPS} (default %(default)s)",
    )
    p.add_argument(
        "--truth", default="", metavar="FILE.json", help="true spans, as HTM-Align: R@1 and AUC are told"
    )
    command.add_common(p)
    return p


def _share(text: str) -> float:
    if not 0 <= (share := float(text)) <= 1:
        raise argparse.ArgumentTypeError("is from 0 to 1")
    return share


def _absolute(folder: str) -> str:
    """As a worker needs it, which may stand in another folder."""
    return folder if storage.is_s3(folder) else os.path.abspath(folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code (0 done, 1 failed, 2 usage, 130 interrupted)."""
    arguments: dict[str, Any] = vars(parser().parse_args(argv))
    root = _absolute(arguments.pop("root"))
    arguments |= {"inputs": (root,), "out": arguments["out"] or root, "model": _absolute(arguments["model"])}
    config = Config(**command.common_values(arguments))
    return command.exit_code(lambda: run(config), "align", config.log)


if __name__ == "__main__":
    raise SystemExit(main())
