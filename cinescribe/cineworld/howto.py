"""How-to videos on paper: steps that are shown, and a narration that keeps its own time.

As in HTM-Align (Han et al. 2022; seed 002, chapter 7), of the sentences 30% speak of something that is shown
at some time, and 15% speak of it while it is shown. The others are chat, or speak of things and deeds
that aren't shown there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from cinescribe.cineworld.recipes import (
    CHAT_OPENINGS,
    CHATS,
    DEEDS,
    MANNERS,
    MENTIONS,
    SHOWING,
    THING_ONLY,
    THINGS,
    TOOLS,
    Deed,
)
from cinescribe.errors import UsageError

Kind = Literal["aligned", "early", "late", "unordered", "chat", "mention", "unshown"]
SPEED = 2.9  # words a second
SPACING = (5.0, 7.5)  # seconds from one sentence to the next, of which a video has one mean


@dataclass(frozen=True, slots=True)
class Narration:
    """How a narration relates to what is shown.

    Attributes:
        alignable: share of the sentences that speak of a step that is shown.
        aligned: share of the sentences that are spoken while their step is shown; less where it is so near
            to `alignable` that the steps have no room for them.
        distractors: share of the other sentences that name things or deeds of such videos.
        paraphrase: chance that another word than a thing's or deed's first is said, that only the thing is
            named, or that a pronoun stands for it.
    """

    alignable: float = 0.30
    aligned: float = 0.15
    distractors: float = 0.45
    paraphrase: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.alignable <= 1 or not 0 <= self.aligned <= self.alignable:
            raise UsageError(
                f"alignable {self.alignable:g} and aligned {self.aligned:g}: give shares of all sentences, "
                "with 0 < alignable <= 1 and aligned no more than alignable"
            )
        for name in ("distractors", "paraphrase"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} {getattr(self, name):g}: give a share from 0 to 1")


@dataclass(frozen=True, slots=True)
class Step:
    """A deed done to a thing with a tool ("" for none), shown in [start, end) seconds; all are concepts."""

    start: float
    end: float
    deed: str
    thing: str
    tool: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A spoken sentence.

    Attributes:
        start: of its speech, seconds.
        end: of its speech, seconds.
        step: number of the step it speaks of, -1 for none.
        kind: how it relates to what is shown. "aligned", "early", "late" and "unordered" ones are alignable;
            unordered is what is so early or late that another step, or a part of one, lies between.
    """

    start: float
    end: float
    text: str
    step: int
    kind: Kind

    @property
    def alignable(self) -> bool:
        """Whether its step is shown."""
        return self.step >= 0


@dataclass(frozen=True, slots=True)
class HowTo:
    """A how-to video; `craft` is a key of `DEEDS`, `stage` the workplace's number."""

    seed: int
    craft: str
    stage: int
    duration: float
    steps: tuple[Step, ...]
    sentences: tuple[Sentence, ...]


def tell_howto(seed: int, narration: Narration | None = None) -> HowTo:
    """The how-to video of a seed; the same seed gives the same video."""
    rng, narration = Random(f"how-to {seed}"), narration or Narration()
    craft = rng.choice(list(DEEDS))
    told = [max(1, round(rng.gauss(1.1, 0.5))) for _ in range(rng.randint(6, 10))]  # sentences of each step
    count = round(sum(told) / narration.alignable + rng.uniform(-0.5, 0.5))
    duration = float(round(count * rng.uniform(*SPACING)))
    steps = _steps(rng, craft, len(told), duration)
    about = [number for number, times in enumerate(told) for _ in range(times)]
    middles = [(k + 0.5 + rng.uniform(-0.2, 0.2)) * duration / count for k in range(count)]
    slots = _slots(rng, steps, about, middles, narration.aligned / narration.alignable)
    texts = _Writer(rng, craft, steps, narration).texts([slots.get(k, -1) for k in range(count)])
    sentences = _spoken(texts, middles, duration, steps)
    return HowTo(seed, craft, rng.randrange(8), duration, steps, sentences)


def action_of(video: HowTo, step: Step) -> str:
    """What a step is called in a list of actions, such as "cut the onions up": the first of its words."""
    verb, _, after = DEEDS[video.craft][step.deed].words[0].partition("_")
    return f"{verb} the {THINGS[step.thing].words[0]} {after}".rstrip()


def _steps(rng: Random, craft: str, count: int, duration: float) -> tuple[Step, ...]:
    """Steps at their times: about half of the video, in the order of their stages, more or less."""
    deeds = DEEDS[craft]
    things = rng.sample(sorted({thing for deed in deeds.values() for thing in deed.things}), 5)
    pairs = [(name, thing) for name, deed in deeds.items() for thing in deed.things if thing in things]
    chosen = rng.sample(pairs, min(count, len(pairs)))
    if rng.random() < 0.5:
        chosen[-1] = chosen[0]  # done twice: only the order tells which one is meant
    chosen.sort(key=lambda pair: deeds[pair[0]].stage + rng.uniform(-1.5, 1.5))
    shares = [rng.uniform(0.6, 1.6) for _ in range(2 * len(chosen) + 1)]  # pause, step, pause, ..., pause
    scale, time, steps = duration / sum(shares), 0.0, []
    for number, (name, thing) in enumerate(chosen):
        time += shares[2 * number] * scale
        end = time + shares[2 * number + 1] * scale
        tools = deeds[name].tools
        steps.append(Step(round(time, 1), round(end, 1), name, thing, rng.choice(tools) if tools else ""))
        time = end
    return tuple(steps)


