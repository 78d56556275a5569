"""AutoAD along a film: what a clip may know of what came before it, and describing clip after clip."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from cinescribe.errors import UsageError
from cinescribe.models.autoad import AutoAD, Example
from cinescribe.models.decoding import Decoding
from cinescribe.utterance import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

# Past descriptions: the true ones, or the model's own (section 8.3.2 of the thesis).
Context = Literal["oracle", "recurrent"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of a film.

    Attributes:
        frames: [frames, width] features (`uniform_frames`), or None without pictures.
        subtitles: the dialogue before (`recent_lines`).
        text: the true description; needed in training and for the oracle context.
    """

    frames: "Tensor | None"
    subtitles: Sequence[str] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A description by the model; `score` is the geometric mean of its tokens' probabilities."""

    text: str
    score: float


def uniform_frames(features: "Tensor", count: int = 8) -> "Tensor":
    """[count, width] frames evenly from the first to the last of features [frames, width].

    Raises:
        UsageError: there are none.
    """
    import torch

    if not len(features):
        raise UsageError("a clip has no frames")
    chosen = torch.linspace(0, len(features) - 1, count).round().long()
    return features[chosen.to(features.device)]


def frames_between(
    features: "NDArray[np.float16]", hz: float, start: float, end: float, count: int
) -> "Tensor":
    """[count, width] float32 frames evenly from [start, end) seconds; the nearest one where it holds none.

    Args:
        features: [T, width] of the whole film, row t for the second t / hz; NaN where nothing was seen.
        hz: their rate.
        start, end: seconds.
        count: of frames.
    """
    import numpy as np
    import torch

    first = min(int(start * hz), len(features) - 1)
    part = features[first : max(first + 1, int(np.ceil(end * hz)))]
    return uniform_frames(torch.from_numpy(np.nan_to_num(part.astype(np.float32))), count)


def recent_lines(
    dialogue: Iterable[Utterance], start: float, count: int = 4, seconds: float = 60.0
) -> list[str]:
    """The last lines of dialogue that end before a clip, within some seconds of it; narration is left out.

    Args:
        dialogue: of the film, in any order.
        start: of the clip, seconds.
        count: at most so many.
        seconds: said at most so long before, as they begin.
    """
    lines = [
        line
        for line in dialogue
        if line.role != "narrator" and line.end <= start and line.start >= start - seconds and line.text
    ]
    return [line.text for line in sorted(lines, key=lambda line: line.start)[-count:]]


def names_alone(lines: Sequence[str], names: Iterable[str]) -> list[str]:
    """The characters' names said in the lines, each once, in order: the paper's SubN instead of the lines."""
    known = {name.lower(): name for name in names}
    if not known:
        return []
    pattern = r"\b(?:" + "|".join(map(re.escape, sorted(known, key=len, reverse=True))) + r")\b"
    found = [known[name.lower()] for line in lines for name in re.findall(pattern, line, re.IGNORECASE)]
    return list(dict.fromkeys(found))


def training_examples(film: Sequence[Clip], sentences: int = 6) -> list[Example]:
    """Each clip of a film with the true descriptions of the clips before it."""
    return [
        Example(
            clip.frames, _past([before.text for before in film[:at]], sentences), clip.subtitles, clip.text
        )
        for at, clip in enumerate(film)
    ]


def describe_films(
    model: AutoAD,
    films: Sequence[Sequence[Clip]],
    context: Context = "recurrent",
    decoding: Decoding | None = None,
) -> list[list[str]]:
    """The texts of `describe_films_scored`."""
    found = describe_films_scored(model, films, context, decoding)
    return [[said.text for said in film] for film in found]


def describe_films_scored(
    model: AutoAD,
    films: Sequence[Sequence[Clip]],
    context: Context = "recurrent",
    decoding: Decoding | None = None,
) -> list[list[Said]]:
    """Describe the clips of films, each in order.

    The recurrent context is the model's own greedy descriptions, also where the result is searched with
    beams, which the paper found more stable. With "oracle" the true descriptions are read, as a bound.

    Args:
        model: the model.
        films: clips in order; the films are run side by side.
        context: where past descriptions come from.
        decoding: of the result; by default beams.

    Returns:
        For each film a description for each clip.

    Raises:
        UsageError: oracle context without true descriptions.
    """
    decoding = decoding or Decoding()
    if context == "oracle" and not all(clip.text for film in films for clip in film[:-1]):
        raise UsageError('a clip has no true description to be read by the clips after it; use "recurrent"')
    past: list[list[str]] = [[] for _ in films]
    results: list[list[Said]] = [[] for _ in films]
    sentences = model.config.context_sentences
    for at in range(max((len(film) for film in films), default=0)):
        rows = [row for row, film in enumerate(films) if at < len(film)]
        examples = [
            Example(films[row][at].frames, _past(past[row], sentences), films[row][at].subtitles)
            for row in rows
        ]
        best = [beams[0] for beams in model.generate(examples, decoding)]
        texts = [model.text(beam) for beam in best]
        if context == "oracle":
            read = [films[row][at].text for row in rows]
        elif decoding.beams == 1:
            read = texts
        else:
            read = model.describe(examples, replace(decoding, beams=1))
        for row, beam, text, own in zip(rows, best, texts, read, strict=True):
            results[row].append(Said(text, math.exp(beam.score)))
            past[row].append(own)
    return results


def _past(texts: Sequence[str], sentences: int) -> list[str]:
    return [text for text in texts[-sentences:] if text] if sentences else []
