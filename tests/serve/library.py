"""A tiny library of films that tests serve: rendered films, their tables, their index."""

from dataclasses import asdict
from pathlib import Path

from cinescribe import tables
from cinescribe.media.library import FilmRef, list_films
from cinescribe.media.probe import probe
from cinescribe.utterance import Role, Utterance, Word
from tests.media.films import tone, write_film

SPOKEN: dict[str, list[tuple[float, float, str, Role, str]]] = {
    "series one/Kitchen": [
        (0.2, 1.6, "Emma pours boiling water into a red teapot.", "narrator", "SPEAKER_00"),
        (2.0, 3.2, "Did you lock the front door?", "dialogue", "SPEAKER_01"),
        (3.4, 4.6, "A dog runs across the wooden floor.", "narrator", "SPEAKER_00"),
        (5.0, 6.4, "I never lock it, you know that.", "dialogue", "SPEAKER_02"),
    ],
    "Ærø & the sea #1?": [
        (0.5, 2.0, "A ferry leaves the harbour at dawn.", "narrator", "SPEAKER_00"),
        (2.5, 4.0, "The last boat goes at six.", "dialogue", "SPEAKER_01"),
    ],
}


def write_library(folder: Path) -> Path:
    """Render the films into `folder/films`, their tables and index into `folder/tables`; the latter."""
    films, root = folder / "films", folder / "tables"
    for film_id in SPOKEN:
        path = films / f"{film_id}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_film(
            path,
            frames=175,
            size=(320, 180),
            audio=tone(7.0, 48000, level=0.1),
            container_options={"movflags": "+faststart"},
        )
    for film in list_films([str(films)]):
        write_rows(root, film)
    build_index(root)
    return root


def write_rows(root: Path, film: FilmRef) -> None:
    """The rows of one film in `films` and `speech`."""
    info = probe(Path(film.uri))
    row = tables.film_row(film, info, [(0.0, info.duration)])
    tables.write_row(str(root), "films", film.film_id, row)
    utterances = [_utterance(*spoken) for spoken in SPOKEN.get(film.film_id, [])]
    speech = {
        "film_id": film.film_id,
        "etag": film.etag,
        "utterances": [asdict(utterance) for utterance in utterances],
        "language": "en",
        "language_probability": 1.0,
        "narrator_confidence": 1.0,
        "evidence": [],
        "suppressed": [],
        "damaged_seconds": 0.0,
        "weights": [],
    }
    tables.write_row(str(root), "speech", film.film_id, speech)


def build_index(root: Path) -> None:
    """What `cinescribe index` does."""
    from pipelines.index import Config, run

    assert run(Config(root=str(root), threads=1, quiet=True)) == 0


def _utterance(start: float, end: float, text: str, role: Role, speaker: str) -> Utterance:
    words = text.split()
    step = (end - start) / len(words)
    timed = tuple(
        Word(round(start + k * step, 3), round(start + (k + 1) * step, 3), word)
        for k, word in enumerate(words)
    )
    return Utterance(start, end, text, speaker=speaker, role=role, words=timed)
