"""The open places of a town: harbour, street, station. Each paints its layers in a mood."""

from math import cos, pi, sin

import numpy as np

from cinescribe.cineworld.paint import Colour, Pen, mix, shade, soften
from cinescribe.cineworld.scenery import (
    IRON,
    LAMPLIGHT,
    SCALE,
    Layer,
    Mood,
    Scenery,
    bench,
    flat_shadow,
    street_lamp,
)
from cinescribe.cineworld.story import SEAT


def harbour(mood: Mood) -> Scenery:
    """Sea with boats, headland with lighthouse, stone quay with bench and crate."""
    rng = mood.rng
    water = mix(mood.sky[1], mood.haze((48, 110, 142), 0.0), 0.62)
    sea, pen = mood.sheet(lit=False)
    for k in range(24):
        y = 204 + k * 3.2
        pen.box(0, y, 960, y + 3.4, mix(mix(mood.sky[2], water, 0.35), shade(water, 0.86), k / 23))
    land, pen = mood.sheet(lit=False)
    rock = mood.haze(mood.ground((96, 116, 104)), 0.45)
    pen.blob([(600, 212), (650, 196), (716, 178), (790, 168), (900, 172), (1000, 176), (1000, 214)], rock)
    pen.blob([(690, 214), (760, 198), (860, 192), (1000, 196), (1000, 216)], shade(rock, 0.88))
    white, red = mood.haze((244, 238, 228), 0.2), mood.haze((206, 72, 62), 0.2)
    for k in range(5):
        y, wide = 172 - k * 13.0, 9.4 - k * 0.8
        pen.polygon(
            [(742 - wide, y), (742 - wide + 0.8, y - 13), (742 + wide - 0.8, y - 13), (742 + wide, y)],
            red if k % 2 else white,
        )
    pen.box(734, 104, 750, 108, mood.haze((70, 66, 76), 0.2))
    pen.box(737, 93, 747, 105, (255, 236, 170) if mood.dark else mood.haze((206, 220, 222), 0.2))
    pen.polygon([(734, 94), (742, 85), (750, 94)], red)
    beam, pen = mood.sheet(lit=False)
    if mood.dark:
        pen.polygon([(742, 99), (160, 52), (160, 104)], (255, 240, 190))
        reach = np.clip((np.arange(beam.shape[1]) / SCALE - 330) / 400, 0, 1)[None, :, None]
        beam = (soften(beam, 5) * (0.3 * reach)).astype(np.uint8)
    glints, pen = mood.sheet(lit=False)
    for _ in range(150):
        y = 206 + 74 * rng.random() ** 1.3
        x, wide = rng.random() * 960, (y - 196) * 0.16 + 3
        pen.line([(x, y), (x + wide, y)], mix(water, mix(mood.sky[2], (255, 255, 255), 0.3), 0.55), 0.9)
    boats, pen = mood.sheet()
    for x, y, size, hull in (
        (236, 222, 0.62, (176, 84, 70)),
        (420, 240, 0.95, (60, 92, 128)),
        (590, 217, 0.5, (222, 214, 196)),
        (834, 246, 1.1, (198, 146, 70)),
    ):
        _boat(pen, x, y, size, hull)
    image, pen = mood.sheet()
    stone = mood.ground((176, 166, 152))
    pen.box(0, 274, 960, 360, shade(stone, 0.96))
    pen.box(0, 274, 960, 282, shade(stone, 1.1))
    pen.box(0, 282, 960, 285, shade(stone, 0.74))
    for row in range(3):
        for k in range(14):
            x, y = k * 78 - row * 29 - 20, 287 + row * 25
            pen.box(x, y, x + 75, y + 23, shade(stone, 0.93 + 0.1 * rng.random()), 2)
    for x in (190, 500, 788):
        flat_shadow(image, x, 288, 14, 4)
        pen.box(x - 6, 264, x + 6, 287, IRON, 3)
        pen.ellipse(x, 264, 9, 4, shade(IRON, 1.25))
    flat_shadow(image, SEAT, 319, 66, 7, 0.35)
    bench(pen, SEAT, (120, 132, 140))
    _crate(pen, 600)
    _crate(pen, 658)
    air = [mood.sky_layer(0.56), mood.clouds_layer(), *([Layer(beam, 0.35)] if mood.dark else [])]
    water_layers = [Layer(sea, 0.4), Layer(glints, 0.45, drift=4, bob=0.7), Layer(boats, 0.55, bob=1.8)]
    return Scenery((*air, Layer(land, 0.35), *water_layers, Layer(image, 1.0)), mood.light)


