"""Single clips described by a trained AutoAD, several at once, each in a context of its own."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cinescribe.describe.describer import check_features, weight_of
from cinescribe.tables import Features
from cinescribe.utterance import Utterance

if TYPE_CHECKING:
    from cinescribe.models.autoad import Example
    from cinescribe.models.autoad_film import Said

# How a text is looked for: greedily, or by the beams of the paper (section 8.6.1 of the thesis).
Style = Literal["quick", "careful"]
BEAMS = {"quick": 1, "careful": 5}


class ClipDescriber:
    """Describes clips with an AutoAD from its folder, as training saved it.

    Attributes:
        inputs: what it has to be given.
        weight: see `cinescribe.describe.describer.weight_of`.

    Raises:
        WeightsError: the folder is none of an AutoAD, or doesn't tell its features.
    """

    def __init__(self, folder: Path, *, device: str = "cpu", threads: int = 0) -> None:
        import torch

        from cinescribe.models import autoad_files

        if threads:
            torch.set_num_threads(threads)
        self.inputs = autoad_files.load_inputs(folder)
        self.weight = weight_of(folder)
        self._model = autoad_files.load(folder).to(device)

    def clip_of_film(
        self, film: str, features: Features, context: Sequence[str], lines: Sequence[str]
    ) -> "Example":
        """A clip from the features of its stretch of a film (`stretch.read_stretch`).

        Args:
            film: its name in errors.
            features: of the stretch, without holes.
            context: descriptions of what came before, in order; the model reads the last ones.
            lines: of dialogue before (`lines_before`), or names.

        Raises:
            MediaError: the features are not such as the model was trained on.
        """
        import torch

        from cinescribe.models.autoad_film import uniform_frames

        check_features(film, features, self.inputs, self._model.config.frame_width)
        seen = torch.from_numpy(np.nan_to_num(features.array.astype(np.float32)))
        return self._example(uniform_frames(seen, self.inputs.frames).numpy(), context, lines)

    def clip_of_frames(
        self, features: NDArray[np.float16], context: Sequence[str], lines: Sequence[str]
    ) -> "Example":
        """A clip from the features [frames, width] of its evenly spread frames; the rest as above."""
        rate = Features(self.inputs.hz, np.arange(len(features)) / self.inputs.hz, features, "", {})
        check_features("the clip", rate, self.inputs, self._model.config.frame_width)
        return self._example(np.nan_to_num(features.astype(np.float32)), context, lines)

    def lines_before(self, speech: Iterable[Utterance], start: float) -> list[str]:
        """Of what is said in a film the dialogue that the model reads before a clip that starts then."""
        from cinescribe.models.autoad_film import recent_lines

        config = self._model.config
        return recent_lines(speech, start, config.subtitle_sentences, config.subtitle_seconds)

    def read_lines(self, lines: Sequence[str], names: Iterable[str]) -> list[str]:
        """What the model reads of dialogue: the lines, the names in them, or nothing."""
        from cinescribe.models.autoad_film import names_alone

        if self.inputs.subtitles == "none":
            return []
        return names_alone(lines, names) if self.inputs.subtitles == "names" else list(lines)

    def describe(self, clips: Sequence["Example"], style: Style) -> "list[Said]":
        """What the model says of each clip, all in one go; `score` as `Said` has it."""
        import math

        from cinescribe.models.autoad_film import Said
        from cinescribe.models.decoding import Decoding

        best = [beams[0] for beams in self._model.generate(clips, Decoding(beams=BEAMS[style]))]
        return [Said(self._model.text(one), math.exp(one.score)) for one in best]

    def _example(
        self, frames: NDArray[np.float32], context: Sequence[str], lines: Sequence[str]
    ) -> "Example":
        import torch

        from cinescribe.models.autoad import Example

        return Example(torch.from_numpy(frames), [text for text in context if text], list(lines))
