"""What a Cineworld data set holds, and what simple baselines reach on it: `python -m benchmarks.cineworld`.

Proportions are counted from the written tables and truth. The baselines map features to bags of words by
ridge regression, so they know no time and no context. "linear, as spoken" learns from all sentences where
they are spoken; "linear, as true" from alignable ones where they are shown, which nobody has in practice: a
ceiling for what is linear. "words alone" learns from the truth which sentences are alignable by their words.
"when spoken" takes the middle of where a sentence is spoken, "any second" a random one.
"""

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import tables
from cinescribe.cineworld.world import WorldSettings, write_world
from cinescribe.metrics.alignment import SentenceAlignment, roc_auc, score_alignment
from cinescribe.utterance import Utterance

Array = NDArray[np.float32]
HTMRows = list[tuple[int, float, float, str]]


def words(text: str) -> list[str]:
    """Lower-case words."""
    return re.findall(r"[a-z']+", text.lower())


class Bags:
    """Texts as bags of words, rare words weighing more, of length 1."""

    def __init__(self, texts: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        total = 0
        for text in texts:
            counts.update(set(words(text)))
            total += 1
        self.index = {word: k for k, (word, n) in enumerate(sorted(counts.items())) if n > 1}
        self.index = {word: k for k, word in enumerate(self.index)}
        self.weight = np.array([np.log(total / counts[word]) for word in self.index], np.float32)

    def __call__(self, texts: Sequence[str]) -> Array:
        """[texts, words]."""
        bags = np.zeros((len(texts), len(self.index)), np.float32)
        for row, text in zip(bags, texts, strict=True):
            for word in words(text):
                if word in self.index:
                    row[self.index[word]] = self.weight[self.index[word]]
        return bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-6)


class Ridge:
    """A linear map by least squares; the penalty counts as much as `penalty` examples."""

    def __init__(self, x: Array, y: Array, penalty: float = 1000.0) -> None:
        self.mean_x, self.mean_y = x.mean(axis=0), y.mean(axis=0)
        x, y = x - self.mean_x, y - self.mean_y
        gram = x.T @ x
        gram[np.diag_indices_from(gram)] += penalty * gram.trace() / len(gram) / len(x)
        self.map = np.linalg.solve(gram.astype(np.float64), (x.T @ y).astype(np.float64)).astype(np.float32)

    def raw(self, x: Array) -> Array:
        """[N, words], without what all texts share."""
        return np.asarray((x - self.mean_x) @ self.map)

    def __call__(self, x: Array) -> Array:
        """[N, words], of length 1, without what all texts share."""
        y = self.raw(x)
        return np.asarray(y / np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-6), np.float32)


def truth_of(root: str, film_id: str) -> dict[str, Any]:
    """The truth of a film."""
    truth: dict[str, Any] = json.loads(Path(root, "truth", f"{film_id}.json").read_text())
    return truth


def features_of(root: str, encoder: str, film_ids: Iterable[str]) -> dict[str, Array]:
    """float32 [T, D] of each film."""
    found = tables.read_features_of(root, encoder, film_ids)
    return {film_id: features.array.astype(np.float32) for film_id, features in found.items()}


def mean_over(features: Array, hz: float, start: float, end: float) -> Array:
    """[D] mean of the features of an interval; at least of one."""
    first = min(int(start * hz), len(features) - 1)
    return np.asarray(features[first : max(first + 1, round(end * hz))].mean(axis=0))


