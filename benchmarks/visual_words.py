"""How well the likeness of a query and a label tells that the label is right, on captions people wrote.

    python -m benchmarks.visual_words MSRVTT/train_val_annotation.zip

MSR-VTT has twenty captions of each video, by different people. Where three of them name a label in full, it
is taken to be right for the video, and those of the others that share no word with its name are queries for
it. A label of which no caption of the video has a word counts as wrong, though it may be right otherwise:
the shares printed are lower bounds. The fit is what `cinescribe.encoders.visual_words` weighs labels by.
"""

import argparse
import json
import random
import re
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.text import SentenceEncoder
from cinescribe.encoders.visual_words import LABELS, SIMILARITY_FLOOR, WordMatcher

_VIDEOS = 2500
_QUERIES = 1500
_SMALL_WORDS = frozenset("a an the in on of to and or with for".split())


def main() -> None:
    """Print the share of right labels by cosine, and the logistic curve through it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path, help="MSR-VTT's train_val_annotation.zip")
    queries, right, unclear = _pairs(_captions(parser.parse_args().annotations))
    cosines = WordMatcher(SentenceEncoder()).cosines(queries)
    judged = ~unclear
    print(f"{len(queries)} captions as queries, {int(right.sum())} right labels\n")
    print("cosine     pairs   right  | labels a query, right ones found, from that cosine on")
    for low in np.arange(0.2, 0.75, 0.05):
        within = (cosines >= low) & (cosines < low + 0.05) & judged
        above = cosines >= low
        share, found = right[within].mean(), (right & above).sum() / right.sum()
        print(f"{low:.2f} {within.sum():10} {share:7.3f}  | {above.sum() / len(queries):6.1f} {found:7.3f}")
    rank = [
        int((cosines[i, judged[i] & ~right[i]] > cosines[i, label]).sum())
        for i, label in zip(*np.nonzero(right), strict=True)
    ]
    first = np.mean(np.array(rank) < 10)
    print(f"\nright label among the first 10: {first:.3f}; median rank {np.median(rank):.0f}")
    steepness, even = _logistic(cosines[judged & (cosines > 0.2)], right[judged & (cosines > 0.2)])
    print(f"chance that a label is right: 1 / (1 + exp(-{steepness:.1f} (cosine - {even:.3f})))")
    print(f"floor in use: {SIMILARITY_FLOOR}")


def _captions(annotations: Path) -> dict[str, list[str]]:
    """The captions of each video."""
    with zipfile.ZipFile(annotations) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("videodatainfo.json"))
        sentences = json.loads(archive.read(name))["sentences"]
    captions = defaultdict(list)
    for sentence in sentences:
        captions[sentence["video_id"]].append(sentence["caption"])
    return captions


def _pairs(captions: dict[str, list[str]]) -> tuple[list[str], NDArray[np.bool_], NDArray[np.bool_]]:
    """Queries, and for each whether each label is right, and whether that is unclear: [queries, labels]."""
    names = [_stems(label.name) for label in LABELS]
    videos = sorted(captions)
    random.Random(0).shuffle(videos)
    queries, right, unclear = [], [], []
    for video in videos[:_VIDEOS]:
        stems = [_stems(caption) for caption in captions[video]]
        named = {i for i, name in enumerate(names) if name and sum(name <= words for words in stems) >= 3}
        touched = {i for i, name in enumerate(names) if any(name & words for words in stems)}
        taken = 0
        for caption, words in zip(captions[video], stems, strict=True):
            unnamed = {i for i in named if not names[i] & words}
            if unnamed and taken < 2:
                taken += 1
                queries.append(caption)
                right.append([i in unnamed for i in range(len(LABELS))])
                unclear.append([i in touched and i not in unnamed for i in range(len(LABELS))])
    return queries[:_QUERIES], np.array(right[:_QUERIES]), np.array(unclear[:_QUERIES])


def _stems(text: str) -> set[str]:
    """The words of a text without their endings, roughly."""
    stems = set()
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in _SMALL_WORDS:
            continue
        stem = re.sub(r"(?<=...)(ing|ers|er|es|s|ed)$", "", word)
        stems.add(re.sub(r"(?<=...)(.)\1$", r"\1", stem).rstrip("e"))
    return stems


def _logistic(cosines: NDArray[np.float32], right: NDArray[np.bool_]) -> tuple[float, float]:
    """Steepness and middle of the logistic curve that makes the judgements likeliest."""
    from sklearn.linear_model import LogisticRegression

    fit = LogisticRegression(C=np.inf).fit(cosines[:, None], right)
    steepness = float(fit.coef_[0, 0])
    return steepness, float(-fit.intercept_[0] / steepness)


if __name__ == "__main__":
    main()
