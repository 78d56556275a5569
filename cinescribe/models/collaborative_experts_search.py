"""Collaborative Experts as a dual encoder: what an index of vectors can hold of it, and what it can't.

The similarity of a text t and a clip v is

    s(t, v) = sum_i w_i(t) ind_i(v) <t_i, v_i>  /  sum_i w_i(t) ind_i(v)

The numerator is one dot product: of the query vector [w_1 t_1, ..., w_E t_E] with the clip's vector
[v_1, ..., v_E] whose missing parts are zero. That is what an index holds, E * 768 numbers a clip. The
denominator depends on the text and on which experts the clip has, and on nothing else of it:

- where all experts are there it is sum_i w_i = 1, so the order by the dot product is the model's;
- among clips that have the same experts it is the same, so here, too, the order is the model's;
- else candidates by the dot product, the first of each set of experts that occurs, are put in order by the
  whole formula. It needs no vectors: the dot product the index gave and the clip's flags are enough.

Where candidates are those of all clips together, one that is not among them has a dot product of at most the
last one's, so at most that over the least denominator that occurs is its similarity: what ranks above this
bound, ranks as in the full model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cinescribe.encoders.experts import inputs_of_windows
from cinescribe.models.collaborative_experts import UNKNOWN, ClipVectors, TextVectors, spread
from cinescribe.models.collaborative_experts_files import SavedCE
from cinescribe.models.collaborative_experts_inputs import stack_inputs

_BATCH = 256  # windows encoded at once


@dataclass(frozen=True, slots=True)
class Rescored:
    """Candidates in the model's order.

    Attributes:
        order: [candidates] their places in what was given, best first.
        similarity: [candidates] s(t, v), in that order.
        certain: how many of the first are surely those of the full model, in its order, whatever else the
            index holds.
    """

    order: NDArray[np.int64]
    similarity: NDArray[np.float32]
    certain: int


def encode_windows(
    saved: SavedCE, root: str, film_id: str, windows: Sequence[tuple[float, float]]
) -> ClipVectors:
    """Windows of a film, from the tables its experts wrote.

    Args:
        saved: the model, on any device.
        root: folder or `s3://` prefix of the tables.
        film_id: of the film.
        windows: [start, end) in seconds.

    Raises:
        UsageError: a window is empty, or a table holds features of another dimension than the model's.
    """
    device = next(saved.model.parameters()).device
    clips = inputs_of_windows(root, film_id, windows, saved.experts)
    vectors, available = [], []
    for first in range(0, len(clips), _BATCH):
        experts, there = stack_inputs(clips[first : first + _BATCH], saved.experts)
        with torch.inference_mode():
            moved = {name: value.to(device) for name, value in experts.items()}
            found = saved.model.encode_clips(moved, there.to(device))
        vectors.append(found.vectors)
        available.append(found.available)
    return ClipVectors(torch.cat(vectors), torch.cat(available))


def query_vectors(texts: TextVectors, widths: tuple[int, ...]) -> NDArray[np.float32]:
    """[texts, sum of widths] to look up in an index by dot product."""
    weighted = texts.vectors.float() * spread(texts.weights.float(), widths)
    return np.asarray(weighted.detach().cpu().numpy(), np.float32)


def index_vectors(clips: ClipVectors) -> NDArray[np.float32]:
    """[clips, sum of widths] for an index of dot products; missing parts are zero."""
    return np.asarray(clips.vectors.detach().float().cpu().numpy(), np.float32)


def flags(clips: ClipVectors) -> NDArray[np.int64]:
    """[clips] which experts each clip has, expert i as bit i: what an index stores beside the vector."""
    bits = clips.available.cpu().numpy().astype(np.int64)
    return np.asarray(bits @ (1 << np.arange(bits.shape[1])), np.int64)


def available(flags: NDArray[np.int64], experts: int) -> NDArray[np.bool_]:
    """[clips, experts] of `flags`."""
    return (flags[:, None] >> np.arange(experts) & 1).astype(np.bool_)


def rescore(
    weights: NDArray[np.float32],
    products: NDArray[np.float32],
    found: NDArray[np.int64],
    kinds: NDArray[np.int64] | None = None,
) -> Rescored:
    """Candidates of one query in the model's order.

    Args:
        weights: [experts] mixture weights of the text.
        products: [candidates] dot products, as the index found them.
        found: [candidates] their `flags`.
        kinds: all different `flags` in the index; None: every one that could be, but none at all.
    """
    experts = len(weights)
    shares = available(found, experts) @ weights
    if kinds is None:
        least = float(weights.min())
    else:
        least = float((available(kinds[kinds > 0], experts) @ weights).min(initial=1.0))
    tiny = float(np.finfo(np.float32).tiny)
    scores = np.where(found > 0, products / np.maximum(shares, tiny), UNKNOWN).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    last = float(products.min(initial=np.inf))
    bound = last / max(least, tiny) if last > 0 else last  # a denominator of at most 1 lowers what is below 0
    return Rescored(order, scores[order], int((scores > bound).sum()))
