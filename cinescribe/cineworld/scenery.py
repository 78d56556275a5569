"""What a place looks like at a time of day and in a weather: painted layers at different depths."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import pi, sin
from random import Random

import numpy as np

from cinescribe.cineworld.blocking import STAGE_HEIGHT, STAGE_WIDTH
from cinescribe.cineworld.lexicon import Time, Weather
from cinescribe.cineworld.paint import Colour, Image, Pen, Point, blank, glow, gradient, mix, shade, soften

SCALE = 2.0  # pixels of a layer per stage unit
WHITE: Colour = (1.0, 1.0, 1.0)
IRON: Colour = (52, 54, 66)
LAMPLIGHT: Colour = (255, 226, 150)

SKIES: dict[Time, tuple[Colour, Colour, Colour]] = {  # top, middle, horizon
    "dawn": ((104, 142, 190), (206, 186, 198), (255, 214, 172)),
    "day": ((96, 164, 214), (158, 206, 228), (226, 240, 238)),
    "dusk": ((62, 58, 116), (178, 96, 126), (255, 178, 112)),
    "night": ((14, 20, 50), (30, 42, 82), (66, 82, 124)),
}
LIGHTS: dict[Time, Colour] = {
    "dawn": (1.0, 0.93, 0.88),
    "day": (1.0, 1.0, 0.98),
    "dusk": (0.92, 0.74, 0.72),
    "night": (0.6, 0.64, 0.84),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A painted sheet the size of the stage, premultiplied RGBA at `SCALE`.

    Attributes:
        depth: 1 moves with the characters, towards 0 is further away, above 1 nearer than they are.
        sway: leaning of the tops, stage units per unit of height.
        drift: stage units a second to the right and back again.
        bob: stage units up and down.
    """

    image: Image
    depth: float
    sway: float = 0.0
    drift: float = 0.0
    bob: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenery:
    """A painted place.

    Attributes:
        layers: from far to near; those of depth above 1 are in front of the characters.
        light: of the hour or the lamps, as factors on red, green, blue.
        windows: x0, y0, x1, y1 of the panes through which an interior shows the weather; () outdoors.
    """

    layers: tuple[Layer, ...]
    light: Colour
    windows: tuple[tuple[float, float, float, float], ...] = field(default=())


