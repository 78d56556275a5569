"""Anti-aliased flat shapes on an image, in stage units, with OpenCV."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[float, float, float]  # red, green, blue, 0..255
Point = tuple[float, float]

_SHIFT = 4  # fractional bits of OpenCV's sub-pixel coordinates


def mix(a: Colour, b: Colour, part: float) -> Colour:
    """The colour `part` of the way from a to b."""
    return (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part)


def lit(colour: Colour, light: Colour) -> Colour:
    """A colour under a light (1 = white light)."""
    return (min(colour[0] * light[0], 255), min(colour[1] * light[1], 255), min(colour[2] * light[2], 255))


def shade(colour: Colour, factor: float) -> Colour:
    """Darker (<1) or lighter (>1)."""
    return (min(colour[0] * factor, 255), min(colour[1] * factor, 255), min(colour[2] * factor, 255))


def smooth(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """A closed Catmull-Rom curve through the points, as a polygon."""
    p = np.asarray(points, dtype=float)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = before[:, None], p[:, None], after[:, None], beyond[:, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]


class Pen:
    """Draws on `image` (RGB or premultiplied RGBA, uint8), whose pixel (x, y) is scale * (stage - origin)."""

    def __init__(
        self, image: Image, scale: float, origin: Point = (0.0, 0.0), light: Colour = (1, 1, 1)
    ) -> None:
        self.image, self.scale, self.origin, self.light = image, scale, origin, light

    def _pixels(self, points: Sequence[Point]) -> NDArray[np.int32]:
        at = (np.asarray(points, dtype=float) - self.origin) * self.scale
        return np.round((at - 0.5) * (1 << _SHIFT)).astype(np.int32)

    def _ink(self, colour: Colour) -> tuple[float, ...]:
        ink = lit(colour, self.light)
        return ink if self.image.shape[2] == 3 else (*ink, 255.0)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        import cv2

        cv2.fillPoly(self.image, [self._pixels(points)], self._ink(colour), cv2.LINE_AA, _SHIFT)

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled smooth closed curve through the points."""
        self.polygon(smooth(points), colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, radius: float = 0.0) -> None:
        """A filled rectangle, with round corners if asked."""
        if radius <= 0:
            return self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)
        corners = [(x1 - radius, y0 + radius, -90), (x1 - radius, y1 - radius, 0),
                   (x0 + radius, y1 - radius, 90), (x0 + radius, y0 + radius, 180)]  # fmt: skip
        turns = np.radians(np.arange(0, 91, 15))
        points = [
            (
                x + radius * float(np.cos(np.radians(turn) + a)),
                y + radius * float(np.sin(np.radians(turn) + a)),
            )
            for x, y, turn in corners
            for a in turns
        ]
        return self.polygon(points, colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, turn: float = 0.0) -> None:
        """A filled ellipse, turned by `turn` degrees."""
        import cv2

        centre = self._pixels([(x, y)])[0]
        axes = (
            max(round(rx * self.scale * (1 << _SHIFT)), 1),
            max(round(ry * self.scale * (1 << _SHIFT)), 1),
        )
        where = (int(centre[0]), int(centre[1]))
        cv2.ellipse(self.image, where, axes, turn, 0, 360, self._ink(colour), -1, cv2.LINE_AA, _SHIFT)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """An open line with round ends."""
        import cv2

        thick = max(round(width * self.scale), 1)
        cv2.polylines(
            self.image, [self._pixels(points)], False, self._ink(colour), thick, cv2.LINE_AA, _SHIFT
        )

    def limb(self, points: Sequence[Point], widths: Sequence[float], colour: Colour) -> None:
        """A tapering limb with round joints: `widths` are the diameters at the points."""
        for (a, b), (wa, wb) in zip(pairwise(points), pairwise(widths), strict=True):
            way = np.subtract(b, a)
            normal = np.array([-way[1], way[0]]) / (float(np.hypot(*way)) + 1e-9) / 2
            (nx, ny), (ax, ay), (bx, by) = normal, a, b
            left, right = (ax + nx * wa, ay + ny * wa), (ax - nx * wa, ay - ny * wa)
            self.polygon([left, (bx + nx * wb, by + ny * wb), (bx - nx * wb, by - ny * wb), right], colour)
        for (x, y), width in zip(points, widths, strict=True):
            self.ellipse(x, y, width / 2, width / 2, colour)


def blank(width: float, height: float, scale: float) -> Image:
    """A transparent layer of stage units at a scale."""
    return np.zeros((ceil(height * scale), ceil(width * scale), 4), dtype=np.uint8)


def gradient(height: int, width: int, stops: Sequence[tuple[float, Colour]]) -> Image:
    """An opaque RGBA image fading down through (place 0..1, colour); dithered, so that no bands show."""
    rows = np.linspace(0, 1, height)
    colours = np.stack(
        [np.interp(rows, [s for s, _ in stops], [c[k] for _, c in stops]) for k in range(3)], axis=1
    )
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1))
    image = np.full((height, width, 4), 255, dtype=np.uint8)
    image[..., :3] = np.clip(np.round(colours[:, None] + noise), 0, 255)
    return image


def glow(image: Image, at: Point, radius: float, colour: Colour, strength: float) -> None:
    """Adds soft light around a pixel; on a transparent layer it only brightens what is drawn."""
    x0, y0 = max(int(at[0] - radius), 0), max(int(at[1] - radius), 0)
    x1, y1 = min(int(at[0] + radius) + 1, image.shape[1]), min(int(at[1] + radius) + 1, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1]
    part = np.clip(1 - np.hypot(x - at[0], y - at[1]) / radius, 0, 1) ** 2 * strength
    if image.shape[2] == 4:
        part = part * (image[y0:y1, x0:x1, 3] / 255.0)
    under = image[y0:y1, x0:x1, :3].astype(np.float32)
    image[y0:y1, x0:x1, :3] = under + (np.asarray(colour) - under).clip(0) * part[..., None]


def soften(image: Image, sigma: float) -> Image:
    """A Gaussian blur."""
    import cv2

    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)
