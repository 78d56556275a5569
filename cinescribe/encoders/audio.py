"""The audio expert of Collaborative Experts: VGGish, 128-d, of 0.96 seconds each.

audio           the weights of torchvggish: the embeddings as the network gives them
audio:FILE      the same, from a file
audio:FOLDER    with the published principal components beside the weights (`vggish_pca_params-*.pth`):
                whitened, clipped to [-2, 2] and quantised to 0..255, as the features of AudioSet are

Source: Hershey et al. 2017, "CNN architectures for large-scale audio classification", and the parameters in
TensorFlow's `vggish_params.py`.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.encoders.protocol import SOUND_RATE, EncoderSpec
from cinescribe.errors import WeightsError
from cinescribe.zoo import checkpoints

if TYPE_CHECKING:
    from torch import Tensor

WEIGHT = "vggish"
DIM = 128
SECONDS = 0.96  # from one feature to the next
_WINDOW, _HOP = 400, 160  # samples: 25 and 10 ms
_FRAMES, _BANDS = 96, 64


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """128 numbers every 0.96 seconds; the last of the 96 spectra reaches 15 ms further."""
    samples = (_FRAMES - 1) * _HOP + _WINDOW
    return EncoderSpec("audio", hz or 1 / SECONDS, DIM, window=samples / SOUND_RATE)


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "Vggish":
    """The loaded encoder. Raises WeightsError when the weights can't be had or are another network's."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    given = Path(model) if model else None
    components = None
    weights = given or zoo.path(WEIGHT)
    if given is not None and given.is_dir():
        weights, components = (
            _only(given, pattern) for pattern in ("vggish-*.pth", "vggish_pca_params-*.pth")
        )
    return Vggish(spec(model, hz), weights, components, device)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise WeightsError(f"{folder}: one file {pattern} is expected, {len(found)} are there")
    return found[0]


class Vggish:
    """What is heard (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(
        self, spec: EncoderSpec, weights: Path, components: Path | None = None, device: str = "cpu"
    ) -> None:
        from torch import nn

        self.spec = spec
        self.weights: Mapping[str, str] = {"audio": weights.name}
        layers: list[nn.Module] = []
        for channels, out in pairwise((1, 64, 128, 256, 256, 512, 512)):
            layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
            if channels == out or out < 256:
                layers += [nn.MaxPool2d(2)]
        self._features = nn.Sequential(*layers)
        sizes = (512 * 6 * 4, 4096, 4096, DIM)
        dense = [[nn.Linear(a, b), nn.ReLU()] for a, b in pairwise(sizes)]
        self._embeddings = nn.Sequential(*(layer for pair in dense for layer in pair))
        network = nn.ModuleDict({"features": self._features, "embeddings": self._embeddings})
        try:
            network.load_state_dict(checkpoints.read_state(weights))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{weights}: not the weights of VGGish ({reason})") from error
        network.eval().to(device)
        self._filters = mel_filters().to(device)
        self._components = None if components is None else _read_components(components, device)
        self._device = device

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """float32 `[N, 15600]` at 16 kHz to float16 `[N, 128]`."""
        import torch

        with torch.inference_mode():
            sound = torch.from_numpy(np.ascontiguousarray(batch, np.float32)).to(self._device)
            maps = self._features(log_mel(sound, self._filters)[:, None])  # [N, 512, 6, 4]
            rows = self._embeddings(maps.permute(0, 2, 3, 1).flatten(1))  # TensorFlow's order, channels last
            if self._components is not None:
                vectors, means = self._components
                whitened = ((rows - means) @ vectors.T).clamp(-2.0, 2.0)
                rows = ((whitened + 2.0) * (255 / 4)).round()
        return rows.cpu().numpy().astype(np.float16)


def log_mel(sound: "Tensor", filters: "Tensor") -> "Tensor":
    """The network's input: `[N, samples]` at 16 kHz to `[N, 1 + (samples - 400) // 160, 64]`.

    Magnitudes of 400 samples under a periodic Hann window, in 64 bands, log(x + 0.01).
    """
    import torch

    windows = sound.unfold(1, _WINDOW, _HOP) * torch.hann_window(_WINDOW, device=sound.device)
    return torch.log(torch.fft.rfft(windows, n=512).abs() @ filters + 0.01)


def mel_filters() -> "Tensor":
    """Triangles in mel over the 257 bins of the spectrum, 125 to 7500 Hz: `[257, 64]`, peaks at 1."""
    import torch

    bins = _mel(np.linspace(0.0, SOUND_RATE / 2, 257))
    edges = np.linspace(_mel(np.array(125.0)), _mel(np.array(7500.0)), _BANDS + 2)
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[0] = 0.0  # the constant part is left out
    return torch.from_numpy(filters.astype(np.float32))


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log(1.0 + hertz / 700.0)


def _read_components(path: Path, device: str) -> "tuple[Tensor, Tensor]":
    """The principal components `[128, 128]`, a row each, and the means `[128]`."""
    state = checkpoints.read_state(path)
    try:
        vectors, means = state["pca_eigen_vectors"].reshape(DIM, DIM), state["pca_means"].reshape(DIM)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: not VGGish's components ({error}); give torchvggish's vggish_pca_params-970ea276.pth"
        ) from error
    return vectors.float().to(device), means.float().to(device)
