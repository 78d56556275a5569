"""MIL-NCE: learning from narrations that are near what is seen, not at it.

Source: Miech et al., End-to-End Learning of Visual Representations from Uncurated Instructional Videos, CVPR
2020, and the authors' code (antoine77340/MIL-NCE_HowTo100M loss.py).
"""

from torch import Tensor


def milnce_loss(videos: Tensor, texts: Tensor) -> Tensor:
    """-log of the share which a clip's own captions have in the scores of its row and of its column.

    As in the authors' code the row and the column both hold the clip's own captions, which so count twice in
    the denominator: one clip with one caption costs ln 2.

    Args:
        videos: [batch, dim].
        texts: [batch * captions, dim]; the captions of clip i are rows i * captions and the following.

    Returns:
        The mean over clips, a scalar. Scores are plain dot products.
    """
    clips = videos.shape[0]
    scores = (videos @ texts.T).view(clips, clips, -1)  # [clip, clip of the caption, caption]
    own = scores.diagonal().T.logsumexp(1)
    row, column = scores.flatten(1).logsumexp(1), scores.transpose(0, 1).flatten(1).logsumexp(1)
    return (row.logaddexp(column) - own).mean()
