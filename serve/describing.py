"""How the service describes clips: in this process, or through a deployment (`serve.app`)."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cinescribe import tables
from cinescribe.describe.clips import ClipDescriber, Style
from cinescribe.describe.stretch import read_stretch
from cinescribe.encoders import catalogue
from cinescribe.errors import MediaError, UsageError, WeightsError
from serve import log
from serve.catalog import Catalog
from serve.settings import Describing, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cinescribe.encoders.protocol import Encoder
    from cinescribe.models.autoad import Example


@dataclass(frozen=True, slots=True)
class Asked:
    """A clip to be described.

    Attributes:
        style: how the text is looked for.
        film, start, end: of a film of the library, seconds; film "": `frames` are the clip.
        context: descriptions of what came before, in order.
        subtitles: lines of dialogue before; None: those of the film's speech.
        names: of the characters.
        frames: uint8 [features * offsets, H, W, 3], as `serve.decode.evenly` gives.
    """

    style: Style
    film: str = ""
    start: float = 0.0
    end: float = 0.0
    context: tuple[str, ...] = ()
    subtitles: tuple[str, ...] | None = None
    names: tuple[str, ...] = ()
    frames: "NDArray[np.uint8] | None" = None


@dataclass(frozen=True, slots=True)
class Described:
    """A description, and how sure the model was of it (0..1)."""

    text: str
    score: float
    model: str
    weight: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a clip can't be described: the reply's status, code, and message for whoever asked."""

    status: int
    code: str
    message: str