def _boat(pen: Pen, x: float, y: float, size: float, hull: Colour) -> None:
    s = size
    pen.line([(x, y), (x, y - 78 * s)], (112, 86, 66), 2.2 * s)
    pen.polygon([(x + 2 * s, y - 74 * s), (x + 36 * s, y - 14 * s), (x + 2 * s, y - 12 * s)], (246, 240, 226))
    pen.polygon([(x - 2 * s, y - 66 * s), (x - 26 * s, y - 13 * s), (x - 2 * s, y - 12 * s)], (230, 222, 206))
    pen.polygon(
        [(x - 36 * s, y - 8 * s), (x + 42 * s, y - 8 * s), (x + 30 * s, y + 8 * s), (x - 27 * s, y + 8 * s)],
        hull,
    )
    pen.polygon(
        [(x - 36 * s, y - 8 * s), (x + 42 * s, y - 8 * s), (x + 40 * s, y - 5 * s), (x - 35 * s, y - 5 * s)],
        (244, 236, 220),
    )


def _crate(pen: Pen, x: float) -> None:
    wood = (178, 130, 82)
    flat_shadow(pen.image, x, 320, 36, 5, 0.35)
    pen.box(x - 28, 264, x + 28, 320, shade(wood, 0.78), 1)
    for k in range(4):
        pen.box(x - 25, 267 + k * 13.4, x + 25, 278.6 + k * 13.4, shade(wood, 0.96 + 0.05 * (k % 2)))
    pen.line([(x - 24, 316), (x + 24, 268)], shade(wood, 0.84), 5)
    pen.box(x - 29, 262.5, x + 29, 267.5, shade(wood, 1.1), 1)


def street(mood: Mood) -> Scenery:
    """A row of narrow gabled houses, lamps, a bench, a round table."""
    rng = mood.rng
    skyline, pen = mood.sheet(lit=False)
    x = -10.0
    while x < 970:
        wide, tall = 34 + 30 * rng.random(), 110 + 70 * rng.random()
        pen.box(x, 270 - tall, x + wide, 280, mood.haze((110, 112, 130), 0.55))
        pen.polygon(
            [(x, 270 - tall), (x + wide / 2, 252 - tall), (x + wide, 270 - tall)],
            mood.haze((96, 96, 116), 0.55),
        )
        x += wide
    image, pen = mood.sheet()
    plain = Pen(image, SCALE)
    walls: tuple[Colour, ...] = (
        (222, 178, 140),
        (176, 104, 88),
        (216, 204, 178),
        (122, 146, 158),
        (204, 150, 96),
        (158, 166, 136),
    )
    order = rng.sample(range(6), 6) + rng.sample(range(6), 6)
    x = -30.0
    for k in range(11):
        wide, tall = 88 + 14 * rng.random(), 186 + 34 * rng.random()
        _house(pen, plain, mood, x, wide, 292 - tall, walls[order[k]])
        x += wide + 1
    pave = mood.ground((172, 166, 164))
    pen.box(0, 290, 960, 360, pave)
    for k in range(34):
        pen.line([(k * 30 - 20, 291), (k * 36 - 108, 342)], shade(pave, 0.9), 0.9)
    pen.line([(0, 308), (960, 308)], shade(pave, 0.9), 0.9)
    pen.box(0, 342, 960, 347, shade(pave, 0.74))
    pen.box(0, 347, 960, 360, (88, 88, 100))
    flat_shadow(image, SEAT, 319, 64, 6, 0.35)
    bench(pen, SEAT, (86, 118, 98))
    flat_shadow(image, 604, 320, 34, 6, 0.35)
    pen.box(602, 266, 606, 318, IRON)
    pen.blob([(584, 321), (604, 312), (624, 321), (604, 319)], IRON)
    pen.ellipse(604, 266, 33, 4.6, shade((214, 206, 196), 0.76))
    pen.ellipse(604, 264, 33, 4.2, (226, 218, 206))
    for lamp in (248, 494, 764):
        street_lamp(pen, mood, lamp, 130)
    return Scenery(
        (mood.sky_layer(0.6), mood.clouds_layer(), Layer(skyline, 0.5), Layer(image, 1.0)), mood.light
    )


