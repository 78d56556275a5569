"""Features of a piece of a film by several encoders: decoded once, computed while the next is decoded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.protocol import Encoder
from cinescribe.errors import UsageError, WeightsError
from cinescribe.media.frames import Decoder, FrameReader
from cinescribe.media.sharing import Batch, Wanted, ahead, share_frames, share_sound


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of one encoder's features.

    Attributes:
        name: the encoder's key.
        features: float16 [T, dim], a row for each that was asked; NaN where there was nothing to see or hear,
            or where the film's data end before. Empty when it failed.
        error: why it failed, None when it went well.
    """

    name: str
    features: NDArray[np.float16]
    error: Exception | None = None


class OpenFilm:
    """A film that stays open between pieces of it; made anew for another film."""

    def __init__(self, path: Path, decoder: Decoder = "pyav") -> None:
        self.path, self.decoder = path, decoder
        self._reader: FrameReader | None = None

    @property
    def reader(self) -> FrameReader:
        """Its frames. Raises MediaError as `FrameReader`."""
        self._reader = self._reader or FrameReader(self.path, decoder=self.decoder)
        return self._reader


def extract(
    film: OpenFilm, encoders: Mapping[str, Encoder], asked: Mapping[str, range]
) -> Iterator[Extracted]:
    """The asked features of each encoder, each as soon as it is done.

    Args:
        film: to read.
        encoders: loaded, by name.
        asked: numbers of the features, by the encoders' names.

    Raises:
        UsageError, WeightsError: from an encoder; no film is at fault.
    """
    wanted = {name: Wanted(encoders[name].spec, k.start, k.stop) for name, k in asked.items()}
    pictures = {name: one for name, one in wanted.items() if one.spec.offsets}
    sounds = {name: one for name, one in wanted.items() if not one.spec.offsets}
    if pictures:
        yield from _encode(_frames(film, pictures), encoders, pictures)
    if sounds:
        yield from _encode(share_sound(film.path, sounds), encoders, sounds)


def _frames(film: OpenFilm, wanted: Mapping[str, Wanted]) -> Iterator[Batch]:
    yield from share_frames(film.reader, wanted)  # opened by the thread that decodes


def _encode(
    batches: Iterator[Batch], encoders: Mapping[str, Encoder], wanted: Mapping[str, Wanted]
) -> Iterator[Extracted]:
    """Run the encoders over the batches; a fault of one does not touch the others."""
    results = {
        name: np.full((one.stop - one.first, one.spec.dim), np.nan, np.float16)
        for name, one in wanted.items()
    }
    unfinished = dict.fromkeys(wanted)
    try:
        with ahead(batches) as coming:
            for batch in coming:
                if batch.name not in unfinished:
                    continue
                one = wanted[batch.name]
                begin = batch.first - one.first
                stop = begin + len(batch.items)
                try:
                    results[batch.name][begin:stop] = encoders[batch.name](batch.array())
                except (UsageError, WeightsError):
                    raise
                except Exception as error:
                    del unfinished[batch.name]
                    yield _failed(batch.name, one, error)
                    continue
                if stop == one.stop - one.first:
                    del unfinished[batch.name]
                    yield Extracted(batch.name, results[batch.name])
    except (UsageError, WeightsError):
        raise
    except Exception as error:  # in decoding
        for name in unfinished:
            yield _failed(name, wanted[name], error)
        return
    for name in unfinished:
        yield Extracted(name, results[name])


def _failed(name: str, wanted: Wanted, error: Exception) -> Extracted:
    return Extracted(name, np.empty((0, wanted.spec.dim), np.float16), error)
