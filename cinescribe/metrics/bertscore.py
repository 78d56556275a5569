"""BERTScore: captions compared token by token in the space of a language model (Zhang et al. 2020).

The papers of audio description print F of `roberta-large`, layer 17, rescaled by a baseline that the authors
publish as a table (bert_score's rescale_baseline/en/roberta-large.tsv). Both come from the user: a path or a
repository on the hub, and that file. Scores of another model are not comparable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cinescribe.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

Baseline = tuple[float, float, float]  # of precision, recall and F


@dataclass(frozen=True, slots=True)
class BertScores:
    """Of one caption: the best over its references, each; 1 for the reference itself."""

    precision: float
    recall: float
    f: float


class BertScore:
    """Scores captions with one model.

    Args:
        source: folder in the layout of transformers, or a repository on the hub.
        layer: whose output is compared; 17 for roberta-large.
        baseline: what unrelated sentences score (`read_baseline`): scores are stretched so that it becomes 0.
        device: "cpu" or "cuda".

    Raises:
        WeightsError: the model can't be had, lacks weights, or has fewer layers.
    """

    def __init__(
        self, source: str, layer: int, baseline: Baseline | None = None, device: str = "cpu"
    ) -> None:
        from transformers import AutoModel, AutoTokenizer

        place = Path(source).expanduser()
        where, local = (str(place), True) if place.exists() else (source, False)
        try:
            self._tokeniser = AutoTokenizer.from_pretrained(where, local_files_only=local)
            model, found = AutoModel.from_pretrained(
                where, local_files_only=local, dtype="float32", output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{source} can't be loaded ({' '.join(str(error).split())[:300]}); give a folder in "
                "transformers' layout or a repository on the hub you can reach"
            ) from error
        amiss = [name for name in found["missing_keys"] if not name.startswith("pooler.")]  # not read
        if amiss:
            raise WeightsError(f"{source}: {len(amiss)} weights are missing, such as {sorted(amiss)[0]}")
        layers = model.config.num_hidden_layers
        if not 1 <= layer <= layers:
            raise WeightsError(f"{source} has {layers} layers; layer {layer} can't be compared")
        self._model = model.eval().to(device)
        self._layer, self._baseline, self._device = layer, baseline, device

    def __call__(self, references: Sequence[Sequence[str]], captions: Sequence[str]) -> list[BertScores]:
        """Score each caption against its references, all raw text.

        Raises:
            UsageError: a caption without references, or other numbers of them.
        """
        if len(references) != len(captions) or not all(references):
            raise UsageError("each caption needs a list of one or more references")
        every = dict.fromkeys([*captions, *(text for texts in references for text in texts)])
        vectors = self._embed(list(every))
        scores = []
        for texts, caption in zip(references, captions, strict=True):
            pairs = [_compare(vectors[caption], vectors[text]) for text in texts]
            best = [max(values) for values in zip(*pairs, strict=True)]
            if self._baseline is not None:
                best = [(value - base) / (1 - base) for value, base in zip(best, self._baseline, strict=True)]
            scores.append(BertScores(*best))
        return scores

    def _embed(self, texts: list[str], size: int = 32) -> "dict[str, tuple[Tensor, Tensor]]":
        """text -> [tokens, width] vectors of length one; [tokens] False for the marks of start and end."""
        import torch

        # Byte-level models write a word otherwise at the start of a text; bert_score puts a space before it.
        spaced = "roberta" in self._model.config.model_type or "gpt2" in self._model.config.model_type
        found = {}
        with torch.inference_mode():
            for start in range(0, len(texts), size):
                part = texts[start : start + size]
                written = [f" {text.strip()}" if spaced else text.strip() for text in part]
                batch = self._tokeniser(
                    written,
                    padding=True,
                    truncation=True,
                    max_length=min(512, self._tokeniser.model_max_length),
                    return_special_tokens_mask=True,
                    return_tensors="pt",
                )
                marks = batch.pop("special_tokens_mask").bool()
                output = self._model(**batch.to(self._device), output_hidden_states=True)
                unit = torch.nn.functional.normalize(output.hidden_states[self._layer], dim=-1).cpu()
                for text, row, mask, mark in zip(
                    part, unit, batch["attention_mask"].bool().cpu(), marks, strict=True
                ):
                    found[text] = (row[mask], ~mark[mask])
        return found


def read_baseline(path: Path, layer: int) -> Baseline:
    """The row of a layer in a baseline table of bert_score (LAYER,P,R,F).

    Raises:
        WeightsError: no such file or row.
    """
    import csv

    try:
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if int(row["LAYER"]) == layer:
                    return float(row["P"]), float(row["R"]), float(row["F"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: not a baseline of bert_score with the columns LAYER, P, R, F ({error})"
        ) from error
    raise WeightsError(f"{path}: no baseline of layer {layer}")


def _compare(said: "tuple[Tensor, Tensor]", true: "tuple[Tensor, Tensor]") -> tuple[float, float, float]:
    """Precision, recall and F: the mean of each token's best match.

    As in bert_score the marks of start and end are not counted, but may be what a word matches best.
    """
    similarity = said[0] @ true[0].T
    if not bool(said[1].any()) or not bool(true[1].any()):
        return 0.0, 0.0, 0.0
    precision = float(similarity.amax(1)[said[1]].mean())
    recall = float(similarity.amax(0)[true[1]].mean())
    both = precision + recall
    return precision, recall, 2 * precision * recall / both if both else 0.0
