"""Films for the index: tables of speech as `transcribe` writes them, and rows with vectors that cost nothing.

Run as a program it indexes generations of films until it is killed: `python -m tests.search.films ROOT N`.
"""

import hashlib
import sys

import numpy as np

from cinescribe import tables
from cinescribe.media.library import FilmRef
from cinescribe.search.documents import text_rows
from cinescribe.search.store import FilmRows, IndexedFilm, Store
from cinescribe.speech.clean import CleanSpeech
from cinescribe.utterance import Utterance

FILMS = ("plain", 'it\'s 100% "quoted" #1', "ordner/Ä ö_%.x")


class WordHashes:
    """Vectors of length 1 by the words of a text; alike for texts that share words."""

    dim = 384

    def encode(self, texts: list[str]) -> np.ndarray:
        vectors = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                row[int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dim] += 1
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def utterances(*lines: tuple[float, float, str, str, str]) -> tuple[Utterance, ...]:
    """Of (start, end, role, speaker, text)."""
    return tuple(Utterance(start, end, text, speaker, role) for start, end, role, speaker, text in lines)


def write_speech(root: str, film_id: str, said: tuple[Utterance, ...]) -> None:
    """The row of `speech` of a film."""
    speech = CleanSpeech(
        utterances=said,
        language="en",
        language_probability=1.0,
        narrator_confidence=1.0,
        evidence=(),
        suppressed={},
        damaged_seconds=0.0,
        weights={"asr": "none"},
        seconds={},
    )
    film = FilmRef(film_id, f"/films/{film_id}.mp4", 1, "1")
    tables.write_row(root, "speech", film_id, tables.speech_row(film, speech))


def generation(film_id: str, number: int, rows: int = 0) -> FilmRows:
    """A film as it was made the n-th time: every text tells the number, and how many texts there are."""
    rows = rows or 20 + number % 7
    said = [
        {
            "start": float(k),
            "end": k + 0.9,
            "role": "narrator" if k % 3 == 0 else "dialogue",
            "speaker": f"SPEAKER_{k % 3:02}",
            "text": f"generation {number} of {rows} line {k}",
        }
        for k in range(rows)
    ]
    made = text_rows({"film_id": film_id, "utterances": said}, WordHashes())  # type: ignore[arg-type]
    return FilmRows(IndexedFilm(film_id, "", 60.0, {"speech": str(number), "sentence": "x"}), {"texts": made})


def whole(root: str) -> dict[str, int]:
    """The generation of each film in the index; fails when one is in parts, doubled or mixed."""
    store = Store(root)
    if "texts" not in store.names():
        return {}
    texts: dict[str, list[str]] = {}
    for row in store.open("texts").to_arrow().select(["film_id", "text"]).to_pylist():
        texts.setdefault(row["film_id"], []).append(row["text"])
    found = {}
    for film_id, lines in texts.items():
        number, rows = (int(lines[0].split()[k]) for k in (1, 3))
        assert sorted(lines) == sorted(f"generation {number} of {rows} line {k}" for k in range(rows))
        found[film_id] = number
    return found


if __name__ == "__main__":
    root, first = sys.argv[1], int(sys.argv[2])
    for number in range(first, first + 10_000):
        Store(root).replace([generation(film_id, number) for film_id in FILMS])
        if number % 5 == 0:
            Store(root).optimise()
        print(number, flush=True)
