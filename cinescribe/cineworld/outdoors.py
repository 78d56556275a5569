"""The green places: park and forest. Each paints its layers in a mood."""

from math import cos, pi, sin

from cinescribe.cineworld.paint import Colour, Pen, mix, shade, soften
from cinescribe.cineworld.scenery import (
    Layer,
    Mood,
    Scenery,
    bench,
    fir,
    flat_shadow,
    street_lamp,
    tree,
    tufts,
)
from cinescribe.cineworld.story import SEAT


def park(mood: Mood) -> Scenery:
    """Lawn, path, bench, stone wall, swaying trees, hills."""
    rng, grass = mood.rng, mood.ground((126, 172, 92))
    far = mood.hills_layer(236, 78, (112, 150, 140), 0.62, 0.3)
    near = mood.hills_layer(252, 44, (104, 156, 98), 0.35, 0.5)
    leaf = (92, 146, 78) if not mood.snowy else (188, 204, 204)
    back, pen = mood.sheet()
    for x in (150, 214, 330, 480, 560, 668, 770, 836):
        tree(
            pen,
            rng,
            x + rng.random() * 30,
            262,
            84 + 22 * rng.random(),
            mix(leaf, (150, 180, 160), 0.35),
            (112, 92, 80),
        )
    trees, pen = mood.sheet()
    for x, tall in ((96, 262), (262, 236), (716, 250), (868, 270)):
        flat_shadow(trees, x, 292, 60, 8)
        tree(pen, rng, x, 294, tall, leaf, (104, 78, 62))
    image, pen = mood.sheet()
    pen.polygon([(0, 262), (240, 256), (560, 260), (960, 254), (960, 360), (0, 360)], grass)
    pen.polygon([(0, 284), (500, 276), (960, 282), (960, 360), (0, 360)], shade(grass, 0.94))
    sand = mood.ground((224, 202, 158))
    pen.blob(
        [
            (-60, 312),
            (240, 306),
            (480, 309),
            (720, 304),
            (1020, 310),
            (1020, 339),
            (700, 335),
            (420, 341),
            (-60, 338),
        ],
        sand,
    )
    tufts(pen, rng, 140, 268, 302, [shade(grass, 0.84), shade(grass, 1.08)])
    flat_shadow(image, SEAT, 318, 66, 7)
    bench(pen, SEAT)
    _stone_wall(pen, mood)
    street_lamp(pen, mood, 486, 132)
    front, pen = mood.sheet()
    tufts(pen, rng, 90, 352, 366, [shade(grass, 0.62), shade(grass, 0.72)], 15)
    if not mood.snowy and mood.time != "night":
        for _ in range(26):
            at_x, at_y = rng.random() * 960, 342 + rng.random() * 12
            pen.ellipse(
                at_x, at_y, 2.4, 2.2, ((240, 206, 92), (232, 120, 110), (246, 240, 232))[rng.randrange(3)]
            )
    layers = (
        mood.sky_layer(0.66),
        mood.clouds_layer(),
        far,
        near,
        Layer(back, 0.75, sway=0.006),
        Layer(trees, 0.9, sway=0.012),
        Layer(image, 1.0),
        Layer(soften(front, 1.5), 1.3, sway=0.01),
    )
    return Scenery(layers, mood.light)


def _stone_wall(pen: Pen, mood: Mood) -> None:
    stone = (168, 162, 152)
    pen.box(574, 268, 700, 320, shade(stone, 0.72), 2)
    for row in range(4):
        for k in range(6):
            x = 575 + k * 21.5 - (row % 2) * 10
            tone = shade(stone, 0.86 + 0.2 * mood.rng.random())
            pen.box(max(x, 575), 270 + row * 12.5, min(x + 20, 699), 281 + row * 12.5, tone, 2.5)
    pen.box(569, 264, 705, 271, mood.ground(shade(stone, 1.12)), 2)