def _house(pen: Pen, plain: Pen, mood: Mood, x: float, wide: float, top: float, wall: Colour) -> None:
    rng = mood.rng
    roof = mood.ground((112, 70, 66) if rng.random() < 0.5 else (78, 80, 94))
    gable = 34 + 12 * rng.random()
    pen.box(x + wide * 0.68, top - gable * 0.9, x + wide * 0.8, top, shade(roof, 0.8))
    pen.box(x, top, x + wide, 294, wall)
    pen.polygon([(x - 3, top + 1), (x + wide / 2, top - gable), (x + wide + 3, top + 1)], roof)
    pen.box(x, top, x + 5, 294, shade(wall, 0.9))
    pen.box(x - 2, top, x + wide + 2, top + 4, shade(wall, 1.12))
    lamplit = [rng.random() < 0.6 for _ in range(6)]
    for row in range(2):
        for column in range(2):
            wx, wy = x + wide * (0.17 + 0.39 * column), top + 22 + row * 56
            glass = (
                (255, 214, 128)
                if mood.dark and lamplit[row * 2 + column]
                else mood.haze((86, 110, 130), 0.25)
            )
            pen.box(wx - 2.5, wy - 2.5, wx + 26.5, wy + 36.5, shade(wall, 1.2), 1)
            plain.box(wx, wy, wx + 24, wy + 34, glass)
            pen.line([(wx + 12, wy), (wx + 12, wy + 34)], shade(wall, 1.2), 1.8)
            pen.line([(wx, wy + 15), (wx + 24, wy + 15)], shade(wall, 1.2), 1.6)
            pen.box(wx - 4, wy + 35, wx + 28, wy + 39, mood.ground(shade(wall, 0.82)), 1)
            if mood.dark and lamplit[row * 2 + column]:
                mood.lamp(pen.image, wx + 12, wy + 18, 30, 0.3)
    door: Colour = ((70, 96, 92), (142, 62, 58), (62, 78, 112))[rng.randrange(3)]
    dx = x + wide * 0.34
    pen.box(dx - 3, 232, dx + 31, 294, shade(wall, 1.16), 2)
    pen.box(dx, 235, dx + 28, 294, door, 1.5)
    pen.box(dx + 4, 240, dx + 24, 258, shade(door, 1.3), 1)
    pen.ellipse(dx + 24, 268, 1.6, 1.6, (232, 196, 110))


