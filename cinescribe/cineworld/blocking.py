"""From a story and the length of each line to a timed film: who speaks, moves and is seen, and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import cos, pi, sin
from random import Random

from cinescribe.cineworld.drama_words import Feeling
from cinescribe.cineworld.story import NARRATOR, SURFACE, Beat, Cue, Scene, Story

FPS = 25
TITLE = 3.2  # seconds of the title card
WALK = 95.0  # stage units a second
STAGE_WIDTH, STAGE_HEIGHT, FLOOR = 960.0, 360.0, 322.0  # stage units; FLOOR is where feet stand

SECONDS = {
    "sit": 0.9, "stand": 0.9, "pick_up": 1.2, "give": 1.7, "read": 2.4, "open": 2.2, "examine": 2.2,
    "wave": 1.9, "look": 2.4, "nod": 1.2, "smile": 1.8, "pour": 2.8,
}  # fmt: skip
FACES: dict[Feeling, tuple[float, float, float]] = {  # smile, frown, bow of the head
    "glad": (1.0, 0.0, 0.0), "sad": (-1.0, -0.7, 0.5), "angry": (-0.8, 1.0, 0.0), "afraid": (-0.4, -1.0, 0.0),
}  # fmt: skip
HELD = ("read", "open", "examine", "look", "smile")  # go on while the narrator speaks of them


@dataclass(frozen=True, slots=True)
class Performance:
    """A cue at its time; `x0` to `x1` is the way walked (equal where nobody walks)."""

    start: float
    end: float
    cue: Cue
    x0: float
    x1: float


@dataclass(frozen=True, slots=True)
class Spoken:
    """A beat at the time its speech is heard."""

    start: float
    end: float
    beat: Beat


@dataclass(frozen=True, slots=True)
class TimedScene:
    """A scene with every line and action at its time."""

    start: float
    end: float
    scene: Scene
    spoken: tuple[Spoken, ...]
    performances: tuple[Performance, ...]
    token: str = field(default="")


@dataclass(frozen=True, slots=True)
class Pose:
    """How a character is at one moment; stage units, `facing` -1 left or 1 right, amounts 0..1."""

    x: float
    facing: float
    seated: float = 0.0
    stride: float = 0.0  # radians of the walking cycle
    walking: float = 0.0
    gesture: str = ""
    amount: float = 0.0
    carries: str = ""
    smile: float = 0.0  # below 0 the corners of the mouth hang
    frown: float = 0.0  # 1 the inner ends of the brows are low, -1 high
    bow: float = 0.0  # of the head
    mouth: float = 0.0
    blink: float = 0.0


def schedule(story: Story, lengths: Sequence[float]) -> tuple[TimedScene, ...]:
    """Times for every beat: speech never overlaps, and an action ends before the next beat begins.

    Args:
        lengths: seconds of speech of each beat, in the order of the story.
    """
    rng, remaining, time, scenes = Random(f"gaps {story.seed}"), iter(lengths), TITLE, []
    for scene in story.scenes:
        start, spoken, done = time, [], []
        places = dict(scene.present)
        time += 0.7
        for beat in scene.beats:
            line = Spoken(time, time + next(remaining), beat)
            spoken.append(line)
            new = _perform(beat.cues, line, places)
            done += new
            time = max([line.end + rng.uniform(0.3, 0.6)] + [p.end + 0.2 for p in new])
        time = round((time + 0.6) * FPS) / FPS
        scenes.append(TimedScene(start, time, scene, tuple(spoken), tuple(done), scene.token or story.token))
    return tuple(scenes)


def _perform(cues: Sequence[Cue], line: Spoken, places: dict[str, float]) -> list[Performance]:
    done: list[Performance] = []
    for cue in cues:
        start = line.start + 0.15
        if done:
            start = done[-1].start if cue.beside else done[-1].end
        x0 = cue.from_x or places[cue.who]
        x1 = cue.to_x or x0
        seconds = SECONDS.get(cue.verb, 0.0) if x0 == x1 else abs(x1 - x0) / WALK
        if seconds == 0:
            continue  # already there
        end = start + seconds
        if cue.verb in HELD:
            end = max(end, line.end + 0.1)
        done.append(Performance(start, end, cue, x0, x1))
        places[cue.who] = x1
    return done


def present(scene: TimedScene, who: str, time: float) -> bool:
    """Whether a character is on the stage."""
    here = any(name == who for name, _ in scene.scene.present)
    for p in scene.performances:
        if p.cue.who == who and p.start <= time:
            here = p.cue.verb != "leave" or time < p.end
    return here


def people_on_stage(scene: TimedScene, time: float) -> list[str]:
    """Everyone on the stage at a time, in the order they came."""
    names = [name for name, _ in scene.scene.present] + [p.cue.who for p in scene.performances]
    return [name for name in dict.fromkeys(names) if present(scene, name, time)]


def holder(scene: TimedScene, time: float) -> str:
    """Who has the story's thing: a name, "surface" while it lies there, or "" when it is elsewhere."""
    has = scene.scene.holder
    for p in scene.performances:
        middle = (p.start + p.end) / 2
        if p.cue.verb == "pick_up" and time >= middle:
            has = p.cue.who
        elif p.cue.verb == "give" and time >= middle:
            has = p.cue.target
    return has