def alignment(root: str, splits: dict[str, list[str]]) -> dict[str, tuple[float | None, float | None]]:
    """R@1 and AUC of each baseline on the test how-tos."""
    train = features_of(root, "world-s3d", splits["train"])
    test = features_of(root, "world-s3d", splits["test"])
    rows: dict[str, HTMRows] = json.loads(Path(root, "htm_align_test.json").read_text())
    spoken, shown, alignable = [], [], []
    for film_id, seen in train.items():
        truth = truth_of(root, film_id)
        for sentence in truth["sentences"]:
            spoken.append((sentence["text"], mean_over(seen, 1.0, sentence["start"], sentence["end"])))
            alignable.append(float(sentence["alignable"]))
            if sentence["alignable"]:
                step = truth["steps"][sentence["step"]]
                shown.append((sentence["text"], mean_over(seen, 1.0, step["start"], step["end"])))
    bags = Bags(text for text, _ in spoken)
    scores: dict[str, tuple[float | None, float | None]] = {}
    for name, pairs in (("linear, as spoken", spoken), ("linear, as true", shown)):
        ridge = Ridge(np.stack([seen for _, seen in pairs]), bags([text for text, _ in pairs]))
        scores[name] = _score(rows, {film_id: (ridge, bags, test[film_id]) for film_id in rows})
    telling = Ridge(bags([text for text, _ in spoken]), np.array([[k] for k in alignable], np.float32), 10.0)
    told = telling.raw(bags([row[3] for sentences in rows.values() for row in sentences]))
    scores["words alone"] = (None, roc_auc([row[0] for rows_ in rows.values() for row in rows_], told[:, 0]))
    hits = []
    for film_id in rows:
        truth = truth_of(root, film_id)
        for sentence in truth["sentences"]:
            if sentence["alignable"]:
                step = truth["steps"][sentence["step"]]
                middle = (sentence["start"] + sentence["end"]) / 2
                hits.append(int(step["start"]) <= int(middle) <= np.ceil(step["end"]))
    scores["when spoken"] = (float(np.mean(hits)), None)
    covered = [
        (int(np.ceil(end)) - int(start) + 1) / len(test[film_id])
        for film_id, sentences in rows.items()
        for is_alignable, start, end, _ in sentences
        if is_alignable
    ]
    scores["any second"] = (float(np.mean(covered)), None)
    return scores


def _score(rows: dict[str, HTMRows], seen: dict[str, tuple[Ridge, Bags, Array]]) -> tuple[float, float]:
    videos = []
    for film_id, sentences in rows.items():
        ridge, bags, features = seen[film_id]
        similarity = ((bags([row[3] for row in sentences]) - ridge.mean_y) @ ridge(features).T).astype(float)
        alignable = [bool(row[0]) for row in sentences]
        spans = [(row[1], row[2]) for row in sentences]
        videos.append(SentenceAlignment(similarity, similarity.max(axis=1), alignable, spans))
    scored = score_alignment(videos)
    return scored.recall, scored.auc


def descriptions(root: str, film_ids: Iterable[str]) -> dict[str, list[Utterance]]:
    """The audio description of each film."""
    found = {}
    for film_id in film_ids:
        row = tables.read_row(root, "speech", film_id)
        assert row is not None
        found[film_id] = [said for said in tables.utterances_of(row) if said.role == "narrator"]
    return found


def retrieval(root: str, splits: dict[str, list[str]]) -> tuple[float, float]:
    """R@1 of finding a test clip's description among those of its film, linearly; and by chance."""
    spec_hz = 5.0
    train, test = (descriptions(root, splits[split]) for split in ("train", "test"))
    seen = features_of(root, "world-clip", [*train, *test])
    pairs = [
        (said.text, mean_over(seen[film_id], spec_hz, said.start, said.end))
        for film_id, all_said in train.items()
        for said in all_said
    ]
    bags = Bags(text for text, _ in pairs)
    ridge = Ridge(np.stack([x for _, x in pairs]), bags([text for text, _ in pairs]))
    hits, chance = [], []
    for film_id, all_said in test.items():
        texts = bags([said.text for said in all_said]) - ridge.mean_y
        clips = np.stack([mean_over(seen[film_id], spec_hz, said.start, said.end) for said in all_said])
        hits += list((ridge(clips) @ texts.T).argmax(axis=1) == np.arange(len(all_said)))
        chance += [1 / len(all_said)] * len(all_said)
    return float(np.mean(hits)), float(np.mean(chance))


