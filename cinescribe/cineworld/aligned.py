"""Features of a world's films and videos that were fitted to what is said, as CLIP's and MIL-NCE's were.

python -m cinescribe.cineworld.aligned WORLD

What the world's eyes give is a random network's view: a model has to learn what its numbers mean first, which
takes longer than minutes. The papers' features were fitted to texts; so are these. A linear map from features
to words is learned by least squares from other films and videos of the same world, which are in none of its
splits: from the clips of films and their descriptions, names left out, and from how-to videos and their
sentences where these are spoken, right or wrong, for nobody has their true places. The maps give
`features/world-clip-aligned` and `features/world-s3d-aligned`, and lie in `aligned/`.
"""

import argparse
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cinescribe import storage, tables
from cinescribe.cineworld.stored import read_settings
from cinescribe.cineworld.world import VERSION, World
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.media.library import FilmRef

FIRST, COUNT = 20_000, 100  # what the maps are learned from, by number
_WIDTH = 32  # of which the features' width is a multiple, for the heads of attention
Pair = tuple[NDArray[np.float32], list[str]]  # [D] features of a stretch, and the words that are said of it


@dataclass(frozen=True, slots=True)
class Aligned:
    """A map: features [T, width] = (x - mean) @ weights."""

    mean: NDArray[np.float32]
    weights: NDArray[np.float32]

    def __call__(self, features: NDArray[np.float16]) -> NDArray[np.float16]:
        """[T, dim] of the world's eye to [T, width]."""
        mapped = (features.astype(np.float32) - self.mean) @ self.weights
        return mapped.astype(np.float16)

    @property
    def width(self) -> int:
        """Of its features."""
        return int(self.weights.shape[1])


def name_of(encoder: str) -> str:
    """Of the features that an encoder's become."""
    return f"{encoder}-aligned"


def described(world: World) -> Iterator[Pair]:
    """Clips of films, and their descriptions without names."""
    for number in range(FIRST, FIRST + COUNT):
        film = world.film(number)
        features, names = world.features_of(film), {person.name for person in film.story.characters}
        for line in world.utterances(film):
            if line.role == "narrator":
                words = [word for word in _words(line.text) if word not in names]
                yield _mean(features, world.film_spec.hz, line.start, line.end), words


def narrated(world: World) -> Iterator[Pair]:
    """What is seen in how-to videos while something is said, and what is said."""
    for number in range(FIRST, FIRST + COUNT):
        features = world.video_features(number)
        for line in world.howto(number).sentences:
            yield _mean(features, world.video_spec.hz, line.start, line.end), _words(line.text)


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z']+", text)


def _mean(features: NDArray[np.float16], hz: float, start: float, end: float) -> NDArray[np.float32]:
    first = min(int(start * hz), len(features) - 1)
    part = features[first : max(first + 1, round(end * hz))]
    return np.asarray(part.astype(np.float32).mean(axis=0))


def learn(pairs: Iterable[Pair], penalty: float) -> Aligned:
    """The map by least squares.

    Args:
        pairs: that it is learned from.
        penalty: on its weights, as a share of the features' mean variance.
    """
    stretches, texts = zip(*pairs, strict=True)
    seen, words = np.stack(stretches), _bags(texts)
    mean = seen.mean(axis=0)
    seen, words = seen - mean, words - words.mean(axis=0)
    gram = (seen.T @ seen).astype(np.float64)
    gram[np.diag_indices_from(gram)] += penalty * gram.trace() / len(gram)
    weights = np.linalg.solve(gram, (seen.T @ words).astype(np.float64)).astype(np.float32)
    return Aligned(mean, np.pad(weights, ((0, 0), (0, -weights.shape[1] % _WIDTH))))


def _bags(texts: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """[texts, words] which words each has, of length 1, rare ones weighing more."""
    lower = [{word.lower() for word in text} for text in texts]
    counts = Counter(word for text in lower for word in text)
    index = {word: number for number, word in enumerate(sorted(w for w, n in counts.items() if n > 1))}
    bags = np.zeros((len(texts), len(index)), np.float32)
    for row, text in zip(bags, lower, strict=True):
        for word in text & index.keys():
            row[index[word]] = np.log(len(texts) / counts[word])
    return bags / np.maximum(np.linalg.norm(bags, axis=1, keepdims=True), 1e-6)


def load(root: str, encoder: str) -> Aligned | None:
    """The map of an encoder's features in a world; None where it has none."""
    try:
        data = storage.read_bytes(storage.join(root, "aligned", f"{encoder}.npz"))
    except FileNotFoundError:
        return None
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return Aligned(arrays["mean"], arrays["weights"])


def write_features(
    out: str, film: FilmRef, duration: float, spec: EncoderSpec, aligned: Aligned, seen: NDArray[np.float16]
) -> None:
    """Write a film's row of the aligned features.

    Args:
        out: folder or `s3://` prefix of the tables.
        film: with the etag of its other rows.
        duration: seconds.
        spec: of the features `seen`.
        aligned: their map.
        seen: [T, D].
    """
    spec = EncoderSpec(name_of(spec.name), spec.hz, aligned.width)
    weights = {"eye": f"cineworld-{VERSION}", "map": f"least squares, {COUNT} films"}
    row = tables.feature_row(film, (0, 0.0, duration), spec, 0, aligned(seen), weights)
    tables.write_row(out, f"features/{spec.name}", film.film_id, row, chunk=0)


def write_aligned(root: str) -> None:
    """Learn both maps of a world and write its features of all films and videos.

    Raises:
        UsageError: there is no world, or it is not whole.
    """
    world = World(read_settings(root))
    splits = json.loads(storage.read_bytes(storage.join(root, "splits.json")))
    for kind, spec, pairs, penalty in (
        ("films", world.film_spec, described, 0.01),
        ("howtos", world.video_spec, narrated, 0.2),
    ):
        aligned = learn(pairs(world), penalty)
        for name in sorted(name for split in splits[kind].values() for name in split):
            known, seen = tables.read_row(root, "films", name), tables.read_features(root, spec.name, name)
            if known is None or seen is None:
                raise UsageError(f"{root}: {name} is not whole; write the world again in an empty folder")
            film = FilmRef(name, known["uri"], 0, known["etag"])
            write_features(root, film, known["duration"], spec, aligned, seen.array)
        with io.BytesIO() as data:  # last: it says that the features are there
            np.savez(data, mean=aligned.mean, weights=aligned.weights)
            storage.write_bytes(storage.join(root, "aligned", f"{spec.name}.npz"), data.getvalue())


def main(argv: Sequence[str] | None = None) -> int:
    """The command: writes the features."""
    parser = argparse.ArgumentParser(prog="python -m cinescribe.cineworld.aligned", description=__doc__)
    parser.add_argument("root", metavar="WORLD", help="folder or s3:// prefix that `cinescribe world` wrote")
    arguments = parser.parse_args(argv)
    try:
        write_aligned(arguments.root)
    except CinescribeError as error:
        print(f"cineworld.aligned: {error}", file=sys.stderr)
        return 2
    print(f"{arguments.root}/features: world-clip-aligned, world-s3d-aligned")
    return 0


if __name__ == "__main__":
    sys.exit(main())
