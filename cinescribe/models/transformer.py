"""The pre-norm transformer that TAN and AutoAD share; names and initialisation as in their published code."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), CLIP's activation."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """Self-attention and a four times wider perceptron, each after a layer norm and added to what came in.

    Args:
        width: of the vectors.
        heads: of the attention.
        layers: how many blocks there are in a row; the more, the smaller they start.
    """

    def __init__(self, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        widen, narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(OrderedDict(c_fc=widen, gelu=QuickGELU(), c_proj=narrow))
        self.ln_2 = nn.LayerNorm(width)
        nn.init.normal_(self.attn.in_proj_weight, std=width**-0.5)
        nn.init.normal_(self.attn.out_proj.weight, std=(2 * layers * width) ** -0.5)
        nn.init.normal_(widen.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(narrow.weight, std=(2 * layers * width) ** -0.5)

    def forward(self, x: Tensor, padding: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The output, and what the first layer norm made of the input.

        Args:
            x: [batch, length, width].
            padding: [batch, length] True where there is nothing to attend to.
        """
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, key_padding_mask=padding)[0]
        return x + self.mlp(self.ln_2(x)), normed


class Encoder(nn.Module):
    """Blocks in a row. Their stages are the normed inputs of blocks 2, 3, ... and the last block's output."""

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList([Block(width, heads, layers) for _ in range(layers)])

    def forward(self, x: Tensor, padding: Tensor | None = None) -> list[Tensor]:
        """One [batch, length, width] for each layer; `padding` as of a block."""
        stages = []
        for block in self.resblocks:
            x, normed = block(x, padding)
            stages.append(normed)
        return [*stages[1:], x]