class Mood:
    """The colours of a time of day and a weather, and sheets to paint on."""

    def __init__(self, time: Time, weather: Weather, rng: Random) -> None:
        self.time, self.weather, self.rng = time, weather, rng
        grey: Colour = (150, 158, 168) if time in ("dawn", "day") else (58, 64, 84)
        dull = 0.0 if weather == "clear" else 0.6
        top, middle, horizon = SKIES[time]
        self.sky = (mix(top, grey, dull), mix(middle, grey, dull), mix(horizon, shade(grey, 1.15), dull))
        self.light = LIGHTS[time] if weather == "clear" else shade(LIGHTS[time], 0.92)
        self.dark = time in ("dusk", "night")
        self.snowy = weather == "snow"

    def haze(self, colour: Colour, part: float) -> Colour:
        """A far colour, already lit: `part` of it is air."""
        lit = (colour[0] * self.light[0], colour[1] * self.light[1], colour[2] * self.light[2])
        return mix(lit, self.sky[2], part)

    def ground(self, colour: Colour) -> Colour:
        """White when it snows."""
        return mix(colour, (238, 242, 248), 0.82) if self.snowy else colour

    def sheet(self, lit: bool = True) -> tuple[Image, Pen]:
        """An empty layer and a pen on it, in the light of the hour or (`lit` False) in plain colours."""
        image = blank(STAGE_WIDTH, STAGE_HEIGHT, SCALE)
        return image, Pen(image, SCALE, light=self.light if lit else WHITE)

    def sky_layer(self, horizon: float = 0.75) -> Layer:
        """Gradient, sun or moon, stars. `horizon` is its height from the top, 0..1."""
        height, width = round(STAGE_HEIGHT * SCALE), round(STAGE_WIDTH * SCALE)
        top, middle, low = self.sky
        image = gradient(height, width, [(0, top), (horizon * 0.6, middle), (horizon, low), (1, low)])
        pen = Pen(image, SCALE)
        if self.weather == "clear":
            x = 330 + 300 * self.rng.random()
            if self.time == "night":
                for _ in range(110):
                    sx, sy, size = self.rng.random() * 960, self.rng.random() ** 1.4 * 210, self.rng.random()
                    pen.ellipse(
                        sx,
                        sy,
                        0.45 + 0.6 * size**3,
                        0.45 + 0.6 * size**3,
                        mix(middle, (255, 250, 230), 0.5 + 0.5 * size),
                    )
                glow(image, (x * SCALE, 74 * SCALE), 150, (190, 200, 235), 0.5)
                pen.ellipse(x, 74, 17, 17, (246, 240, 216))
                pen.ellipse(x + 5, 70, 4, 3.4, (226, 218, 194))
                pen.ellipse(x - 6, 79, 3, 2.6, (228, 220, 196))
            else:
                y = {"dawn": 172.0, "day": 62.0, "dusk": 186.0}[self.time]
                core: Colour = (255, 250, 224) if self.time == "day" else (255, 236, 190)
                glow(image, (x * SCALE, y * SCALE), 420, core, 0.75)
                pen.ellipse(x, y, 20, 20, core)
        return Layer(image, 0.12)

    def clouds_layer(self) -> Layer:
        """A few soft flat-bottomed clouds that drift."""
        image, pen = self.sheet(lit=False)
        white = mix(self.sky[2], (255, 255, 255), 0.45 if self.time != "night" else 0.08)
        white = mix(white, self.sky[1], 0.35 if self.weather != "clear" else 0.1)
        for _ in range((3 if self.time == "night" else 6) if self.weather == "clear" else 13):
            x, y, size = self.rng.random() * 960, 24 + self.rng.random() * 120, 0.6 + 0.8 * self.rng.random()
            tone = mix(white, self.sky[0], 0.25 * self.rng.random())
            for k in range(5):
                pen.ellipse(
                    x + (k - 2) * 21 * size,
                    y - (7 - abs(k - 2) * 3.5) * size,
                    20 * size,
                    (12 - abs(k - 2) * 2) * size,
                    tone,
                )
            pen.box(x - 50 * size, y - 2 * size, x + 50 * size, y + 7 * size, tone, 4.4 * size)
        return Layer(
            (soften(image, 1.2) * (0.45 if self.time == "night" else 0.8)).astype(np.uint8), 0.2, drift=2.2
        )

    def hills_layer(self, base: float, height: float, colour: Colour, air: float, depth: float) -> Layer:
        """A rolling ridge, `height` units over `base`, down to the bottom."""
        image, pen = self.sheet(lit=False)
        a, b, c = (self.rng.random() * 2 * pi for _ in range(3))
        ridge = [
            (
                float(x),
                base
                - height * (0.5 + 0.28 * sin(x / 118 + a) + 0.16 * sin(x / 53 + b) + 0.06 * sin(x / 21 + c)),
            )
            for x in range(0, 961, 8)
        ]
        pen.polygon([*ridge, (960, 360), (0, 360)], self.haze(self.ground(colour), air))
        return Layer(image, depth)

    def lamp(self, image: Image, x: float, y: float, reach: float = 70.0, strength: float = 0.55) -> None:
        """The light of a lamp at a place of the stage, after dark."""
        if self.dark:
            glow(image, (x * SCALE, y * SCALE), reach * SCALE, (255, 214, 140), strength)


def tree(pen: Pen, rng: Random, x: float, base: float, height: float, leaf: Colour, trunk: Colour) -> None:
    """A leafy tree of round masses, lighter on top."""
    fork, thin = base - height * 0.55, height * 0.022
    pen.polygon(
        [(x - height * 0.04, base), (x - thin, fork), (x + thin, fork), (x + height * 0.045, base)], trunk
    )
    pen.line([(x, base - height * 0.38), (x + height * 0.12, base - height * 0.56)], trunk, height * 0.022)
    pen.line([(x, base - height * 0.44), (x - height * 0.12, base - height * 0.6)], trunk, height * 0.02)
    masses: list[Point] = [(0, -0.62), (-0.17, -0.6), (0.17, -0.6), (-0.1, -0.76), (0.11, -0.77), (0, -0.88)]
    for k, tone in enumerate((0.82, 1.0, 1.14)):
        for dx, dy in masses:
            jitter = rng.random() * 0.03
            size = (0.155 - 0.035 * k) * height
            pen.ellipse(
                x + (dx - 0.02 * k) * height,
                base + (dy - 0.035 * k + jitter) * height,
                size,
                size * 0.92,
                shade(leaf, tone),
            )


