"""What is heard, once a second, by the encoder of Whisper tiny.en: 384-d.

Stands in for VGGish (`audio`) where that can't be had: an encoder trained on speech in 680,000 hours of sound
from the web keeps much of what else is to be heard (Gong et al. 2023, "Whisper-AT: noise-robust automatic
speech recognizers are also strong general audio event taggers"). The states of its second block, in which
speech and other sounds lie apart furthest of its four, are averaged over two seconds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError
from cinescribe.zoo import checkpoints

WEIGHT = "whisper-tiny.en"
DIM = 384
SECONDS = 2.0
BLOCKS = 2  # of four


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """384 numbers a second, of the two seconds from there on. Raises UsageError on any model."""
    if model:
        raise UsageError(f"sound:{model}: there is one model of this encoder; write `sound`")
    return EncoderSpec("sound", hz or 1.0, DIM, window=SECONDS)


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "Sound":
    """The loaded encoder. Raises UsageError on any model, WeightsError when its weights can't be had."""
    return Sound(spec(model, hz), device=device, threads=threads)


class Sound:
    """States of Whisper's encoder (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(self, spec: EncoderSpec, *, device: str = "cpu", threads: int = 0) -> None:
        import torch
        from whisper.model import AudioEncoder

        if threads:
            torch.set_num_threads(threads)
        self.spec = spec
        self.weights: Mapping[str, str] = {"audio": WEIGHT}
        checkpoint = checkpoints.read_checkpoint(zoo.path(WEIGHT))
        sizes, prefix = checkpoint["dims"], "encoder."
        network: Any = AudioEncoder(*(sizes[f"n_{name}"] for name in _SIZES))
        state = checkpoint["model_state_dict"].items()
        network.load_state_dict({k.removeprefix(prefix): v.float() for k, v in state if k.startswith(prefix)})
        self._network = network.eval().to(device)
        self._device = device

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """float32 `[N, 32000]` at 16 kHz to float16 `[N, 384]`."""
        import torch
        from torch.nn.functional import gelu
        from whisper.audio import log_mel_spectrogram

        rows = np.empty((len(batch), DIM), np.float16)
        network = self._network
        with torch.inference_mode():
            for row, sound in zip(rows, np.ascontiguousarray(batch, np.float32), strict=True):
                # One by one: each spectrogram is scaled by its own loudest band.
                mel = log_mel_spectrogram(torch.from_numpy(sound).to(self._device))[None]
                states = gelu(network.conv2(gelu(network.conv1(mel)))).transpose(1, 2)
                states = states + network.positional_embedding[: states.shape[1]]
                for block in network.blocks[:BLOCKS]:
                    states = block(states)
                row[:] = states.mean(dim=1)[0].cpu().numpy()
        return rows


_SIZES = ("mels", "audio_ctx", "audio_state", "audio_head", "audio_layer")  # of Whisper's AudioEncoder