def position(scene: TimedScene, who: str, time: float) -> float:
    """Where a character stands, walks or sits."""
    x = next((x for name, x in scene.scene.present if name == who), 0.0)
    for p in scene.performances:
        if p.cue.who == who and p.start <= time:
            x = p.x1 if time >= p.end else p.x0 + (p.x1 - p.x0) * (time - p.start) / (p.end - p.start)
    return x


def pose(scene: TimedScene, who: str, time: float) -> Pose:
    """How a character is at a time, but for mouth and eyes, which follow the sound and the clock."""
    x = position(scene, who, time)
    seated = stride = walking = amount = smile = frown = bow = 0.0
    gesture, facing = "", _facing(scene, who, time, x)
    for p in scene.performances:
        verb = p.cue.verb
        part = min(max((time - p.start) / (p.end - p.start), 0.0), 1.0) if p.end > p.start else 1.0
        if p.cue.target == who and verb == "give" and 0 < part < 1:
            gesture, amount = "receive", ease((part - 0.15) / 0.3) * ease((1 - part) / 0.25)
        if p.cue.who != who or p.start > time:
            continue
        if verb == "sit":
            seated = ease(part)
        elif verb == "stand" or p.x0 != p.x1:
            seated = seated * (1 - ease(part * 3 if verb != "stand" else part))
        if time >= p.end:
            continue
        edge = ease((time - p.start) / 0.4) * ease((p.end - time) / 0.4)
        if p.x0 != p.x1:
            stride, walking = abs(x - p.x0) / 21.0, edge
        elif verb == "smile":
            smile = edge
        elif verb == "nod":
            bow = edge * (0.5 - 0.5 * cos(part * 4 * pi))
        elif verb not in ("sit", "stand"):
            gesture, amount = verb, sin(pi * part) if verb == "pick_up" else edge
            bow = {"read": 0.7, "open": 0.6, "pour": 0.6, "pick_up": 0.4}.get(verb, 0.0) * amount
            smile = edge if verb in ("wave", "open", "examine") else 0.0
        if p.cue.feeling:
            smile, frown, low = (edge * most for most in FACES[p.cue.feeling])
            bow = max(bow, low)
    carries = scene.token if holder(scene, time) == who else ""
    return Pose(x, facing, seated, stride, walking, gesture, amount, carries, smile, frown, bow)


def _facing(scene: TimedScene, who: str, time: float, x: float) -> float:
    """Where a walker goes, what is handled, else the nearest other person, else the way last gone."""
    last = 1.0
    for p in scene.performances:
        if p.cue.who == who and p.start <= time:
            if p.x0 != p.x1:
                last = 1.0 if p.x1 > p.x0 else -1.0
                if time < p.end:
                    return last
            elif p.cue.verb in ("pick_up", "pour") and time < p.end:
                return 1.0 if x < SURFACE else -1.0
    others = [position(scene, name, time) for name in people_on_stage(scene, time) if name != who]
    if others:
        nearest = min(others, key=lambda other: abs(other - x))
        return 1.0 if nearest > x else -1.0
    return last


def ease(part: float) -> float:
    """0 to 1 with a soft start and end."""
    part = min(max(part, 0.0), 1.0)
    return part * part * (3 - 2 * part)


def narrated(spoken: Spoken) -> bool:
    """Whether the narrator speaks this beat."""
    return spoken.beat.speaker == NARRATOR
