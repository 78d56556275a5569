"""Plain shapes that things are drawn in; `SHAPES` has them by name.

Each takes a pen, the middle of the underside (x, y), half of the width, the height as a factor on its own,
and the colour.
"""

from collections.abc import Callable
from math import cos, pi, sin

from cinescribe.cineworld.paint import Colour, Pen, Point, shade


def _round(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.ellipse(x, y - 0.75 * s * h, s, 0.78 * s * h, c)
    pen.ellipse(x - 0.3 * s, y - 1.05 * s * h, 0.3 * s, 0.18 * s * h, shade(c, 1.2))


def _long(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.limb(
        [(x - 1.2 * s, y - 0.2 * s), (x, y - 0.3 * s), (x + 1.2 * s, y - 0.25 * s)],
        [0.25 * s, 0.4 * s, 0.55 * s * h],
        c,
    )


def _lobed(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    for dx, wide in ((-0.5, 0.55), (0.5, 0.55), (0.0, 0.7)):
        pen.ellipse(x + dx * s, y - 0.6 * s * h, wide * s, 0.66 * s * h, shade(c, 1.08 if dx == 0 else 0.94))


def _flat(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.ellipse(x, y - 0.25 * s, 1.25 * s, 0.42 * s * h, shade(c, 0.85))
    pen.ellipse(x, y - 0.36 * s, 1.2 * s, 0.36 * s * h, c)


def _wedge(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.polygon([(x - s, y), (x + s, y), (x + s, y - 0.9 * s * h)], c)
    pen.polygon([(x + s, y), (x + 1.2 * s, y - 0.2 * s), (x + s, y - 0.9 * s * h)], shade(c, 0.8))


def _heap(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    for row, count in enumerate((7, 5, 3)):
        for k in range(count):
            tone = shade(c, 0.88 + 0.08 * ((k + row) % 3))
            across, up = (k - (count - 1) / 2) * 0.32 * s, (0.14 + 0.24 * row) * s * h
            pen.ellipse(x + across, y - up, 0.22 * s, 0.16 * s, tone)


def _leafy(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.line([(x, y), (x, y - 1.1 * s * h)], (70, 120, 60), 0.14 * s)
    for turn in (0.15, 0.32, 0.5, 0.68, 0.85):
        tip = (x + 0.75 * s * cos(pi * turn), y - (0.5 + 0.7 * sin(pi * turn)) * s * h)
        pen.ellipse(tip[0], tip[1], 0.34 * s, 0.24 * s, c, 90 - 180 * turn)


def _ring(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    centre = (x, y - 0.95 * s * h)
    pen.line([around(centre, 0.85 * s, k / 20) for k in range(21)], c, 0.28 * s)
    pen.ellipse(x, centre[1], 0.14 * s, 0.14 * s, c)


def _row(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    for k in range(5):
        pen.ellipse(x + (k - 2) * 0.5 * s, y - 0.24 * s - 0.1 * s * (k % 2), 0.2 * s, 0.2 * s * h, c)


def _box(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.box(x - s, y - s * h, x + s, y, c)
    pen.polygon(
        [
            (x - s, y - s * h),
            (x + s, y - s * h),
            (x + 0.8 * s, y - 1.3 * s * h),
            (x - 0.8 * s, y - 1.3 * s * h),
        ],
        shade(c, 1.12),
    )
    pen.box(x - 0.2 * s, y - 0.6 * s * h, x + 0.2 * s, y - 0.48 * s * h, shade(c, 0.6))


def _slab(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.polygon([(x - 1.3 * s, y), (x + 1.3 * s, y), (x + s, y - 0.7 * s * h), (x - s, y - 0.7 * s * h)], c)
    pen.box(x - 1.3 * s, y, x + 1.3 * s, y + 0.12 * s, shade(c, 0.75))


def _post(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.box(x - 0.3 * s, y - 1.7 * s * h, x + 0.3 * s, y, c, 0.1 * s)
    pen.box(x - 0.3 * s, y - 1.7 * s * h, x - 0.12 * s, y, shade(c, 1.15), 0.1 * s)


def _bell(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.polygon(
        [
            (x - 0.55 * s, y),
            (x + 0.55 * s, y),
            (x + 0.9 * s, y - 1.2 * s * h),
            (x - 0.9 * s, y - 1.2 * s * h),
        ],
        c,
    )
    pen.box(x - s, y - 1.4 * s * h, x + s, y - 1.1 * s * h, shade(c, 0.85), 0.1 * s)


def _hollow(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    corners = [(x - s, y), (x + s, y), (x + s, y - 1.4 * s * h), (x - s, y - 1.4 * s * h), (x - s, y)]
    pen.line(corners, c, 0.28 * s)


def _bush(pen: Pen, x: float, y: float, s: float, h: float, c: Colour) -> None:
    pen.box(x - 0.12 * s, y - 0.8 * s, x + 0.12 * s, y, (104, 76, 56))
    for dx, dy in ((-0.5, 0.8), (0.5, 0.8), (0.0, 1.3), (0.0, 0.9)):
        pen.ellipse(x + dx * s, y - dy * s * h, 0.55 * s, 0.5 * s * h, shade(c, 0.9 + 0.2 * (dx == 0)))


def around(centre: Point, radius: float, part: float) -> Point:
    """The point that far round a circle, `part` 0 to 1."""
    return (centre[0] + radius * cos(2 * pi * part), centre[1] + radius * sin(2 * pi * part))


SHAPES: dict[str, Callable[[Pen, float, float, float, float, Colour], None]] = {
    "round": _round, "long": _long, "lobed": _lobed, "flat": _flat,
    "wedge": _wedge, "heap": _heap, "leafy": _leafy, "ring": _ring, "row": _row,
    "box": _box, "slab": _slab, "post": _post, "bell": _bell,
    "hollow": _hollow, "bush": _bush,
}  # fmt: skip
