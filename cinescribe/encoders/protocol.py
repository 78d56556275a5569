"""What every frozen encoder is: a name, a rate, a dimension, and pieces of a film in, float16 features out.

Feature k of a film stands for the seconds [k / hz, (k + 1) / hz). A frame encoder sees the frames shown at
k / hz + offset for each of its offsets; so encoders whose times fall together share the decoded frames. A
sound encoder hears the `window` seconds from k / hz on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SOUND_RATE = 16_000  # Hz, of what sound encoders hear


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What is known of an encoder before its weights are loaded.

    Attributes:
        name: of its table, `features/<name>`; a path-safe word.
        hz: features per second.
        dim: of one feature.
        offsets: seconds after k / hz of the frames that feature k sees, rising; () for a sound encoder.
        window: seconds of sound that feature k hears from k / hz on; 0 for a frame encoder.
    """

    name: str
    hz: float
    dim: int
    offsets: tuple[float, ...] = ()
    window: float = 0.0

    @property
    def reach(self) -> float:
        """Seconds after k / hz at which the last that feature k needs is seen or heard."""
        return self.offsets[-1] if self.offsets else self.window

    def count(self, duration: float) -> int:
        """Features of a film of `duration` seconds: those whose frames, or whole window, lie within it."""
        slack = 1e-6
        if self.offsets:
            last = (duration - self.reach - slack) * self.hz  # a frame is shown up to the end, not at it
            return max(0, int(np.floor(last)) + 1) if last >= 0 else 0
        return max(0, int(np.floor((duration - self.window + slack) * self.hz)) + 1)


class Encoder(Protocol):
    """A loaded encoder.

    Attributes:
        spec: what it is.
        weights: names of the weights it was loaded from, by role.
    """

    spec: EncoderSpec
    weights: Mapping[str, str]

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """Features of a batch.

        Args:
            batch: uint8 [N, len(offsets), H, W, 3], RGB, upright, at the film's own size; of a sound encoder
                float32 [N, window * SOUND_RATE].

        Returns:
            float16 [N, dim]. A row of NaN where there is nothing to see (no face, no text): absent, not zero.
        """
        ...
