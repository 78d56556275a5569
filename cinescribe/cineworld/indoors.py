"""The rooms: kitchen and library. Walls, furniture, and a window through which sky and weather are seen."""

from cinescribe.cineworld.paint import Colour, Pen, glow, mix, shade
from cinescribe.cineworld.scenery import SCALE, Layer, Mood, Scenery, flat_shadow
from cinescribe.cineworld.story import SEAT

WOOD: Colour = (150, 102, 66)


def room_light(mood: Mood) -> Colour:
    """Lamplight after dark, else the softened light of the hour."""
    return (0.98, 0.85, 0.7) if mood.dark else mix(mood.light, (1.0, 0.98, 0.94), 0.6)


def _cut(pen: Pen, x0: float, y0: float, x1: float, y1: float) -> None:
    """A hole in the wall: the sky layer shows through."""
    rows = slice(round(y0 * SCALE), round(y1 * SCALE))
    pen.image[rows, round(x0 * SCALE) : round(x1 * SCALE)] = 0


def kitchen(mood: Mood) -> Scenery:
    """Tiles, stove, shelf with plates, window with curtains, table, chair, hanging lamp."""
    rng = mood.rng
    image, pen = mood.sheet()
    pen.light = room_light(mood)
    wall: Colour = ((232, 214, 176), (196, 214, 200), (226, 196, 178))[rng.randrange(3)]
    pen.box(0, 0, 960, 290, wall)
    pen.box(0, 196, 960, 286, mix(wall, (250, 246, 236), 0.55))
    for k in range(45):
        pen.line([(k * 22, 197), (k * 22, 286)], shade(wall, 0.93), 0.8)
    for k in range(5):
        pen.line([(0, 197 + k * 22), (960, 197 + k * 22)], shade(wall, 0.93), 0.8)
    pen.box(0, 284, 960, 294, shade(WOOD, 1.1))
    pen.box(0, 292, 960, 360, (196, 172, 146))
    for row in range(4):
        for k in range(22):
            if (row + k) % 2:
                x, y = k * 48 - row * 10, 294 + row * 17
                pen.polygon([(x, y), (x + 48, y), (x + 42, y + 17), (x - 8, y + 17)], (168, 134, 112))
    _stove(pen, 210)
    _shelf(pen, 300, 118)
    _shelf(pen, 690, 128)
    _cut(pen, 432, 70, 548, 184)
    _window(pen, 432, 70, 548, 184)
    cloth: Colour = ((200, 88, 76), (84, 122, 150), (214, 162, 74))[rng.randrange(3)]
    for side, edge in ((1, 424), (-1, 556)):
        pen.blob([(edge, 64), (edge + side * 32, 64), (edge + side * 25, 110),
                  (edge + side * 10, 146), (edge + side * 14, 186),
                  (edge - side * 4, 186)], cloth)  # fmt: skip
        pen.line([(edge + side * 12, 66), (edge + side * 8, 130)], shade(cloth, 0.85), 1.4)
    pen.box(414, 60, 566, 66, shade(WOOD, 0.8), 3)
    flat_shadow(image, SEAT, 319, 38, 6, 0.3)
    _chair(pen, SEAT)
    flat_shadow(image, 632, 321, 72, 7, 0.3)
    for x in (582, 682):
        pen.box(x - 3.5, 272, x + 3.5, 320, shade(WOOD, 0.82), 1)
    pen.box(572, 264, 692, 273, shade(WOOD, 1.15), 2)
    pen.box(576, 272, 688, 279, shade(WOOD, 0.9))
    pen.line([(632, 0), (632, 92)], (60, 54, 56), 1.2)
    pen.polygon([(604, 116), (622, 92), (642, 92), (660, 116)], (62, 110, 108))
    Pen(image, SCALE).ellipse(632, 116, 11, 5, (255, 240, 190))
    if mood.dark:
        glow(image, (632 * SCALE, 150 * SCALE), 420, (255, 226, 160), 0.35)
    return Scenery(_with_sky(mood, Layer(image, 1.0)), room_light(mood), ((432, 70, 548, 184),))


def _with_sky(mood: Mood, *layers: Layer) -> tuple[Layer, ...]:
    garden = mood.hills_layer(200, 60, (112, 150, 112), 0.35, 0.6)
    return (mood.sky_layer(0.5), mood.clouds_layer(), garden, *layers)


