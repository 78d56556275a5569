"""The PyanNet speaker segmentation network: who is active when, within ten seconds.

The architecture of pyannote's segmentation-3.0 (Bredin 2023; Plaquet and Bredin 2023) in plain torch,
equal to `pyannote.audio.models.segmentation.PyanNet` (tests/speech/test_segmentation.py) without the eleven
seconds and half a gigabyte that importing pyannote.audio costs every worker.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from asteroid_filterbanks import Encoder, ParamSincFB
from torch import Tensor, nn

SAMPLE_RATE = 16_000
WINDOW = 160_000  # samples the network was trained on: 10 s
FRAMES = 589  # frames it gives for them
FRAME_STEP = 270  # samples from one frame to the next
FRAME_CENTRE = 495  # samples from the window's start to the middle of frame 0's receptive field

# The powerset classes: which of at most three voices speak, at most two at once.
POWERSET = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])


class _SincNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wav_norm1d = nn.InstanceNorm1d(1, affine=True)
        sinc = Encoder(
            ParamSincFB(80, 251, stride=10, sample_rate=SAMPLE_RATE, min_low_hz=50, min_band_hz=50)
        )
        self.conv1d = nn.ModuleList([sinc, nn.Conv1d(80, 60, 5), nn.Conv1d(60, 60, 5)])
        self.norm1d = nn.ModuleList([nn.InstanceNorm1d(n, affine=True) for n in (80, 60, 60)])

    def forward(self, waveforms: Tensor) -> Tensor:
        x = self.conv1d[0](self.wav_norm1d(waveforms)).abs()
        x = F.leaky_relu(self.norm1d[0](F.max_pool1d(x, 3)))
        for convolution, norm in zip(self.conv1d[1:], self.norm1d[1:], strict=True):
            x = F.leaky_relu(norm(F.max_pool1d(convolution(x), 3)))
        return x


class PyanNet(nn.Module):
    """SincNet, four bidirectional LSTM layers, two linear layers, seven classes; 1,473,265 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.sincnet = _SincNet()
        self.lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self.linear = nn.ModuleList([nn.Linear(256, 128), nn.Linear(128, 128)])
        self.classifier = nn.Linear(128, len(POWERSET))

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "PyanNet":
        """Build it from the published state (keys as in pyannote's checkpoint)."""
        network = cls()
        network.load_state_dict(dict(state))
        return network.eval()

    def forward(self, waveforms: Tensor) -> Tensor:
        """Log probabilities `[batch, frames, 7]` of the powerset from 16-kHz `[batch, 1, samples]`."""
        x, _ = self.lstm(self.sincnet(waveforms).transpose(1, 2))
        for linear in self.linear:
            x = F.leaky_relu(linear(x))
        return F.log_softmax(self.classifier(x), dim=-1)

    def active(self, waveforms: Tensor) -> Tensor:
        """Which of three local voices are active: bool `[batch, frames, 3]` from `[batch, 1, samples]`."""
        return POWERSET.to(waveforms.device)[self(waveforms).argmax(dim=-1)].bool()
