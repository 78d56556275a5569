"""The things, tools and deeds of how-to videos as they are drawn on a workbench.

Every concept of `recipes` has a look of its own: a thing and a tool by shape and colour, a deed by how the
hand moves and what happens to the thing. Units: the picture is 160 wide and 120 high; y grows downwards.
"""

from math import cos, pi, sin
from typing import Literal

from cinescribe.cineworld.paint import Colour, Pen, Point, mix, shade
from cinescribe.cineworld.recipes import THINGS
from cinescribe.cineworld.shapes import SHAPES, around

WIDE, HIGH = 160.0, 120.0
PLACE: Point = (76.0, 96.0)  # of what is worked on: the middle of its underside
SIZE = 21.0  # half of its width

Motion = Literal["down", "side", "circle", "press", "turn", "over", "lift", "still"]
Effect = Literal["none", "drops", "steam", "pieces", "crumbs", "tint", "flat", "band", "line", "rise"]

# Shape and colour.
THING_LOOKS: dict[str, tuple[str, Colour]] = {
    "onion": ("round", (196, 132, 176)), "carrot": ("long", (236, 130, 42)),
    "potato": ("round", (198, 162, 104)), "tomato": ("round", (214, 52, 44)),
    "courgette": ("long", (74, 130, 60)), "pepper": ("lobed", (228, 176, 38)),
    "garlic": ("lobed", (240, 234, 220)), "chicken": ("lobed", (238, 190, 160)),
    "dough": ("flat", (236, 218, 176)), "egg": ("round", (248, 236, 214)),
    "cheese": ("wedge", (246, 204, 70)), "rice": ("heap", (250, 250, 244)),
    "pasta": ("heap", (240, 212, 120)), "herb": ("leafy", (60, 150, 64)), "sauce": ("heap", (170, 44, 36)),
    "apple": ("round", (140, 190, 60)), "wheel": ("ring", (150, 154, 164)),
    "chain": ("row", (110, 112, 120)), "tyre": ("ring", (40, 40, 44)), "brake": ("row", (176, 60, 50)),
    "saddle": ("lobed", (70, 56, 52)), "drawer": ("box", (178, 128, 80)),
    "hinge": ("wedge", (190, 170, 90)), "shelf": ("slab", (206, 160, 104)), "leg": ("post", (160, 108, 64)),
    "lamp": ("bell", (250, 226, 140)), "pipe": ("post", (140, 150, 150)),
    "frame": ("hollow", (150, 96, 56)), "soil": ("flat", (88, 60, 42)), "seed": ("row", (214, 188, 120)),
    "rose": ("leafy", (206, 50, 90)), "seedling": ("leafy", (132, 200, 84)), "pot": ("bell", (188, 98, 62)),
    "hedge": ("bush", (52, 110, 54)), "lawn": ("flat", (96, 168, 70)), "bulb": ("lobed", (196, 140, 70)),
    "tree": ("bush", (110, 160, 60)), "paper": ("slab", (250, 248, 240)),
    "fabric": ("slab", (86, 116, 190)), "yarn": ("round", (170, 70, 160)), "bead": ("row", (70, 170, 190)),
    "ribbon": ("long", (220, 70, 120)), "clay": ("flat", (176, 116, 92)), "zip": ("long", (96, 100, 130)),
    "candle": ("post", (246, 232, 190)), "box": ("box", (206, 174, 128)),
}  # fmt: skip

