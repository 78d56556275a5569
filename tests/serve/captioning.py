"""A tiny describer for the service's tests, and the features of a film that it reads."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GPT2Config

from cinescribe import tables
from cinescribe.encoders import catalogue
from cinescribe.media.library import FilmRef, list_films
from cinescribe.models import autoad_files
from cinescribe.models.autoad import AutoAD, AutoADConfig, Example
from cinescribe.models.language_model import fresh, fresh_tokeniser
from tests.serve.library import SPOKEN

FILM, WIDTH, HZ, FRAMES, CHUNK = "series one/Kitchen", 1000, 2.0, 4, 3.0
TEXTS = [
    "She walks to the door and then she looks back.",
    "He opens a red box.",
    "A dog runs along the beach while the sun goes down.",
]
_SHOWN = (1, 0, 2, 1, 0, 2, 1)  # the text of each second of the film


def save_model(folder: Path) -> Path:
    """An AutoAD that has learned which of three texts a look stands for; it sees `objects@2`."""
    torch.manual_seed(0)
    config = GPT2Config(n_layer=1, n_embd=32, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    language_model = fresh(config, fresh_tokeniser(TEXTS * 3, 300), 0)
    sizes = AutoADConfig(frame_width=WIDTH, latents=2, layers=1, heads=4, longest=8)
    autoad = AutoAD(language_model, sizes)
    autoad.set_stage("all", True)
    autoad.perceiver.requires_grad_(False)  # as drawn it tells looks apart, and training it takes long
    with torch.no_grad():
        autoad.perceiver.latent.mul_(0.05)  # so that what comes out of it is of the frames
    autoad.train()
    optimiser = torch.optim.AdamW([one for one in autoad.parameters() if one.requires_grad], 5e-3)
    lines = [line[2] for line in SPOKEN[FILM] if line[3] == "dialogue"]
    for step in range(100):
        batch = [
            Example(
                torch.from_numpy(look(number, FRAMES).astype(np.float32)),
                [TEXTS[(step + other) % 3] for other in range(step % 4)],
                lines[: step % 3],
                TEXTS[number],
            )
            for number in range(3)
        ]
        optimiser.zero_grad()
        autoad.loss(autoad.batch(batch)).backward()
        optimiser.step()
    autoad_files.save(autoad, folder, autoad_files.Inputs("objects", HZ, FRAMES, "lines"))
    return folder


def look(number: int, count: int) -> NDArray[np.float16]:
    """[count, WIDTH] probabilities of objects, such as go with a text."""
    found = np.zeros((count, WIDTH), np.float16)
    found[:, 300 * number + 7] = 0.9
    return found


def features() -> NDArray[np.float16]:
    """[T, WIDTH] of the film."""
    return np.concatenate([look(number, int(HZ)) for number in _SHOWN])


def write_features(root: Path) -> None:
    """The features of the film, in chunks."""
    film = next(one for one in list_films([str(root.parent / "films")]) if one.film_id == FILM)
    write_chunks(root, film, features())


def write_chunks(root: Path, film: FilmRef, whole: NDArray[np.float16]) -> None:
    """Features [T, WIDTH] of a film, in chunks of `CHUNK` seconds."""
    step = int(CHUNK * HZ)
    for number, first in enumerate(range(0, len(whole), step)):
        part = whole[first : first + step]
        span = (number, first / HZ, (first + len(part)) / HZ)
        row = tables.feature_row(film, span, catalogue.spec(f"objects@{HZ:g}"), first, part, {})
        tables.write_row(str(root), "features/objects", film.film_id, row, chunk=number)
