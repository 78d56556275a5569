"""The things people handle, drawn around a point: the hand, or the middle of the underside when they lie."""

from math import cos, pi, sin

from cinescribe.cineworld.paint import Pen

PAPER, INK, LEATHER, WOOD = (250, 242, 222), (120, 104, 96), (150, 62, 56), (146, 98, 60)


def draw_thing(
    pen: Pen,
    thing: str,
    x: float,
    y: float,
    *,
    facing: float = 1.0,
    opened: float = 0.0,
    glowing: bool = False,
) -> None:
    """Draws a thing at (x, y); `opened` 0..1 unfolds it or lifts its lid."""
    if thing in ("letter", "map", "photograph"):
        _sheet(pen, thing, x, y, opened)
    elif thing == "book":
        _book(pen, x, y, opened)
    elif thing == "box":
        _box(pen, x, y, opened)
    elif thing == "lantern":
        _lantern(pen, x, y, glowing)
    elif thing == "teapot":
        _teapot(pen, x, y, facing)
    elif thing == "mug":
        pen.box(x - 4, y - 9, x + 4, y, (240, 236, 226), 1.2)
        pen.line([(x + 4, y - 7), (x + 7, y - 5.5), (x + 4, y - 2.5)], (240, 236, 226), 1.5)
        pen.box(x - 4, y - 6, x + 4, y - 4.4, (82, 128, 170))
    else:
        raise ValueError(f"no drawing of a {thing!r}")


def _sheet(pen: Pen, thing: str, x: float, y: float, opened: float) -> None:
    wide, high = {"letter": (9.0, 6.5), "map": (10.0, 7.0), "photograph": (7.5, 6.0)}[thing]
    wide, high = (
        wide + (5 if thing == "map" else 0) * opened,
        high + (6 if thing != "photograph" else 2) * opened,
    )
    x0, x1, y0, y1 = x - wide, x + wide, y - high * 1.2, y + high * 0.8
    pen.polygon(
        [(x0 - 0.6, y0 + 0.8), (x1 + 0.8, y0 + 0.8), (x1 + 0.8, y1 + 1), (x0 - 0.6, y1 + 1)], (92, 78, 82)
    )
    pen.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], PAPER)
    if thing == "map":
        pen.blob(
            [(x0 + 2, y1 - 2), (x0 + 3, y0 + 4), (x, y0 + 2.5), (x + 2, y), (x1 - 4, y + 2), (x - 2, y1 - 2)],
            (172, 204, 150),
        )
        pen.blob([(x1 - 2, y0 + 2), (x1 - 2, y), (x1 - 5, y0 + 5), (x + 3, y0 + 3)], (150, 196, 214))
        pen.line([(x0 + 4, y1 - 4), (x - 2, y), (x + 3, y + 1), (x1 - 5, y0 + 6)], (196, 70, 58), 0.9)
        pen.line([(x, y0), (x, y1)], (214, 202, 178), 0.8)
    elif thing == "photograph":
        pen.box(x0 + 1.4, y0 + 1.4, x1 - 1.4, y1 - 2.4, (150, 176, 186))
        pen.ellipse(x - 2, y - 1.5, 1.6, 1.8, (226, 186, 152))
        pen.ellipse(x + 2.2, y - 1.0, 1.6, 1.8, (206, 160, 126))
        pen.box(x - 4, y + 0.4, x + 4.4, y1 - 2.4, (84, 76, 96))
    elif opened < 0.3:
        pen.line([(x0, y0), (x, y), (x1, y0)], (206, 192, 170), 0.9)
        pen.ellipse(x, y, 1.8, 1.8, (196, 58, 54))
    else:
        for k in range(5):
            line = y0 + 3 + k * (y1 - y0 - 5) / 5
            pen.line([(x0 + 2.2, line), (x1 - (2.4 if k != 4 else 8), line)], INK, 0.6)