# Kind and colour; a vessel stands still and holds the thing, all others are moved.
TOOL_LOOKS: dict[str, tuple[str, Colour]] = {
    "knife": ("blade", (206, 212, 220)), "peeler": ("loop", (190, 60, 56)),
    "grater": ("block", (196, 200, 206)), "pan": ("vessel", (54, 54, 60)),
    "saucepan": ("vessel", (150, 156, 166)), "whisk": ("loop", (200, 204, 212)),
    "spoon": ("head", (186, 138, 84)), "bowl": ("vessel", (236, 238, 240)),
    "rolling pin": ("bar", (214, 170, 112)), "oven": ("vessel", (110, 60, 50)),
    "spanner": ("head", (150, 156, 168)), "screwdriver": ("point", (232, 150, 40)),
    "rag": ("block", (226, 216, 190)), "sandpaper": ("block", (150, 96, 62)),
    "saw": ("blade", (176, 160, 120)), "drill": ("point", (60, 110, 180)),
    "hammer": ("cross", (120, 110, 106)), "brush": ("head", (70, 50, 40)), "tape": ("bar", (240, 214, 60)),
    "spade": ("head", (120, 124, 130)), "rake": ("cross", (96, 130, 80)), "can": ("block", (70, 140, 110)),
    "shears": ("twin", (180, 66, 50)), "scissors": ("twin", (160, 164, 176)),
    "needle": ("point", (210, 214, 224)), "iron": ("block", (90, 150, 200)),
    "glue": ("point", (244, 240, 210)),
}  # fmt: skip

_WATER: Colour = (120, 176, 226)
# How the hand moves, how often a second, and what is seen of it, in which colour.
DEED_LOOKS: dict[str, tuple[Motion, float, Effect, Colour]] = {
    "wash": ("circle", 0.7, "drops", _WATER), "peel": ("side", 0.9, "crumbs", (200, 150, 90)),
    "chop": ("down", 2.0, "pieces", (255, 255, 255)), "grate": ("side", 1.8, "crumbs", (250, 230, 150)),
    "beat": ("circle", 2.4, "tint", (255, 246, 200)), "mix": ("circle", 1.2, "tint", (180, 140, 90)),
    "knead": ("press", 0.9, "none", (0, 0, 0)), "roll": ("side", 0.6, "flat", (0, 0, 0)),
    "fry": ("still", 0.0, "tint", (150, 84, 36)), "boil": ("still", 0.0, "steam", (236, 240, 244)),
    "stir": ("circle", 0.7, "none", (0, 0, 0)), "bake": ("still", 0.0, "steam", (240, 150, 60)),
    "serve": ("lift", 0.3, "rise", (0, 0, 0)), "sprinkle": ("over", 1.2, "drops", (240, 236, 200)),
    "unscrew": ("turn", 1.0, "rise", (0, 0, 0)), "remove": ("lift", 0.35, "rise", (0, 0, 0)),
    "clean": ("circle", 0.9, "tint", (250, 252, 255)), "sand": ("side", 1.6, "crumbs", (226, 200, 150)),
    "measure": ("still", 0.0, "line", (240, 214, 60)), "saw": ("side", 1.2, "pieces", (0, 0, 0)),
    "drill": ("press", 0.5, "crumbs", (180, 140, 90)), "glue": ("over", 0.4, "line", (250, 248, 226)),
    "hammer": ("down", 1.4, "none", (0, 0, 0)), "oil": ("over", 0.6, "drops", (226, 190, 60)),
    "tighten": ("turn", 1.0, "none", (0, 0, 0)), "paint": ("side", 0.6, "tint", (60, 110, 190)),
    "test": ("press", 0.4, "band", (90, 200, 110)), "dig": ("down", 0.5, "crumbs", (88, 60, 42)),
    "rake": ("side", 0.5, "none", (0, 0, 0)), "fill": ("over", 0.7, "rise", (0, 0, 0)),
    "sow": ("over", 0.9, "drops", (214, 188, 120)), "plant": ("down", 0.3, "none", (0, 0, 0)),
    "cover": ("over", 0.5, "tint", (88, 60, 42)),
    "water": ("over", 0.3, "drops", _WATER), "prune": ("turn", 1.4, "pieces", (0, 0, 0)),
    "feed": ("over", 0.5, "crumbs", (236, 236, 236)), "tie": ("circle", 0.5, "band", (220, 190, 110)),
    "pick": ("lift", 0.6, "rise", (0, 0, 0)), "cut": ("side", 0.8, "pieces", (0, 0, 0)),
    "fold": ("press", 0.3, "flat", (0, 0, 0)), "shape": ("press", 1.2, "flat", (0, 0, 0)),
    "iron": ("side", 0.4, "steam", (236, 240, 244)), "pin": ("down", 0.8, "line", (220, 60, 60)),
    "thread": ("turn", 0.6, "line", (240, 240, 250)), "sew": ("down", 2.4, "line", (60, 60, 120)),
    "wrap": ("circle", 0.3, "band", (190, 60, 80)),
}  # fmt: skip


