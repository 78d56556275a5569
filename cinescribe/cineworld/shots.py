"""The camera: which part of the stage is seen when. Cuts fall into the pauses before a line."""

from collections.abc import Sequence
from dataclasses import dataclass

from cinescribe.cineworld.blocking import (
    FPS,
    STAGE_HEIGHT,
    STAGE_WIDTH,
    TITLE,
    Spoken,
    TimedScene,
    ease,
    narrated,
    people_on_stage,
    pose,
)
from cinescribe.cineworld.figures import bounds, head_at
from cinescribe.cineworld.lexicon import PLACES

WIDTH, HEIGHT = 640, 360  # pixels of the film
SHORTEST = 3.4  # seconds before the camera may cut again


@dataclass(frozen=True, slots=True)
class Camera:
    """The stage point at the middle of the picture, and pixels per stage unit."""

    x: float
    y: float
    zoom: float

    def towards(self, other: "Camera", part: float) -> "Camera":
        """The camera `part` of the way to another, with a soft start and end."""
        part = ease(part)
        return Camera(
            self.x + (other.x - self.x) * part,
            self.y + (other.y - self.y) * part,
            self.zoom + (other.zoom - self.zoom) * part,
        )

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the stage is in the picture."""
        return (x - self.x) * self.zoom + WIDTH / 2, (y - self.y) * self.zoom + HEIGHT / 2


@dataclass(frozen=True, slots=True)
class PlannedShot:
    """A shot to render; `scene` is -1 for the title card, `subject` a name or ""."""

    start: float
    end: float
    scene: int
    framing: str
    subject: str
    first: Camera
    last: Camera

    def camera(self, time: float) -> Camera:
        """The camera at a time of the film."""
        return self.first.towards(self.last, (time - self.start) / (self.end - self.start))


def plan(scenes: Sequence[TimedScene]) -> tuple[PlannedShot, ...]:
    """The shots of a film, tiling it from the title card on."""
    middle = STAGE_WIDTH / 2
    title = PlannedShot(0.0, TITLE, -1, "title", "", Camera(middle, 172, 1.0), Camera(middle, 172, 1.06))
    shots = [title]
    for index, scene in enumerate(scenes):
        cuts = _cuts(scene)
        ends = [start for start, _, _ in cuts[1:]] + [scene.end]
        for (start, framing, subject), end in zip(cuts, ends, strict=True):
            first, last = _cameras(scene, framing, subject, start, end, index % 2 == 0)
            shots.append(PlannedShot(start, end, index, framing, subject, first, last))
    return tuple(shots)


def _cuts(scene: TimedScene) -> list[tuple[float, str, str]]:
    """Start, framing and subject of each shot of a scene: a new one where a beat asks for another view."""
    cuts = [(scene.start, "wide", "")]
    for line in scene.spoken[1:]:
        framing, subject = _framing(scene, line, cuts[-1][1])
        start = round((line.start - 0.16) * FPS) / FPS
        started, now, of = cuts[-1]
        must = any(
            p.cue.verb in ("walk_in", "leave") for p in scene.performances if line.start <= p.start < line.end
        )
        if (framing, subject) != (now, of) and (start - started >= SHORTEST or (must and now != "wide")):
            cuts.append((start, framing, subject))
    return cuts


def _framing(scene: TimedScene, line: Spoken, now: str) -> tuple[str, str]:
    people = people_on_stage(scene, line.start)
    verbs = [cue.verb for cue in line.beat.cues]
    if not narrated(line):
        if len(people) > 1 and now in ("wide", "title"):
            return "two", ""
        return "close", line.beat.speaker
    if "walk_in" in verbs or "leave" in verbs:
        return "wide", ""
    if len(people) > 1 or not line.beat.cues:
        return ("close", line.beat.cues[0].who) if verbs in (["nod"], ["smile"]) else ("two", "")
    return ("wide", "") if verbs == ["look"] else ("two", "")


def _cameras(
    scene: TimedScene, framing: str, subject: str, start: float, end: float, inward: bool
) -> tuple[Camera, Camera]:
    if framing == "wide":
        cameras = _kept(STAGE_WIDTH / 2 - 14, 180, 1.0), _kept(STAGE_WIDTH / 2 + 14, 186, 1.07)
        return cameras if inward else (cameras[1], cameras[0])
    if framing == "close":
        seen = [pose(scene, subject, time) for time in (start + 0.3, end - 0.3)]
        (x0, y0), (x1, y1) = (head_at(p) for p in seen)
        return (_kept(x0 + seen[0].facing * 22, y0 + 18, 2.9), _kept(x1 + seen[1].facing * 19, y1 + 15, 3.1))
    return _around(scene, start, 1.46), _around(scene, end - 1 / FPS, 1.56)


def _around(scene: TimedScene, time: float, zoom: float) -> Camera:
    """A view of everyone on the stage."""
    xs = [pose(scene, name, time).x for name in people_on_stage(scene, time)] or [STAGE_WIDTH / 2]
    return _kept((min(xs) + max(xs)) / 2, 222, min(zoom, WIDTH / (max(xs) - min(xs) + 150)))


def _kept(x: float, y: float, zoom: float) -> Camera:
    """The camera moved so that the picture stays on the stage."""
    half_width, half_height = WIDTH / 2 / zoom, HEIGHT / 2 / zoom
    x = min(max(x, half_width), STAGE_WIDTH - half_width)
    return Camera(x, min(max(y, half_height), STAGE_HEIGHT - half_height), zoom)


def describe(shot: PlannedShot, scenes: Sequence[TimedScene], title: str) -> str:
    """One sentence on what a shot shows."""
    if shot.scene < 0:
        return f'The title of the film, "{title}".'
    scene = scenes[shot.scene]
    place = PLACES[scene.scene.place].the
    people = people_on_stage(scene, (shot.start + shot.end) / 2)
    if shot.framing == "close":
        return f"A close view of {shot.subject} at {place}."
    who = " and ".join(people) if people else "no one"
    return f"{'The whole of' if shot.framing == 'wide' else 'A nearer view of'} {place} with {who}."


def cast(shot: PlannedShot, scene: TimedScene, time: float) -> list[str]:
    """Who is before the camera: in a close view, taken from where the other stands, the subject alone."""
    return [name for name in people_on_stage(scene, time) if shot.framing != "close" or name == shot.subject]


def character_boxes(
    shot: PlannedShot, scene: TimedScene, time: float
) -> list[tuple[str, float, float, float, float]]:
    """Name and pixel box (x0, y0, x1, y1) of every character in the picture at a time."""
    camera, boxes = shot.camera(time), []
    for name in cast(shot, scene, time):
        x0, y0, x1, y1 = bounds(pose(scene, name, time))
        (left, top), (right, bottom) = camera.pixel(x0, y0), camera.pixel(x1, y1)
        left, right = max(left, 0.0), min(right, float(WIDTH))
        top, bottom = max(top, 0.0), min(bottom, float(HEIGHT))
        if right - left > 4 and bottom - top > 4:
            boxes.append((name, round(left, 1), round(top, 1), round(right, 1), round(bottom, 1)))
    return boxes
