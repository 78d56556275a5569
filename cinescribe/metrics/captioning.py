"""How good captions are: BLEU, ROUGE-L, CIDEr, METEOR as the COCO evaluation computes them.

    scores = score_captions({"clip": ["A man runs.", "Someone is running."]}, {"clip": "A man is running"})
    print(scores.cider, scores.tokeniser)

The scores are fractions; papers print them times 100. The digits are those of coco-caption (Chen et al. 2015,
arXiv 1504.00325; its code pycocoevalcap), whose choices this file follows, the odd ones included: CIDEr is
CIDEr-D, its lengths count pairs of words, ROUGE-L has beta 1.2, BLEU adds 1e-15 to what it counts. Rare words
weigh by the references of the captions that are scored (Vedantam et al. 2015, section 4), so CIDEr of a part
is not comparable to CIDEr of the whole, and is 0 for a single caption.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cinescribe.errors import UsageError
from cinescribe.metrics import tokens
from cinescribe.metrics.tokens import Tokeniser

Words = list[str]
NGram = tuple[str, ...]
ORDERS = 4  # n-grams of one to four words
_SIGMA = 6.0  # CIDEr-D: width of the penalty of another length
_BETA = 1.2  # ROUGE-L: recall weighs more


@dataclass(frozen=True, slots=True)
class CaptionScores:
    """Scores of a set of captions, each a fraction (papers print percent).

    Attributes:
        bleu: BLEU-1 to BLEU-4 of the whole set.
        rouge_l: mean over captions.
        cider: CIDEr-D, mean over captions; 10 for captions that equal their single reference.
        meteor: METEOR 1.5 of the whole set; None where it was not asked for.
        tokeniser: the program that made the words.
        captions: how many were scored.
    """

    bleu: tuple[float, ...]
    rouge_l: float
    cider: float
    meteor: float | None
    tokeniser: Tokeniser
    captions: int


def score_captions(
    references: Mapping[str, Sequence[str]],
    captions: Mapping[str, str],
    *,
    meteor: bool = False,
    tokeniser: Tokeniser | None = None,
) -> CaptionScores:
    """Score one caption each against its references.

    Args:
        references: id -> one or more true captions, raw text.
        captions: id -> the caption to be scored, raw text; the same ids.
        meteor: METEOR too; it needs Java (weight `meteor-1.5`).
        tokeniser: by default Stanford's where there is Java, else the one in Python.

    Raises:
        UsageError: the ids differ, or a caption has no reference.
        WeightsError: METEOR or Stanford's tokeniser was asked for and can't be had.
    """
    used = tokeniser or tokens.default_tokeniser()
    true, said = tokenise_captions(references, captions, used)
    score = None
    if meteor:
        from cinescribe.metrics.meteor import meteor_score

        score = meteor_score(true, said)[0]
    return CaptionScores(
        bleu(true, said), _mean(rouge_l(true, said)), _mean(cider(true, said)), score, used, len(said)
    )


def tokenise_captions(
    references: Mapping[str, Sequence[str]], captions: Mapping[str, str], tokeniser: Tokeniser | None = None
) -> tuple[list[list[Words]], list[Words]]:
    """The words of references and captions, in the order of `captions`; arguments of the scores below.

    Raises:
        UsageError: the ids differ, or a caption has no reference.
    """
    if not captions:
        raise UsageError("there are no captions to score")
    if extra := sorted(set(captions) ^ set(references)):
        raise UsageError(
            f"{len(extra)} ids have no caption or no references, such as {extra[0]!r}; give the same ids"
        )
    flat: list[str] = []
    for name in captions:
        if isinstance(references[name], str) or not references[name]:
            raise UsageError(f"caption {name!r} needs a list of one or more references")
        flat += [captions[name], *references[name]]
    split = iter(tokens.tokenise(flat, tokeniser))
    true: list[list[Words]] = []
    said: list[Words] = []
    for name in captions:
        said.append(next(split))
        true.append([next(split) for _ in references[name]])
    return true, said


def bleu(references: Sequence[Sequence[Words]], captions: Sequence[Words]) -> tuple[float, ...]:
    """BLEU-1 to BLEU-4 of the whole set (Papineni et al. 2002), against the closest reference's length."""
    right, tried = [0] * ORDERS, [0] * ORDERS
    length, wanted = 0, 0
    for true, said in zip(references, captions, strict=True):
        length += len(said)
        wanted += min((abs(len(words) - len(said)), len(words)) for words in true)[1]
        most: Counter[NGram] = Counter()
        for words in true:
            most |= _ngrams(words)
        for ngram, count in _ngrams(said).items():
            right[len(ngram) - 1] += min(count, most[ngram])
        for order in range(ORDERS):
            tried[order] += max(0, len(said) - order)
    tiny, small = 1e-15, 1e-9  # as in coco-caption, so that a set without any 4-gram has a digit, too
    ratio = (length + tiny) / (wanted + small)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = [], 1.0
    for order in range(ORDERS):
        product *= (right[order] + tiny) / (tried[order] + small)
        scores.append(brevity * product ** (1 / (order + 1)))
    return tuple(scores)


