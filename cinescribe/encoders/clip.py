"""CLIP: pictures and words in one space, by any model that open_clip knows.

clip                              ViT-B-32/openai
clip:ARCHITECTURE/TAG             open_clip's pretrained weights, such as clip:ViT-L-14/openai
clip:ARCHITECTURE/PATH            a checkpoint: PATH is absolute or begins with ./ or ../, so that
                                  clip:ViT-B-32//models/clip.pt is the file /models/clip.pt
clip:ARCHITECTURE/s3://BUCKET/KEY the same on S3

A tag brings its own preprocessing and activation. Of a checkpoint, the architecture says both: weights of
OpenAI, DFN and MetaCLIP want an architecture that ends in -quickgelu, such as ViT-B-32-quickgelu.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, zoo
from cinescribe.encoders.preprocessing import Preprocessing
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import MediaError, UsageError, WeightsError
from cinescribe.media.cache import FilmCache
from cinescribe.zoo import checkpoints, hub, sources

DEFAULT = "ViT-B-32/openai"
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")  # what open_clip says of a tag
_POSITIONS = ("visual.positional_embedding", "positional_embedding", "text.positional_embedding")
_CACHE_BYTES = 50_000_000_000  # of checkpoints from S3 on this machine


def spec(model: str = "", hz: float | None = None) -> EncoderSpec:
    """Its features: of the frame in the middle of each 1 / hz seconds.

    Raises:
        UsageError: open_clip knows no such architecture, or `model` names no weights.
    """
    architecture, weights = _parse(model)
    hz = hz or 1.0
    return EncoderSpec(
        _table(architecture, weights, hz), hz, int(_config(architecture)["embed_dim"]), offsets=(0.5 / hz,)
    )


def load(model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0) -> "ClipEncoder":
    """The loaded encoder; see `cinescribe.encoders.catalogue.load`."""
    return ClipEncoder(model, hz, device=device, threads=threads)


class ClipEncoder:
    """Image and text tower of a CLIP model; attributes as `Encoder` has them.

    On a GPU OpenAI's weights compute in float16, in which they were published; all others in float32.
    """

    def __init__(
        self, model: str = "", hz: float | None = None, *, device: str = "cpu", threads: int = 0
    ) -> None:
        """Load it; arguments and errors as of `cinescribe.encoders.catalogue.load`."""
        import torch

        if threads:
            torch.set_num_threads(threads)
        self.spec = spec(model, hz)
        self._architecture, weights = _parse(model)
        self.weights: Mapping[str, str] = {"clip": f"{self._architecture}/{weights}"}
        half = device != "cpu" and weights == "openai"
        self._model = _load(self._architecture, weights, device, "fp16" if half else "fp32")
        self._dtype = torch.float16 if half else torch.float32
        self._device = device
        self.preprocessing = _preprocessing(self._model.visual.preprocess_cfg)
        self._tokenizer: Any = None

    @property
    def model(self) -> Any:
        """open_clip's model, for what is built into it (`cinescribe.models.prompted_text`)."""
        return self._model

    def __call__(self, batch: NDArray[Any]) -> NDArray[np.float16]:
        """uint8 [N, 1, H, W, 3] -> float16 [N, dim], of length 1."""
        return self.encode_frames(batch[:, 0])

    def encode_frames(self, frames: NDArray[np.uint8]) -> NDArray[np.float16]:
        """The same of pictures uint8 [N, H, W, 3]."""
        import torch

        if not len(frames):
            return np.zeros((0, self.spec.dim), np.float16)
        with torch.inference_mode():
            pictures = self.preprocessing(frames, self._device).to(self._dtype)
            features = self._model.encode_image(pictures)
            return _unit(features)

    def encode_text(self, texts: Sequence[str], batch: int = 64) -> NDArray[np.float16]:
        """Features of texts, in the space of the pictures': float16 [len(texts), dim], of length 1.

        A text beyond the model's context (77 tokens for most) is cut there.

        Raises:
            WeightsError: the tokenizer is one of the hub's and can't be had.
        """
        import torch

        parts = [np.zeros((0, self.spec.dim), np.float16)]
        for first in range(0, len(texts), batch):
            tokens = self._tokens(texts[first : first + batch]).to(self._device)
            with torch.inference_mode():
                parts.append(_unit(self._model.encode_text(tokens)))
        return np.concatenate(parts)

    def _tokens(self, texts: Sequence[str]) -> Any:
        import open_clip

        if self._tokenizer is None:
            try:
                self._tokenizer = open_clip.get_tokenizer(self._architecture)
            except (OSError, ValueError) as error:
                raise WeightsError(
                    f"the tokenizer of {self._architecture} can't be had: {error}; open_clip fetches it from "
                    "the hub, so run once where the hub answers, or choose a model with CLIP's own tokenizer"
                ) from error
        return self._tokenizer(list(texts))


