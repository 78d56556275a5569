"""Audio description as a poor transcript has it, to train on: what MAD-v1 is to MAD-v2.

The faults are those of Figure 8.3 of seed 002 (Han): words misheard, sentences cut at the wrong place, and
dialogue that leaked into the description.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from cinescribe.utterance import Utterance


@dataclass(frozen=True, slots=True)
class Faults:
    """How often, as chances: the seed tells of which kinds they are, not how many.

    Attributes:
        words: that a word is another one of the film with the same first letter, or missing.
        cuts: that a description's last words are put before the next one.
        leaks: that a description begins with the last words of the dialogue before it.
    """

    words: float = 0.1
    cuts: float = 0.15
    leaks: float = 0.15


def mishear(said: Sequence[Utterance], seed: int, faults: Faults | None = None) -> list[Utterance]:
    """A film's utterances with faults in its description; dialogue and all times stay as they are.

    Args:
        said: of the film, in order of time.
        seed: the same seed makes the same faults.
        faults: how often.
    """
    faults, rng = faults or Faults(), Random(f"mishear {seed}")
    alike: dict[str, list[str]] = {}
    for word in sorted({word for line in said for word in re.findall(r"[a-z']+", line.text.lower())}):
        alike.setdefault(word[0], []).append(word)
    heard, dialogue, carried = [], list[str](), list[str]()
    for line in said:
        if line.role != "narrator":
            dialogue = line.text.split()
            heard.append(line)
            continue
        words = [another for word in line.text.split() for another in _heard(word, alike, faults.words, rng)]
        words, carried = carried + words, []
        if dialogue and rng.random() < faults.leaks:
            words = dialogue[-3:] + words
        if len(words) > 4 and rng.random() < faults.cuts:
            words, carried = words[:-2], words[-2:]
        heard.append(replace(line, text=" ".join(words)))
    return heard


def _heard(word: str, alike: dict[str, list[str]], chance: float, rng: Random) -> list[str]:
    """The word, another one in its place, or none."""
    letters = re.sub(r"[^a-z']", "", word.lower())
    if not letters or rng.random() >= chance:
        return [word]
    if rng.random() < 0.3:
        return []
    other = rng.choice(alike[letters[0]])
    tail = word[-1] if word[-1] in ".,!?" else ""
    return [(other.capitalize() if word[0].isupper() else other) + tail]
