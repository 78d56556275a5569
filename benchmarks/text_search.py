"""How well sentences find sentences: `python -m benchmarks.text_search`.

Each video is indexed as a film with one description, the sentence of one annotator; the query is another
annotator's sentence of the same video, and the answer is right when it is that film. Compared are BM25 alone
(the index's own), the sentence encoder alone (exact cosine), and cinescribe's search. Ties count as their
average rank; films beyond the best 100 share the ranks behind.

The parameters were chosen with `--choose`, on training sentences of MSR-VTT; no test sentence was looked at.
"""

import argparse
import csv
import json
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cinescribe.encoders.text import SentenceEncoder
from cinescribe.search import texts
from cinescribe.search.documents import text_rows
from cinescribe.search.query import Filters, Query
from cinescribe.search.searcher import Searcher
from cinescribe.search.store import FilmRows, IndexedFilm, Store

Pairs = list[tuple[str, str]]  # what is indexed of a video, and what is asked

_DATA = Path(__file__).parents[2] / "shared" / "data" / "captions"


# ---- the sentences ------------------------------------------------------------------------------


def msrvtt_train(data: Path) -> Pairs:
    """1,500 videos of MSR-VTT's training and validation part."""
    captions = _msrvtt(data / "msrvtt" / "train_val_annotation.zip", "train_val_videodatainfo.json")
    videos = random.Random(0).sample(sorted(captions), 1500)
    return _pairs(captions, videos)