def forest(mood: Mood) -> Scenery:
    """Trunks in mist at three depths, ferns, a path, a fallen log and a stump."""
    rng = mood.rng
    leaf = (84, 128, 84) if not mood.snowy else (176, 196, 196)
    ground = mood.ground((112, 132, 78))
    layers = [mood.sky_layer(0.62)]
    for depth, air, count, base, tall in (
        (0.35, 0.72, 22, 262, 200),
        (0.55, 0.5, 16, 272, 270),
        (0.78, 0.24, 10, 284, 350),
    ):
        image, pen = mood.sheet(lit=False)
        for k in range(count):
            x = (k + 0.2 + 0.6 * rng.random()) * 960 / count
            if 430 < x < 540 and depth > 0.6:
                continue
            fir(
                pen,
                x,
                base + 6,
                tall * (0.8 + 0.35 * rng.random()),
                mood.haze(leaf, air),
                mood.haze((96, 74, 62), air),
            )
        pen.polygon([(0, base), (480, base - 6), (960, base), (960, 360), (0, 360)], mood.haze(ground, air))
        layers.append(Layer(image, depth, sway=0.004 + 0.008 * depth))
    image, pen = mood.sheet()
    pen.polygon([(0, 288), (300, 280), (640, 284), (960, 278), (960, 360), (0, 360)], ground)
    upper, lower = (
        [(-60, 314), (260, 306), (520, 310), (760, 305), (1020, 312)],
        [(1020, 342), (600, 338), (300, 344)],
    )
    pen.blob([*upper, *lower, (-60, 340)], mood.ground((176, 148, 106)))
    tufts(pen, rng, 90, 286, 306, [shade(ground, 0.8), shade(ground, 1.1)], 6)
    for x in (138, 196, 268, 452, 500, 720, 776, 850):
        _fern(pen, x + 14 * rng.random(), 302, 26 + 12 * rng.random(), mix(leaf, (70, 140, 70), 0.5))
    bark = (112, 82, 62)
    flat_shadow(image, SEAT, 318, 74, 8, 0.4)
    pen.box(SEAT - 62, 291, SEAT + 58, 319, bark, 12)
    pen.box(SEAT - 56, 293, SEAT + 50, 299, mood.ground(shade(bark, 1.22)), 3)
    pen.ellipse(SEAT + 56, 305, 9, 14, (206, 172, 126))
    pen.ellipse(SEAT + 56, 305, 5, 8, (180, 142, 100))
    flat_shadow(image, 604, 320, 46, 7, 0.4)
    pen.blob([(572, 264), (570, 300), (560, 321), (604, 323), (650, 321), (638, 300), (636, 264)], bark)
    pen.line([(590, 276), (588, 310)], shade(bark, 0.8), 2)
    pen.line([(616, 278), (619, 312)], shade(bark, 0.8), 2)
    pen.ellipse(604, 266, 33, 5.4, mood.ground((210, 176, 130)))
    pen.ellipse(604, 266, 20, 3.2, mood.ground((188, 150, 108)))
    front, pen = mood.sheet()
    for x in (40, 190, 330, 620, 780, 930):
        _fern(pen, x + 40 * rng.random(), 368, 44, shade(mix(leaf, (60, 120, 60), 0.5), 0.55))
    layers += [Layer(image, 1.0), Layer(soften(front, 1.8), 1.3, sway=0.012)]
    return Scenery(tuple(layers), mood.light)


def _fern(pen: Pen, x: float, y: float, size: float, colour: Colour) -> None:
    for k in range(-3, 4):
        angle = pi / 2 + k * 0.34
        tip = (x + size * cos(angle), y - size * sin(angle) * (1 - 0.05 * abs(k)) + abs(k) * 2)
        middle = (x + size * 0.5 * cos(angle), y - size * 0.68 * sin(angle))
        left, right = (middle[0] - 3, middle[1]), (middle[0] + 3, middle[1] + 2)
        pen.polygon([(x - 1.5, y), left, tip, right, (x + 1.5, y)], shade(colour, 0.9 + 0.08 * (k % 3)))
