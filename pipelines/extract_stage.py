"""The stage of `extract` that encodes chunks, on a worker that holds the encoders."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cinescribe import tables
from cinescribe.encoders.chunks import chunks, features_in
from cinescribe.encoders.extraction import OpenFilm, extract
from cinescribe.encoders.protocol import Encoder
from cinescribe.errors import UsageError
from cinescribe.media.frames import Decoder
from cinescribe.media.library import FilmRef
from pipelines import units
from pipelines.units import Job, Numbers, Passenger

_SECONDS_PER_SECOND = 100.0  # of work for a second of film and an encoder, after which it turns in circles


class Encoders(Protocol):
    """Where encoders come from: `cinescribe.encoders.catalogue`, or something like it."""

    def load(self, written: str, *, device: str = "cpu", threads: int = 0) -> Encoder:
        """A loaded encoder by its name."""
        ...


class FeaturesStage:
    """Encode chunks with encoders that are loaded once; a film stays open from chunk to chunk."""

    def __init__(
        self,
        job: Job,
        written: Sequence[str],
        length: float,
        threads: int,
        device: str,
        encoders: Encoders,
        decoder: Decoder = "pyav",
    ) -> None:
        self.job, self.length, self.decoder = job, length, decoder
        self.film: tuple[str, str, OpenFilm] | None = None
        made, self.fault = units.made(
            lambda: [encoders.load(name, device=device, threads=threads) for name in written]
        )
        self.encoders = {encoder.spec.name: _Noted(encoder, self) for encoder in made or ()}
        self.running = ""  # the encoder at work

    def __call__(self, passenger: Passenger) -> Passenger:
        """Encode one chunk."""
        if self.fault:
            return {**passenger, "message": passenger["message"] or self.fault}
        stages = passenger["todo"].split(",")
        limit = _SECONDS_PER_SECOND * self.length * len(stages)

        def work(
            film: FilmRef, path: Path, stages: Sequence[str]
        ) -> Iterator[tuple[str, tables.Row | Exception, Numbers]]:
            return self.work(film, path, passenger["chunk"], stages)

        return units.attempt_many(
            self.job, stages, passenger, work, limit, lambda: tables.FEATURES + self.running
        )

    def work(
        self, film: FilmRef, path: Path, number: int, stages: Sequence[str]
    ) -> Iterator[tuple[str, tables.Row | Exception, Numbers]]:
        """The row of each stage, or why there is none."""
        row = tables.read_row(self.job.out, "films", film.film_id)
        if row is None:
            raise UsageError(f"{self.job.out}: the row of {film.film_id} in films is gone; run again")
        chunk = next(chunk for chunk in chunks(row["duration"], self.length) if chunk.number == number)
        names = [stage.removeprefix(tables.FEATURES) for stage in stages]
        asked = {
            name: features_in(self.encoders[name].spec, number, self.length, row["duration"])
            for name in names
        }
        for result in extract(self._open(film, path), {n: self.encoders[n] for n in names}, asked):
            stage, encoder = tables.FEATURES + result.name, self.encoders[result.name]
            if result.error is not None:
                yield stage, result.error, {}
                continue
            seconds = (number, chunk.start, chunk.end)
            first = asked[result.name].start
            made = tables.feature_row(film, seconds, encoder.spec, first, result.features, encoder.weights)
            numbers = {"duration": chunk.end - chunk.start, f"of {result.name}": len(result.features)}
            yield stage, made, numbers

    def _open(self, film: FilmRef, path: Path) -> OpenFilm:
        if self.film is None or self.film[:2] != (film.uri, film.etag):
            self.film = film.uri, film.etag, OpenFilm(path, self.decoder)
        return self.film[2]


class _Noted:
    """An encoder that says when it is at work."""

    def __init__(self, encoder: Encoder, stage: FeaturesStage) -> None:
        self.spec, self.weights = encoder.spec, encoder.weights
        self._encoder, self._stage = encoder, stage

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        self._stage.running = self.spec.name
        try:
            return self._encoder(batch)
        finally:
            self._stage.running = ""
