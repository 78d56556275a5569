"""What an index is made of: the films of the tables and the trained model; and what changed since."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cinescribe import tables
from cinescribe.describe import corrections
from cinescribe.encoders import text as sentences
from cinescribe.encoders.visual_words import Kind
from cinescribe.errors import UsageError, WeightsError
from cinescribe.search import embedding
from cinescribe.search.store import EVIDENCE, IndexedFilm, IndexModel, Store
from pipelines import listing

STAGE = "index"
TEXTS = ("speech", "descriptions")
KINDS: tuple[Kind, ...] = ("objects", "actions")


@dataclass(frozen=True, slots=True)
class Film:
    """A film of the tables.

    Attributes:
        files: by table, the names of its files.
        stamps: by table, what changes with its rows; and by what they are encoded. All that a trained model
            reads, with the model, is one of them.
    """

    film_id: str
    files: Mapping[str, tuple[str, ...]]
    stamps: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Model:
    """The trained model of a run, as the index names it, and loaded."""

    told: IndexModel
    encoder: embedding.WindowEncoder


def model_for(store: Store, given: str, window: float, *, without: bool) -> Model | None:
    """The trained model to index with: the one that is given, or else the one that the index has.

    Args:
        store: the index.
        given: folder of a model; "" for the one that the index has.
        window: seconds of a row; 0 for what the index has, or the usual where another model is given.
        without: no model is wanted.

    Raises:
        UsageError: the index's model is not there any more, or what is given can't be meant.
        WeightsError: the model that is given can't be had.
    """
    if without and (given or window):
        raise UsageError("--no-model: goes with neither --model nor --window")
    if without:
        return None
    known = store.model()
    folder = os.path.abspath(given) if given else known.folder if known else ""
    if not folder:
        if window:
            raise UsageError("--window: is of a trained model's rows; name the model with --model")
        return None
    try:
        encoder = embedding.load(Path(folder))
    except WeightsError as error:
        if given:
            raise
        raise UsageError(
            f"{store.uri}: was made with the model in {folder}, which is not there any more ({error}); say "
            "where it is with --model, or leave it out with --no-model"
        ) from error
    goes_on = known if known and (not given or known.identity == encoder.identity) else None
    seconds = window or (goes_on.window if goes_on else embedding.WINDOW)
    return Model(IndexModel(folder, encoder.identity, seconds), encoder)


def find_films(root: str, clip: str, model: Model | None = None) -> dict[str, Film]:
    """Every film that the tables have something of, by id."""
    encoders = set(tables.encoders_of(root))
    if clip and clip not in encoders:
        raise UsageError(f"{root}: no features {clip!r}; there are: {', '.join(sorted(encoders)) or 'none'}")
    chosen = [tables.FEATURES + name for name in (*KINDS, clip) if name in encoders]
    read = model.encoder.tables if model else ()
    untrained = (*TEXTS, corrections.TABLE, *chosen)
    films = {}
    for film_id, by_table in listing.rows_of_films(root, dict.fromkeys((*untrained, *read))).items():
        if "descriptions" not in by_table:
            by_table.pop(corrections.TABLE, None)
        if not by_table:
            continue
        made_of = {table: listing.together(names) for table, names in by_table.items()}
        stamps = {table: stamp for table, stamp in made_of.items() if table in untrained}
        stamps["sentence"] = sentences.DEFAULT
        if model and (its := {table: made_of[table] for table in read if table in made_of}):
            stamps["model"] = f"{model.told.identity} {model.told.window:g} {listing.together(its)}"
        if clip and tables.FEATURES + clip in by_table:
            stamps["clip_table"] = clip
        names_of = {table: tuple(sorted(names)) for table, names in by_table.items()}
        films[film_id] = Film(film_id, names_of, stamps)
    return films


def lacking(films: Mapping[str, Film], model: Model) -> dict[str, int]:
    """Of the tables that a model reads, how many films lack each; those that no film lacks are left out."""
    counts = {
        table: sum(table not in film.files for film in films.values()) for table in model.encoder.tables
    }
    return {table: count for table, count in counts.items() if count}


def parts_of(film: Film, indexed: IndexedFilm | None) -> tuple[str, ...]:
    """The tables of the index in which a film's rows are to be made: none, that of the model, or all."""
    if indexed is None:
        return EVIDENCE
    old, new = dict(indexed.stamps), dict(film.stamps)
    if old == new:
        return ()
    for stamps in (old, new):
        stamps.pop("model", None)
    return ("model",) if old == new else EVIDENCE
