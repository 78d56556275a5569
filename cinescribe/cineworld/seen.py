"""What is visible when: a film or how-to video on paper, as the eye sees it."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cinescribe.cineworld.blocking import TimedScene, holder
from cinescribe.cineworld.howto import HowTo
from cinescribe.cineworld.recipes import DEEDS
from cinescribe.cineworld.shots import PlannedShot
from cinescribe.cineworld.story import Character
from cinescribe.cineworld.vision import Array, Eye, number

Seen = tuple[NDArray[np.float32], Array, NDArray[np.int64]]  # visible, vectors, shots: see `Eye.features`


def see_howto(eye: Eye, video: HowTo) -> Seen:
    """A feature a second: deeds in near views, between them the demonstrator's face or the whole table.

    What a video works with lies about, seen now and then, also while nothing or something else is done to it.
    """
    seconds = int(video.duration)
    rng = np.random.default_rng(number("see", video.seed))
    middles = np.arange(seconds) + 0.5
    shots = np.cumsum(rng.random(seconds) < 0.12).astype(np.int64)
    rows: list[tuple[Array, NDArray[np.float32]]] = []
    busy = np.zeros(seconds, np.float32)
    for step in video.steps:
        inside = np.clip(np.minimum(middles + 0.5, step.end) - np.maximum(middles - 0.5, step.start), 0, 1)
        parts = [eye.concept(f"deed {step.deed}"), eye.concept(f"thing {step.thing}")]
        parts += [eye.concept(f"tool {step.tool}")] if step.tool else []
        strength = inside * rng.uniform(0.5, 1.0) * np.where(rng.random(seconds) < 0.15, 0.2, 1.0)
        rows.append((eye.bind("deed", parts), strength.astype(np.float32)))
        rows.append((eye.concept(f"thing {step.thing}"), (0.5 * inside).astype(np.float32)))
        busy = np.maximum(busy, inside).astype(np.float32)
    deeds = DEEDS[video.craft]
    about = sorted(
        {step.thing for step in video.steps} | {tool for d in deeds.values() for tool in d.tools[:1]}
    )
    for thing in about:
        lies = (rng.random(int(shots.max(initial=0)) + 1) < 0.25)[shots] * rng.uniform(0.2, 0.6)
        kind = "tool" if thing not in {step.thing for step in video.steps} else "thing"
        rows.append((eye.concept(f"{kind} {thing}"), lies.astype(np.float32)))
    face = (rng.random(int(shots.max(initial=0)) + 1) < 0.6)[shots]
    rows.append((eye.concept("framing near"), 0.6 * busy))
    rows.append((eye.concept("framing face"), (0.6 * (1 - busy) * face).astype(np.float32)))
    rows.append((eye.concept("framing table"), (0.6 * (1 - busy) * ~face).astype(np.float32)))
    rows.append((eye.concept(f"workplace {video.craft} {video.stage}"), np.full(seconds, 0.5, np.float32)))
    return _stack(rows, shots)


def _stack(rows: Sequence[tuple[Array, NDArray[np.float32]]], shots: NDArray[np.int64]) -> Seen:
    return np.stack([row[1] for row in rows], axis=1), np.stack([row[0] for row in rows]), shots


def look_vector(eye: Eye, person: Character) -> Array:
    """[LATENT] of what a person looks like; the name is not to be seen."""
    look = person.look
    parts = [
        eye.concept(f"look {look.gender}"),
        eye.concept(f"look hair {look.hair}"),
        eye.concept(f"look hair colour {look.hair_colour}"),
        eye.concept(f"look {look.garment}"),
        eye.concept(f"look garment colour {look.garment_colour}"),
    ]
    parts += [eye.concept(f"look {name}") for name in ("beard", "glasses", "scarf") if getattr(look, name)]
    return eye.bind("person", parts)


def see_film(
    eye: Eye,
    scenes: Sequence[TimedScene],
    shots: Sequence[PlannedShot],
    people: Sequence[Character],
    hz: float,
) -> Seen:
    """`hz` features a second: who is in the picture and does what with what, where, in which framing."""
    count = int(scenes[-1].end * hz)
    times = ((np.arange(count) + 0.5) / hz).astype(np.float64)
    starts = np.array([shot.start for shot in shots])
    cuts = np.searchsorted(starts, times, side="right") - 1
    looks = {person.name: look_vector(eye, person) for person in people}
    rows: list[tuple[Array, NDArray[np.float32]]] = []
    for index, shot in enumerate(shots):
        here = cuts == index
        if not here.any():
            continue
        rows.append((eye.concept(f"framing {shot.framing}"), (0.5 * here).astype(np.float32)))
        if shot.scene < 0:
            continue
        scene = scenes[shot.scene]
        rows += [
            (vector, (weight * here).astype(np.float32))
            for vector, weight in _in_shot(eye, looks, scene, shot, times)
        ]
    return _stack(rows, cuts.astype(np.int64))


def _in_shot(
    eye: Eye, looks: dict[str, Array], scene: TimedScene, shot: PlannedShot, times: NDArray[np.float64]
) -> Iterator[tuple[Array, NDArray[np.float64]]]:
    near = {"wide": 0.6, "two": 0.9, "close": 1.0}[shot.framing]
    place = 0.9 if shot.framing == "wide" else 0.45
    yield eye.concept(f"place {scene.scene.place}"), np.full(len(times), place)
    yield eye.concept(f"time {scene.scene.time}"), np.full(len(times), 0.4)
    yield eye.concept(f"weather {scene.scene.weather}"), np.full(len(times), 0.4)
    middle = (shot.start + shot.end) / 2
    if (
        (owner := holder(scene, middle))
        and scene.token
        and (shot.framing != "close" or owner == shot.subject)
    ):
        yield eye.concept(f"thing {scene.token}"), np.full(len(times), 0.4 * near)
    for name, look in looks.items():
        if shot.framing == "close" and name != shot.subject:
            continue
        here = _on_stage(scene, name, times)
        if not here.any():
            continue
        doing = np.zeros(len(times))
        for p in scene.performances:
            if p.cue.who != name or p.end <= shot.start or p.start >= shot.end:
                continue
            now = ((times >= p.start) & (times < p.end)).astype(np.float64)
            doing = np.maximum(doing, now)
            parts = [look, eye.concept(f"deed {p.cue.verb}")]
            parts += [eye.concept(f"thing {p.cue.object}")] if p.cue.object else []
            parts += [0.5 * looks[p.cue.target]] if p.cue.target in looks else []
            yield eye.bind("act", parts), now * near
            yield eye.concept(f"deed {p.cue.verb}"), 0.5 * now * near
        yield look, here * near * (1 - 0.4 * doing)


def _on_stage(scene: TimedScene, name: str, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a character is on the stage, as `blocking.present` says."""
    here = np.full(len(times), float(any(who == name for who, _ in scene.scene.present)))
    for p in scene.performances:
        if p.cue.who == name:
            here[times >= p.start] = 1.0
            if p.cue.verb == "leave":
                here[times >= p.end] = 0.0
    return here
