"""Which voice describes: the one that never says "I".

An audio describer speaks of others, in the third person; characters speak of themselves. AudioVault's
cleaning (thesis section 8.4) takes the cluster with the lowest share of first-person pronouns. Real AD text
has 0.00 to 0.33 % of them in ten films, film dialogue and talks 5 to 14 % (docs/speech.md), so a cluster's
pronouns also say whether it is a narrator at all: a likelihood ratio, as words are counted.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import MediaError
from cinescribe.utterance import Role, Utterance

FIRST_PERSON = {
    "en": set(
        "i i'm i'd i'll i've me my mine myself we we're we'd we'll we've us our ours ourselves".split()
    ),
    "de": set(
        "ich mich mir mein meine meinen meinem meiner meines wir uns unser unsere unseren unserem".split()
    ),
    "fr": set("je j'ai j'y j'en me moi mon ma mes mien mienne nous notre nos".split()),
}
SECOND_PERSON = {
    "en": set("you you're you've you'll you'd your yours yourself".split()),
    "de": set("du dich dir dein deine deinen deinem deiner ihr euch euer eure".split()),
    "fr": set("tu t'as te toi ton ta tes vous votre vos".split()),
}
MIN_WORDS = 50  # fewer say nothing about pronouns (SYSTEMS: thesis code's default)
MIN_SHARE = 0.01  # of the film's words
NARRATOR_RATE = 0.01  # of first and second person together, allowing for words of others mixed in
DIALOGUE_RATE = 0.09
ALIKE = 0.4  # cosine above which a small cluster is the narrator's voice again; docs/speech.md


@dataclass(frozen=True, slots=True)
class SpeakerEvidence:
    """Why a voice was or was not taken for the narrator (one row per speaker cluster).

    Attributes:
        speaker: label of the cluster.
        words: words it speaks.
        seconds: time it speaks.
        first_person: share of its words that are first-person pronouns, 0..1.
        narrator: whether it was taken for the narrator.
        reason: one line for a person.
    """

    speaker: str
    words: int
    seconds: float
    first_person: float
    narrator: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Narration:
    """Utterances with roles, the confidence 0..1 of the choice, and the evidence per speaker."""

    utterances: tuple[Utterance, ...]
    confidence: float
    evidence: tuple[SpeakerEvidence, ...]


@dataclass(frozen=True, slots=True)
class _Counts:
    words: int
    first: int
    second: int
    seconds: float

    @property
    def share(self) -> float:
        """Share of first-person pronouns."""
        return self.first / self.words if self.words else 0.0

    @property
    def log_ratio(self) -> float:
        """Log likelihood ratio of narrator against dialogue, by pronouns of the first and second person."""
        spoken = self.first + self.second
        return spoken * math.log(NARRATOR_RATE / DIALOGUE_RATE) + (self.words - spoken) * math.log(
            (1 - NARRATOR_RATE) / (1 - DIALOGUE_RATE)
        )


def separate_narrator(
    utterances: Sequence[Utterance],
    *,
    language: str = "en",
    choice: str = "auto",
    voices: Mapping[str, NDArray[np.float32]] | None = None,
) -> Narration:
    """Give every utterance its role.

    Of the clusters with at least `MIN_WORDS` words and `MIN_SHARE` of all, the one with the lowest share of
    first-person pronouns is the narrator (ties: who speaks longer), if its pronouns are likelier for a
    narrator than for a character; otherwise the film has none. Further clusters are the narrator again (one
    voice split by the diarizer, or a second describer) when they pass the same test by themselves with their
    share as low, or are too small for it but sound like the narrator and never say "I".

    Args:
        utterances: with speakers and text.
        language: of the pronoun lists; without a list the roles stay "unknown".
        choice: "auto", "none", "all", or the narrator's speaker labels separated by commas.
        voices: unit embedding per speaker, if the diarizer has them.

    Raises:
        MediaError: `choice` names a speaker that is not there ("no-speaker").
    """
    counts = count_pronouns(utterances, language)
    names = list(counts)
    if choice in ("none", "all"):
        narrators = set(names) if choice == "all" else set()
        return _narration(utterances, counts, narrators, 1.0, dict.fromkeys(names, "as told"), known=True)
    if choice != "auto":
        narrators = {name.strip() for name in choice.split(",")}
        if missing := narrators - set(names):
            there = ", ".join(sorted(names)) or "nobody"
            told = ", ".join(sorted(missing))
            raise MediaError(
                "no-speaker", f"narrator {told} is not among the speakers ({there}); see its .rttm"
            )
        return _narration(utterances, counts, narrators, 1.0, dict.fromkeys(names, "as told"), known=True)
    if language not in FIRST_PERSON:
        reasons = dict.fromkeys(names, f"no list of first-person pronouns for language {language!r}")
        return _narration(utterances, counts, set(), 0.0, reasons, known=False)

    total = sum(count.words for count in counts.values())
    reasons = {}
    large = []
    for name, count in counts.items():
        if name and count.words >= MIN_WORDS and count.words >= MIN_SHARE * total:
            large.append(name)
        else:
            reasons[name] = f"too few words to tell ({count.words})" if name else "no speaker found"
    if not large:
        return _narration(utterances, counts, set(), 0.5 if total else 1.0, reasons, known=False)
    best = min(large, key=lambda name: (counts[name].share, -counts[name].seconds))
    narrators = set()
    for name in large:
        count = counts[name]
        lowest = name == best or count.share <= max(counts[best].share, NARRATOR_RATE)
        if count.log_ratio > 0 and lowest:
            narrators.add(name)
            reasons[name] = (
                "the lowest share of first-person pronouns" if name == best else "as low as the lowest"
            )
        else:
            reasons[name] = "speaks in the first or second person"
    if narrators and voices:
        for name, count in counts.items():
            alike = (
                max((float(voices[name] @ voices[n]) for n in narrators if n in voices), default=0.0)
                if name in voices
                else 0.0
            )
            if name not in large and count.words and count.first == 0 and alike > ALIKE:
                narrators.add(name)
                reasons[name] = f"sounds like the narrator (cosine {alike:.2f}) and never says I"
    # The doubt is the least certain of the decisions about the large clusters.
    confidence = min(1 / (1 + math.exp(-min(abs(counts[name].log_ratio), 50.0))) for name in large)
    return _narration(utterances, counts, narrators, confidence, reasons, known=True)


def count_pronouns(utterances: Sequence[Utterance], language: str = "en") -> dict[str, _Counts]:
    """Words, pronouns and seconds of each speaker, by first appearance."""
    first, second = FIRST_PERSON.get(language, set()), SECOND_PERSON.get(language, set())
    counts: dict[str, _Counts] = {}
    for utterance in utterances:
        words = re.findall(r"\w+(?:'\w+)*", utterance.text.lower().replace("’", "'"))
        old = counts.get(utterance.speaker, _Counts(0, 0, 0, 0.0))
        counts[utterance.speaker] = _Counts(
            old.words + len(words),
            old.first + sum(word in first for word in words),
            old.second + sum(word in second for word in words),
            old.seconds + utterance.end - utterance.start,
        )
    return counts


def _narration(
    utterances: Sequence[Utterance],
    counts: Mapping[str, _Counts],
    narrators: set[str],
    confidence: float,
    reasons: Mapping[str, str],
    *,
    known: bool,
) -> Narration:
    def role(speaker: str) -> Role:
        if speaker in narrators:
            return "narrator"
        return "dialogue" if known else "unknown"

    return Narration(
        tuple(replace(utterance, role=role(utterance.speaker)) for utterance in utterances),
        confidence,
        tuple(
            SpeakerEvidence(name, c.words, c.seconds, c.share, name in narrators, reasons[name])
            for name, c in counts.items()
        ),
    )
