"""The tables between the stages: their schemas, and rows that are written one by one, each at once or not.

A table is a folder of Parquet files under a root (a local folder or `s3://`), one file for each unit of work.
The file's name is the unit's id, so a unit done twice overwrites itself and can't be in the table twice, and
what is missing is known from a listing of names.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from cinescribe import storage
from cinescribe.errors import UsageError
from cinescribe.utterance import Utterance, Word

if TYPE_CHECKING:
    from cinescribe.media.library import FilmRef
    from cinescribe.media.probe import MediaInfo
    from cinescribe.speech.clean import CleanSpeech

Row = dict[str, Any]


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def _list(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, kind, nullable=False) for name, kind in fields.items()]))


_WORDS = _list(start=pa.float64(), end=pa.float64(), text=pa.string(), probability=pa.float64())

SCHEMAS: Mapping[str, pa.Schema] = {
    # Which films a run is about; `etag` changes when the film's bytes do.
    "plan": _schema(film_id=pa.string(), uri=pa.string(), bytes=pa.int64(), etag=pa.string()),
    # Times in seconds from the first video frame; shots tile [0, duration); audio_rate in Hz, 0 = no sound.
    "films": _schema(
        film_id=pa.string(),
        uri=pa.string(),
        etag=pa.string(),
        duration=pa.float64(),
        fps=pa.float64(),
        width=pa.int32(),
        height=pa.int32(),
        rotation=pa.int32(),
        audio_rate=pa.int32(),
        shots=_list(start=pa.float64(), end=pa.float64()),
    ),
    # All the speech of a film, and why each voice was or was not taken for the narrator.
    "speech": _schema(
        film_id=pa.string(),
        etag=pa.string(),
        utterances=_list(
            start=pa.float64(),
            end=pa.float64(),
            text=pa.string(),
            speaker=pa.string(),
            role=pa.string(),
            words=_WORDS,
            confidence=pa.float64(),
        ),
        language=pa.string(),
        language_probability=pa.float64(),
        narrator_confidence=pa.float64(),
        evidence=_list(
            speaker=pa.string(),
            words=pa.int64(),
            seconds=pa.float64(),
            first_person=pa.float64(),
            narrator=pa.bool_(),
            reason=pa.string(),
        ),
        suppressed=_list(rule=pa.string(), words=pa.int64()),
        damaged_seconds=pa.float64(),
        weights=_list(role=pa.string(), weight=pa.string()),
    ),
    # Films that could not be done, with a message a person can act on.
    "errors": _schema(film_id=pa.string(), stage=pa.string(), kind=pa.string(), message=pa.string()),
}

_LONGEST_NAME = 200  # of the 255 bytes a file system allows: room for temporary names


def file_name(key: str) -> str:
    """Name of the file that holds the row of that key: readable, safe for any id, one for each key."""
    name = quote(key, safe="")
    if name.startswith((".", "_")):  # Parquet readers skip such files
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 33]}-{sha256(key.encode()).hexdigest()[:32]}"
    return f"{name}.parquet"


def error_key(stage: str, film_id: str) -> str:
    """The key of a unit's row in `errors`: each stage of a film may have one."""
    return f"{stage}/{film_id}"


def write_row(root: str, table: str, key: str, row: Row) -> None:
    """Write one row, replacing the one of that key; a reader sees the old or the new one, never a half."""
    storage.write_bytes(storage.join(root, table, file_name(key)), encode(table, [row]))


def encode(table: str, rows: list[Row], metadata: Mapping[str, str] | None = None) -> bytes:
    """Rows as the bytes of a Parquet file in the table's schema. Raises ValueError on a missing column."""
    schema = SCHEMAS[table]
    for row in rows:
        if row.keys() != set(schema.names):
            raise ValueError(f"{table}: the row's columns differ: {sorted(row.keys() ^ set(schema.names))}")
    buffer = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.with_metadata(metadata)), buffer)
    return buffer.getvalue()


def delete_row(root: str, table: str, key: str) -> None:
    """Delete the row of that key, if there is one."""
    storage.delete(storage.join(root, table, file_name(key)))


def read_row(root: str, table: str, key: str) -> Row | None:
    """The row of that key, or None."""
    try:
        data = storage.read_bytes(storage.join(root, table, file_name(key)))
    except FileNotFoundError:
        return None
    rows: list[Row] = pq.read_table(BytesIO(data)).to_pylist()
    return rows[0]


def written_names(root: str, table: str) -> set[str]:
    """The file names of all rows of a table (see `file_name`); one listing, no file is opened."""
    return {name for name in storage.list_names(storage.join(root, table)) if name.endswith(".parquet")}


def read_table(root: str, table: str) -> pa.Table:
    """A whole table, its rows in the order of their ids; with no rows when nothing was written yet.

    Raises:
        UsageError: there is no such table, or a file in it is not one of its rows.
    """
    if table not in SCHEMAS:
        raise UsageError(f"no table {table!r}; there are: {', '.join(SCHEMAS)}")
    addresses = [storage.join(root, table, name) for name in written_names(root, table)]
    with ThreadPoolExecutor(16) as pool:
        parts = list(pool.map(_read_part, addresses))
    whole = pa.concat_tables([SCHEMAS[table].empty_table(), *(p.replace_schema_metadata() for p in parts)])
    order = [(name, "ascending") for name in ("film_id", "stage") if name in whole.schema.names]
    return whole.sort_by(order)


def _read_part(address: str) -> pa.Table:
    try:
        return pq.read_table(BytesIO(storage.read_bytes(address)))
    except pa.ArrowInvalid as error:
        raise UsageError(f"{address}: not a Parquet file ({error}); delete it and run again") from error


def film_row(film: "FilmRef", info: "MediaInfo", shots: Iterable[tuple[float, float]]) -> Row:
    """The row of a film in `films`; the audio rate is that of the stream that is read by default."""
    track = next((track for track in info.audio if track.default), next(iter(info.audio), None))
    return {
        "film_id": film.film_id,
        "uri": film.uri,
        "etag": film.etag,
        "duration": info.duration,
        "fps": info.fps,
        "width": info.width,
        "height": info.height,
        "rotation": info.rotation,
        "audio_rate": track.rate if track else 0,
        "shots": [{"start": start, "end": end} for start, end in shots],
    }


def speech_row(film: "FilmRef", speech: "CleanSpeech") -> Row:
    """The row of a film in `speech`; the seconds it took are left out, they differ from run to run."""
    return {
        "film_id": film.film_id,
        "etag": film.etag,
        "utterances": [asdict(utterance) for utterance in speech.utterances],
        "language": speech.language,
        "language_probability": speech.language_probability,
        "narrator_confidence": speech.narrator_confidence,
        "evidence": [asdict(evidence) for evidence in speech.evidence],
        "suppressed": [{"rule": rule, "words": n} for rule, n in sorted(speech.suppressed.items())],
        "damaged_seconds": speech.damaged_seconds,
        "weights": [{"role": role, "weight": weight} for role, weight in sorted(speech.weights.items())],
    }


def utterances_of(row: Row) -> list[Utterance]:
    """The utterances of a row of `speech`."""
    return [
        Utterance(**{**utterance, "words": tuple(Word(**word) for word in utterance["words"])})
        for utterance in row["utterances"]
    ]


def error_row(film_id: str, stage: str, kind: str, message: str) -> Row:
    """A row of `errors`."""
    return {"film_id": film_id, "stage": stage, "kind": kind, "message": message}
