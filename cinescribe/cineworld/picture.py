"""Frames: the layers of a place under the camera, the characters on it, weather before them."""

from dataclasses import dataclass, replace
from math import floor, pi, sin
from random import Random

import cv2
import numpy as np
from numpy.typing import NDArray

from cinescribe.cineworld import indoors, outdoors, town
from cinescribe.cineworld.blocking import FLOOR, FPS, STAGE_HEIGHT, STAGE_WIDTH, TimedScene, holder, pose
from cinescribe.cineworld.figures import draw_figure
from cinescribe.cineworld.paint import Image, Pen, mix, soften
from cinescribe.cineworld.props import draw_thing, lying_at
from cinescribe.cineworld.scenery import SCALE, Layer, Mood, Scenery
from cinescribe.cineworld.shots import HEIGHT, WIDTH, Camera, PlannedShot, cast
from cinescribe.cineworld.story import SURFACE, Character
from cinescribe.cineworld.voices import RATE, Samples

SURFACE_TOP = 264.0  # where things lie, stage units from the top
OVERSAMPLING = 2  # figures are drawn at this many pixels per pixel
PAINTERS = {
    "kitchen": indoors.kitchen,
    "library": indoors.library,
    "park": outdoors.park,
    "harbour": town.harbour,
    "street": town.street,
    "forest": outdoors.forest,
    "station": town.station,
}


def paint_place(scene: TimedScene, seed: int) -> Scenery:
    """The scenery of a scene; a place looks the same each time a film comes back to it."""
    rng = Random(f"scenery {seed} {scene.scene.place}")
    return PAINTERS[scene.scene.place](Mood(scene.scene.time, scene.scene.weather, rng))