def _book(pen: Pen, x: float, y: float, opened: float) -> None:
    if opened > 0.3:
        wide = 15 * opened
        pen.polygon(
            [
                (x - wide, y - 12),
                (x, y - 9.5),
                (x + wide, y - 12),
                (x + wide, y + 7),
                (x, y + 9.5),
                (x - wide, y + 7),
            ],
            LEATHER,
        )
        for side in (-1, 1):
            pen.polygon(
                [
                    (x, y - 9),
                    (x + side * (wide - 1.2), y - 11.4),
                    (x + side * (wide - 1.2), y + 5.4),
                    (x, y + 8),
                ],
                PAPER,
            )
            for k in range(4):
                pen.line(
                    [(x + side * 2.2, y - 5 + 3 * k), (x + side * (wide - 3), y - 7 + 3 * k)],
                    (190, 178, 162),
                    0.6,
                )
        return
    pen.box(x - 8, y - 10, x + 8, y + 2, LEATHER, 0.8)
    pen.box(x - 6.6, y + 0.3, x + 8, y + 2, PAPER)
    pen.box(x - 4.5, y - 7, x + 5, y - 4.4, (232, 190, 104))


def _box(pen: Pen, x: float, y: float, opened: float) -> None:
    lid = 9 * opened
    if opened > 0.2:
        pen.ellipse(x, y - 8, 12 * opened, 8 * opened, (255, 236, 160))
        pen.ellipse(x, y - 8, 7 * opened, 5 * opened, (255, 250, 214))
    pen.box(x - 11, y - 8, x + 11, y + 4, WOOD, 0.8)
    pen.box(x - 11, y - 4.5, x + 11, y - 3, (112, 72, 44))
    pen.polygon(
        [
            (x - 11.6, y - 7 - lid * 0.2),
            (x + 11.6, y - 7 - lid),
            (x + 10.8, y - 12 - lid),
            (x - 10.8, y - 12 - lid * 0.2),
        ],
        (172, 120, 74),
    )
    pen.box(x - 1.8, y - 8.4, x + 1.8, y - 4.6, (236, 196, 96), 0.6)


def _lantern(pen: Pen, x: float, y: float, glowing: bool) -> None:
    pen.line(
        [(x - 5, y + 3), (x - 3, y - 1.6), (x, y - 2.6), (x + 3, y - 1.6), (x + 5, y + 3)], (66, 60, 66), 1.2
    )
    if glowing:
        pen.ellipse(x, y + 12, 9.5, 11.5, (255, 226, 140))
    pen.polygon([(x - 5, y + 4), (x + 5, y + 4), (x + 7, y + 8), (x - 7, y + 8)], (66, 60, 66))
    pen.box(x - 5.6, y + 8, x + 5.6, y + 19, (255, 240, 176) if glowing else (240, 212, 138))
    pen.ellipse(x, y + 14.4, 2.1, 3.7, (255, 164, 62))
    for post in (-5.2, 0.0, 5.2):
        pen.line([(x + post, y + 8), (x + post, y + 19)], (66, 60, 66), 0.9)
    pen.box(x - 7, y + 18.4, x + 7, y + 21.4, (66, 60, 66), 0.8)


def _teapot(pen: Pen, x: float, y: float, facing: float) -> None:
    enamel = (70, 122, 150)
    handle = [(x - facing * (6 + 7 * sin(k * pi / 8)), y - 5.5 * cos(k * pi / 8)) for k in range(9)]
    pen.line(handle, (52, 94, 118), 2.0)
    pen.line([(x + facing * 6, y + 3), (x + facing * 12, y - 1), (x + facing * 15.5, y - 6)], enamel, 2.6)
    pen.ellipse(x, y, 9, 7.5, enamel)
    pen.ellipse(x, y - 7.4, 1.6, 1.6, (232, 196, 110))
    pen.ellipse(x - facing * 2, y - 2.4, 3.4, 2.0, (112, 160, 184))


def lying_at(thing: str) -> float:
    """How far the drawing point of a lying thing is above the surface (below it where negative)."""
    return {
        "letter": 5.2,
        "map": 5.6,
        "photograph": 4.8,
        "book": 2.0,
        "box": 4.0,
        "lantern": 21.4,
        "teapot": 7.5,
    }.get(thing, 0.0)
