"""Films that are only on paper, as many and as long as asked, and what they take by the measured rates."""

import random
from dataclasses import dataclass

from cinescribe import tables
from cinescribe.media.library import FilmRef
from pipelines import plan
from pipelines.rates import read_rates
from pipelines.units import Passenger

MOVIES, HOURS = (
    7_057,
    12_510,
)  # of the AudioVault set (AutoAD, table 1): the paper tells no more of their lengths
SHORTEST, LONGEST = 60.0, 180.0  # minutes
ENCODERS = ("objects", "actions")
_BYTES = 350_000  # a second of film; the size is what the planner knows of a film before it is looked at
_SPREAD = 0.2  # chunks of one length take from 0.8 to 1.2 of the rate


def film_seconds(count: int, seed: int) -> list[float]:
    """Lengths of films, seconds: triangular from 60 to 180 minutes, with the mean of the AudioVault set."""
    peak = 3 * 60 * HOURS / MOVIES - SHORTEST - LONGEST
    lengths = random.Random(seed)
    return [60 * lengths.triangular(SHORTEST, LONGEST, peak) for _ in range(count)]


def make_films(count: int, seed: int) -> list[FilmRef]:
    """Films of those lengths, in the order of their names; their size tells their length."""
    return [
        FilmRef(f"film-{number:05}", f"s3://films/film-{number:05}.mp4", round(seconds * _BYTES), "0" * 32)
        for number, seconds in enumerate(film_seconds(count, seed))
    ]


def length(film: FilmRef) -> float:
    """Of a made film, seconds."""
    return film.bytes / _BYTES


def write_look(out: str, film: FilmRef) -> None:
    """The row in the table `films` of a made film, which planning its chunks needs."""
    row: tables.Row = {
        "film_id": film.film_id, "uri": film.uri, "etag": film.etag, "duration": length(film), "fps": 25.0,
        "width": 1280, "height": 720, "rotation": 0, "audio_rate": 48_000, "shots": [],
    }  # fmt: skip
    tables.write_row(out, plan.SHARED, film.film_id, row)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one core for a second of film: of its look, its speech, and of both encoders together.

    Attributes:
        look, speech, features: the middle of what was measured.
        chunk_seconds: of film, of a chunk.
    """

    look: float
    speech: float
    features: float
    chunk_seconds: float

    def of(self, passenger: Passenger, stage: str) -> tuple[float, float]:
        """Of a unit in stage "films", "speech" or "chunks": seconds of film, and how long those take."""
        seconds = passenger["bytes"] / _BYTES
        if stage != "chunks":
            return seconds, seconds * (self.look if stage == plan.SHARED else self.speech)
        seconds = max(0.0, min(self.chunk_seconds, seconds - passenger["chunk"] * self.chunk_seconds))
        spread = random.Random(f"{passenger['film_id']} {passenger['chunk']}")
        return seconds, seconds * self.features * spread.uniform(1 - _SPREAD, 1 + _SPREAD)


def measured_costs(chunk_seconds: float) -> Costs:
    """From the rates that come with the package."""
    rates = read_rates("")
    middle = {stage: sum(cost.core_seconds) / 2 / 3600 for stage, cost in rates.stages.items()}
    features = sum(middle[tables.FEATURES + name] for name in ENCODERS) * rates.together
    return Costs(middle[plan.SHARED], middle["speech"], features, chunk_seconds)
