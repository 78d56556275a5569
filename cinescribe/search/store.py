"""The index on disk: a LanceDB database under `<root>/index`, a local folder or `s3://`.

texts     an utterance or a generated description a row: what was said or described, with its sentence vector
          and a full-text index
visuals   a window of a film a row: the visual words recognised in it
clip      a window a row: its CLIP vector; only where there are CLIP features
model     a window a row: its vector of a trained model, which the table names; only where one was given
films     a film a row: what its other rows were made from

A film's old rows in a table make way for the new ones in one commit, and its row in `films` is written last.
So whoever is killed in between has left whole films, old or new, and the next run does again the film whose
row in `films` does not say it was done. Readers see the last commit of each table.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa

from cinescribe import storage
from cinescribe.errors import UsageError
from cinescribe.search.database import explained, storage_options
from cinescribe.search.filters import literal
from cinescribe.search.lock import writer_lock

TEXT_DIM = 384  # of a sentence vector

EVIDENCE = ("texts", "visuals", "clip", "model")  # the tables with rows of evidence
_MODEL = "cinescribe_model"  # names the model in the metadata of its vectors
_KEPT = timedelta(hours=1)  # how long a replaced version stays for readers that have it open

Portioned = TypeVar("Portioned")

# Rows from which on there is a vector index; below, all vectors are compared. See docs/search.md.
ANN_FROM = 50_000


def schema(table: str, dim: int = TEXT_DIM) -> pa.Schema:
    """The schema of a table; `dim` is that of its vectors. Times are seconds."""
    columns: dict[str, pa.DataType] = {"id": pa.string(), "film_id": pa.string()}
    if table == "films":
        columns = {
            "film_id": pa.string(),
            "uri": pa.string(),
            "duration": pa.float64(),
            "stamps": pa.string(),
            "clip_model": pa.string(),
        }
    else:
        columns |= {"start": pa.float64(), "end": pa.float64()}
    if table == "texts":
        columns |= {name: pa.string() for name in ("source", "role", "speaker", "text")}
    if table == "visuals":
        # `tokens` is what the index looks up; see cinescribe/search/documents.py.
        word = pa.struct([pa.field("label", pa.int32()), pa.field("confidence", pa.float32())])
        columns |= {"tokens": pa.string(), "words": pa.list_(word)}
    if table == "model":
        columns |= {"flags": pa.int64()}  # which parts the vector has, part i as bit i
    if table in ("texts", "clip", "model"):
        columns |= {"vector": pa.list_(pa.float16(), dim)}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


@dataclass(frozen=True, slots=True)
class IndexedFilm:
    """What the index knows of a film.

    Attributes:
        uri: the film's address when it was transcribed; "" when its table of films was not there.
        duration: seconds, 0 when unknown.
        stamps: what its rows were made from: an etag for each table, and the encoders.
        clip_model: of its CLIP features, as `clip:MODEL` names it; "" when it has none.
    """

    film_id: str
    uri: str
    duration: float
    stamps: Mapping[str, str]
    clip_model: str = ""


@dataclass(frozen=True, slots=True)
class FilmRows:
    """Rows of one film.

    Attributes:
        rows: by table; in one that is left out it has none.
        replaces: the tables whose rows these are; in others the film keeps what it has.
    """

    film: IndexedFilm
    rows: Mapping[str, pa.Table] = field(default_factory=dict)
    replaces: tuple[str, ...] = EVIDENCE


@dataclass(frozen=True, slots=True)
class IndexModel:
    """The model of the table `model`: where it was, its files (`embedding.identity_of`), seconds of a row."""

    folder: str
    identity: str
    window: float


class Store:
    """The index under a root.

    Args:
        root: the folder or `s3://` prefix of the tables.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.uri = storage.join(root, "index")

    @cached_property
    def database(self) -> Any:
        """LanceDB's connection, made when first used: it makes the folder where there is none."""
        import lancedb

        with explained(self.uri):
            return lancedb.connect(self.uri, storage_options=storage_options(self.uri))

    def names(self) -> set[str]:
        """The tables that are there."""
        if not storage.is_s3(self.uri) and not os.path.isdir(self.uri):
            return set()
        with explained(self.uri):
            return set(self.database.list_tables().tables)

    def open(self, table: str) -> Any:
        """A table, at its last commit."""
        with explained(self.uri):
            return self.database.open_table(table)

    def films(self) -> dict[str, IndexedFilm]:
        """The films that are wholly indexed, by id."""
        if "films" not in self.names():
            return {}
        with explained(self.uri):
            rows = self.open("films").to_arrow().to_pylist()
        return {row["film_id"]: IndexedFilm(**{**row, "stamps": json.loads(row["stamps"])}) for row in rows}

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        with explained(self.uri):
            return {name: self.open(name).count_rows() for name in sorted(self.names())}

    # ---- writing --------------------------------------------------------------------------------

    def replace(self, films: Sequence[FilmRows], model: IndexModel | None = None) -> int:
        """Put films in place of what the index has of them; another writer is waited for.

        Films that meanwhile were indexed from the same are left as they are.

        Args:
            films: whole ones, or new rows of some tables.
            model: whose the rows of `model` are; if another run put another in its place, they are left out.

        Returns:
            How many were written.
        """
        with writer_lock(self.uri), explained(self.uri):
            there, ours = self.films(), _same(model, self.model())
            films = [_keeping_model(film, there.get(film.film.film_id), ours) for film in films]
            films = [
                film
                for film in films
                if (old := there.get(film.film.film_id)) is None or old.stamps != film.film.stamps
            ]
            if not films:
                return 0
            film_ids = [film.film.film_id for film in films]
            for table in EVIDENCE:
                theirs = [film for film in films if table in film.replaces]
                parts = [film.rows[table] for film in theirs if table in film.rows]
                self._replace(table, [film.film.film_id for film in theirs], parts)
            self._replace("films", film_ids, [_film_rows([film.film for film in films])])
        return len(films)

    def remove(self, film_ids: Sequence[str]) -> None:
        """Take films out of the index."""
        if not film_ids:
            return
        with writer_lock(self.uri), explained(self.uri):
            names = self.names()
            for table in (*EVIDENCE, "films"):
                if table in names:
                    for some in _portions(film_ids):
                        self.open(table).delete(_of_films(some))

    # ---- the trained model ----------------------------------------------------------------------

    def model(self) -> IndexModel | None:
        """The model whose vectors the index holds, or is to hold."""
        if "model" not in self.names():
            return None
        return model_of(self.open("model"))

    def use_model(self, model: IndexModel, dim: int) -> None:
        """Hold the vectors of this model from now on; those of another one go.

        Args:
            model: of which.
            dim: numbers of a vector.
        """
        with writer_lock(self.uri), explained(self.uri):
            old, told = self.model(), {_MODEL: json.dumps(asdict(model))}
            if not _same(old, model):
                self._forget_stamps()
                empty = schema("model", dim)
                place = empty.get_field_index("vector")
                empty = empty.set(place, empty.field(place).with_metadata(told))
                # Over the old table, not in its place: whoever has it open may read it to the end.
                self.database.create_table("model", schema=empty, mode="overwrite")
            elif old != model:
                self.open("model").update_field_metadata({"path": "vector", "metadata": told})

    def forget_model(self) -> None:
        """Hold no model's vectors any more; films don't need to be indexed again for it."""
        with writer_lock(self.uri), explained(self.uri):
            if self.model() is None:
                return
            self._forget_stamps()
            self.database.create_table("model", schema=schema("model", 1), mode="overwrite")

    def _forget_stamps(self) -> None:
        """Films have no model's rows; said before the rows go, so that who is killed leaves none unmade."""
        with_it = [film for film in self.films().values() if "model" in film.stamps]
        for some in _portions(with_it):
            left = [replace(film, stamps=_without_model(film.stamps)) for film in some]
            self._replace("films", [film.film_id for film in left], [_film_rows(left)])

    def _replace(self, table: str, film_ids: Sequence[str], parts: Sequence[pa.Table]) -> None:
        """All rows of these films for these, in one commit."""
        if not film_ids:
            return
        parts = [part for part in parts if part.num_rows]
        if not parts:
            if table in self.names():
                self.open(table).delete(_of_films(film_ids))
            return
        opened = self._create(table, parts[0].schema)
        if any(part.schema != opened.schema for part in parts):
            raise UsageError(
                f"{self.uri}: its table {table!r} was made by other encoders or another version; delete the "
                "folder and run `cinescribe index` again"
            )
        key = "film_id" if table == "films" else "id"
        merge = opened.merge_insert(key).when_matched_update_all().when_not_matched_insert_all()
        merge.when_not_matched_by_source_delete(_of_films(film_ids)).execute(pa.concat_tables(parts))

    def _create(self, table: str, rows: pa.Schema) -> Any:
        if table in self.names():
            opened = self.database.open_table(table)
        else:
            opened = self.database.create_table(table, schema=rows, exist_ok=True)
        if missing := self._missing(opened, _word_indices(opened)):  # without them words can't be searched
            for column, config in missing.items():
                opened.create_index(column, config=config)
        return opened

    @staticmethod
    def _missing(table: Any, indices: Mapping[str, Any]) -> dict[str, Any]:
        have = {column for index in table.list_indices() for column in index.columns}
        return {column: config for column, config in indices.items() if column not in have}

    def optimise(self, ann_from: int = ANN_FROM) -> None:
        """Make the indices that are missing, bring the others up to date, and join small files.

        Replaced versions are kept for an hour, for readers that have them open.
        """
        with writer_lock(self.uri), explained(self.uri):
            for table in sorted(self.names()):
                opened = self.open(table)
                for column, config in self._missing(opened, _indices(opened, ann_from)).items():
                    opened.create_index(column, config=config)
                opened.optimize(cleanup_older_than=_KEPT)


