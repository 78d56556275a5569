"""NetVLAD and GhostVLAD: a sequence of vectors as what it differs by from learned centres.

Sources: Arandjelovic et al. 2016 and Zhong et al. 2018 (ghost clusters), as the published code of
Collaborative Experts computes and names them, so that its weights fit.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NetVLAD(nn.Module):
    """Aggregates vectors softly assigned to clusters; what ghost clusters take is dropped.

    Rows of zeros count as any other row: the published code pads with them to a fixed length and aggregates
    them, so sequences must be padded to the length of training.

    Args:
        dim: of a vector.
        clusters: that make the output.
        ghosts: clusters that draw off vectors of no use.

    Attributes:
        width: of the output, dim * clusters.
        clusters: [dim, clusters + ghosts] of the assignment.
        clusters2: [1, dim, clusters], the centres.
    """

    def __init__(self, dim: int, clusters: int, ghosts: int = 0) -> None:
        super().__init__()
        self.width = dim * clusters
        scale = dim**-0.5
        self.clusters = nn.Parameter(scale * torch.randn(dim, clusters + ghosts))
        self.clusters2 = nn.Parameter(scale * torch.randn(1, dim, clusters))
        self.batch_norm = nn.BatchNorm1d(clusters + ghosts)

    def forward(self, sequences: Tensor) -> Tensor:
        """[batch, length, dim] to [batch, width] of length 1."""
        batch, length, dim = sequences.shape
        kept = self.clusters2.shape[2]
        scores = self.batch_norm(sequences.reshape(-1, dim) @ self.clusters)
        assignment = scores.softmax(1)[:, :kept].reshape(batch, length, kept)
        sums = torch.bmm(sequences.transpose(1, 2).to(assignment.dtype), assignment)  # [batch, dim, kept]
        residuals = sums - assignment.sum(1, keepdim=True) * self.clusters2
        return F.normalize(F.normalize(residuals, dim=1).flatten(1), dim=1)
