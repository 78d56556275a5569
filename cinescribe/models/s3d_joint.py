"""S3D-G and the word encoder of MIL-NCE as one model to finetune, on clips with texts.

Han et al. 2022 (section 7.6 of the thesis) finetune both end to end on what TAN aligned. On disk it is
MIL-NCE's own form, `s3d_howto100m.pth` and `s3d_dict.npy`, so that `cinescribe extract --encoders
s3d:FOLDER/s3d_howto100m.pth` reads it like the published weights.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cinescribe.encoders import s3d
from cinescribe.encoders.s3d_network import S3DG, load_network
from cinescribe.errors import WeightsError
from cinescribe.models.milnce import milnce_loss
from cinescribe.models.word2vec_text import Word2VecText, WordIds

TEMPERATURE = 0.07  # of the cosines [code]
_TEXT = "text_module."
Loss = Literal["info-nce", "mil-nce"]


class S3DJoint(nn.Module):
    """Clips and texts to vectors of one space, 512 wide.

    Args:
        words: the vocabulary in order.
        freeze_norms: batch norms keep their statistics, and their scales and shifts aren't trained; the
            published code calls it essential for finetuning.
    """

    def __init__(self, words: Sequence[str], freeze_norms: bool = True) -> None:
        super().__init__()
        self.words, self.freeze_norms = list(words), freeze_norms
        self.s3d = S3DG()
        self.text_module = Word2VecText(len(self.words) + 1)
        self._ids = WordIds(self.words)
        if freeze_norms:
            for norm in self._norms():
                norm.requires_grad_(False)
        self.train(self.training)

    def _norms(self) -> list[nn.BatchNorm3d]:
        return [module for module in self.s3d.modules() if isinstance(module, nn.BatchNorm3d)]

    def train(self, mode: bool = True) -> "S3DJoint":
        """Training mode; frozen batch norms stay as they are."""
        super().train(mode)
        if self.freeze_norms:
            for norm in self._norms():
                norm.eval()
        return self

    def videos(self, clips: Tensor) -> Tensor:
        """Clips uint8 [batch, time, height, width, 3], time and size even, to [batch, 512]."""
        device = self.s3d.fc.weight.device
        frames = clips.to(device).permute(0, 4, 1, 2, 3).float() / 255
        return self.s3d.joint(self.s3d(frames))

    def texts(self, texts: Sequence[str]) -> Tensor:
        """[texts, 512]; unknown words are as padding, at most 32 words are read."""
        return self.text_module(self._ids(texts).to(self.s3d.fc.weight.device))


def loss(videos: Tensor, texts: Tensor, kind: Loss = "info-nce") -> Tensor:
    """How surely each clip finds its own text among the batch's, and each text its clip.

    Args:
        videos: [batch, dim].
        texts: [batch, dim], row k the text of clip k.
        kind: "info-nce" over cosines divided by 0.07, the sum of both directions [code]; or MIL-NCE's.
    """
    if kind == "mil-nce":
        return milnce_loss(videos.float(), texts.float())
    scores = F.normalize(videos.float(), dim=-1) @ F.normalize(texts.float(), dim=-1).T / TEMPERATURE
    own = torch.arange(len(scores), device=scores.device)
    return F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)


def load(source: str, freeze_norms: bool = True) -> S3DJoint:
    """The model of published weights, or of a folder that `save` wrote.

    Args:
        source: path or `s3://` address of `s3d_howto100m.pth`, `s3d_dict.npy` beside it.
        freeze_norms: see `S3DJoint`.

    Raises:
        WeightsError: there are no such weights, or they are others.
    """
    state, _ = s3d.read_weights(source)
    folder, slash, _ = source.rpartition("/")
    words = s3d.read_words(folder + slash + s3d.WORDS_FILE)
    if len(words) + 1 != len(state.get(f"{_TEXT}word_embd.weight", ())):
        raise WeightsError(
            f"{folder + slash + s3d.WORDS_FILE}: {len(words)} words, and others in the weights"
        )
    model = S3DJoint(words, freeze_norms)
    video = {name: value for name, value in state.items() if not name.startswith(_TEXT)}
    text = {name.removeprefix(_TEXT): value for name, value in state.items() if name.startswith(_TEXT)}
    load_network(model.s3d, video, source)
    load_network(model.text_module, text, source)
    return model


def save(model: S3DJoint, folder: Path) -> None:
    """Write a model into a folder, in the form of the published weights."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu() for name, value in model.s3d.state_dict().items()}
    state |= {
        f"{_TEXT}{name}": value.detach().cpu() for name, value in model.text_module.state_dict().items()
    }
    torch.save(state, folder / s3d.WEIGHTS_FILE)
    np.save(folder / s3d.WORDS_FILE, np.array(model.words, dtype=np.str_))