class Describer(Protocol):
    """Describes clips."""

    async def describe(self, asked: Asked) -> Described | Refused:
        """The description of a clip.

        Raises:
            HTTPException: 503, when there are too many at once.
        """
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A clip with all that the model reads."""

    clip: "Example"
    style: Style


def described_by(folder: str, encoder: str) -> Describing:
    """What a service needs to know of a model.

    Args:
        folder: of an AutoAD.
        encoder: of its frames, as `cinescribe extract --encoders` takes it; "": told from the features' name.

    Raises:
        WeightsError: the folder doesn't tell its features.
        UsageError: no such encoder, or another than the model was trained on.
    """
    from cinescribe.models.autoad_files import load_inputs

    inputs = load_inputs(Path(folder))
    written = encoder or catalogue.of_table(inputs.features, inputs.hz)
    known = Describing(str(Path(folder).resolve()), inputs.features, inputs.hz, inputs.frames)
    if not written:
        return known
    spec = catalogue.spec(written)
    if (spec.name, spec.hz) != (inputs.features, inputs.hz):
        raise UsageError(
            f"--describer-encoder {written}: gives {spec.name} at {spec.hz:g} a second, and the model was "
            f"trained on {inputs.features} at {inputs.hz:g}"
        )
    return Describing(known.folder, known.features, known.hz, known.frames, written, spec.offsets)


class Captioner:
    """A model in this process, and where it reads films; `prepare` may be called by several threads."""

    def __init__(self, settings: Settings) -> None:
        assert settings.describing is not None
        self._known = known = settings.describing
        self._root, self._device, self._threads = settings.root, settings.device, settings.threads
        self._catalog = Catalog(settings.root, settings.refresh_seconds)
        self._describer = ClipDescriber(Path(known.folder), device=self._device, threads=self._threads)
        self._name = "/".join(Path(known.folder).parts[-2:])
        self._encoder: Encoder | None = None
        self._encoding = threading.Lock()
        try:
            self._encoded(None)  # loads it, so that the first clip needn't wait
        except (WeightsError, UsageError) as error:  # films of the library can be described all the same
            log.line("encoder-unavailable", encoder=known.encoder, message=str(error))

    def prepare(self, asked: Asked) -> Prepared | Refused:
        """What the model reads of a clip: of its film's tables, or of the frames that were sent."""
        try:
            clip = self._of_film(asked) if asked.frames is None else self._of_frames(asked)
        except MediaError as error:
            return Refused(409, "no-features", str(error))
        except WeightsError as error:
            log.line("encoder-unavailable", encoder=self._known.encoder, message=str(error))
            return Refused(503, "weights", "the service's encoder of clips can't be had; see its log")
        return clip if isinstance(clip, Refused) else Prepared(clip, asked.style)

    def describe(self, clips: Sequence[Prepared]) -> list[Described | Refused]:
        """The description of each clip, those of one style in one go; what fails, fails alone."""
        found: dict[int, Described | Refused] = {}
        for style in dict.fromkeys(one.style for one in clips):
            chosen = [number for number, one in enumerate(clips) if one.style == style]
            try:
                found |= zip(chosen, self._say([clips[number].clip for number in chosen], style), strict=True)
            except Exception as error:
                log.line("batch-failed", clips=len(chosen), message=str(error))
                for number in chosen:
                    found[number] = self._say_alone(clips[number])
        return [found[number] for number in range(len(clips))]

    def _say(self, clips: "Sequence[Example]", style: Style) -> list[Described]:
        said = self._describer.describe(clips, style)
        return [Described(one.text, one.score, self._name, self._describer.weight) for one in said]

    def _say_alone(self, one: Prepared) -> Described | Refused:
        try:
            return self._say([one.clip], one.style)[0]
        except Exception as error:
            log.line("clip-failed", message=str(error))
            return Refused(
                500, "unexpected", "the model failed on this clip; its operator finds why in the log"
            )

    def _of_film(self, asked: Asked) -> "Example | Refused":
        film = self._catalog.film(asked.film)
        if film is None:
            return Refused(404, "no-film", "there is no such film in the library")
        known, end = self._known, min(asked.end, film["duration"])
        features = read_stretch(self._root, known.features, asked.film, asked.start, end, film["duration"])
        if features is None:
            what = known.encoder or f"the encoder of features/{known.features}"
            return Refused(
                409,
                "no-features",
                f"the film has no features {known.features}, which the model was trained on; run "
                f"`cinescribe extract` on it with --encoders and {what}",
            )
        if features.etag != film["etag"]:
            return Refused(
                409, "no-features", "the film changed since its features were extracted; extract them again"
            )
        lines = asked.subtitles
        if lines is None:
            spoken = self._lines(film, asked.start)
            if isinstance(spoken, Refused):
                return spoken
            lines = spoken
        read = self._describer.read_lines(lines, asked.names)
        return self._describer.clip_of_film(asked.film, features, asked.context, read)

    def _lines(self, film: tables.Row, start: float) -> tuple[str, ...] | Refused:
        """The dialogue of a film before a time, as far as the model reads it."""
        if self._describer.inputs.subtitles == "none":
            return ()
        speech = self._catalog.speech(film["film_id"])
        if speech is None and not film["audio_rate"]:
            return ()  # a silent film
        if speech is None or speech["etag"] != film["etag"]:
            return Refused(
                409,
                "no-speech",
                "the model reads the dialogue before a clip, and the film was not transcribed as it is now; "
                "run `cinescribe transcribe` on it, or give `subtitles`, which may be []",
            )
        return tuple(self._describer.lines_before(tables.utterances_of(speech), start))

    def _of_frames(self, asked: Asked) -> "Example":
        features = self._encoded(asked.frames)
        read = self._describer.read_lines(asked.subtitles or (), asked.names)
        return self._describer.clip_of_frames(features, asked.context, read)

    def _encoded(self, frames: "NDArray[np.uint8] | None") -> "NDArray[np.float16]":
        """Features [N, width] of frames [N * offsets, H, W, 3], one clip after the other."""
        import numpy as np

        known = self._known
        with self._encoding:
            if self._encoder is None and known.offsets:
                self._encoder = catalogue.load(known.encoder, device=self._device, threads=self._threads)
            if frames is None or self._encoder is None:
                return np.zeros((0, 0), np.float16)
            return self._encoder(frames.reshape(-1, len(known.offsets), *frames.shape[1:]))


class LocalDescriber:
    """Describes clips in this very process, one after the other."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner

    async def describe(self, asked: Asked) -> Described | Refused:
        """See `Describer`."""

        def work() -> Described | Refused:
            prepared = self._captioner.prepare(asked)
            return prepared if isinstance(prepared, Refused) else self._captioner.describe([prepared])[0]

        return await asyncio.to_thread(work)