def draw_thing(
    pen: Pen, thing: str, at: Point, size: float, flat: float = 0.0, tint: Colour | None = None
) -> None:
    """Draw a thing; one that is named in the plural is three of its kind.

    Args:
        pen: whose units are those of the picture.
        thing: a key of `recipes.THINGS`.
        at: middle of its underside.
        size: half of its width.
        flat: 0 to 1, how far it is pressed flat.
        tint: another colour than its own.
    """
    shape, colour = THING_LOOKS[thing]
    draw, ink = SHAPES[shape], tint or colour
    if not THINGS[thing].plural:
        draw(pen, at[0], at[1], size * (1 + 0.3 * flat), 1 - 0.55 * flat, ink)
        return
    for dx, dy in ((-0.62, -0.1), (0.6, -0.16), (0.0, 0.06)):
        draw(pen, at[0] + dx * size, at[1] + dy * size, 0.52 * size, 1 - 0.55 * flat, ink)


def draw_tool(pen: Pen, tool: str, hand: Point, turn: float = 0.0) -> None:
    """Draw a tool held in a hand, its working end down and to the left; `turn` in radians."""
    kind, colour = TOOL_LOOKS[tool]
    end = (hand[0] - 21 * cos(0.9 + turn), hand[1] + 21 * sin(0.9 + turn))
    grip: Colour = (104, 76, 56)
    if kind == "vessel":
        return
    if kind in ("block", "bar"):
        wide, high = (22.0, 3.5) if kind == "bar" else (9.0, 8.0)
        middle = (hand[0] - 7, hand[1] + 9)
        pen.box(middle[0] - wide, middle[1] - high, middle[0] + wide, middle[1] + high, colour, 2)
        return
    if kind == "twin":
        for side in (-0.25, 0.25):
            tip = (hand[0] - 22 * cos(0.9 + turn + side), hand[1] + 22 * sin(0.9 + turn + side))
            pen.line([hand, tip], colour, 2.4)
        pen.ellipse(hand[0] + 2, hand[1] - 3, 4, 3, grip)
        return
    middle = ((hand[0] + end[0]) / 2, (hand[1] + end[1]) / 2)
    pen.line([hand, end if kind != "blade" else middle], grip, 3)
    if kind == "blade":
        pen.polygon(
            [(middle[0], middle[1] - 3), (end[0] - 4, end[1] + 4), (middle[0] + 4, middle[1] + 4)], colour
        )
    elif kind == "head":
        pen.ellipse(end[0], end[1], 6, 4.4, colour)
    elif kind == "loop":
        pen.line([around(end, 6, k / 10) for k in range(11)], colour, 1.4)
    elif kind == "cross":
        pen.box(end[0] - 8, end[1] - 3, end[0] + 8, end[1] + 3, colour, 1)
    else:  # a point
        pen.line([middle, end], colour, 2.2)