def _window(pen: Pen, x0: float, y0: float, x1: float, y1: float) -> None:
    frame: Colour = (246, 240, 228)
    for a, b in (((x0, y0), (x1, y0)), ((x0, y1), (x1, y1)), ((x0, y0), (x0, y1)), ((x1, y0), (x1, y1))):
        pen.line([a, b], frame, 5)
    pen.line([((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)], frame, 3)
    pen.line([(x0, y0 + (y1 - y0) * 0.42), (x1, y0 + (y1 - y0) * 0.42)], frame, 3)
    pen.box(x0 - 10, y1 + 1, x1 + 10, y1 + 8, frame, 1.5)


def _stove(pen: Pen, x: float) -> None:
    iron: Colour = (66, 72, 84)
    pen.box(x - 52, 232, x + 52, 316, iron, 3)
    pen.box(x - 56, 226, x + 56, 234, shade(iron, 1.3), 2)
    pen.box(x - 40, 248, x + 40, 298, shade(iron, 0.75), 3)
    Pen(pen.image, SCALE).box(x - 30, 258, x + 30, 286, (240, 150, 74), 3)
    pen.line([(x - 34, 244), (x + 34, 244)], (196, 198, 202), 2)
    pen.ellipse(x + 20, 216, 19, 12, (190, 78, 66))
    pen.box(x + 17, 200, x + 23, 207, (60, 50, 50), 1)
    pen.line([(x + 36, 214), (x + 46, 206)], (190, 78, 66), 4)
    pen.line([(x + 4, 210), (x + 8, 194), (x + 32, 194), (x + 36, 210)], (60, 50, 50), 2)


def _shelf(pen: Pen, x: float, y: float) -> None:
    for level in (0, 46):
        pen.box(x - 56, y + level, x + 56, y + level + 5, shade(WOOD, 0.95), 1)
        pen.box(x - 56, y + level + 4, x + 56, y + level + 6.5, shade(WOOD, 0.7), 1)
    for k in range(4):
        px = x - 40 + k * 26
        pen.ellipse(px, y - 13, 12.5, 13, (246, 242, 232))
        pen.ellipse(px, y - 13, 9, 9.4, (124, 158, 184))
        pen.ellipse(px, y - 13, 7.4, 7.8, (240, 236, 226))
    jars: tuple[Colour, ...] = (
        (206, 120, 78),
        (122, 150, 96),
        (224, 186, 110),
        (150, 92, 96),
        (110, 134, 150),
    )
    for k, colour in enumerate(jars):
        px = x - 46 + k * 21
        pen.box(px, y + 22, px + 15, y + 46, colour, 3)
        pen.box(px + 2, y + 17, px + 13, y + 23, shade(WOOD, 0.7), 1)
        pen.box(px + 2.5, y + 28, px + 12.5, y + 37, (246, 240, 226), 1)


def _chair(pen: Pen, x: float) -> None:
    dark = shade(WOOD, 0.85)
    pen.line([(x - 22, 319), (x - 20, 291), (x - 25, 236)], dark, 4)
    pen.line([(x + 20, 319), (x + 18, 293)], dark, 4)
    for y in (240, 254, 268):
        pen.line([(x - 25, y), (x - 14, y + 1)], dark, 4)
    pen.line([(x - 12, 314), (x - 11, 292), (x - 14, 238)], shade(dark, 0.85), 3)
    pen.box(x - 26, 289, x + 24, 296, WOOD, 2)


def library(mood: Mood) -> Scenery:
    """Shelves of books to the ceiling, an arched window, an armchair, a desk with a green lamp."""
    rng = mood.rng
    image, pen = mood.sheet()
    pen.light = light = shade(room_light(mood), 0.94)
    wood: Colour = (112, 72, 50)
    pen.box(0, 0, 960, 294, shade(wood, 0.62))
    spines: tuple[Colour, ...] = (
        (146, 62, 56),
        (64, 92, 112),
        (88, 112, 82),
        (190, 148, 84),
        (110, 74, 104),
        (204, 188, 156),
        (70, 66, 88),
    )
    for left, right in ((0, 128), (136, 264), (272, 404), (556, 688), (696, 824), (832, 960)):
        pen.box(left, 0, right, 292, wood)
        pen.box(left + 5, 0, right - 5, 286, shade(wood, 0.55))
        for row in range(7):
            y = 42 + row * 41
            x = left + 7.0
            while x < right - 13:
                wide, tall = 4.5 + 5 * rng.random(), 23 + 10 * rng.random()
                if rng.random() < 0.06:
                    x += 7
                    continue
                colour = shade(spines[rng.randrange(len(spines))], 0.8 + 0.3 * rng.random())
                pen.box(x, y - tall, x + wide, y, colour)
                pen.box(x, y - tall * 0.8, x + wide, y - tall * 0.74, shade(colour, 1.35))
                x += wide + 0.4
            pen.box(left + 3, y, right - 3, y + 5, shade(wood, 1.16))
    pen.box(408, 0, 552, 292, (176, 148, 116))
    pen.box(408, 236, 552, 292, shade(wood, 0.95))
    _cut(pen, 432, 78, 528, 216)
    arch = [(432.0, 78.0), (438, 58), (456, 42), (480, 36), (504, 42), (522, 58), (528, 78)]
    _cut(pen, 438, 58, 522, 79)
    _cut(pen, 456, 42, 504, 60)
    frame: Colour = (232, 216, 186)
    pen.line([(432, 216), *arch, (528, 216), (432, 216)], frame, 6)
    for side in (-1, 1):
        pen.polygon([(480 + side * 42, 57), (480 + side * 24, 41), (480 + side * 42, 39),
                     (480 + side * 49, 60), (480 + side * 49, 79)], (176, 148, 116))  # fmt: skip
    pen.line(arch, frame, 6)
    for x in (464, 496):
        pen.line([(x, 216), (x, 44)], frame, 2.4)
    for y in (112, 164):
        pen.line([(432, y), (528, y)], frame, 2.4)
    pen.box(0, 288, 960, 360, (134, 92, 66))
    for k in range(7):
        pen.line([(0, 291 + k * k * 1.6), (960, 291 + k * k * 1.6)], (116, 78, 58), 0.9)
    pen.ellipse(480, 330, 330, 24, (138, 52, 54))
    pen.ellipse(480, 330, 312, 20.5, (206, 166, 104))
    pen.ellipse(480, 330, 306, 19.5, (150, 60, 60))
    flat_shadow(image, SEAT, 320, 58, 8, 0.4)
    _armchair(pen, SEAT)
    flat_shadow(image, 634, 321, 80, 8, 0.4)
    desk: Colour = (138, 88, 56)
    pen.box(574, 272, 700, 319, shade(desk, 0.8), 1)
    for x in (580, 660):
        pen.box(x, 278, x + 34, 294, desk, 1)
        pen.box(x, 298, x + 34, 314, desk, 1)
        pen.ellipse(x + 17, 286, 2, 1.6, (228, 190, 110))
        pen.ellipse(x + 17, 306, 2, 1.6, (228, 190, 110))
    pen.box(568, 264, 706, 273, shade(desk, 1.2), 2)
    pen.box(664, 261, 684, 265, (206, 168, 90), 1)
    pen.line([(674, 262), (674, 238)], (206, 168, 90), 2.4)
    Pen(image, SCALE, light=light if not mood.dark else (1, 1, 1)).blob(
        [(654, 238), (658, 226), (674, 221), (690, 226), (694, 238), (674, 239)], (58, 138, 96)
    )
    if mood.dark:
        glow(image, (674 * SCALE, 244 * SCALE), 300, (255, 222, 150), 0.42)
        glow(image, (480 * SCALE, 200 * SCALE), 520, (255, 206, 140), 0.12)
    return Scenery(_with_sky(mood, Layer(image, 1.0)), light, ((432, 40, 528, 216),))


def _armchair(pen: Pen, x: float) -> None:
    cloth: Colour = (66, 98, 104)
    for foot in (x - 34, x + 30):
        pen.box(foot - 3, 310, foot + 3, 320, shade(WOOD, 0.7), 1)
    pen.blob(
        [(x - 44, 310), (x - 46, 250), (x - 38, 226), (x - 12, 222), (x - 8, 250), (x - 10, 310)],
        shade(cloth, 0.86),
    )
    pen.box(x - 40, 289, x + 34, 312, cloth, 5)
    pen.box(x - 30, 286, x + 34, 297, shade(cloth, 1.16), 5)
    pen.blob([(x - 36, 270), (x - 20, 266), (x - 12, 276), (x - 14, 310), (x - 38, 310)], shade(cloth, 1.05))
