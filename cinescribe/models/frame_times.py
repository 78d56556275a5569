"""Which frames of a clip JSFusion and CT-SAN look at: so many a second, of many equally distant ones."""

import numpy as np
from numpy.typing import NDArray


def frame_times(start: float, end: float, rate: float, most: int) -> NDArray[np.float64]:
    """[frames] seconds, from 1 to `most` of them.

    Args:
        start, end: of the clip, seconds.
        rate: frames a second.
        most: frames of a clip.
    """
    count = max(1, int(np.ceil(round((end - start) * rate, 6))))
    return np.asarray(start + equidistant(count, most) / rate, np.float64)


def equidistant(count: int, most: int) -> NDArray[np.int64]:
    """Numbers of at most `most` of `count` frames: all, or equally distant ones from first to last."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
