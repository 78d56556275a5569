"""A film's description as it stands: what the machine generated, and what people made of it.

A correction moves no other cue. The machine's sentences are placed as if nobody had corrected anything; then
each corrected text, in the order in which they were written, is put whole where the lines and all other cues
leave room for it, or it is told why it can't be spoken. So the same sentences and corrections always give the
same cues, whoever puts them together: `cinescribe describe`, or the service before that has run again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cinescribe import tables
from cinescribe.describe.corrections import Correction, Corrections, Interval, interval_of
from cinescribe.describe.placement import Cue, Placed, PlacementSettings, Places, Reason, Sentence, Span
from cinescribe.errors import UsageError


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one sentence.

    Attributes:
        generated: the machine's, and what became of it alone.
        correction: that holds; None where the machine's text does.
        cue: that is spoken, or None and the `reason`.
    """

    generated: Placed
    correction: Correction | None
    cue: Cue | None
    reason: Reason

    @property
    def interval(self) -> Interval:
        """Of the sentence, milliseconds."""
        return _interval(self.generated)

    @property
    def text(self) -> str:
        """What is described, spoken or not; "" when a person took it out."""
        return self.correction.text if self.correction else self.generated.sentence.text


def settle(
    generated: Sequence[Placed], corrections: Corrections, places: Places, seconds: Callable[[str], float]
) -> list[Settled]:
    """Bring corrections into a film's generated description.

    Args:
        generated: the machine's sentences, placed, in order.
        corrections: of the film.
        places: where cues may be.
        seconds: that a text takes to speak.
    """
    found = []
    for alone, made in zip(generated, holding(generated, corrections), strict=True):
        reason: Reason = "removed" if made and made.kind == "removed" else alone.reason
        found.append(Settled(alone, made, None if made else alone.cue, reason))
    standing = [one.cue for one in found if one.cue]
    texts = [
        (one.correction, number)
        for number, one in enumerate(found)
        if one.correction and one.correction.kind == "text"
    ]
    for made, number in sorted(texts, key=lambda text: (text[0].time, text[1])):
        one = found[number]
        put = places.put(replace(one.generated.sentence, text=made.text), standing, seconds(made.text))
        found[number] = replace(one, cue=put.cue, reason=put.reason)
        standing += [put.cue] if put.cue else []
    return found


def holding(generated: Sequence[Placed], corrections: Corrections) -> list[Correction | None]:
    """The correction of each sentence, None where the machine's text holds."""
    made = (corrections.by_interval.get(_interval(one)) for one in generated)
    return [None if one is None or one.kind == "machine" else one for one in made]


def _interval(one: Placed) -> Interval:
    return interval_of(one.sentence.start, one.sentence.end)


def cues_of(settled: Iterable[Settled]) -> list[Cue]:
    """What is spoken, in the order of time."""
    return sorted((one.cue for one in settled if one.cue), key=lambda cue: cue.start)


def lines_of(utterances: Iterable[Mapping[str, Any]], *, over_narrator: bool) -> list[Span]:
    """Where somebody speaks, seconds, from the utterances of a row of `speech`."""
    heard = (u for u in utterances if not (over_narrator and u["role"] == "narrator"))
    return [(u["start"], u["end"]) for u in heard]


# ---- the row ------------------------------------------------------------------------------------


def row_of(
    film: tables.Row,
    settled: Sequence[Settled],
    corrections: Corrections,
    settings: PlacementSettings,
    weights: Mapping[str, str],
    *,
    over_narrator: bool,
) -> tables.Row:
    """The row of `descriptions` of a film, from its row of `films` and what became of its sentences."""
    spoken = sorted((one.cue.start, number) for number, one in enumerate(settled) if one.cue)
    number_of = {sentence: cue for cue, (_, sentence) in enumerate(spoken)}
    alone = [one.generated for one in settled]
    generated_cues = [one.cue for one in alone if one.cue]
    count = iter(range(len(alone)))
    return {
        "film_id": film["film_id"],
        "etag": film["etag"],
        "cues": [asdict(cue) for cue in cues_of(settled)],
        "sentences": [
            {
                **asdict(one.generated.sentence),
                "text": one.text,
                "cue": number_of.get(number, -1),
                "reason": one.reason,
                "correction": one.correction.version if one.correction else "",
            }
            for number, one in enumerate(settled)
        ],
        "generated_cues": [asdict(cue) for cue in generated_cues],
        "generated": [
            {**asdict(one.sentence), "cue": next(count) if one.cue else -1, "reason": one.reason}
            for one in alone
        ],
        "corrections": corrections.stamp,
        "placement": {**asdict(settings), "over_narrator": over_narrator},
        "weights": [{"role": role, "weight": weight} for role, weight in sorted(weights.items())],
    }


def generated_of(row: tables.Row) -> list[Placed]:
    """The machine's sentences of a row of `descriptions`.

    Raises:
        UsageError: the row was written by a version that did not keep them apart.
    """
    if "generated" not in row:
        raise UsageError(
            f"descriptions/{tables.file_name(row['film_id'])} was made by an older version; "
            "delete that file and run `cinescribe describe` again"
        )
    return [_placed(one, row["generated_cues"]) for one in row["generated"]]


def placement_of(row: tables.Row) -> tuple[PlacementSettings, bool]:
    """How a film's cues were placed, and whether over its narrator."""
    kept = dict(row["placement"])
    over_narrator = bool(kept.pop("over_narrator"))
    return PlacementSettings(**kept), over_narrator


def settle_row(row: tables.Row, corrections: Corrections, places: Places) -> list[Settled]:
    """A film's description with corrections that its row may not know yet; see `settle`.

    How long a text takes is told by its cue in the row, else estimated by its words, so a run with a voice
    may decide otherwise.
    """
    generated, written = generated_of(row), [_placed(one, row["cues"]) for one in row["sentences"]]
    made = holding(generated, corrections)
    if [one.version if one else "" for one in made] == [one["correction"] for one in row["sentences"]]:
        standing = zip(generated, made, written, strict=True)
        return [Settled(alone, one, now.cue, now.reason) for alone, one, now in standing]
    settings, _ = placement_of(row)
    measured = {
        now.cue.text: now.cue.end - now.cue.start
        for one, now in zip(row["sentences"], written, strict=True)
        if one["correction"] and now.cue
    }
    return settle(generated, corrections, places, lambda text: measured.get(text) or settings.seconds(text))


def _placed(one: Mapping[str, Any], cues: Sequence[Mapping[str, Any]]) -> Placed:
    sentence = Sentence(one["start"], one["end"], one["text"], one["score"])
    return Placed(sentence, Cue(**cues[one["cue"]]) if one["cue"] >= 0 else None, one["reason"])
