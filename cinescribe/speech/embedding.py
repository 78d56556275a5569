"""Speaker embeddings: one unit vector per voice, from its sound alone.

Two encoders, both small: CAM++ (Wang et al. 2023, "CAM++: a fast and efficient network for speaker
verification using context-aware masking", 192-d, 6,848,544 parameters) and GE2E (Wan et al. 2018, an LSTM,
256-d).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

SAMPLE_RATE = 16_000


class SpeakerEncoder(Protocol):
    """Sound of one voice at 16 kHz to a unit vector.

    Attributes:
        dimension: of the vector.
    """

    dimension: int

    def __call__(self, voices: Sequence[Tensor]) -> NDArray[np.float32]:
        """Embed voices, each float `[samples]` in [-1, 1]: unit rows `[voices, dimension]`."""
        ...


class _ResidualBlock(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(32, 32, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(32, 32, 1, stride=(stride, 1), bias=False), nn.BatchNorm2d(32)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class _FrontEnd(nn.Module):
    """2-D convolutions over the spectrogram: 80 bands become 10 of 32 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layer1 = nn.Sequential(_ResidualBlock(2), _ResidualBlock(1))
        self.layer2 = nn.Sequential(_ResidualBlock(2), _ResidualBlock(1))
        self.conv2 = nn.Conv2d(32, 32, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x[:, None])))))
        return F.relu(self.bn2(self.conv2(x))).flatten(1, 2)


def _norm_relu(channels: int) -> nn.Sequential:
    norm = nn.Sequential()
    norm.add_module("batchnorm", nn.BatchNorm1d(channels))
    norm.add_module("relu", nn.ReLU())
    return norm


class _ContextMask(nn.Module):
    """Local convolution, masked by the means over the whole and over 100-frame segments (section 2.2)."""

    def __init__(self, channels: int, out: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(channels, out, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(channels, channels // 2, 1)
        self.linear2 = nn.Conv1d(channels // 2, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        segments = F.avg_pool1d(x, 100, 100, ceil_mode=True).repeat_interleave(100, dim=-1)[
            ..., : x.shape[-1]
        ]
        context = x.mean(-1, keepdim=True) + segments
        return self.linear_local(x) * torch.sigmoid(self.linear2(F.relu(self.linear1(context))))


class _DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int, bottleneck: int, dilation: int) -> None:
        super().__init__()
        self.nonlinear1 = _norm_relu(channels)
        self.linear1 = nn.Conv1d(channels, bottleneck, 1, bias=False)
        self.nonlinear2 = _norm_relu(bottleneck)
        self.cam_layer = _ContextMask(bottleneck, growth, dilation)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))], dim=1)


class CamPlusPlus(nn.Module):
    """CAM++: spectrogram `[batch, frames, 80]` to a 192-d embedding (not normalised).

    Densely connected time-delay blocks of 12, 24 and 16 layers, growth 32, after the 2-D front end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head = _FrontEnd()
        trunk = nn.Sequential()
        tdnn = nn.Sequential()
        tdnn.add_module("linear", nn.Conv1d(320, 128, 5, stride=2, padding=2, bias=False))
        tdnn.add_module("nonlinear", _norm_relu(128))
        trunk.add_module("tdnn", tdnn)
        channels = 128
        for number, (layers, dilation) in enumerate([(12, 1), (24, 2), (16, 2)], start=1):
            block = nn.Sequential()
            for layer in range(layers):
                block.add_module(f"tdnnd{layer + 1}", _DenseLayer(channels, 32, 128, dilation))
                channels += 32
            trunk.add_module(f"block{number}", block)
            transit = nn.Sequential()
            transit.add_module("nonlinear", _norm_relu(channels))
            transit.add_module("linear", nn.Conv1d(channels, channels // 2, 1, bias=False))
            trunk.add_module(f"transit{number}", transit)
            channels //= 2
        trunk.add_module("out_nonlinear", _norm_relu(channels))
        dense = nn.Sequential()
        dense.add_module("linear", nn.Conv1d(2 * channels, 192, 1, bias=False))
        nonlinear = nn.Sequential()
        nonlinear.add_module("batchnorm", nn.BatchNorm1d(192, affine=False))
        dense.add_module("nonlinear", nonlinear)
        trunk.add_module("dense", dense)  # the published state's name; applied after the statistics
        self.xvector = trunk

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Embeddings `[batch, 192]` from `[batch, frames, 80]`."""
        x = self.head(spectrogram.transpose(1, 2))
        x = self.xvector[:-1](x)
        statistics = torch.cat([x.mean(-1), x.std(-1)], dim=-1)[..., None]
        return self.xvector[-1](statistics)[..., 0]


