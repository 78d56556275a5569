"""Sentence ends in unpunctuated speech, from a BERT punctuation restorer."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cinescribe.errors import UsageError, WeightsError
from cinescribe.reading import locate_words
from cinescribe.utterance import Utterance, Word

PUBLISHED_MODEL = "felflare/bert-restore-punctuation"
# First character: the mark after the word; second: U for a capital, O for none. "O" first: no mark.
PUBLISHED_LABELS = ("OU", "OO", ".O", "!O", ",O", ".U", "!U", ",U", ":O", ";O", ":U", "'O", "-O", "?O", "?U")
_DROPPED_MARKS = str.maketrans(",.!?", "    ")


class TokenPunctuator:
    """Sentence ends by a token classifier with the labels of felflare/bert-restore-punctuation.

    Source: the sentence step of the HTM-370K curation (Han et al., Temporal Alignment Networks for Long-term
    Video, CVPR 2022, released code). The published weights have not been run with this code; it is tested
    with a small BERT of known outputs.

    Args:
        name_or_path: a model of the hub or a folder: `PUBLISHED_MODEL`, or any BERT with its 15 labels.
        device: torch device.

    Raises:
        WeightsError: the model can't be had.
        UsageError: the model has other labels.
    """

    def __init__(self, name_or_path: str = PUBLISHED_MODEL, device: str = "cpu") -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name_or_path)
            self.model: Any = AutoModelForTokenClassification.from_pretrained(name_or_path).to(device).eval()
        except (OSError, ValueError) as error:
            fix = "give the folder of a downloaded copy"
            raise WeightsError(
                f"punctuation model {name_or_path}: can't be loaded; {fix} ({error})"
            ) from error
        labels = [str(self.model.config.id2label[i]) for i in range(self.model.config.num_labels)]
        if labels == [f"LABEL_{i}" for i in range(len(PUBLISHED_LABELS))]:  # saved without names
            labels = list(PUBLISHED_LABELS)
        if set(labels) != set(PUBLISHED_LABELS):
            raise UsageError(
                f"punctuation model {name_or_path}: its labels are {labels}, not {PUBLISHED_LABELS}"
            )
        self.no_mark = np.array([label[0] == "O" for label in labels])
        self.full_stop = np.array([label[0] in ".!?" for label in labels])
        self.any_stop = np.array([label[0] in ".!?,:;" for label in labels])

    def words(self, caption: Utterance) -> list[Word]:
        """A caption's stripped lower-case words; its time is shared out evenly over the word pieces.

        Words with times of their own (recognised speech) keep them.
        """
        located = locate_words(caption)
        if located and located[0].word in caption.words:
            return [word for word, _, _ in located]
        words = caption.text.translate(_DROPPED_MARKS).lower().split()
        pieces = np.array([len(self._pieces(word)) for word in words])
        edges = np.concatenate([[0], np.cumsum(pieces)]) / max(int(pieces.sum()), 1)
        times = (caption.start + edges * (caption.end - caption.start)).tolist()
        return [Word(times[i], times[i + 1], word) for i, word in enumerate(words)]

    def __call__(self, words: Sequence[Word], max_gap: float = math.inf) -> list[bool]:
        """Whether a sentence ends after each word.

        It does where a mark is predicted at the word's last piece and either the sentence has fewer than 20
        pieces and the mark is . ! ? or it has more and the mark is any of . ! ? , : ; and where the next word
        starts more than `max_gap` seconds later. It does not inside a word or at a closing apostrophe.

        Args:
            words: in order; case and punctuation are ignored.
            max_gap: seconds.
        """
        pieces = [self._pieces(word.text.translate(_DROPPED_MARKS).lower()) for word in words]
        labels = self._labels([piece for word in pieces for piece in word])
        ends = [False] * len(words)
        position = sentence_pieces = 0
        for i, word_pieces in enumerate(pieces):
            position += len(word_pieces)
            sentence_pieces += len(word_pieces)
            stops = self.full_stop if sentence_pieces < 20 else self.any_stop
            marked = bool(word_pieces) and bool(stops[labels[position - 1]])
            pause = i + 1 < len(words) and words[i + 1].start - words[i].end > max_gap
            at_apostrophe = bool(word_pieces) and word_pieces[-1] == "'"
            ends[i] = (marked or pause) and not at_apostrophe
            if ends[i]:
                sentence_pieces = 0
        return ends

    def _pieces(self, text: str) -> list[str]:
        return list(self.tokenizer.tokenize(text))

    def _labels(self, pieces: list[str], batch: int = 16) -> list[int]:
        """The label of each piece, the two without mark handicapped by 0.4; chunks of at most 256 pieces."""
        import torch

        if not pieces:
            return []
        ids = np.array(self.tokenizer.convert_tokens_to_ids(pieces))
        cls, sep = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        chunks = [[cls, *chunk.tolist(), sep] for chunk in np.array_split(ids, len(ids) // 256 + 1)]
        labels: list[int] = []
        for first in range(0, len(chunks), batch):
            part = chunks[first : first + batch]
            length = max(map(len, part))
            padding = self.tokenizer.pad_token_id
            tokens = torch.tensor([chunk + [padding] * (length - len(chunk)) for chunk in part])
            mask = torch.tensor([[1] * len(chunk) + [0] * (length - len(chunk)) for chunk in part])
            device = self.model.device
            with torch.inference_mode():
                logits = self.model(input_ids=tokens.to(device), attention_mask=mask.to(device)).logits
            probability = (
                logits.float().softmax(-1).cpu().numpy() - 0.4 * self.no_mark
            )  # [chunk, piece, label]
            for chunk, scores in zip(part, probability, strict=True):
                labels += scores[1 : len(chunk) - 1].argmax(-1).tolist()
        return labels