def _unit(features: Any) -> NDArray[np.float16]:
    import torch

    normalised = torch.nn.functional.normalize(features.float(), dim=-1)
    return cast(NDArray[np.float16], normalised.half().cpu().numpy())


def _parse(model: str) -> tuple[str, str]:
    """Architecture and weights; checks all that can be known without loading them."""
    architecture, _, weights = (model or DEFAULT).partition("/")
    _config(architecture)
    if model and not _is_file(weights):
        from open_clip import list_pretrained_tags_by_model

        known = list_pretrained_tags_by_model(architecture)
        if weights not in known:
            raise UsageError(
                f"clip:{model}: {weights!r} is none of the weights of {architecture}; write "
                f"{architecture}/TAG with one of {', '.join(known) or 'none (it has no tags)'}, or a "
                f"checkpoint as {architecture}//absolute/path or {architecture}/s3://bucket/key"
            )
    return architecture, weights


def _is_file(weights: str) -> bool:
    return weights.startswith(("/", "./", "../", "s3://"))


def _config(architecture: str) -> dict[str, Any]:
    """open_clip's description of an architecture, read without importing it, which takes seconds."""
    package = importlib.util.find_spec("open_clip")
    if package is None or package.origin is None:
        raise WeightsError("the package open_clip is missing: install the locked dependencies (make setup)")
    folder = Path(package.origin).parent / "model_configs"
    known = sorted(path.stem for path in folder.glob("*.json"))
    if architecture not in known:
        raise UsageError(f"clip: open_clip knows no architecture {architecture!r}; it has {', '.join(known)}")
    config: dict[str, Any] = json.loads((folder / f"{architecture}.json").read_bytes())
    return config


def _table(architecture: str, weights: str, hz: float) -> str:
    """Name of the table of features: "clip" for the default, and no two models or rates share one."""
    name = "clip"
    if f"{architecture}/{weights}" != DEFAULT:
        if _is_file(weights):
            digest = hashlib.sha256(weights.encode()).hexdigest()[:8]
            weights = f"{PurePosixPath(weights).stem}-{digest}"
        name += "-" + re.sub(r"[^\w.-]", "_", f"{architecture}-{weights}")
    return name if hz == 1.0 else f"{name}-{hz:g}hz"


def _load(architecture: str, weights: str, device: str, precision: str) -> Any:
    """The model with its weights; an error where they don't fit it or can't be had, never random ones."""
    if _is_file(weights):
        settings = _architecture_settings(architecture)
        with _local(weights) as path:
            model = _from_checkpoint(architecture, weights, path, settings, precision)
    else:
        from open_clip.pretrained import get_pretrained_cfg

        settings = get_pretrained_cfg(architecture, weights)
        path = _fetched(architecture, weights, settings)
        model = _from_checkpoint(architecture, f"{architecture}/{weights}", path, settings, precision)
    return model.to(device).eval()


def _fetched(architecture: str, tag: str, settings: Mapping[str, Any]) -> Path:
    """The checkpoint of a tag: from the hub's cache on this machine, the hub, or the author's address."""
    from huggingface_hub import try_to_load_from_cache
    from open_clip.pretrained import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME, download_pretrained

    repository, _, file = settings.get("hf_hub", "").rpartition("/")
    if repository:
        for name in [file] if file else [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]:
            cached = try_to_load_from_cache(repository, name)
            if isinstance(cached, str):
                return Path(cached)
    address = hub.endpoint() if repository else settings["url"]
    reason = f"{address} takes no connection"
    if sources.connects(address):
        try:
            return Path(download_pretrained(dict(settings)))
        except (RuntimeError, OSError, ValueError) as error:
            reason = str(error)
    suffix = "-quickgelu" if settings.get("quick_gelu") and not architecture.endswith("-quickgelu") else ""
    raise WeightsError(
        f"CLIP weights {architecture}/{tag} can't be had: {reason}; run where the hub answers, or name a "
        f"copy: clip:{architecture}{suffix}//path/to/{HF_SAFE_WEIGHTS_NAME}, or s3://bucket/key in place of "
        "the path"
    )