def msrvtt_test(data: Path) -> Pairs:
    """The 1,000 videos of MSR-VTT 1k-A; the query is the sentence which that test set has chosen."""
    captions = _msrvtt(data / "msrvtt" / "test_videodatainfo.json.zip", "test_videodatainfo.json")
    pairs = []
    with (data / "msrvtt" / "MSRVTT_JSFUSION_test.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            asked = row["sentence"]
            pairs.append((_another(captions[row["video_id"]], asked), asked))
    return pairs


def msvd_test(data: Path) -> Pairs:
    """The 670 test videos of MSVD."""
    captions = json.loads((data / "msvd" / "captions_msvd.json").read_text())
    return _pairs(captions, (data / "msvd" / "test_list.txt").read_text().split())


def coco_val(data: Path) -> Pairs:
    """The 5,000 pictures of COCO's val2017."""
    captions: dict[str, list[str]] = {}
    for row in json.loads((data / "coco" / "captions_val2017.json").read_text())["annotations"]:
        captions.setdefault(str(row["image_id"]), []).append(row["caption"])
    return _pairs(captions, sorted(captions))


def _msrvtt(archive: Path, name: str) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    with zipfile.ZipFile(archive) as files:
        for row in json.loads(files.read(name))["sentences"]:
            captions.setdefault(row["video_id"], []).append(row["caption"])
    return captions


def _pairs(captions: Mapping[str, Sequence[str]], videos: Iterable[str]) -> Pairs:
    return [(captions[video][0], _another(captions[video][1:], captions[video][0])) for video in videos]


def _another(sentences: Iterable[str], than: str) -> str:
    """The first sentence that does not read the same."""
    plain = than.strip(" .").lower()
    return next((s for s in sentences if s.strip(" .").lower() != plain), than)


SETS: Mapping[str, Callable[[Path], Pairs]] = {
    "msrvtt-1k-a": msrvtt_test,
    "msvd-test": msvd_test,
    "coco-val2017": coco_val,
}


# ---- the measurement ----------------------------------------------------------------------------


def make_index(root: str, pairs: Pairs, encoder: SentenceEncoder) -> None:
    """Index the first sentence of each pair as film 0, 1, ..."""
    said = [
        {"start": 0.0, "end": 5.0, "text": sentence, "speaker": "", "role": "narrator"}
        for sentence, _ in pairs
    ]
    together = text_rows({"film_id": "", "utterances": said}, encoder)  # encoded at once
    films = []
    for k in range(len(pairs)):
        row = together.slice(k, 1)
        for column, value in (("id", f"{k}#0"), ("film_id", str(k))):
            at = row.schema.get_field_index(column)
            row = row.set_column(at, row.schema.field(column), [[value]])
        film = IndexedFilm(str(k), "", 5.0, {"sentence": "all-MiniLM-L6-v2"})
        films.append(FilmRows(film, {"texts": row}))
    store = Store(root)
    store.replace(films)
    store.optimise()


def bm25(root: str, pairs: Pairs) -> NDArray[np.float64]:
    """The index's BM25 of every film for every query: [queries, films]."""
    from lancedb.query import MatchQuery

    table = Store(root).open("texts")
    scores = np.zeros((len(pairs), len(pairs)))
    for k, (_, asked) in enumerate(pairs):
        search = table.search(MatchQuery(asked, "text"), query_type="fts").limit(len(pairs))
        found = search.select(["film_id", "_score"]).to_arrow()
        scores[k, [int(film_id) for film_id in found["film_id"].to_pylist()]] = found["_score"].to_numpy()
    return scores


def ours(root: str, pairs: Pairs, threads: int) -> NDArray[np.float64]:
    """What `Searcher` answers, as scores; films that it does not find have -1."""
    searcher = Searcher(root, threads=threads)
    filters = Filters(sources=("description",))
    answers = searcher.search_many([Query(asked, filters=filters, limit=100) for _, asked in pairs])
    scores = np.full((len(pairs), len(pairs)), -1.0)
    for k, answer in enumerate(answers):
        for moment in answer.moments:
            scores[k, int(moment.film_id)] = moment.score
    return scores


def ranks(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Rank of the right film of each query, which is on the diagonal; ties share their average."""
    right = np.diag(scores)[:, None]
    better = (scores > right + 1e-9).sum(1)
    level = (np.abs(scores - right) <= 1e-9).sum(1) - 1
    found: NDArray[np.float64] = 1 + better + level / 2
    return found


def line(name: str, scores: NDArray[Any]) -> str:
    """A row of the table: R@1, R@5, R@10 in percent, median rank, mean reciprocal rank."""
    rank = ranks(scores)
    recalls = "".join(f"{100 * (rank <= k).mean():8.1f}" for k in (1, 5, 10))
    return f"{name:34}{recalls}{np.median(rank):8.1f}{(1 / rank).mean():8.3f}"


HEADER = f"{'':34}{'R@1':>8}{'R@5':>8}{'R@10':>8}{'MdR':>8}{'MRR':>8}"


def choose(pairs: Pairs, encoder: SentenceEncoder) -> None:
    """How the ways to fuse compare on training sentences."""
    with tempfile.TemporaryDirectory() as root:
        make_index(root, pairs, encoder)
        words = bm25(root, pairs)
    meaning = cosines(pairs, encoder)
    print(HEADER)
    print(line("BM25 alone", words))
    print(line("sentence encoder alone", meaning))
    places = [1 / (61 + np.argsort(np.argsort(-scores, axis=1), axis=1)) for scores in (words, meaning)]
    print(line("reciprocal ranks, k = 60", np.where(words > 0, places[0], 0) + places[1]))
    best = words / np.maximum(words.max(1, keepdims=True), 1e-9)
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        for name, lexical in {
            "BM25 / best": best,
            **{f"BM25 / (BM25 + {half})": words / (words + half) for half in (5, 10, 15, 20, 30)},
        }.items():
            fused = share * np.maximum(meaning, 0) + (1 - share) * lexical
            print(line(f"{share:g} cosine, {1 - share:.1g} {name}", fused))


def cosines(pairs: Pairs, encoder: SentenceEncoder) -> NDArray[np.float32]:
    """Exact cosines of the queries with what is indexed: [queries, films]."""
    asked, indexed = (encoder.encode([pair[k] for pair in pairs]).astype(np.float32) for k in (1, 0))
    found: NDArray[np.float32] = asked @ indexed.T
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=_DATA, help="folder of the caption files")
    parser.add_argument("--sets", nargs="+", choices=tuple(SETS), default=list(SETS))
    parser.add_argument("--choose", action="store_true", help="the sweep on training sentences instead")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    encoder = SentenceEncoder(threads=arguments.threads)
    if arguments.choose:
        choose(msrvtt_train(arguments.data), encoder)
        return
    for name in arguments.sets:
        pairs = SETS[name](arguments.data)
        with tempfile.TemporaryDirectory() as root:
            make_index(root, pairs, encoder)
            print(
                f"\n{name}: {len(pairs)} sentences, {texts.MEANING} cosine, half at {texts.HALF:g}\n{HEADER}"
            )
            print(line("BM25 alone", bm25(root, pairs)))
            print(line("sentence encoder alone", cosines(pairs, encoder)))
            print(line("cinescribe", ours(root, pairs, arguments.threads)), flush=True)


if __name__ == "__main__":
    main()
