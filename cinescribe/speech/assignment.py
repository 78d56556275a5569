"""Whose word is it: timed words and speaker turns to utterances."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from cinescribe.speech.diarization import Turn
from cinescribe.utterance import Utterance, Word

REACH = 1.0  # seconds a word may lie outside every turn and still go to the nearest
HEARD = 1.0  # evidence of the voice a word was read in
SWITCH = 0.4  # cost of changing speaker between two words with no pause; a whole word's evidence is 1
PAUSE = 0.3  # seconds of pause at which changing speaker costs nothing


def assign_words(
    words: Sequence[Word], turns: Sequence[Turn], *, heard: Sequence[str] = (), max_gap: float = 1.0
) -> list[Utterance]:
    """Words of one speaker with no pause over `max_gap` seconds, as utterances by start time.

    A word's evidence for a speaker is the share of it that lies in the speaker's turns, and `HEARD` more for
    the voice it was read in. Where turns overlap, or the diarizer's edges cut a word, the best path decides
    (Viterbi): changing speaker costs `SWITCH`, less with a pause or at a sentence end. Every word ends up in
    exactly one utterance; words without any turn near have speaker "".

    Args:
        words: by start time.
        turns: of all speakers.
        heard: the voice each word was read in, if each voice was read by itself.
        max_gap: seconds.
    """
    if not words:
        return []
    speakers = sorted({turn.speaker for turn in turns})
    labels = _best_path(words, turns, speakers, heard) if speakers else [""] * len(words)
    utterances: list[Utterance] = []
    current: list[Word] = []
    for index, word in enumerate(words):
        if current and (labels[index] != labels[index - 1] or word.start - current[-1].end > max_gap):
            utterances.append(_utterance(current, labels[index - 1]))
            current = []
        current.append(word)
    utterances.append(_utterance(current, labels[-1]))
    return utterances


def _best_path(
    words: Sequence[Word], turns: Sequence[Turn], speakers: Sequence[str], heard: Sequence[str]
) -> list[str]:
    evidence = np.stack(
        [_evidence(words, [t for t in turns if t.speaker == name]) for name in speakers], axis=1
    )
    lost = evidence.max(axis=1) < -REACH  # nobody speaks anywhere near
    for index, voice in enumerate(heard):
        evidence[index, speakers.index(voice)] += HEARD
    pauses = np.array([b.start - a.end for a, b in pairwise(words)])
    ends = np.array([word.text.rstrip("\"')]”’").endswith((".", "?", "!")) for word in words[:-1]])
    cost = SWITCH * (1 - np.clip(pauses / PAUSE, 0, 1)) * np.where(ends, 0.5, 1.0)
    score = evidence[0]
    back = np.zeros(evidence.shape, int)
    for index in range(1, len(words)):
        best = int(score.argmax())
        switching = score[best] - cost[index - 1]
        back[index] = np.where(score >= switching, np.arange(len(speakers)), best)
        score = np.maximum(score, switching) + evidence[index]
    path = [int(score.argmax())]
    for index in range(len(words) - 1, 0, -1):
        path.append(int(back[index][path[-1]]))
    path.reverse()
    return ["" if lost[i] else speakers[k] for i, k in enumerate(path)]


def _evidence(words: Sequence[Word], turns: Sequence[Turn]) -> np.ndarray:
    """Share of each word `[n]` inside the turns; minus the distance (seconds) to the nearest when outside."""
    starts, ends = np.array([t.start for t in turns]), np.array([t.end for t in turns])
    evidence = np.zeros(len(words))
    for index, word in enumerate(words):
        length = max(word.end - word.start, 0.02)
        inside = np.clip(
            np.minimum(ends, word.start + length) - np.maximum(starts, word.start), 0, None
        ).sum()
        if inside > 0:
            evidence[index] = min(1.0, inside / length)
        else:
            evidence[index] = -float(np.minimum(np.abs(starts - word.end), np.abs(ends - word.start)).min())
    return evidence


def _utterance(words: Sequence[Word], speaker: str) -> Utterance:
    return Utterance(
        words[0].start,
        max(word.end for word in words),
        " ".join(word.text for word in words),
        speaker,
        words=tuple(words),
        confidence=float(np.mean([word.probability for word in words])),
    )
