"""The tables between the stages: their schemas, and rows that are written one by one, each at once or not.

A table is a folder of Parquet files under a root (a local folder or `s3://`), one file for each unit of work:
a film, or a chunk of a film. The file's name is the unit's id, so a unit done twice overwrites itself and
can't be in the table twice, and what is missing is known from a listing of names.

The features of each encoder are a table of their own, `features/<encoder>`, a row a chunk. Its `feature` is
flat, so that it becomes an array without a copy: `np.asarray(feature).reshape(-1, dim)` is float16 [T, dim],
and row t stands for the second (first + t) / hz of the film. `read_features` does that for a whole film.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cinescribe import storage
from cinescribe.errors import UsageError
from cinescribe.utterance import Utterance, Word

if TYPE_CHECKING:
    from cinescribe.encoders.protocol import EncoderSpec
    from cinescribe.media.library import FilmRef
    from cinescribe.media.probe import MediaInfo
    from cinescribe.speech.clean import CleanSpeech

Row = dict[str, Any]


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def _list(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct([pa.field(name, kind, nullable=False) for name, kind in fields.items()]))


_WORDS = _list(start=pa.float64(), end=pa.float64(), text=pa.string(), probability=pa.float64())
_CUES = _list(start=pa.float64(), end=pa.float64(), text=pa.string(), score=pa.float64())
_SENTENCE: Mapping[str, pa.DataType] = {
    "start": pa.float64(),
    "end": pa.float64(),
    "text": pa.string(),
    "score": pa.float64(),
    "cue": pa.int32(),
    "reason": pa.string(),
}

SCHEMAS: Mapping[str, pa.Schema] = {
    # Which films a run is about; `etag` changes when the film's bytes do.
    "plan": _schema(film_id=pa.string(), uri=pa.string(), bytes=pa.int64(), etag=pa.string()),
    # Which chunks of films an extraction has to do, and the tables that miss them.
    "chunks": _schema(film_id=pa.string(), etag=pa.string(), chunk=pa.int32(), stages=pa.list_(pa.string())),
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
    # What one encoder saw in one chunk: feature t of the row is number `first` + t of the film, shown at
    # (first + t) / hz; `feature` is float16 [T * dim], a row of NaN where there was nothing to see.
    "features": _schema(
        film_id=pa.string(),
        etag=pa.string(),
        chunk=pa.int32(),
        start=pa.float64(),
        end=pa.float64(),
        hz=pa.float64(),
        first=pa.int64(),
        dim=pa.int32(),
        feature=pa.list_(pa.field("element", pa.float16(), nullable=False)),
        weights=_list(role=pa.string(), weight=pa.string()),
    ),
    # Each sentence of `speech` when it was spoken, and when what it says is seen (`start` to `end`);
    # `score` from 0 to 1 that it is seen at all, `alignable` from .5 on. The spoken span again where nobody
    # could tell.
    "alignments": _schema(
        film_id=pa.string(),
        etag=pa.string(),
        sentences=_list(
            text=pa.string(),
            spoken_start=pa.float64(),
            spoken_end=pa.float64(),
            start=pa.float64(),
            end=pa.float64(),
            score=pa.float64(),
            alignable=pa.bool_(),
        ),
        weights=_list(role=pa.string(), weight=pa.string()),
    ),
    # What a trained model says of each interval of a film (`start` to `end`, `score` 0..1), and the cue that
    # it became: its number among the cues, or -1 and the reason (`cinescribe.describe.placement.Reason`).
    # `generated` and `generated_cues` are the machine's alone, `sentences` and `cues` what people made of
    # them: `correction` is the version of a person's correction in it, `corrections` the stamp of them all.
    "descriptions": _schema(
        film_id=pa.string(),
        etag=pa.string(),
        cues=_CUES,
        sentences=_list(**_SENTENCE, correction=pa.string()),
        generated_cues=_CUES,
        generated=_list(**_SENTENCE),
        corrections=pa.string(),
        placement=pa.struct(
            [
                *(
                    pa.field(name, pa.float64(), nullable=False)
                    for name in ("words_per_minute", "shortest_gap", "apart", "early", "late")
                ),
                pa.field("over_narrator", pa.bool_(), nullable=False),
            ]
        ),
        weights=_list(role=pa.string(), weight=pa.string()),
    ),
    # What people made of generated descriptions, a file a correction: of the sentence of [start, end), in
    # seconds to the millisecond. `kind` is text (theirs), removed (nothing is said there), or machine (theirs
    # was taken back); `time` is when, UTC, ISO 8601.
    "corrections": _schema(
        film_id=pa.string(),
        start=pa.float64(),
        end=pa.float64(),
        kind=pa.string(),
        text=pa.string(),
        author=pa.string(),
        time=pa.string(),
    ),
    # Films that could not be done, with a message a person can act on.
    "errors": _schema(film_id=pa.string(), stage=pa.string(), kind=pa.string(), message=pa.string()),
}

LONGEST_NAME = 200  # of the 255 bytes a file system allows: room for temporary names
FEATURES = "features/"  # what the names of the encoders' tables begin with


def schema_of(table: str) -> pa.Schema:
    """The schema of a table. Raises UsageError when there is none of that name."""
    name = "features" if re.fullmatch(r"features/[\w.-]+", table) else table
    if name not in SCHEMAS or table == "features":
        names = ", ".join(name if name != "features" else "features/ENCODER" for name in SCHEMAS)
        raise UsageError(f"no table {table!r}; there are: {names}")
    return SCHEMAS[name]


def file_name(key: str, chunk: int | None = None) -> str:
    """Name of the file that holds the row of that key: readable, safe for any id, one for each key.

    Args:
        key: of a film.
        chunk: number of the film's chunk whose row it is, in tables that have a row a chunk.
    """
    name = quote(key, safe="", errors="surrogatepass")
    if name.startswith((".", "_")):  # Parquet readers skip such files
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 33]}-{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    return f"{name}.parquet" if chunk is None else f"{name}@{chunk:05}.parquet"  # no key's name has an @


def error_key(stage: str, film_id: str) -> str:
    """The key of a unit's row in `errors`: each stage of a film may have one."""
    return f"{stage}/{film_id}"