def draw_work(
    pen: Pen, deed: str, thing: str, tool: str, time: float, progress: float, skin: Colour, sleeve: Colour
) -> None:
    """Draw a deed that is being done: the thing, what happens to it, the tool and the hands.

    Args:
        pen: whose units are those of the picture.
        deed: a key of `DEED_LOOKS`.
        thing: what it is done to.
        tool: what it is done with, or "".
        time: seconds, of the movement.
        progress: 0 to 1, how much of it is done.
        skin, sleeve: colours of the hands and arms.
    """
    motion, rate, effect, colour = DEED_LOOKS[deed]
    x, y = PLACE
    if tool and TOOL_LOOKS[tool][0] == "vessel":
        pen.polygon(
            [(x - 32, y - 12), (x + 32, y - 12), (x + 26, y + 8), (x - 26, y + 8)], TOOL_LOOKS[tool][1]
        )
        pen.ellipse(x, y - 12, 32, 7, shade(TOOL_LOOKS[tool][1], 0.75))
        y -= 6
    if effect == "rise":
        y -= 22 * progress
    tint = mix(THING_LOOKS[thing][1], colour, 0.75 * progress) if effect == "tint" else None
    if effect == "pieces":
        count = 1 + int(3.99 * progress)
        for k in range(count):
            apart = (k - (count - 1) / 2) * 15
            draw_thing(pen, thing, (x + apart, y), SIZE / (1 + 0.5 * (count > 1)))
    else:
        draw_thing(pen, thing, (x, y), SIZE, progress if effect == "flat" else 0.0, tint)
    hand, turn = _hand(motion, rate, time)
    _draw_effect(pen, effect, colour, hand, (x, y), time, progress)
    pen.limb([(22, 126), (x - 30, PLACE[1] - 4)], [15, 11], sleeve)
    pen.ellipse(x - 27, PLACE[1] - 7, 6.5, 5.5, skin)
    if tool:
        draw_tool(pen, tool, hand, turn)
    pen.limb([(150, 128), (hand[0] + 6, hand[1] + 4)], [16, 11], sleeve)
    pen.ellipse(hand[0], hand[1], 6.8, 6, skin)


def _hand(motion: Motion, rate: float, time: float) -> tuple[Point, float]:
    """Where the working hand is, and how far its tool is turned, radians."""
    x, y = PLACE[0] + 18, PLACE[1] - 28
    phase = 2 * pi * rate * time
    if motion == "down":
        return (x - 6, y - 14 * abs(cos(phase / 2)) + 10), 0.0
    if motion == "side":
        return (x + 20 * sin(phase), y + 4), 0.0
    if motion == "circle":
        return (x + 15 * cos(phase), y + 6 * sin(phase)), 0.0
    if motion == "press":
        return (x - 10, y + 14 + 5 * sin(phase)), 0.0
    if motion == "turn":
        return (x - 2, y + 2), 0.6 * sin(phase)
    if motion == "over":
        return (x - 8 + 12 * sin(phase / 2), y - 20), 0.0
    if motion == "lift":
        return (x, y + 14 - 18 * (1 - cos(phase))), 0.0
    return (x + 10, y), 0.0


def _draw_effect(
    pen: Pen, effect: Effect, colour: Colour, hand: Point, at: Point, time: float, progress: float
) -> None:
    x, y = at
    if effect == "drops":
        for k in range(6):
            fall = (time * 1.1 + k / 6) % 1
            px = hand[0] - 12 + 4 * (k % 3 - 1)
            pen.ellipse(px, hand[1] + 8 + fall * (y - hand[1] - 14), 1.3, 2.0, colour)
    elif effect == "steam":
        for k in range(4):
            up = (time * 0.4 + k / 4) % 1
            px = x + 14 * (k - 1.5) + 3 * sin(4 * time + k)
            pen.ellipse(px, y - 22 - 26 * up, 2 + 3 * up, 2 + 4 * up, colour)
    elif effect == "crumbs":
        for k in range(int(1 + 14 * progress)):
            pen.ellipse(x - 34 + (k * 37) % 70, y + 4 + (k * 5) % 9, 1.7, 1.2, colour)
    elif effect == "band":
        pen.line([(x - SIZE, y - 10), (x - SIZE + 2 * SIZE * progress, y - 10)], colour, 3)
        pen.line([(x, y), (x, y - 20 * progress)], colour, 3)
    elif effect == "line":
        pen.line([(x - SIZE, y - 5), (x - SIZE + 2 * SIZE * progress, y - 5)], colour, 1.8)
