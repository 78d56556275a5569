"""The eye of a world: what is visible in a second becomes a feature, as a frozen network would give it.

Each concept (a look, a deed, a thing, a place, a framing, a feeling) has a vector of its own. Those seen
together are bound (`Eye.bind`) and added; a fixed map of two layers, not linear, makes a feature of the sum,
and noise comes on top. The eye is the same for all films of a world; its vectors come from their names, so
that no film depends on another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

LATENT, HIDDEN = 128, 384
NUISANCE = 24  # dimensions of the light, and as many of the camera
Array = NDArray[np.float32]


def number(*parts: object) -> int:
    """A number of 48 bits that depends on the parts only, for the seeds of what is made from them."""
    return int.from_bytes(sha256("/".join(map(str, parts)).encode()).digest()[:6], "big")


@dataclass(slots=True)
class Eye:
    """Turns what is visible into features.

    Attributes:
        seed: of the world.
        name: of the encoder it stands for; eyes of different names see differently.
        dim: of a feature.
        noise: standard deviation of what is added to each number of a feature, whose own is about 1.
    """

    seed: int
    name: str
    dim: int
    noise: float = 1.0
    _vectors: dict[str, Array] = field(default_factory=dict, repr=False)
    _maps: dict[str, Array] = field(default_factory=dict, repr=False)

    def concept(self, name: str) -> Array:
        """[LATENT] vector of a concept, of length 1."""
        if name not in self._vectors:
            drawn = self._random(f"concept {name}").standard_normal(LATENT, np.float32)
            self._vectors[name] = drawn / np.float32(np.linalg.norm(drawn))
        return self._vectors[name]

    def bind(self, role: str, parts: Sequence[Array]) -> Array:
        """[LATENT] vector of length 1 of parts that belong together, such as a deed and its thing.

        Half is the sum of the parts, so that what shares a part is alike; half is its own.
        """
        total = np.sum(parts, axis=0)
        total = total / np.float32(np.linalg.norm(total))
        own = np.tanh(2.5 * self._map(f"bind {role}", LATENT, LATENT) @ total)
        bound = total + own / np.float32(np.linalg.norm(own))
        return np.asarray(bound / np.linalg.norm(bound), np.float32)

    def features(
        self, visible: NDArray[np.float32], vectors: Array, shots: NDArray[np.int64], key: int
    ) -> NDArray[np.float16]:
        """Features of a film.

        Args:
            visible: [T, things] how much each is seen, 0 to about 1.
            vectors: [things, LATENT] of `concept` and `bind`.
            shots: [T] number of the shot, 0, 1, ...; each has a camera of its own.
            key: number of the film, for its light and its noise.

        Returns:
            [T, dim].
        """
        rng = np.random.default_rng([self.seed, number(self.name), key])
        light = rng.standard_normal(NUISANCE, np.float32) + 0.3 * rng.standard_normal(
            (len(shots), NUISANCE), np.float32
        )
        cameras = rng.standard_normal((int(shots.max(initial=0)) + 1, NUISANCE), np.float32)
        scale = np.float32(0.9 / NUISANCE**0.5)
        latent = visible @ vectors
        latent += scale * light @ self._map("light", NUISANCE, LATENT)
        latent += scale * cameras[shots] @ self._map("camera", NUISANCE, LATENT)
        hidden = np.maximum(latent @ self._map("in", HIDDEN, LATENT).T * np.float32(LATENT**0.5) + 0.3, 0)
        features = hidden @ self._map("out", self.dim, HIDDEN).T
        features += np.float32(self.noise) * rng.standard_normal(features.shape, np.float32)
        return features.astype(np.float16)

    def _map(self, name: str, out: int, into: int) -> Array:
        if name not in self._maps:
            drawn = self._random(f"map {name}").standard_normal((out, into), np.float32)
            self._maps[name] = drawn / np.float32(into**0.5)
        return self._maps[name]

    def _random(self, name: str) -> np.random.Generator:
        return np.random.default_rng(number(self.seed, self.name, name))
