"""The text expert of Collaborative Experts: what is written in the picture, once a second.

PP-OCR finds and reads the text (RapidOCR; its networks come inside its wheel, nothing is fetched). The paper
used PixelLink and a reader trained on Synth90K. Each feature is the mean word2vec of the words in one frame,
NaN where there are none; `read_text` gives the text itself, which is also worth searching.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from cinescribe.encoders.words import WordVectors

DIM = 300
EDGE = 960  # pixels a frame's longer side has at most when it is read
LEAST_CONFIDENCE = 0.7  # of a line of text; below it PP-OCR reads letters into leaves and bricks


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """300 numbers, of the frame in the middle of each 1 / hz seconds."""
    if model:
        raise UsageError(f"ocr:{model}: there is one model of this encoder; write `ocr`")
    hz = hz or 1.0
    return EncoderSpec("ocr", hz, DIM, offsets=(0.5 / hz,))


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "WrittenText":
    """The loaded encoder. Raises WeightsError when RapidOCR or the word vectors can't be had."""
    from cinescribe.encoders.words import WordVectors

    return WrittenText(spec(model, hz), WordVectors(), threads=threads)


class TextReader:
    """Reads the text in frames; without word vectors."""

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads or -1

    @cached_property
    def _engine(self) -> Any:
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise WeightsError(
                "ocr: the packages rapidocr and onnxruntime are missing; install cinescribe[experts]"
            ) from error
        engine = "EngineConfig.onnxruntime"
        return RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.text_score": LEAST_CONFIDENCE,
                f"{engine}.intra_op_num_threads": self._threads,
                f"{engine}.inter_op_num_threads": 1,
                "Det.limit_type": "max",  # by default small frames are enlarged, at twice the time
                "Det.limit_side_len": EDGE,
            }
        )

    def read_text(self, frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> list[str]:
        """The text in each frame, its lines from top to bottom joined by line breaks; "" where there is none.

        Args:
            frames: each uint8 `[H, W, 3]`, RGB, upright.
        """
        return [self._read(frame) for frame in frames]

    def _read(self, frame: NDArray[np.uint8]) -> str:
        from PIL import Image

        picture = Image.fromarray(frame)
        picture.thumbnail((EDGE, EDGE))
        found = self._engine(np.asarray(picture)[:, :, ::-1])  # BGR, as OpenCV has it
        if found is None or found.txts is None:
            return ""
        return "\n".join(line.strip() for line in found.txts if line.strip())


class WrittenText:
    """Words in the picture (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(self, spec: EncoderSpec, words: "WordVectors", *, threads: int = 0) -> None:
        self.spec = spec
        self.weights: Mapping[str, str] = {"ocr": "rapidocr PP-OCRv6 small", "words": words.name}
        self.reader = TextReader(threads)
        self._words = words

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 `[N, 1, H, W, 3]` to float16 `[N, 300]`; NaN where no word was read that has a vector."""
        return self._words(self.reader.read_text(batch[:, 0])).mean().astype(np.float16)