def count_howtos(root: str, film_ids: Sequence[str]) -> list[tuple[str, str]]:
    """What how-to videos are made of."""
    truths = [truth_of(root, film_id) for film_id in film_ids]
    sentences = [sentence for truth in truths for sentence in truth["sentences"]]
    kinds = Counter(sentence["kind"] for sentence in sentences)
    seconds = sum(truth["duration"] for truth in truths)
    texts = [sentence["text"] for sentence in sentences]
    shown = sum(step["end"] - step["start"] for truth in truths for step in truth["steps"])
    share = {kind: f"{100 * n / len(sentences):.1f}%" for kind, n in kinds.most_common()}
    vocabulary = {word for text in texts for word in words(text)}
    steps = np.mean([len(truth["steps"]) for truth in truths])
    return [
        ("videos, mean length", f"{len(truths)}, {seconds / len(truths):.0f} s"),
        ("sentences a video", f"{len(sentences) / len(truths):.1f}"),
        ("alignable", f"{100 * np.mean([s['alignable'] for s in sentences]):.1f}%"),
        ("aligned as spoken", share["aligned"]),
        ("kinds", ", ".join(f"{kind} {n}" for kind, n in share.items())),
        ("steps a video, share of its time", f"{steps:.1f}, {100 * shown / seconds:.0f}%"),
        ("vocabulary, different sentences", f"{len(vocabulary)}, {len(set(texts))} of {len(texts)}"),
    ]  # fmt: skip


def count_films(root: str, film_ids: Sequence[str]) -> list[tuple[str, str]]:
    """What described films are made of."""
    described, gaps, texts, seconds, lines = 0, [], [], 0.0, 0
    for film_id in film_ids:
        row = tables.read_row(root, "speech", film_id)
        film = tables.read_row(root, "films", film_id)
        assert row is not None
        assert film is not None
        said = tables.utterances_of(row)
        spoken = [u for u in said if u.role == "dialogue"]
        ends = [0.0, *(u.end for u in spoken)]
        starts = [*(u.start for u in spoken), film["duration"]]
        gaps += [start - end for end, start in zip(ends, starts, strict=True)]
        texts += [u.text for u in said if u.role == "narrator"]
        described += len(said) - len(spoken)
        lines += len(spoken)
        seconds += film["duration"]
    count = len(film_ids)
    vocabulary = {word for text in texts for word in words(text)}
    quarter, half, most = np.percentile(gaps, (25, 50, 75))
    return [
        ("films, mean length", f"{count}, {seconds / count:.0f} s"),
        ("descriptions, lines a film", f"{described / count:.1f}, {lines / count:.1f}"),
        ("words a description", f"{np.mean([len(words(text)) for text in texts]):.1f}"),
        ("gaps of the dialogue, quartiles", f"{quarter:.1f}, {half:.1f}, {most:.1f} s"),
        ("vocabulary, different descriptions", f"{len(vocabulary)}, {len(set(texts))} of {len(texts)}"),
    ]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Makes a world, counts it, scores the baselines, prints tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--videos", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--noise", type=float, default=1.0)
    parser.add_argument("--stories", choices=["short", "long"], default="short")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as root:
        started, used = time.monotonic(), time.process_time()
        settings = WorldSettings(arguments.seed, arguments.noise, arguments.stories)
        write_world(root, settings, arguments.films, arguments.videos)
        made, used = time.monotonic() - started, time.process_time() - used
        splits = json.loads(Path(root, "splits.json").read_text())
        for kind, count in (("howtos", count_howtos), ("films", count_films)):
            print(f"\n| {kind} | |\n|---|---|")
            for name, value in count(root, [film_id for ids in splits[kind].values() for film_id in ids]):
                print(f"| {name} | {value} |")
        print(f"\nmade in {made:.1f} s, {used:.1f} s of them one core's work")
        print(f"\n| on {len(splits['howtos']['test'])} test how-tos | R@1 | AUC |\n|---|---|---|")
        for name, (recall, auc) in alignment(root, splits["howtos"]).items():
            shown = ("-" if score is None else f"{100 * score:.1f}" for score in (recall, auc))
            print(f"| {name} | {' | '.join(shown)} |")
        found, chance = retrieval(root, splits["films"])
        print(
            f"\ndescription of a clip among its film's: R@1 {100 * found:.1f}, by chance {100 * chance:.1f}"
        )


if __name__ == "__main__":
    main()
