"""Small tables to train on, as the pipelines would have written them."""

import json
from pathlib import Path

import numpy as np

from cinescribe import tables
from cinescribe.encoders.protocol import EncoderSpec
from cinescribe.media.library import FilmRef
from cinescribe.speech.clean import CleanSpeech
from cinescribe.utterance import Utterance

ACTIONS = (
    "stir the pot",
    "cut the bread",
    "wash the cup",
    "fold the towel",
    "paint the door",
    "lift the box",
    "ring the bell",
    "sow the seed",
)


def write_film(
    root: Path, film_id: str, features: np.ndarray, hz: float, utterances: list[Utterance], encoder: str
) -> None:
    """The rows of a film, its features in two chunks."""
    ref = FilmRef(film_id, f"{film_id}.mp4", 1, "etag")
    spec = EncoderSpec(encoder, hz, features.shape[1])
    half = len(features) // 2
    for number, (first, last) in enumerate(((0, half), (half, len(features)))):
        chunk = (number, first / hz, last / hz)
        row = tables.feature_row(ref, chunk, spec, first, features[first:last].astype(np.float16), {})
        tables.write_row(str(root), f"features/{encoder}", film_id, row, chunk=number)
    speech = CleanSpeech(tuple(utterances), "en", 1.0, 1.0, (), {}, 0.0, {}, {})
    tables.write_row(str(root), "speech", film_id, tables.speech_row(ref, speech))


def write_howtos(root: Path, videos: int = 12, seed: int = 0) -> None:
    """Videos that show eight actions, each 5 s, in some order, and are told as they are shown.

    The last two are held out, half of their sentences beside the point.
    """
    random = np.random.default_rng(seed)
    looks = random.standard_normal((len(ACTIONS), 16))
    truth = {}
    for number in range(videos):
        chosen = random.permutation(len(ACTIONS))
        seconds = 5 * len(chosen)
        features = looks[np.repeat(chosen, 5)] + 0.1 * random.standard_normal((seconds, 16))
        said = [
            Utterance(5.0 * at, 5.0 * at + 4.5, f"now {ACTIONS[action]}", role="dialogue")
            for at, action in enumerate(chosen)
        ]
        write_film(root, f"video {number}", features, 1.0, said, "tiny")
        if number >= videos - 2:
            rows = [[1, line.start, line.end, line.text] for line in said]
            truth[f"video {number}"] = rows + [[0, line.start, line.end, "thanks for it"] for line in said]
    (root / "htm_align_val.json").write_text(json.dumps(truth))


def write_described(root: Path, films: int = 4, cues: int = 12) -> None:
    """Films that show one of eight actions while a narrator tells it, after a line of dialogue."""
    random = np.random.default_rng(1)
    looks = random.standard_normal((len(ACTIONS), 16))
    for number in range(films):
        chosen = random.integers(0, len(ACTIONS), cues)
        features = np.repeat(looks[chosen], 8, axis=0)  # 4 s at 2 a second
        said = []
        for at, action in enumerate(chosen):
            said.append(Utterance(4.0 * at, 4.0 * at + 1, f"line {at} of film {number}", role="dialogue"))
            text = f"They {ACTIONS[action]}, {at} of film {number}."
            said.append(Utterance(4.0 * at + 1, 4.0 * at + 3.5, text, role="narrator"))
        write_film(root, f"film {number}", features, 2.0, said, "frames")
