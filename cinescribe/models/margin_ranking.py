"""The bidirectional max-margin ranking loss of retrieval models (Socher et al. 2014)."""

import torch
from torch import Tensor


def max_margin_loss(similarity: Tensor, margin: float, *, per_pair: bool = True) -> Tensor:
    """How far pairs that don't belong together come within `margin` of those that do, in both directions.

    Args:
        similarity: [n, n], row and column i belong together; n >= 2.
        margin: m of Collaborative Experts' eq. 3.
        per_pair: the mean over the 2 n (n - 1) terms, as the authors' code computes it and the margins were
            chosen with; else their sum over n, as eq. 3 says.

    Returns:
        Scalar; the margin where all similarities are equal and it is the mean.
    """
    count = len(similarity)
    right = similarity.diagonal()
    other_clips = torch.relu(margin + similarity - right[:, None])
    other_texts = torch.relu(margin + similarity - right[None, :])
    others = ~torch.eye(count, dtype=torch.bool, device=similarity.device)
    total = ((other_clips + other_texts) * others).sum()
    return total / (2 * count * (count - 1) if per_pair else count)
