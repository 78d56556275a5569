"""Sentences as vectors whose cosine says how alike they are in meaning, by sentence-transformers models."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT = "all-MiniLM-L6-v2"
_KINDS = ("Transformer", "Pooling", "Normalize")  # of the modules which this file computes


class SentenceEncoder:
    """A frozen sentence encoder: a transformer, the mean of its tokens, L2 norm.

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019; the weights are sentence-transformers'.

    Attributes:
        dim: of a vector.
        weights: name of the weights, by role.
    """

    def __init__(self, name: str = "", *, device: str = "cpu", threads: int = 0) -> None:
        """Load it.

        Args:
            name: a weight of the zoo (all-MiniLM-L6-v2, all-mpnet-base-v2) or the path of a folder as
                sentence-transformers saves it; "" is all-MiniLM-L6-v2.
            device: "cpu" or "cuda".
            threads: of the process's torch, 0 leaves them.

        Raises:
            WeightsError: it can't be had, or is a model of another kind.
        """
        import torch
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        if threads:
            torch.set_num_threads(threads)
        name = name or DEFAULT
        folder = _folder(name)
        _check_kind(folder)
        logging.disable_progress_bar()  # of half a second
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: Any
            model, loading = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise WeightsError(
                f"sentence encoder {name}: can't be loaded from {folder} ({reason}); give the folder of a "
                "whole copy: config.json, model.safetensors and the tokenizer's files"
            ) from error
        missing = [key for key in loading["missing_keys"] if not key.startswith("pooler.")]
        if missing or loading["mismatched_keys"]:
            raise WeightsError(
                f"sentence encoder {name}: the weights in {folder} are not those of its config.json "
                f"(lacking {', '.join(missing[:3]) or 'none, but of other shapes'}); fetch the folder anew"
            )
        self._model = model.to(device).eval()
        self._longest = _longest(folder, self._tokenizer)
        self.dim = int(model.config.hidden_size)
        self.weights: Mapping[str, str] = {"sentence": name}

    def encode(self, texts: Sequence[str], batch: int = 64) -> NDArray[np.float16]:
        """Vectors of length 1, float16 [len(texts), dim]; a text is cut at the model's length."""
        import torch

        vectors = np.zeros((len(texts), self.dim), np.float16)
        for chosen, states, mask in self._states(texts, batch):
            mean = (states * mask).sum(1) / mask.sum(1)
            vectors[chosen] = torch.nn.functional.normalize(mean, dim=-1).half().cpu().numpy()
        return vectors

    def token_states(self, texts: Sequence[str], tokens: int, batch: int = 64) -> NDArray[np.float32]:
        """The last states of the first `tokens` tokens, float32 [texts, tokens, dim], zeros behind."""
        found = np.zeros((len(texts), tokens, self.dim), np.float32)
        for chosen, states, mask in self._states(texts, batch):
            length = min(tokens, states.shape[1])
            found[chosen, :length] = (states * mask)[:, :length].float().cpu().numpy()
        return found

    def _states(self, texts: Sequence[str], batch: int) -> "Iterator[tuple[list[int], Tensor, Tensor]]":
        """Rows of `texts`, their states [rows, tokens, dim], and [rows, tokens, 1] 1 where a token is."""
        import torch

        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # little padding in a batch
        for first in range(0, len(texts), batch):
            chosen = by_length[first : first + batch]
            tokens = self._tokenizer(
                [texts[i] for i in chosen],
                padding=True,
                truncation=True,
                max_length=self._longest,
                return_tensors="pt",
            ).to(self._model.device)
            with torch.inference_mode():
                states = self._model(**tokens).last_hidden_state
            yield chosen, states, tokens["attention_mask"][..., None].to(states.dtype)


def _folder(name: str) -> Path:
    """Where the model lies: a zoo weight's folder, pulled if need be, or the folder itself."""
    if name in zoo.entries() and zoo.entry(name).role == "sentence":
        return zoo.path(name)
    folder = Path(name)
    if not folder.is_dir():
        known = ", ".join(weight.name for weight in zoo.entries().values() if weight.role == "sentence")
        raise WeightsError(
            f"no sentence encoder {name!r}: name one of {known}, or a folder that sentence-transformers saved"
        )
    return folder


def _check_kind(folder: Path) -> None:
    """Raise WeightsError unless the model is a transformer with mean pooling, which is all we compute."""
    modules = _json(folder / "modules.json")
    other = [module["type"] for module in modules or () if module["type"].rpartition(".")[2] not in _KINDS]
    pooling = _json(folder / "1_Pooling" / "config.json") or {}
    modes = [key for key, value in pooling.items() if key.startswith("pooling_mode_") and value]
    if other or modes not in ([], ["pooling_mode_mean_tokens"]):
        raise WeightsError(
            f"{folder}: {', '.join(other + modes)}: only sentence encoders that take the mean of a "
            "transformer's tokens can be used; give another"
        )


def _longest(folder: Path, tokenizer: Any) -> int:
    """Tokens at which a text is cut, as the model was trained."""
    stated = (_json(folder / "sentence_bert_config.json") or {}).get("max_seq_length")
    return int(stated or min(tokenizer.model_max_length, 512))


def _json(path: Path) -> Any:
    """What a settings file says, None where there is none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise WeightsError(f"{path}: not JSON ({error}); fetch the folder anew") from error