def _slots(
    rng: Random, steps: Sequence[Step], about: Sequence[int], middles: Sequence[float], aligned: float
) -> dict[int, int]:
    """Which sentence (by its place in the narration) speaks of which step."""
    taken: dict[int, int] = {}
    order = [number for number in about if number < len(steps)]
    rng.shuffle(order)
    wanted = int(len(order) * aligned + rng.random())
    left = []
    for number in order:
        step = steps[number]
        free = [k for k, t in enumerate(middles) if k not in taken and step.start + 0.5 <= t < step.end - 0.5]
        if wanted and free:
            taken[rng.choice(free)] = number
            wanted -= 1
        else:
            left.append(number)
    for number in left:
        step, far = steps[number], rng.random() < 0.2
        near = (25.0, 90.0) if far else (1.5, 20.0)
        early = rng.random() < 0.5
        away = {
            k: (step.start - t if early else t - step.end) for k, t in enumerate(middles) if k not in taken
        }
        free = [k for k, seconds in away.items() if near[0] <= seconds <= near[1]]
        if not free:
            free = [k for k in away if not step.start - 1 <= middles[k] < step.end + 1]
        if free:
            taken[rng.choice(free)] = number
    return taken


def _spoken(
    texts: Sequence[tuple[str, int, Kind]], middles: Sequence[float], duration: float, steps: Sequence[Step]
) -> tuple[Sentence, ...]:
    """Sentences at their times, none over another; too long ones are spoken faster."""
    sentences: list[Sentence] = []
    for k, (text, number, kind) in enumerate(texts):
        half = (len(text.split()) + 1) / SPEED / 2
        before = (middles[k - 1] + middles[k]) / 2 if k else 0.0
        after = (middles[k] + middles[k + 1]) / 2 if k + 1 < len(middles) else duration
        half = min(half, middles[k] - before, after - middles[k])
        sentence = Sentence(round(middles[k] - half, 2), round(middles[k] + half, 2), text, number, kind)
        sentences.append(replace(sentence, kind=_kind(sentence, steps)) if number >= 0 else sentence)
    return tuple(sentences)


def _kind(sentence: Sentence, steps: Sequence[Step]) -> Kind:
    step, middle = steps[sentence.step], (sentence.start + sentence.end) / 2
    if step.start <= middle < step.end:
        return "aligned"
    others = [other for number, other in enumerate(steps) if number != sentence.step]
    if middle < step.start:
        return "unordered" if any(middle < o.end and o.end < step.start for o in others) else "early"
    return "unordered" if any(o.start < middle and o.start > step.end for o in others) else "late"


class _Writer:
    """Writes the sentences, remembering what "it" would be."""

    def __init__(self, rng: Random, craft: str, steps: Sequence[Step], narration: Narration) -> None:
        self.rng, self.deeds, self.steps, self.narration = rng, DEEDS[craft], steps, narration
        shown = {(step.deed, step.thing) for step in steps}
        self.unshown = [
            (name, thing)
            for name, deed in self.deeds.items()
            for thing in deed.things
            if (name, thing) not in shown
        ]
        self.named = ""  # the thing that the last sentence named

    def texts(self, about: Sequence[int]) -> list[tuple[str, int, Kind]]:
        """Text, step and kind (of the others) of each sentence, given its step or -1."""
        return [self._of_step(number) if number >= 0 else self._beside() for number in about]

    def _of_step(self, number: int) -> tuple[str, int, Kind]:
        step = self.steps[number]
        return self._showing(step.deed, step.thing, step.tool), number, "aligned"

    def _beside(self) -> tuple[str, int, Kind]:
        rng = self.rng
        if rng.random() >= self.narration.distractors:
            self.named = ""
            chat = rng.choice(CHATS).format(n=rng.randint(2, 30))
            return rng.choice(CHAT_OPENINGS) + chat, -1, "chat"
        name, thing = rng.choice(self.unshown)
        tools = self.deeds[name].tools
        if rng.random() < 0.6:
            shown = any(step.thing == thing for step in self.steps)  # its name alone would mean that step
            text = self._showing(name, thing, rng.choice(tools) if tools else "", deed=shown)
            return text, -1, "unshown"
        if rng.random() < 0.5:  # of what is shown, but not of its showing
            step = rng.choice(self.steps)
            name, thing = step.deed, step.thing
        self.named = thing
        form = rng.choice(MENTIONS)
        return (
            form.format(do=self._do(name, f"the {self._word(thing)}", ""), thing=self._word(thing)),
            -1,
            "mention",
        )

    def _showing(self, name: str, thing: str, tool: str, deed: bool = False) -> str:
        """A sentence such as one that shows something says; `deed` makes it name the deed."""
        rng, free = self.rng, self.narration.paraphrase
        pronoun = thing == self.named and rng.random() < free
        self.named = thing
        if not pronoun and not deed and rng.random() < 0.2 * free:
            return rng.choice(THING_ONLY).format(thing=self._word(thing))
        said = ("them" if THINGS[thing].plural else "it") if pronoun else f"the {self._word(thing)}"
        return rng.choice(SHOWING).format(do=self._do(name, said, tool)) + rng.choice(MANNERS)

    def _do(self, name: str, said: str, tool: str) -> str:
        deed: Deed = self.deeds[name]
        verb, _, after = self._one_of(deed.words).partition("_")
        text = f"{verb} {said} {after}".rstrip()
        return f"{text} with {self._one_of(TOOLS[tool])}" if tool and self.rng.random() < 0.3 else text

    def _word(self, thing: str) -> str:
        return self._one_of(THINGS[thing].words)

    def _one_of(self, words: Sequence[str]) -> str:
        """The first word, or, as often as there is paraphrase, any."""
        return self.rng.choice(words) if self.rng.random() < self.narration.paraphrase else words[0]
