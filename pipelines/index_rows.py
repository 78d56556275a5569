"""The rows of films for the index, made here or by Ray."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from cinescribe import storage, tables
from cinescribe.describe import corrections
from cinescribe.encoders import text as sentences
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import FilmRef
from cinescribe.search import embedding
from cinescribe.search.documents import clip_rows, generated_rows, model_rows, text_rows, word_rows
from cinescribe.search.store import EVIDENCE, IndexModel
from pipelines import cluster, plan, units
from pipelines.index_films import KINDS, STAGE, TEXTS, Film, Model
from pipelines.units import Passenger

_RAY_FROM = 100  # films; Ray takes as long to start as one process takes for some thousand sentences
_TRIED = 5  # films, before another model's rows go: one of them may be damaged


class FilmIndexer:
    """Makes the rows of films, with a sentence encoder that is loaded once."""

    def __init__(self, root: str, clip: str, model: IndexModel | None, threads: int, device: str) -> None:
        self.root, self.clip, self.window = root, clip, model.window if model else 0.0
        made, self.fault = units.made(
            lambda: (
                sentences.SentenceEncoder(threads=threads, device=device),
                embedding.load(Path(model.folder), device) if model else None,
            )
        )
        if made is not None:
            self.encoder, self.model = made

    def __call__(self, passenger: Passenger) -> Passenger:
        """The rows of one film, or why there are none; each table's as Arrow IPC."""
        began = time.perf_counter()
        made = self._made(passenger)
        ended = {"stage": STAGE, "kind": made["kind"], "seconds": round(time.perf_counter() - began, 3)}
        return {**made, "numbers": json.dumps({"stages": [ended]})}

    def _made(self, passenger: Passenger) -> Passenger:
        film_id = passenger["film_id"]
        if self.fault:
            return {**passenger, "message": self.fault}
        todo = passenger["todo"].split(",")
        rows: dict[str, pa.Table] = {}
        clip_model, why = "", ""
        try:
            if self.model is not None:
                try:
                    rows["model"] = rows_by_model(self.root, film_id, self.model, self.window)
                except CinescribeError as error:  # it is found by all else
                    why = str(error)
            if "texts" in todo:
                others, clip_model = self.work(film_id)
                rows |= others
        except CinescribeError as error:
            return {**passenger, "stage": STAGE, "kind": "damaged", "message": str(error)}
        except pa.ArrowInvalid as error:
            name = tables.file_name(film_id)
            places = " or ".join(storage.join(self.root, table, name) for table in TEXTS)
            why = f"{places}: not a row of that table ({error}); delete it and make it again"
            return {**passenger, "stage": STAGE, "kind": "damaged", "message": why}
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split())
            return {**passenger, "stage": STAGE, "kind": "unexpected", "message": f"{film_id}: {what}"}
        made = {table: to_bytes(rows[table]) if table in rows else b"" for table in EVIDENCE}
        ended = {"stage": STAGE, "kind": "damaged", "message": why} if why else {}
        return {**passenger, **made, **ended, "clip_model": clip_model}

    def work(self, film_id: str) -> tuple[dict[str, pa.Table], str]:
        """The rows of a film but those of the trained model, by table, and the model of its CLIP features."""
        rows: dict[str, pa.Table] = {}
        clip_model, texts = "", []
        if (speech := tables.read_row(self.root, "speech", film_id)) is not None:
            if speech["film_id"] != film_id:
                path = storage.join(self.root, "speech", tables.file_name(film_id))
                raise UsageError(f"{path}: holds another film's speech; delete it and transcribe again")
            texts.append(text_rows(speech, self.encoder))
        if (described := tables.read_row(self.root, "descriptions", film_id)) is not None:
            texts.append(generated_rows(described, corrections.read(self.root, film_id), self.encoder))
        if texts:
            rows["texts"] = pa.concat_tables(texts)
        features = {kind: tables.read_features(self.root, kind, film_id) for kind in KINDS}
        if known := {kind: film for kind, film in features.items() if film is not None}:
            rows["visuals"] = word_rows(film_id, known)
        if self.clip and (film := tables.read_features(self.root, self.clip, film_id)) is not None:
            rows["clip"], clip_model = clip_rows(film_id, film), film.weights["clip"]
        return rows, clip_model


