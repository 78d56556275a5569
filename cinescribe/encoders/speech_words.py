"""The speech expert of Collaborative Experts: what is said in a clip, a word2vec vector a word.

From the `speech` table, not from frames. The narrator of a described film is left out by default: the
description is what a clip is to be found by, and may not be among what it is found with.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cinescribe.utterance import Role, Utterance

if TYPE_CHECKING:
    from cinescribe.encoders.words import WordVectors

DIM = 300
HEARD: tuple[Role, ...] = ("dialogue", "unknown")


def said(
    utterances: Iterable[Utterance], start: float, end: float, roles: Collection[Role] = HEARD
) -> list[str]:
    """The words spoken within [start, end) seconds, in their order: those whose middle lies there.

    Of an utterance without timed words, the words are spread evenly over it.
    """
    found: list[tuple[float, str]] = []
    for utterance in utterances:
        if utterance.role not in roles or utterance.end < start or utterance.start >= end:
            continue
        if utterance.words:
            timed = [((word.start + word.end) / 2, word.text) for word in utterance.words]
        else:
            texts = utterance.text.split()
            step = (utterance.end - utterance.start) / max(1, len(texts))
            timed = [(utterance.start + (n + 0.5) * step, text) for n, text in enumerate(texts)]
        found += [(time, text) for time, text in timed if start <= time < end]
    return [text for _, text in sorted(found, key=lambda pair: pair[0])]


def spoken_vectors(
    utterances: Iterable[Utterance],
    words: "WordVectors",
    start: float,
    end: float,
    roles: Collection[Role] = HEARD,
) -> NDArray[np.float32]:
    """The vectors `[L, 300]` of the words spoken within [start, end) seconds that have one."""
    return words([" ".join(said(utterances, start, end, roles))]).vectors[0]
