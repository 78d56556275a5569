"""What the tables of a folder hold, film by film, and whether it changed: one listing of each table."""

import io
from collections.abc import Iterable, Mapping
from hashlib import sha256
from urllib.parse import unquote

from cinescribe import storage, tables


def rows_of_films(root: str, film_tables: Iterable[str]) -> dict[str, dict[str, dict[str, str]]]:
    """Of each film the tables it has rows in, and of these the files, each with its stamp; in order of ids.

    Args:
        root: folder or `s3://` prefix of the tables.
        film_tables: their names; some have several files a film, with the part's name behind an @.
    """
    files: dict[str, dict[str, dict[str, str]]] = {}  # file name of the film -> table -> name -> stamp
    for table in film_tables:
        for name, stamp in storage.list_stamps(storage.join(root, table)).items():
            if name.endswith(".parquet"):
                key = name.removesuffix(".parquet").partition("@")[0]  # no film's name has an @
                files.setdefault(key, {}).setdefault(table, {})[name] = stamp
    return {_film_id(root, key, by_table): by_table for key, by_table in sorted(files.items())}


def together(stamps: Mapping[str, str]) -> str:
    """One stamp for many files."""
    return sha256(repr(sorted(stamps.items())).encode()).hexdigest()[:32]


def _film_id(root: str, key: str, files: Mapping[str, Mapping[str, str]]) -> str:
    """The id whose rows have that name; a long one is only in the rows themselves."""
    film_id = unquote(key)
    if len(key) < tables.LONGEST_NAME and tables.file_name(film_id) == f"{key}.parquet":
        return film_id
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, names = next(iter(files.items()))
    data = storage.read_bytes(storage.join(root, table, next(iter(names))))
    try:
        told = str(pq.read_table(io.BytesIO(data), columns=["film_id"])["film_id"][0].as_py())
    except pa.ArrowException:  # who reads the row will say so
        return film_id
    return told if tables.file_name(told) == f"{key}.parquet" else film_id