class CamPlusPlusEncoder:
    """CAM++ on 80-band Kaldi filter banks with their mean removed, as it was trained (3D-Speaker)."""

    dimension = 192
    batch = 16

    def __init__(self, state: Mapping[str, Tensor], device: str = "cpu") -> None:
        self.device = device
        self.network = CamPlusPlus()
        self.network.load_state_dict(dict(state))
        self.network.eval().to(device)

    @torch.inference_mode()
    def __call__(self, voices: Sequence[Tensor]) -> NDArray[np.float32]:
        """Embed voices, each float `[samples]`: unit rows `[voices, 192]`."""
        from torchaudio.compliance.kaldi import fbank

        rows = np.zeros((len(voices), self.dimension), np.float32)
        by_length: dict[int, list[int]] = {}
        for index, voice in enumerate(voices):
            by_length.setdefault(len(voice), []).append(index)
        batches = [
            indices[at : at + self.batch]
            for indices in by_length.values()
            for at in range(0, len(indices), self.batch)
        ]
        for indices in batches:  # equal lengths share a batch: padding would change the statistics
            features = torch.stack(
                [
                    fbank(voices[i][None].to(self.device), num_mel_bins=80, sample_frequency=SAMPLE_RATE)
                    for i in indices
                ]
            )
            embedded = self.network(features - features.mean(dim=1, keepdim=True))
            rows[indices] = F.normalize(embedded, dim=-1).cpu().numpy()
        return rows


class Ge2eEncoder:
    """GE2E (Resemblyzer's weights): LSTM over 1.6-s windows of 40-band mel spectrograms, averaged."""

    dimension = 256
    window, hop = 160, 80  # mel frames of 10 ms

    def __init__(self, state: Mapping[str, Tensor], device: str = "cpu") -> None:
        from torchaudio.transforms import MelSpectrogram

        self.device = device
        self.lstm = nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        for name, module in (("lstm.", self.lstm), ("linear.", self.linear)):
            module.load_state_dict({k.removeprefix(name): v for k, v in state.items() if k.startswith(name)})
            module.eval().to(device)
        self.mel = MelSpectrogram(
            SAMPLE_RATE,
            n_fft=400,
            hop_length=160,
            n_mels=40,
            norm="slaney",
            mel_scale="slaney",
            pad_mode="constant",
        ).to(device)

    @torch.inference_mode()
    def __call__(self, voices: Sequence[Tensor]) -> NDArray[np.float32]:
        """Embed voices, each float `[samples]`: unit rows `[voices, 256]`."""
        windows: list[Tensor] = []
        owner: list[int] = []
        for index, voice in enumerate(voices):
            mel = self.mel(voice.to(self.device)).T  # [frames, 40]
            mel = F.pad(mel, (0, 0, 0, max(0, self.window - len(mel))))
            for start in range(0, len(mel) - self.window // 4, self.hop):
                piece = mel[start : start + self.window]
                if start and len(piece) < self.window:
                    piece = mel[-self.window :]
                windows.append(piece)
                owner.append(index)
                if start + self.window >= len(mel):
                    break
        if not windows:
            return np.zeros((0, self.dimension), np.float32)
        _, (hidden, _) = self.lstm(torch.stack(windows))
        each = F.normalize(F.relu(self.linear(hidden[-1])), dim=-1)
        total = torch.zeros(len(voices), self.dimension, device=self.device)
        total.index_add_(0, torch.tensor(owner, device=self.device), each)
        return F.normalize(total, dim=-1).cpu().numpy()
