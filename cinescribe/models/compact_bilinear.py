"""Compact bilinear pooling (Gao et al. 2016; of two modalities Fukui et al. 2016)."""

import torch
from torch import Tensor, nn


class CompactBilinearPooling(nn.Module):
    """Two vectors to the count sketch of their outer product, without making it.

    The sketch of the outer product is the circular convolution of the two sketches. Places and signs are
    drawn once, kept with the weights and not learned.

    Args:
        first, second: widths of the vectors.
        width: of the sketch.
    """

    def __init__(self, first: int, second: int, width: int) -> None:
        super().__init__()
        self.width = width
        for name, size in (("first", first), ("second", second)):
            self.register_buffer(f"{name}_place", torch.randint(width, (size,)))
            self.register_buffer(f"{name}_sign", torch.randint(2, (size,)).float() * 2 - 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """[batch, first] and [batch, second] to [batch, width], float32: transforms know no 16 bits."""
        spectra = [
            torch.fft.rfft(self.sketch(vectors, name))
            for name, vectors in (("first", first), ("second", second))
        ]
        return torch.fft.irfft(spectra[0] * spectra[1], n=self.width)

    def sketch(self, vectors: Tensor, name: str) -> Tensor:
        """[batch, width] count sketch of vectors [batch, size], of the side "first" or "second"."""
        place: Tensor = getattr(self, f"{name}_place")
        sign: Tensor = getattr(self, f"{name}_sign")
        empty = vectors.new_zeros(len(vectors), self.width, dtype=torch.float32)
        return empty.index_add(1, place, vectors.float() * sign)
