"""What Collaborative Experts is given of a clip: one input an expert, absent where there is none.

Averaged experts are one vector, sequence experts one vector a token. An expert is absent where its table was
not extracted, or has no finite numbers in the clip (no face, no text), or nothing is said: `None`, never
zeros, so that what a clip lacks can't be taken for something it shows.

Source: Liu et al. 2019, appendix A.5; dimensions and tokens of the authors' configuration for MSR-VTT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cinescribe import tables
from cinescribe.encoders.speech_words import spoken_vectors
from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from cinescribe.encoders.words import WordVectors

SPEECH = "speech"


@dataclass(frozen=True, slots=True)
class Expert:
    """One input of the model.

    Attributes:
        name: as the model's parameters call it.
        table: the encoder whose features it takes, `features/<table>`; `SPEECH` for the speech table.
        dim: of a vector.
        tokens: vectors of a sequence that are kept, the first ones; 0: the mean of all is the input.
    """

    name: str
    table: str
    dim: int
    tokens: int = 0


# Both in the model's order, the alphabet's. SMALL: what runs on weights that can be had without an account
# (but `scene`, whose file one has to bring); PAPER: the paper's networks.
SMALL = (
    Expert("appearance", "appearance", 1280),
    Expert("audio", "sound", 384, tokens=29),
    Expert("face", "face", 128),
    Expert("motion", "motion", 1024),
    Expert("ocr", "ocr", 300, tokens=49),
    Expert("scene", "scene", 2208),
    Expert("speech", SPEECH, 300, tokens=32),
)
PAPER = (
    Expert("audio", "audio", 128, tokens=29),
    Expert("face", "face-vggface2", 512),  # no encoder here writes it: bring the table, or it is absent
    Expert("i3d", "motion", 1024),
    Expert("ocr", "ocr", 300, tokens=49),
    Expert("r2p1d", "motion-r2plus1d_34", 512),
    Expert("resnext101", "appearance-resnext101_32x8d.fb_wsl_ig1b_ft_in1k", 2048),
    Expert("scene", "scene", 2208),
    Expert("senet154", "appearance-legacy_senet154.in1k", 2048),
    Expert("speech", SPEECH, 300, tokens=32),
)

Inputs = dict[str, NDArray[np.float32] | None]


def expert_inputs(
    root: str, film_id: str, start: float, end: float, experts: Sequence[Expert] = SMALL
) -> Inputs:
    """The inputs of the clip [start, end) of a film, by expert.

    Args:
        root: folder or `s3://` prefix of the tables.
        film_id: of the film.
        start, end: seconds.
        experts: which.

    Returns:
        float32 `[dim]` of an averaged expert, `[L, dim]` with 1 <= L <= tokens of a sequence; None: absent.

    Raises:
        UsageError: the clip is empty, or a table holds features of another dimension.
    """
    return inputs_of_windows(root, film_id, [(start, end)], experts)[0]


def inputs_of_windows(
    root: str, film_id: str, windows: Sequence[tuple[float, float]], experts: Sequence[Expert] = SMALL
) -> list[Inputs]:
    """As `expert_inputs` for many clips [start, end) of a film, of which each table is read once."""
    for start, end in windows:
        if not start < end:
            raise UsageError(f"{film_id}: a clip from {start} to {end} s holds nothing; give start < end")
    found: list[Inputs] = [dict.fromkeys(expert.name for expert in experts) for _ in windows]
    for expert in experts:
        if expert.table == SPEECH:
            row = tables.read_row(root, "speech", film_id)
            if row and (utterances := tables.utterances_of(row)):
                for inputs, (start, end) in zip(found, windows, strict=True):
                    inputs[expert.name] = pooled(spoken_vectors(utterances, _words(), start, end), expert)
        elif (features := tables.read_features(root, expert.table, film_id)) is not None:
            for inputs, (start, end) in zip(found, windows, strict=True):
                inputs[expert.name] = of_features(features, film_id, start, end, expert)
    return found


def available(inputs: Mapping[str, Any], experts: Sequence[Expert] = SMALL) -> NDArray[np.bool_]:
    """The flags `ind` of a clip, `[experts]`, in their order: True where there is an input."""
    return np.array([inputs[expert.name] is not None for expert in experts])


def of_features(
    features: tables.Features, film_id: str, start: float, end: float, expert: Expert
) -> NDArray[np.float32] | None:
    """An expert's input of the clip [start, end) from the features of its film, as `expert_inputs` has it."""
    if features.array.shape[1] != expert.dim:
        raise UsageError(
            f"{tables.FEATURES}{expert.table} of {film_id}: {features.array.shape[1]} numbers a feature, "
            f"the expert {expert.name} has {expert.dim}; extract it again, or name the experts you have"
        )
    rows = features.array[_within(features, start, end)].astype(np.float32)
    return pooled(rows[np.isfinite(rows).all(axis=1)], expert)


def pooled(rows: NDArray[np.float32], expert: Expert) -> NDArray[np.float32] | None:
    """The first vectors of a sequence expert, the mean of an averaged one; None where there are none."""
    if not len(rows):
        return None
    return np.asarray(rows[: expert.tokens] if expert.tokens else rows.mean(axis=0), np.float32)


def _within(features: tables.Features, start: float, end: float) -> NDArray[np.bool_]:
    """Which features lie in a clip: those whose middle does; of a shorter clip the one its middle lies in."""
    step = 1 / features.hz
    middles = features.times + step / 2
    inside = (middles >= start) & (middles < end)
    if inside.any():
        return inside
    middle = (start + end) / 2
    return (features.times <= middle) & (middle < features.times + step)


@cache
def _words() -> "WordVectors":
    from cinescribe.encoders.words import WordVectors

    return WordVectors()
