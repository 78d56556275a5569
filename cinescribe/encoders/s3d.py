"""S3D-G of MIL-NCE on HowTo100M: a second of film as 1024 numbers, and films and sentences in one space.

s3d                             the weights in the store: <cache>/weights/s3d-howto100m/s3d_howto100m.pth
s3d:/path/to/s3d_howto100m.pth  weights by path, or s3://
s3d:joint                       512 numbers, comparable with `S3DText`; also s3d:joint:/path/...

Each feature is of the 16 frames of its second, as the Temporal Alignment Network takes them (section 7.4.2 of
its chapter): decoded at 16 a second, without overlap. The picture's shorter side becomes 224 pixels and its
centre is kept, which is our choice: MIL-NCE's own code for it was not at hand. RGB in [0, 1].
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, zoo
from cinescribe.encoders.preprocessing import Preprocessing
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import WeightsError
from cinescribe.zoo import checkpoints

if TYPE_CHECKING:
    from torch import Tensor

    from cinescribe.models.word2vec_text import Variant

FOLDER = "s3d-howto100m"  # in the store, where nothing else is said
WEIGHTS_FILE, WORDS_FILE = "s3d_howto100m.pth", "s3d_dict.npy"
ADDRESS = "https://www.rocq.inria.fr/cluster-willow/amiech/howto100m"
FRAMES = 16
_PREPROCESSING = Preprocessing((224, 224), mean=(0.0,) * 3, std=(1.0,) * 3, interpolation="bilinear")
_TEXT = "text_module."


def spec(model: str, hz: float | None) -> EncoderSpec:
    """What `s3d`, `s3d:PATH`, `s3d:joint` and `s3d:joint:PATH` give."""
    joint, _ = _parse(model)
    offsets = tuple(k / FRAMES for k in range(FRAMES))
    return EncoderSpec("s3d-joint" if joint else "s3d", hz or 1.0, 512 if joint else 1024, offsets)


def load(model: str, hz: float | None, *, device: str = "cpu", threads: int = 0) -> "S3DEncoder":
    """The loaded encoder. Raises WeightsError when there are no such weights, or they are others."""
    joint, source = _parse(model)
    return S3DEncoder(spec(model, hz), source, joint=joint, device=device, threads=threads)


def _parse(model: str) -> tuple[bool, str]:
    """Whether the joint space is meant, and where the weights are."""
    joint = model == "joint" or model.startswith("joint:")
    source = model.removeprefix("joint").removeprefix(":") if joint else model
    return joint, source or str(zoo.store_folder() / FOLDER / WEIGHTS_FILE)


class S3DEncoder:
    """The video tower (`cinescribe.encoders.protocol.Encoder`)."""

    def __init__(
        self, spec: EncoderSpec, source: str, *, joint: bool, device: str = "cpu", threads: int = 0
    ) -> None:
        import torch

        from cinescribe.encoders import s3d_network

        if threads:
            torch.set_num_threads(threads)
        self.spec = spec
        self._joint, self._device = joint, device
        state, digest = read_weights(source)
        self.weights: Mapping[str, str] = {"video_text": f"{WEIGHTS_FILE} of SHA-256 {digest}"}
        network = s3d_network.S3DG()
        video = {name: values for name, values in state.items() if not name.startswith(_TEXT)}
        s3d_network.load_network(network, video, source)
        self._network = s3d_network.for_inference(network, device)

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 [N, 16, H, W, 3] -> float16 [N, 1024], or [N, 512] in the joint space."""
        return self.joint(batch) if self._joint else self._features(batch).astype(np.float16)

    def joint(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 [N, 16, H, W, 3] -> float16 [N, 512], to be multiplied with `S3DText.encode`."""
        import torch

        with torch.inference_mode():
            mixed_5c = torch.from_numpy(self._features(batch)).to(self._device)
            found: NDArray[np.float16] = self._network.joint(mixed_5c).half().cpu().numpy()
        return found

    def _features(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """`mixed_5c`, float32 [N, 1024]."""
        import torch

        from cinescribe.encoders.s3d_network import as_video

        rows = []
        with torch.inference_mode():
            for frames in batch:
                video = as_video(_PREPROCESSING(frames, self._device))
                rows.append(self._network(video).cpu().numpy())
        return np.concatenate(rows) if rows else np.empty((0, 1024), np.float32)


class S3DText:
    """Sentences in the space of `s3d:joint`: score = dot product, without normalisation.

    Args:
        source: the weights, a path or s3://, `s3d_dict.npy` beside it; "": those in the store.
        variant: "mil-nce", or "tan", which leaves padding and unknown words out.
        max_words: words kept of a sentence; None: 16, or 32 for "tan". MIL-NCE was trained with 20.
    """

    def __init__(
        self,
        source: str = "",
        *,
        variant: "Variant" = "mil-nce",
        max_words: int | None = None,
        device: str = "cpu",
    ) -> None:
        from cinescribe.encoders.s3d_network import load_network
        from cinescribe.models.word2vec_text import WORDS, Word2VecText, WordIds

        _, source = _parse(source)
        state, digest = read_weights(source)
        self.weights: Mapping[str, str] = {"video_text": f"{WEIGHTS_FILE} of SHA-256 {digest}"}
        text = {name.removeprefix(_TEXT): values for name, values in state.items() if name.startswith(_TEXT)}
        vectors = (
            len(text["word_embd.weight"]) if "word_embd.weight" in text else WORDS
        )  # own words of a finetuning
        self._tower = Word2VecText(vectors, variant)
        load_network(self._tower, text, source)
        self._tower.eval().requires_grad_(False).to(device)
        folder, slash, _ = source.rpartition("/")
        words = read_words(folder + slash + WORDS_FILE)
        if len(words) + 1 != vectors:  # the vector before the first word's is the padding's
            raise WeightsError(
                f"{folder + slash + WORDS_FILE}: {len(words)} words, where the weights have the vectors of "
                f"{vectors - 1}; take the file from where the weights are from, {ADDRESS}/{WORDS_FILE}"
            )
        self._ids = WordIds(words, variant, max_words)
        self._device = device

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of texts, float32 [N, 512]; a text without a known word has the vector of the padding."""
        import torch

        with torch.inference_mode():
            found: NDArray[np.float32] = self._tower(self._ids(texts).to(self._device)).cpu().numpy()
        return found


def read_weights(source: str) -> "tuple[dict[str, Tensor], str]":
    """The tensors of a published file and its SHA-256, which nobody published and which is only noted.

    Raises:
        WeightsError: there is no such file, or it holds anything but tensors.
    """
    data = _read(source)
    digest = hashlib.sha256(data).hexdigest()
    if not storage.is_s3(source):
        return checkpoints.read_state(Path(source).expanduser()), digest
    with TemporaryDirectory() as folder:
        file = Path(folder) / source.rpartition("/")[2]
        file.write_bytes(data)
        try:
            return checkpoints.read_state(file), digest
        except WeightsError as error:
            raise WeightsError(str(error).replace(str(file), source)) from error


def read_words(source: str) -> list[str]:
    """The word list: word k has the number k + 1.

    Raises:
        WeightsError: there is no such file, or it is no array of plain strings.
    """
    try:
        words = np.load(io.BytesIO(_read(source)), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise WeightsError(
            f"{source}: not a plain array of words ({error}). An array of objects is a pickle and may carry "
            "code: it is not read. The published file is an array of strings; take it from "
            f"{ADDRESS}/{WORDS_FILE}"
        ) from error
    if words.ndim != 1 or words.dtype.kind != "U":
        raise WeightsError(
            f"{source}: an array {words.shape} of {words.dtype}, where a list of words is expected; take the "
            f"published file, {ADDRESS}/{WORDS_FILE}"
        )
    return [str(word) for word in words]


def _read(source: str) -> bytes:
    try:
        return storage.read_bytes(source if storage.is_s3(source) else str(Path(source).expanduser()))
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise WeightsError(
            f"{source}: no such file. MIL-NCE's weights are not pulled by themselves, since their authors "
            f"publish no hash of them: fetch {ADDRESS}/{WEIGHTS_FILE} and {ADDRESS}/{WORDS_FILE} into one "
            f"folder, {zoo.store_folder() / FOLDER} or another, and name that one: s3d:FOLDER/{WEIGHTS_FILE}"
        ) from error