def rows_by_model(root: str, film_id: str, model: embedding.WindowEncoder, window: float) -> pa.Table:
    """A film's rows of a trained model; errors as of `documents.model_rows`."""
    told = tables.read_row(root, "films", film_id) or {"duration": 0.0}
    return model_rows(root, film_id, told["duration"], model, window)


def check_fits(root: str, films: Mapping[str, Film], model: Model, *, replaces: bool) -> None:
    """Raise UsageError when a model can't read the first films that have what it reads.

    Args:
        root: folder or `s3://` prefix of the tables.
        films: of it.
        model: that the index is to hold.
        replaces: it is to go in another's place; then there must be a film that it reads.
    """
    window = model.told.window
    why: UsageError | None = None
    tried = list(islice((name for name, film in films.items() if "model" in film.stamps), _TRIED))
    if replaces and not tried:
        raise UsageError(
            f"{model.told.folder}: reads {' and '.join(model.encoder.tables)}, and no film in {root} has "
            "any; extract them first, the index keeps the model it has"
        )
    for film_id in tried:
        try:
            rows_by_model(root, film_id, model.encoder, window)
        except Exception as error:  # a damaged table, or a model of which the settings don't fit the weights
            what = str(error) if isinstance(error, CinescribeError) else repr(error)
            why = why or UsageError(
                f"{model.told.folder}: can't read {film_id} ({what}); the index is as it was"
            )
        else:
            return
    if why is not None:
        raise why


def to_bytes(rows: pa.Table) -> bytes:
    """Rows as Arrow IPC."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def rows_of(
    root: str,
    clip: str,
    model: IndexModel | None,
    todo: Mapping[str, tuple[str, ...]],
    *,
    workers: int,
    threads: int,
    address: str,
) -> Iterator[Passenger]:
    """The rows of films as they are made: here, or by Ray where films are many or a cluster is told.

    Args:
        root: folder or `s3://` prefix of the tables.
        clip: the table of CLIP features; "" for none.
        model: a trained one; on a cluster its folder is at the same path on every machine.
        todo: by film the tables of the index that are wanted.
        workers, threads, address: as of the command.
    """
    refs = [plan.Unit(FilmRef(film_id, "", 0, ""), parts) for film_id, parts in todo.items()]
    elsewhere = address or os.environ.get("RAY_ADDRESS")
    if not elsewhere and workers <= 1 and (workers == 1 or len(todo) < _RAY_FROM):
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        indexer = FilmIndexer(root, clip, model, threads, device)
        yield from (indexer(units.board(unit)) for unit in refs)
        return
    with cluster.session(address):
        shares = cluster.share(cluster.machines(), len(refs), "small", workers, threads)
        yield from _rows_by_ray(root, clip, model, refs, shares)


def _rows_by_ray(
    root: str, clip: str, model: IndexModel | None, refs: Sequence[plan.Unit], shares: cluster.Shares
) -> Iterator[Passenger]:
    dataset = cluster.map_workers(
        cluster.source(refs),
        FilmIndexer,
        shares,
        len(refs),
        root=root,
        clip=clip,
        model=model,
        threads=shares.threads,
        device="cuda" if shares.gpus else "cpu",
    )
    missing = {unit.film.film_id: unit for unit in refs}
    for block in dataset.iter_batches(batch_size=1, prefetch_batches=0, batch_format="pyarrow"):
        for passenger in block.to_pylist():
            del missing[passenger["film_id"]]
            yield passenger
    for film_id, unit in missing.items():
        why = (
            f"{film_id}: killed its process each of the {units.TRIES} times it was tried; use a machine with "
            "more memory and run the same command again"
        )
        yield {**units.board(unit), "stage": STAGE, "kind": "crashed", "message": why}