def mouth_curve(speech: Samples) -> NDArray[np.float64]:
    """How far a mouth opens, 0..1 for each film frame, from the loudness of the speech."""
    hop = RATE // FPS
    energy = np.sqrt(np.mean(np.pad(speech, (0, -len(speech) % hop)).reshape(-1, hop) ** 2, axis=1))
    return np.clip((energy / 0.15) ** 0.7 - 0.06, 0, 1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _View:
    """A layer at the resolution of a shot."""

    layer: Layer
    image: Image
    scale: float


class ShotRenderer:
    """Renders the frames of one shot."""

    def __init__(
        self,
        shot: PlannedShot,
        scene: TimedScene,
        scenery: Scenery,
        characters: tuple[Character, ...],
        mouths: NDArray[np.float64],
    ) -> None:
        self.shot, self.scene, self.scenery, self.mouths = shot, scene, scenery, mouths
        self.characters = {character.name: character for character in characters}
        zoom = max(shot.first.zoom, shot.last.zoom)
        self.behind = [_view(layer, zoom) for layer in scenery.layers if layer.depth <= 1]
        self.before = [_view(layer, zoom) for layer in scenery.layers if layer.depth > 1]
        self.light = mix(
            scenery.light, (1.0, 1.0, 1.0), 0.4
        )  # people are lit a little, to be told apart at night
        rng = Random(f"weather {shot.start}")
        self.drops = [(rng.random(), rng.random(), 0.4 + 0.6 * rng.random()) for _ in range(150)]

    def frame(self, time: float) -> Image:
        """The picture at a time: uint8 [HEIGHT, WIDTH, 3] RGB."""
        camera = self.shot.camera(time)
        image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        split = next((k for k, view in enumerate(self.behind) if view.layer.depth == 1), 0)
        for k, view in enumerate(self.behind):
            if k == split and self.scenery.windows:
                self._weather(image, camera, time)
            image = _over(image, view, camera, time)
        image = self._figures(image, camera, time)
        for view in self.before:
            image = _over(image, view, camera, time)
        if not self.scenery.windows:
            self._weather(image, camera, time)
        image = np.asarray(cv2.multiply(image, _VIGNETTE, scale=1 / 255), dtype=np.uint8)
        return _faded(image, time, self.scene.end) if self.shot.end == self.scene.end else image

    def _figures(self, image: Image, camera: Camera, time: float) -> Image:
        names = cast(self.shot, self.scene, time)
        for name in names:
            _shadow(image, camera, pose(self.scene, name, time).x)
        large = np.asarray(
            cv2.resize(image, None, fx=OVERSAMPLING, fy=OVERSAMPLING, interpolation=cv2.INTER_NEAREST),
            dtype=np.uint8,
        )
        origin = (camera.x - WIDTH / 2 / camera.zoom, camera.y - HEIGHT / 2 / camera.zoom)
        pen = Pen(large, camera.zoom * OVERSAMPLING, origin, self.light)
        poses = {name: pose(self.scene, name, time) for name in names}
        pouring = next((p for p in poses.values() if p.gesture == "pour" and p.amount > 0.3), None)
        if self.scene.scene.place == "kitchen":
            draw_thing(pen, "mug", 617, SURFACE_TOP)
            if pouring is None:
                draw_thing(pen, "teapot", 652, SURFACE_TOP - lying_at("teapot"), facing=-1)
        if holder(self.scene, time) == "surface":
            draw_thing(pen, self.scene.token, SURFACE, SURFACE_TOP - lying_at(self.scene.token))
        if pouring is not None and pouring.amount > 0.9:
            pen.line(
                [(615.5, SURFACE_TOP - 44), (617, SURFACE_TOP - 34), (617.4, SURFACE_TOP - 8)],
                (176, 106, 52),
                1.5,
            )
        for k, name in enumerate(names):
            speaking = any(s.start <= time < s.end and s.beat.speaker == name for s in self.scene.spoken)
            mouth = float(self.mouths[min(int(time * FPS), len(self.mouths) - 1)]) if speaking else 0.0
            blink = 1.0 if (time + 1.37 * k) % 3.4 < 0.13 else 0.0
            bow = poses[name].bow + (0.18 * sin(time * 4.1) if speaking else 0.0)
            now = replace(poses[name], mouth=mouth, blink=blink, bow=bow)
            draw_figure(pen, self.characters[name].look, now, time)
        return np.asarray(cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def _weather(self, image: Image, camera: Camera, time: float) -> None:
        """Rain or snow over the picture, or behind the panes of a window."""
        weather = self.scene.scene.weather
        if weather == "clear":
            return
        sheet = np.zeros_like(image)
        size = 1 + 0.5 * (camera.zoom - 1)
        for x, y, near in self.drops:
            if weather == "rain":
                fall = (y + time * 1.5 * near) % 1.15 - 0.1
                px, py = ((x - 0.06 * fall) % 1) * WIDTH, fall * HEIGHT
                tone = 38 + 34 * near
                end = (round((px - 2.2 * near * size) * 16), round((py + 17 * near * size) * 16))
                cv2.line(
                    sheet, (round(px * 16), round(py * 16)), end, (tone, tone, tone + 6), 1, cv2.LINE_AA, 4
                )
            else:
                fall = (y + time * 0.13 * near) % 1.1 - 0.05
                px, py = ((x + 0.025 * sin(time * 0.9 + x * 40)) % 1) * WIDTH, fall * HEIGHT
                tone = 110 + 100 * near
                radius = round(1.9 * near * size * 16)
                cv2.circle(
                    sheet, (round(px * 16), round(py * 16)), radius, (tone, tone, tone), -1, cv2.LINE_AA, 4
                )
        if self.scenery.windows:
            outside = np.zeros_like(sheet)
            for x0, y0, x1, y1 in self.scenery.windows:
                (left, top), (right, bottom) = camera.pixel(x0, y0), camera.pixel(x1, y1)
                rows, columns = (
                    slice(max(floor(top), 0), max(floor(bottom), 0)),
                    slice(max(floor(left), 0), max(floor(right), 0)),
                )
                outside[rows, columns] = sheet[rows, columns]
            sheet = outside
        cv2.add(image, sheet, dst=image)


def _view(layer: Layer, zoom: float) -> _View:
    """The layer sized for a shot, so that the camera never samples it below its pixels; blurred when near."""
    scale = 1 + (zoom - 1) * layer.depth
    image = layer.image
    if scale < SCALE:
        size = (round(STAGE_WIDTH * scale), round(STAGE_HEIGHT * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    elif zoom > SCALE:  # a close view: the background is out of focus
        image = soften(image, 2.6)
    return _View(layer, image, min(scale, SCALE))


def _over(image: Image, view: _View, camera: Camera, time: float) -> Image:
    layer = view.layer
    zoom = 1 + (camera.zoom - 1) * layer.depth
    x = STAGE_WIDTH / 2 + (camera.x - STAGE_WIDTH / 2) * layer.depth
    y = STAGE_HEIGHT / 2 + (camera.y - STAGE_HEIGHT / 2) * min(layer.depth, 1)
    x, y = _inside(x, WIDTH / 2 / zoom, STAGE_WIDTH), _inside(y, HEIGHT / 2 / zoom, STAGE_HEIGHT)
    lean = layer.sway * sin(time * 1.1 + 5 * layer.depth)
    x -= layer.drift * sin(time * 0.09) * 10
    y -= layer.bob * sin(time * 1.6)
    unit = zoom / view.scale
    # A stage point (sx, sy) leans by (FLOOR - sy) * lean; then it is seen by the camera.
    matrix = np.array(
        [
            [unit, -lean * unit, WIDTH / 2 - x * zoom + lean * FLOOR * zoom],
            [0, unit, HEIGHT / 2 - y * zoom],
        ]
    )
    border = cv2.BORDER_REPLICATE if layer.depth < 1 else cv2.BORDER_CONSTANT
    seen = cv2.warpAffine(view.image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=border)
    colour, alpha = cv2.cvtColor(seen, cv2.COLOR_RGBA2RGB), seen[..., 3]
    if alpha.min() == 255:
        return np.asarray(colour, dtype=np.uint8)
    through = cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.add(cv2.multiply(image, through, scale=1 / 255), colour), dtype=np.uint8)


def _inside(middle: float, half: float, size: float) -> float:
    return min(max(middle, half), size - half) if 2 * half < size else size / 2


def _shadow(image: Image, camera: Camera, x: float) -> None:
    """A soft shadow where a character stands."""
    px, py = camera.pixel(x, FLOOR - 1)
    wide, high = 27 * camera.zoom, 5.5 * camera.zoom
    x0, x1 = max(int(px - wide), 0), min(int(px + wide) + 1, WIDTH)
    y0, y1 = max(int(py - high), 0), min(int(py + high) + 1, HEIGHT)
    if x0 >= x1 or y0 >= y1:
        return
    yy, xx = np.ogrid[y0:y1, x0:x1]
    far = ((xx - px) / wide) ** 2 + ((yy - py) / high) ** 2
    image[y0:y1, x0:x1] = image[y0:y1, x0:x1] * (1 - 0.36 * np.clip(1 - far, 0, 1))[..., None]


def _vignette() -> Image:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    far = np.hypot((x - WIDTH / 2) / (WIDTH / 2), (y - HEIGHT / 2) / (HEIGHT / 2))
    dark = 255 * (1 - 0.20 * np.clip(far - 0.55, 0, 1) ** 1.5)
    return np.repeat(np.round(dark).astype(np.uint8)[..., None], 3, axis=2)


_VIGNETTE = _vignette()


def _faded(image: Image, time: float, end: float) -> Image:
    left = min(max((end - time) / 0.3, 0.0), 1.0)
    return image if left >= 1 else (image * left).astype(np.uint8)


class TitleRenderer:
    """Renders the title card: the first place, out of focus, and the film's name."""

    def __init__(self, shot: PlannedShot, scenery: Scenery, title: str) -> None:
        self.shot = shot
        image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        for layer in scenery.layers:
            image = _over(image, _view(layer, 1.0), shot.first, 0.0)
        back = soften(image, 7).astype(np.float32)
        dusk = np.linspace(0.42, 0.62, HEIGHT, dtype=np.float32)[:, None, None] * np.array(
            [0.9, 0.86, 1.12], dtype=np.float32
        )
        self.back = np.clip(back * dusk, 0, 255).astype(np.uint8)
        self.text = _lettering(title)

    def frame(self, time: float) -> Image:
        """The picture at a time: uint8 [HEIGHT, WIDTH, 3] RGB."""
        zoom = 1 + 0.05 * time / self.shot.end
        matrix = np.array([[zoom, 0, WIDTH / 2 * (1 - zoom)], [0, zoom, HEIGHT / 2 * (1 - zoom)]])
        back = cv2.warpAffine(self.back, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR).astype(np.float32)
        alpha = self.text[..., None] * sin(pi / 2 * min(max((time - 0.2) / 0.7, 0.0), 1.0))
        image = back + (np.array([252, 244, 226], dtype=np.float32) - back) * alpha
        return (image * min(1.0, (time + 0.04) / 0.4)).astype(np.uint8)


def _lettering(title: str) -> NDArray[np.float32]:
    """The title between two thin lines, as coverage 0..1 [HEIGHT, WIDTH]."""
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    sheet = Pictures.new("L", (WIDTH * 2, HEIGHT * 2), 0)
    draw = ImageDraw.Draw(sheet)
    size = 92
    while draw.textlength(title, font=ImageFont.load_default(size)) > WIDTH * 1.7:
        size -= 4
    draw.text((WIDTH, HEIGHT - 10), title, fill=255, font=ImageFont.load_default(size), anchor="mm")
    for y in (HEIGHT - 100, HEIGHT + 82):
        draw.line([(WIDTH - 120, y), (WIDTH + 120, y)], fill=190, width=3)
    draw.text(
        (WIDTH, HEIGHT + 124), "a Cineworld film", fill=215, font=ImageFont.load_default(32), anchor="mm"
    )
    small = sheet.resize((WIDTH, HEIGHT), Pictures.Resampling.LANCZOS)
    return np.asarray(np.asarray(small) / 255, dtype=np.float32)