def _word_indices(table: Any) -> dict[str, Any]:
    """The indices without which words can't be looked up, by column."""
    from lancedb.index import FTS

    if "text" in table.schema.names:
        # Positions, for literal quotes; stop words stay, for they are part of what is quoted.
        return {"text": FTS(with_position=True, stem=True, remove_stop_words=False)}
    if "tokens" in table.schema.names:
        return {"tokens": FTS(base_tokenizer="whitespace", stem=False, remove_stop_words=False)}
    return {}


def _indices(table: Any, ann_from: int) -> dict[str, Any]:
    """The indices that a table should have, by column."""
    from lancedb.index import BTree, IvfFlat

    rows = table.count_rows()
    indices: dict[str, Any] = {"film_id": BTree()} if rows else {}
    if "vector" in table.schema.names and rows >= ann_from:
        indices["vector"] = IvfFlat(distance_type="dot" if model_of(table) else "cosine")
    return indices | _word_indices(table)


def _same(one: IndexModel | None, other: IndexModel | None) -> bool:
    """Whether two are the same model, wherever its folder is."""
    if one is None or other is None:
        return one is other
    return (one.identity, one.window) == (other.identity, other.window)


def _keeping_model(film: FilmRows, old: IndexedFilm | None, ours: bool) -> FilmRows:
    """A film whose rows of `model` stay as they are, unless it has `ours`, keeps what is said of them."""
    if ours and "model" in film.replaces:
        return film
    stamps = _without_model(film.film.stamps)
    if old is not None and "model" in old.stamps:
        stamps["model"] = old.stamps["model"]
    tables = tuple(table for table in film.replaces if table != "model")
    return FilmRows(replace(film.film, stamps=stamps), film.rows, tables)


def _without_model(stamps: Mapping[str, str]) -> dict[str, str]:
    return {name: stamp for name, stamp in stamps.items() if name != "model"}


def model_of(table: Any) -> IndexModel | None:
    """The model that an opened table `model` names."""
    told = (table.schema.field("vector").metadata or {}).get(_MODEL.encode())
    return IndexModel(**json.loads(told)) if told else None


def _film_rows(films: Iterable[IndexedFilm]) -> pa.Table:
    rows = [{**asdict(film), "stamps": json.dumps(dict(film.stamps), sort_keys=True)} for film in films]
    return pa.Table.from_pylist(rows, schema("films"))


def _portions(some: Sequence[Portioned], size: int = 500) -> Iterator[Sequence[Portioned]]:
    for begin in range(0, len(some), size):
        yield some[begin : begin + size]


def _of_films(film_ids: Iterable[str]) -> str:
    return f"film_id IN ({', '.join(map(literal, film_ids))})"