def fir(pen: Pen, x: float, base: float, height: float, leaf: Colour, trunk: Colour) -> None:
    """A fir of four skirts."""
    pen.box(x - height * 0.025, base - height * 0.2, x + height * 0.025, base, trunk)
    for k in range(4):
        low, wide = base - height * (0.12 + 0.2 * k), height * (0.21 - 0.042 * k)
        top = (x, low - height * 0.34)
        pen.polygon(
            [(x - wide, low), top, (x + wide, low), (x, low + height * 0.03)], shade(leaf, 0.86 + 0.08 * k)
        )
        pen.polygon(
            [(x - wide, low), top, (x - wide * 0.2, low + height * 0.02)], shade(leaf, 0.98 + 0.08 * k)
        )


def bench(pen: Pen, x: float, wood: Colour = (150, 98, 62)) -> None:
    """A park bench whose seat is at x."""
    iron: Colour = (58, 60, 70)
    for side in (-1, 1):
        pen.line([(x + side * 40, 319), (x + side * 38, 291), (x + side * 41, 254)], iron, 3.2)
        pen.line([(x + side * 44, 320), (x + side * 40, 298)], iron, 3.2)
    for k, y in enumerate((256, 265, 274)):
        pen.box(x - 49, y, x + 49, y + 6.4, shade(wood, 1.08 - 0.05 * k), 1.5)
    pen.box(x - 51, 289, x + 51, 295, wood, 1.6)
    pen.box(x - 51, 294, x + 51, 298, shade(wood, 0.78), 1.6)


def flat_shadow(image: Image, x: float, y: float, wide: float, high: float, strength: float = 0.3) -> None:
    """Darkens what is painted in a soft ellipse (a shadow on the ground)."""
    x0, x1 = max(int((x - wide) * SCALE), 0), min(int((x + wide) * SCALE), image.shape[1])
    y0, y1 = max(int((y - high) * SCALE), 0), min(int((y + high) * SCALE), image.shape[0])
    yy, xx = np.mgrid[y0:y1, x0:x1]
    far = np.hypot((xx / SCALE - x) / wide, (yy / SCALE - y) / high)
    dark = 1 - strength * np.clip(1.5 * (1 - far), 0, 1)
    image[y0:y1, x0:x1, :3] = (image[y0:y1, x0:x1, :3] * dark[..., None]).astype(np.uint8)


def tufts(
    pen: Pen, rng: Random, count: int, low: float, high: float, colours: Sequence[Colour], size: float = 5.0
) -> None:
    """Blades of grass between two heights of the stage."""
    for _ in range(count):
        x, y, lean = rng.random() * 960, low + (high - low) * rng.random(), rng.random() * 4 - 2
        colour, tall = colours[rng.randrange(len(colours))], size * (0.6 + 0.8 * rng.random())
        for k in (-1, 0, 1):
            tip = (x + k * tall * 0.35 + lean * 0.3, y - tall * (1 if k == 0 else 0.75))
            pen.polygon([(x + k * 1.0 - 0.5, y), tip, (x + k * 1.0 + 0.5, y)], colour)


def street_lamp(pen: Pen, mood: Mood, x: float, top: float) -> None:
    """A street lamp on the ground at x, lit after dark."""
    pen.box(x - 2, top + 18, x + 2, 302, IRON)
    pen.box(x - 5, 290, x + 5, 304, IRON, 1.5)
    pen.polygon([(x - 9, top), (x + 9, top), (x + 6, top + 18), (x - 6, top + 18)], IRON)
    plain = Pen(pen.image, SCALE)
    glass = LAMPLIGHT if mood.dark else (214, 222, 220)
    plain.polygon([(x - 7, top + 2), (x + 7, top + 2), (x + 4.6, top + 16), (x - 4.6, top + 16)], glass)
    pen.polygon([(x - 11, top), (x, top - 9), (x + 11, top)], IRON)
    mood.lamp(pen.image, x, top + 10, 90, 0.5)
    if mood.dark:
        glow(pen.image, (x * SCALE, 316 * SCALE), 150, (255, 206, 130), 0.28)