def station(mood: Mood) -> Scenery:
    """A platform under an iron roof, a clock, a waiting train, a bench and a suitcase."""
    train, pen = mood.sheet()
    plain = Pen(train, SCALE)
    body, cream = (134, 56, 56), (236, 222, 190)
    pen.box(-20, 150, 980, 274, body, 6)
    pen.box(-20, 142, 980, 158, mood.ground((84, 80, 88)), 6)
    pen.box(-20, 178, 980, 226, cream)
    for k in range(13):
        x = k * 78 - 20
        if k % 4 == 3:
            pen.box(x + 14, 168, x + 58, 274, shade(body, 0.86), 2)
            plain.box(
                x + 22, 182, x + 50, 222, (255, 220, 150) if mood.dark else mood.haze((120, 150, 166), 0.2), 2
            )
        else:
            pen.box(x + 4, 180, x + 68, 224, shade(body, 1.1), 4)
            plain.box(
                x + 7, 183, x + 65, 221, (255, 220, 150) if mood.dark else mood.haze((120, 150, 166), 0.2), 3
            )
            pen.line([(x + 36, 183), (x + 36, 221)], shade(body, 1.1), 2)
            mood.lamp(train, x + 36, 202, 46, 0.25)
    pen.box(-20, 240, 980, 244, (232, 190, 104))
    pen.box(0, 262, 960, 284, (48, 46, 54))
    image, pen = mood.sheet()
    stone = (184, 176, 168)
    pen.box(0, 280, 960, 360, stone)
    pen.box(0, 280, 960, 287, (238, 226, 190))
    for k in range(30):
        pen.line([(k * 36 - 30, 288), (k * 42 - 120, 360)], shade(stone, 0.92), 0.9)
    for y in (304, 330):
        pen.line([(0, y), (960, y)], shade(stone, 0.92), 0.9)
    green = (62, 96, 88)
    for x in (228, 492, 752):
        pen.box(x - 4, 60, x + 4, 302, green)
        pen.box(x - 8, 288, x + 8, 304, green, 2)
        pen.box(x - 7, 92, x + 7, 97, shade(green, 1.25), 1)
        for side in (-1, 1):
            pen.line([(x, 96), (x + side * 12, 72), (x + side * 44, 58)], green, 3.4)
    pen.box(0, 38, 960, 60, shade(green, 0.82))
    pen.box(0, 0, 960, 40, mood.ground((94, 92, 104)))
    for k in range(60):
        pen.polygon([(k * 16, 60), (k * 16 + 8, 71), (k * 16 + 16, 60)], shade(green, 0.95))
    pen.box(603, 60, 607, 84, IRON)
    pen.ellipse(605, 105, 24, 24, IRON)
    Pen(image, SCALE).ellipse(605, 105, 20.5, 20.5, (250, 244, 226) if not mood.dark else (255, 236, 190))
    for k in range(12):
        a = k * pi / 6
        pen.line(
            [(605 + 16 * sin(a), 105 - 16 * cos(a)), (605 + 18.5 * sin(a), 105 - 18.5 * cos(a))], IRON, 1.2
        )
    hours, minutes = {"dawn": (6, 40), "day": (1, 10), "dusk": (7, 25), "night": (10, 50)}[mood.time]
    for turn, reach, wide in ((hours * pi / 6 + minutes * pi / 360, 10, 2.2), (minutes * pi / 30, 15, 1.5)):
        pen.line([(605, 105), (605 + reach * sin(turn), 105 - reach * cos(turn))], IRON, wide)
    mood.lamp(image, 605, 105, 60, 0.35)
    for x in (360, 860):
        pen.line([(x, 60), (x, 78)], IRON, 1.5)
        pen.polygon([(x - 14, 90), (x - 5, 78), (x + 5, 78), (x + 14, 90)], green)
        Pen(image, SCALE).ellipse(x, 91, 6, 3.5, LAMPLIGHT if mood.dark else (240, 236, 224))
        mood.lamp(image, x, 92, 100, 0.5)
    flat_shadow(image, SEAT, 319, 66, 7, 0.35)
    bench(pen, SEAT, (128, 88, 60))
    flat_shadow(image, 606, 320, 44, 6, 0.35)
    case = (150, 96, 58)
    pen.box(570, 264, 642, 320, case, 4)
    pen.box(570, 289, 642, 293, shade(case, 0.72))
    for x in (584, 622):
        pen.box(x, 264, x + 6, 320, shade(case, 0.78))
        pen.box(x - 0.5, 286, x + 6.5, 296, (226, 190, 104), 1)
    pen.box(570, 263, 642, 268, shade(case, 1.15), 2)
    hills = mood.hills_layer(200, 60, (104, 140, 120), 0.5, 0.3)
    return Scenery(
        (mood.sky_layer(0.55), mood.clouds_layer(), hills, Layer(train, 0.8), Layer(image, 1.0)), mood.light
    )