def _from_checkpoint(
    architecture: str, named: str, path: Path, settings: Mapping[str, Any], precision: str
) -> Any:
    """The model with a checkpoint's weights, every one of them, or an error."""
    import open_clip

    positions = {name: tensor for name, tensor in _read_state(path).items() if name in _POSITIONS}
    try:
        model = open_clip.create_model(
            architecture,
            pretrained=str(path),
            precision=precision,
            # Of a tag open_clip would only warn that it wants the other activation.
            force_quick_gelu=bool(settings.get("quick_gelu")),
            force_preprocess_cfg={key: settings.get(key) for key in _PREPROCESSING},
            require_pretrained=True,
            weights_only=True,
        )
    except (RuntimeError, AssertionError, KeyError) as error:  # open_clip checks by each of them
        reason = " ".join(str(error).split())
        raise WeightsError(
            f"{named}: not a checkpoint of {architecture} ({reason[:300]}); name the architecture it was "
            "trained with"
        ) from error
    except OSError as error:
        raise WeightsError(f"{architecture}: a part of it is the hub's and can't be had ({error})") from error
    own = model.state_dict()
    for name, tensor in positions.items():
        if name in own and tensor.shape != own[name].shape:  # open_clip has interpolated them
            raise WeightsError(
                f"{named}: {name} is for {len(tensor)} positions, in {architecture} for {len(own[name])}: it "
                "was trained on pictures or texts of another size; name the architecture it was trained with"
            )
    return model


def _read_state(path: Path) -> dict[str, Any]:
    """The tensors of an open_clip checkpoint: a state dict, or a training checkpoint that holds one."""
    from safetensors import SafetensorError

    if path.suffix == ".safetensors":
        try:
            return dict(checkpoints.read_state(path))
        except SafetensorError as error:
            raise WeightsError(f"{path}: not a safetensors file ({error}); fetch it anew") from error
    checkpoint = checkpoints.read_checkpoint(path)
    state = checkpoint.get("state_dict", checkpoint)
    if not isinstance(state, dict) or not state:
        raise WeightsError(f"{path}: holds no tensors by name; give an open_clip checkpoint")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _architecture_settings(architecture: str) -> dict[str, Any]:
    """The preprocessing on which all published weights of an architecture agree, CLIP's where they don't."""
    from open_clip import list_pretrained_tags_by_model
    from open_clip.pretrained import get_pretrained_cfg

    published = [get_pretrained_cfg(architecture, tag) for tag in list_pretrained_tags_by_model(architecture)]
    agreed = {}
    for field in _PREPROCESSING:
        values = {json.dumps(config.get(field)) for config in published}
        if len(values) == 1:
            agreed[field] = json.loads(values.pop())
    return agreed


def _preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    """open_clip's settings as ours."""
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else size
    mode = cast(Literal["shortest", "longest", "squash"], config["resize_mode"] or "shortest")
    # open_clip takes "random" for bicubic, and bicubic whatever is set where the input is not square.
    uneven = mode == "shortest" and height != width
    bilinear = config["interpolation"] == "bilinear" and not uneven
    return Preprocessing(
        (height, width),
        tuple(config["mean"]),
        tuple(config["std"]),
        "bilinear" if bilinear else "bicubic",
        mode,
        fill_color=config["fill_color"],
    )


@contextmanager
def _local(weights: str) -> Iterator[Path]:
    """The checkpoint as a local file; one on S3 is kept in the cache beside the zoo's weights."""
    if not storage.is_s3(weights):
        path = Path(weights)
        if not path.is_file():
            raise WeightsError(f"{weights}: there is no such file; name a checkpoint of open_clip")
        yield path
        return
    cache = FilmCache(zoo.store_folder().parent / "checkpoints", _CACHE_BYTES)
    try:
        with cache.local(weights) as path:
            yield path
    except MediaError as error:
        raise WeightsError(str(error)) from error