def rouge_l(references: Sequence[Sequence[Words]], captions: Sequence[Words]) -> list[float]:
    """ROUGE-L of each caption (Lin 2004): of the longest common subsequence with each reference.

    Precision and recall are each the best over the references, as coco-caption takes them.
    """
    scores = []
    for true, said in zip(references, captions, strict=True):
        common = [_common_subsequence(words, said) for words in true]
        precision = max(common) / len(said) if said else 0.0
        recall = max((n / len(words) for n, words in zip(common, true, strict=True) if words), default=0.0)
        both = precision and recall
        scores.append((1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision) if both else 0.0)
    return scores


def cider(references: Sequence[Sequence[Words]], captions: Sequence[Words]) -> list[float]:
    """CIDEr-D of each caption (Vedantam et al. 2015, eq. 9), times 10 as in the paper.

    An n-gram weighs by the logarithm of the share of captions whose references hold it.
    """
    found: Counter[NGram] = Counter()
    for true in references:
        found.update({ngram for words in true for ngram in _ngrams(words)})
    total = math.log(len(references)) if references else 0.0
    rarity = {ngram: total - math.log(count) for ngram, count in found.items()}
    scores = []
    for true, said in zip(references, captions, strict=True):
        vector = _Vector(said, rarity, total)
        alike = sum(_similarity(vector, _Vector(words, rarity, total)) for words in true)
        scores.append(10 * alike / len(true))
    return scores


class _Vector:
    """A sentence as weighted n-grams by order, their norms, and its length."""

    def __init__(self, words: Words, rarity: Mapping[NGram, float], unseen: float) -> None:
        self.weights: list[dict[NGram, float]] = [{} for _ in range(ORDERS)]
        for ngram, count in _ngrams(words).items():
            self.weights[len(ngram) - 1][ngram] = count * rarity.get(ngram, unseen)
        self.norms = [math.sqrt(sum(value**2 for value in order.values())) for order in self.weights]
        self.length = max(0, len(words) - 1)  # coco-caption counts the pairs


def _similarity(said: _Vector, true: _Vector) -> float:
    """Mean over the orders of the clipped cosine, less for another length."""
    total = 0.0
    for order in range(ORDERS):
        weights = true.weights[order]
        value = sum(
            min(weight, weights[ngram]) * weights[ngram]
            for ngram, weight in said.weights[order].items()
            if ngram in weights
        )
        norm = said.norms[order] * true.norms[order]
        total += value / norm if norm else value
    return total / ORDERS * math.exp(-((said.length - true.length) ** 2) / (2 * _SIGMA**2))


def _ngrams(words: Words) -> Counter[NGram]:
    return Counter(
        tuple(words[start : start + order])
        for order in range(1, ORDERS + 1)
        for start in range(len(words) - order + 1)
    )


def _common_subsequence(one: Words, other: Words) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        diagonal = 0
        for at, against in enumerate(other, 1):
            above = row[at]
            row[at] = diagonal + 1 if word == against else max(above, row[at - 1])
            diagonal = above
    return row[-1]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
