"""The stage `descriptions` of `pipelines.describe`: sentences, their places, corrections."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from cinescribe import tables
from cinescribe.cineworld.voices import Voice
from cinescribe.describe import corrected, corrections, track
from cinescribe.describe.describer import FilmDescriber
from cinescribe.describe.intervals import merge_shots
from cinescribe.describe.phrases import forms
from cinescribe.describe.placement import Cue, Placed, PlacementSettings, Places, Span, place
from cinescribe.errors import MediaError, UsageError
from cinescribe.media.library import FilmRef
from cinescribe.utterance import Utterance
from pipelines import described, units
from pipelines.align import read_features, read_speech
from pipelines.units import Job, Numbers, Passenger

TABLE = "descriptions"
_LIMIT = 100.0  # seconds of work for a second of film, after which it turns in circles


@dataclass(frozen=True, slots=True, kw_only=True)
class Describing:
    """What the rows depend on besides the films and their tables.

    Attributes:
        model: folder of an AutoAD.
        beams: of the search for each sentence.
        placement: of the cues.
        shortest, longest: seconds of the intervals that are made of the shots.
        intervals: address of a file with intervals in place of these, "" for none.
        over_narrator: the film's own description counts as silence.
        voice: that speaks the cues, "" for none.
        duck: dB by which the film is lowered under it.
    """

    model: str
    beams: int = 5
    placement: PlacementSettings = field(default_factory=PlacementSettings)
    shortest: float = 3.0
    longest: float = 12.0
    intervals: str = ""
    over_narrator: bool = False
    voice: str = ""
    duck: float = 12.0


class DescribeStage:
    """Describe films with a model that is loaded once."""

    def __init__(
        self,
        job: Job,
        settings: Describing,
        given: Mapping[str, Sequence[Span]],
        cast: Mapping[str, Sequence[str]],
        threads: int,
        device: str,
    ) -> None:
        self.job, self.settings, self.given, self.cast = job, settings, given, cast
        made, self.fault = units.made(
            lambda: FilmDescriber(Path(settings.model), beams=settings.beams, device=device, threads=threads)
        )
        self.describer: FilmDescriber = made  # type: ignore[assignment]  # not used when there is a fault

    def __call__(self, passenger: Passenger) -> Passenger:
        """Describe one film."""
        if self.fault:
            return {**passenger, "message": passenger["message"] or self.fault}
        try:
            film = tables.read_row(self.job.out, "films", passenger["film_id"])
        except (UsageError, OSError) as error:
            return {**passenger, "message": str(error)}
        limit = _LIMIT * film["duration"] if film else 0.0
        return units.attempt(self.job, TABLE, passenger, partial(self.work, film), limit)

    def work(self, known: tables.Row | None, film: FilmRef, path: Path) -> tuple[tables.Row, Numbers]:
        """The row of `descriptions`; the files come before it, for the row is what counts."""
        if known is None:
            raise UsageError(f"{self.job.out}: the row of {film.film_id} in films is gone; run again")
        out, settings = self.job.out, self.settings
        speech = self._speech(known)
        made = _corrections(out, film.film_id)
        voice = track.voice_named(settings.voice) if settings.voice else None
        lines = [(u.start, u.end) for u in speech if not (settings.over_narrator and u.role == "narrator")]
        placement = settings.placement
        if old := tables.read_row(out, TABLE, film.film_id):  # only people's corrections changed
            generated, weights = corrected.generated_of(old), _weights(old)
        else:
            generated, weights = self._generate(known, speech, lines, voice)
        seconds: Callable[[str], float] = placement.seconds
        if voice:
            texts = [one.text for one in made.by_interval.values() if one.kind == "text"]
            seconds = track.measure(texts, voice).__getitem__
            placement = _paced(placement, [one.cue for one in generated if one.cue])
        places = Places(lines, known["duration"], placement)
        settled = corrected.settle(generated, made, places, seconds)
        cues = corrected.cues_of(settled)
        described.write_text(out, film.film_id, cues)
        if voice:
            described.write_sound(out, film.film_id, path, cues, voice, track.Mix(duck=settings.duck))
        row = corrected.row_of(known, settled, made, placement, weights, over_narrator=settings.over_narrator)
        return row, {
            "duration": known["duration"],
            "sentences": len(settled),
            "cues": len(cues),
            "described": sum(cue.end - cue.start for cue in cues),
            "corrected": sum(one.correction is not None for one in settled),
            "without": len(corrections.unknown(made, (one.interval for one in settled))),
        }

    def _generate(
        self, known: tables.Row, speech: Sequence[Utterance], lines: Sequence[Span], voice: Voice | None
    ) -> tuple[list[Placed], dict[str, str]]:
        """What the model says of the film, placed, and the weights it was made with."""
        out, film_id = self.job.out, known["film_id"]
        features = read_features(out, self.describer.inputs.features, film_id)
        if features.etag != known["etag"]:
            raise MediaError("damaged", _of_another_version(out, "features", film_id, "extract"))
        sentences = self.describer(
            film_id, features, self._intervals(known), speech, self.cast.get(film_id, ())
        )
        seconds = None
        if voice:
            texts = [text for sentence in sentences for text in forms(sentence.text)]
            seconds = track.measure(texts, voice).__getitem__
        placed = place(sentences, lines, known["duration"], self.settings.placement, seconds)
        return placed, {"autoad": self.describer.weight} | dict(features.weights)

    def _speech(self, known: tables.Row) -> list[Utterance]:
        """All that is said in the film; without it nobody knows where a cue may be."""
        if not known["audio_rate"] and tables.read_row(self.job.out, "speech", known["film_id"]) is None:
            return []  # a silent film; those on paper (`cinescribe world`) have speech without a sound
        speech = read_speech(self.job.out, known["film_id"])
        if speech["etag"] != known["etag"]:
            raise MediaError(
                "damaged", _of_another_version(self.job.out, "speech", known["film_id"], "transcribe")
            )
        return tables.utterances_of(speech)

    def _intervals(self, known: tables.Row) -> Sequence[Span]:
        if not self.settings.intervals:
            shots = [(shot["start"], shot["end"]) for shot in known["shots"]]
            if not shots:
                raise MediaError("no-video", f"{known['uri']}: has no picture to describe; give a film")
            return merge_shots(shots, self.settings.shortest, self.settings.longest)
        given = [span for span in self.given.get(known["film_id"], ()) if span[0] < known["duration"]]
        if not given:
            raise MediaError(
                "missing", f"{self.settings.intervals}: no interval within {known['film_id']}; add its rows"
            )
        return given


def _of_another_version(out: str, table: str, film_id: str, command_: str) -> str:
    return f"{out}: {table} of {film_id} are of another version of the film; `cinescribe {command_}` it again"


def _corrections(out: str, film_id: str) -> corrections.Corrections:
    try:
        return corrections.read(out, film_id)
    except UsageError as error:  # of this film's file; it must not stop the others
        raise MediaError("damaged", str(error)) from error


def _weights(row: tables.Row) -> dict[str, str]:
    return {pair["role"]: pair["weight"] for pair in row["weights"]}


def _paced(settings: PlacementSettings, cues: Sequence[Cue]) -> PlacementSettings:
    """The settings with the pace at which the voice spoke these cues: others may reckon with it."""
    spoken = sum(cue.end - cue.start for cue in cues)
    words = sum(len(cue.text.split()) for cue in cues)
    return replace(settings, words_per_minute=60 * words / spoken) if spoken else settings