def write_row(root: str, table: str, key: str, row: Row, chunk: int | None = None) -> None:
    """Write one row, replacing the one of that key; a reader sees the old or the new one, never a half."""
    storage.write_bytes(storage.join(root, table, file_name(key, chunk)), encode(table, [row]))


def encode(table: str, rows: list[Row], metadata: Mapping[str, str] | None = None) -> bytes:
    """Rows as the bytes of a Parquet file in the table's schema. Raises ValueError on a missing column."""
    schema = schema_of(table)
    for row in rows:
        if row.keys() != set(schema.names):
            raise ValueError(f"{table}: the row's columns differ: {sorted(row.keys() ^ set(schema.names))}")
    buffer = BytesIO()
    # Numbers of a network hardly repeat: a dictionary of them takes longer to read and more room.
    numbers = "feature" in schema.names
    packing: dict[str, Any] = {"use_dictionary": False, "compression": "zstd"} if numbers else {}
    pq.write_table(pa.Table.from_pylist(rows, schema=schema.with_metadata(metadata)), buffer, **packing)
    return buffer.getvalue()


def delete_row(root: str, table: str, key: str, chunk: int | None = None) -> None:
    """Delete the row of that key, if there is one."""
    storage.delete(storage.join(root, table, file_name(key, chunk)))


def delete_chunks(root: str, table: str, key: str) -> None:
    """Delete the row of that key and the rows of its chunks, from a table that has some of either."""
    whole, stem = file_name(key), file_name(key).removesuffix(".parquet")
    for name in written_names(root, table):
        if name == whole or name.rpartition("@")[0] == stem:
            storage.delete(storage.join(root, table, name))


def read_row(root: str, table: str, key: str, chunk: int | None = None) -> Row | None:
    """The row of that key, or None. Raises pyarrow.ArrowInvalid when its file is damaged."""
    try:
        data = storage.read_bytes(storage.join(root, table, file_name(key, chunk)))
    except FileNotFoundError:
        return None
    try:
        rows: list[Row] = decode(data).to_pylist()
        return rows[0]
    except (UnicodeDecodeError, IndexError) as error:
        raise pa.ArrowInvalid(str(error)) from error


def decode(data: bytes) -> pa.Table:
    """The rows in the bytes of a Parquet file. Raises pyarrow.ArrowInvalid when they are damaged."""
    try:
        return pq.read_table(BytesIO(data))
    except OSError as error:  # what Arrow calls damage within a page
        raise pa.ArrowInvalid(str(error)) from error


def written_names(root: str, table: str) -> set[str]:
    """The file names of all rows of a table (see `file_name`); one listing, no file is opened."""
    return {name for name in storage.list_names(storage.join(root, table)) if name.endswith(".parquet")}


def read_table(root: str, table: str) -> pa.Table:
    """A whole table, its rows in the order of their ids; with no rows when nothing was written yet.

    Raises:
        UsageError: there is no such table, or a file in it is not one of its rows.
    """
    empty = schema_of(table).empty_table()
    parts = _read_parts(root, table, sorted(written_names(root, table)))
    whole = pa.concat_tables([empty, *(part.replace_schema_metadata() for part in parts)])
    order = [(name, "ascending") for name in ("film_id", "chunk", "stage") if name in whole.schema.names]
    return whole.sort_by(order)


