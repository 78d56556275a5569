"""The chunks of a film, and which features of an encoder lie in each: none is lost, none is in two."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from cinescribe.encoders.protocol import EncoderSpec


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a film: [number * length, (number + 1) * length), the last one shorter.

    Attributes:
        number: from 0.
        start, end: seconds.
    """

    number: int
    start: float
    end: float


def chunks(duration: float, length: float) -> Iterator[Chunk]:
    """The chunks of a film of `duration` seconds, each of `length` seconds."""
    for number in range(math.ceil(Fraction(str(duration)) / Fraction(str(length)))):
        start, end = (float(Fraction(str(length)) * n) for n in (number, number + 1))
        yield Chunk(number, start, min(end, duration))


def features_in(spec: EncoderSpec, number: int, length: float, duration: float) -> range:
    """Numbers of the features k whose time k / hz lies in a chunk, and that the film is long enough for.

    Rates and lengths are taken as they are written (29.97, not the binary number next to it), and the
    bounds are computed in fractions: the chunks of a film share its features out without rest.

    Args:
        spec: of the encoder.
        number: of the chunk.
        length: of the chunks, seconds.
        duration: of the film, seconds.
    """
    step = Fraction(str(spec.hz)) * Fraction(str(length))  # features a chunk
    first, stop = (math.ceil(n * step) for n in (number, number + 1))
    return range(first, max(first, min(stop, spec.count(duration))))