def _read_parts(root: str, table: str, names: Iterable[str]) -> list[pa.Table]:
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(read_part, [storage.join(root, table, name) for name in names]))


def read_part(address: str) -> pa.Table:
    """The rows of one file of a table. Raises UsageError on a damaged one, FileNotFoundError on none."""
    try:
        return decode(storage.read_bytes(address))
    except pa.ArrowInvalid as error:
        raise UsageError(f"{address}: not a Parquet file ({error}); delete it and run again") from error


@dataclass(frozen=True, slots=True)
class Features:
    """What one encoder saw or heard in a film.

    Attributes:
        hz: features per second.
        times: float64 [T], seconds; feature t stands for [times[t], times[t] + 1 / hz). Steps of 1 / hz, but
            for holes where a chunk is missing.
        array: float16 [T, D]; a row of NaN where there was nothing to see.
        etag: of the film they were made from.
        weights: names of the encoder's weights, by role.
    """

    hz: float
    times: NDArray[np.float64]
    array: NDArray[np.float16]
    etag: str
    weights: Mapping[str, str]

    def whole(self) -> NDArray[np.float16]:
        """[T, D], row t from t / hz on; NaN where a chunk is missing."""
        rows = np.round(self.times * self.hz).astype(np.int64)
        length = int(rows[-1]) + 1 if len(rows) else 0
        if len(rows) == length:
            return self.array
        whole = np.full((length, self.array.shape[1]), np.nan, np.float16)
        whole[rows] = self.array
        return whole


def encoders_of(root: str) -> list[str]:
    """The encoders that have features there, sorted."""
    return sorted(storage.list_folders(storage.join(root, FEATURES.rstrip("/"))))


def read_features(root: str, encoder: str, film_id: str) -> Features | None:
    """The features of a film, from its own files only; None when it has none.

    Args:
        root: folder or `s3://` prefix of the tables.
        encoder: its name, as in `features/<encoder>`.
        film_id: of the film.
    """
    return read_features_of(root, encoder, [film_id]).get(film_id)


def read_features_of(root: str, encoder: str, film_ids: Iterable[str]) -> dict[str, Features]:
    """As `read_features` for several films, with one listing; films without features are left out."""
    table = FEATURES + encoder
    schema_of(table)  # a name that leads out of the folder is no table
    files: dict[str, list[str]] = {}
    for name in sorted(written_names(root, table)):
        files.setdefault(name.rpartition("@")[0], []).append(name)
    found: dict[str, Features] = {}
    for film_id in film_ids:
        if names := files.get(file_name(film_id).removesuffix(".parquet")):
            found[film_id] = features_of(_read_parts(root, table, names))
    return found


def features_of(chunks: Iterable[pa.Table]) -> Features:
    """The features of one film from its rows of `features/<encoder>` (any number of rows a table)."""
    import pyarrow.compute as pc

    whole = pa.concat_tables([chunk.replace_schema_metadata() for chunk in chunks]).sort_by("chunk")
    column = whole.column("feature")
    first = whole.slice(0, 1).drop_columns("feature").to_pylist()[0]
    flat = [part.flatten().to_numpy(zero_copy_only=True) for part in column.chunks]
    numbers = [
        np.arange(start, start + values // first["dim"])
        for start, values in zip(
            whole["first"].to_pylist(), pc.list_value_length(column).to_pylist(), strict=True
        )
    ]
    return Features(
        hz=first["hz"],
        times=np.concatenate(numbers) / first["hz"],
        array=(flat[0] if len(flat) == 1 else np.concatenate(flat)).reshape(-1, first["dim"]),
        etag=first["etag"],
        weights={pair["role"]: pair["weight"] for pair in first["weights"]},
    )


def feature_row(
    film: "FilmRef",
    chunk: tuple[int, float, float],
    spec: "EncoderSpec",
    first: int,
    features: NDArray[np.float16],
    weights: Mapping[str, str],
) -> Row:
    """The row of a chunk in `features/<encoder>`.

    Args:
        film: it is of.
        chunk: its number, start and end in seconds.
        spec: of the encoder.
        first: number of the first feature in the film.
        features: float16 [T, dim].
        weights: of the encoder, by role.
    """
    number, start, end = chunk
    return {
        "film_id": film.film_id,
        "etag": film.etag,
        "chunk": number,
        "start": start,
        "end": end,
        "hz": spec.hz,
        "first": first,
        "dim": spec.dim,
        "feature": np.ascontiguousarray(features, np.float16).reshape(-1),
        "weights": [{"role": role, "weight": weight} for role, weight in sorted(weights.items())],
    }


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
