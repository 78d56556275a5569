"""The characters, drawn: a jointed figure in flat colours, seen from the front quarter.

Lengths are stage units; a grown figure is about 150 of them high.
"""

from math import cos, hypot, pi, sin

from cinescribe.cineworld.blocking import FLOOR, Pose
from cinescribe.cineworld.paint import Colour, Pen, Point, mix, shade, smooth
from cinescribe.cineworld.props import draw_thing
from cinescribe.cineworld.story import Look

HAIR: dict[str, Colour] = {
    "black": (42, 38, 46), "brown": (104, 66, 44), "red": (186, 78, 40),
    "blond": (232, 190, 104), "grey": (168, 170, 176),
}  # fmt: skip
CLOTH: dict[str, Colour] = {
    "green": (62, 128, 96), "blue": (58, 104, 168), "red": (200, 66, 62), "yellow": (236, 186, 66),
    "purple": (122, 84, 150), "white": (236, 232, 222), "orange": (226, 124, 56),
}  # fmt: skip
TROUSERS: tuple[Colour, ...] = ((54, 60, 84), (86, 74, 72), (68, 84, 96), (74, 62, 82))
SKIN: tuple[Colour, ...] = ((247, 208, 180), (232, 182, 146), (190, 132, 98), (136, 90, 66))
SHOES: Colour = (52, 42, 44)
UPPER_ARM, FOREARM, THIGH, SHIN = 26.0, 25.0, 31.2, 31.0
HIP, SHOULDER, HEAD = 68.0, 114.0, 136.0  # above the floor, standing
SEAT_HEIGHT = 40.0


def elbow(a: Point, b: Point, first: float, second: float, bend: float) -> Point:
    """The joint of a two-part limb from a to b; `bend` 1 or -1 is the side it turns to."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    reach = min(max(hypot(dx, dy), abs(first - second) + 0.1), first + second - 0.1)
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    aside = max(first**2 - along**2, 0.0) ** 0.5 * bend
    ux, uy = dx / (hypot(dx, dy) + 1e-9), dy / (hypot(dx, dy) + 1e-9)
    return (a[0] + ux * along - uy * aside, a[1] + uy * along + ux * aside)


def head_at(pose: Pose) -> Point:
    """The centre of the head."""
    lean = pose.facing * (2 + 3 * pose.bow)
    return (pose.x + lean, FLOOR - HEAD + pose.seated * (HIP - SEAT_HEIGHT) + 3 * pose.bow)


def bounds(pose: Pose) -> tuple[float, float, float, float]:
    """x0, y0, x1, y1 around the whole figure, arms at rest."""
    x, y = head_at(pose)
    front = 22 + 16 * pose.seated
    left, right = (front, 22.0) if pose.facing < 0 else (22.0, front)
    return (x - left, y - 20, x + right, FLOOR + 2)


def hand_target(pose: Pose) -> tuple[Point, Point]:
    """Where the near and the far hand go, seen from the feet (y upwards), for the gesture at its full."""
    d, chest = pose.facing, SHOULDER - pose.seated * (HIP - SEAT_HEIGHT)
    swing = sin(pose.stride) * pose.walking
    rest_near = (-d * 12 - d * 16 * swing, chest - 52 + 3 * abs(swing))
    rest_far = (d * 13 + d * 16 * swing, chest - 52 + 3 * abs(swing))
    if pose.seated > 0.3:
        rest_near, rest_far = (d * 12, chest - 42), (d * 22, chest - 42)
    if pose.carries:
        rest_near = (d * 15, chest - 32)
    goal_near, goal_far = {
        "pick_up": ((d * 40, chest - 44), rest_far),
        "give": ((d * 46, chest - 20), rest_far),
        "receive": ((d * 44, chest - 22), rest_far),
        "read": ((d * 17, chest - 16), (d * 29, chest - 17)),
        "open": ((d * 19, chest - 26), (d * 30, chest - 22)),
        "examine": ((d * 30, chest + 12), rest_far),
        "wave": (rest_near, (d * (27 + 7 * sin(pose.amount * 7)), chest + 32)),
        "look": (rest_near, (d * 13, chest + 27)),
        "pour": ((d * 40, chest - 12), (d * 30, chest - 30)),
    }.get(pose.gesture, (rest_near, rest_far))
    return _between(rest_near, goal_near, pose.amount), _between(rest_far, goal_far, pose.amount)


def _between(a: Point, b: Point, part: float) -> Point:
    return (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part)


def draw_figure(pen: Pen, look: Look, pose: Pose, time: float) -> None:
    """Draws a character with what it carries. `time` in seconds moves the breath and a waving hand."""
    d = pose.facing
    skin, cloth, trousers = SKIN[look.skin], CLOTH[look.garment_colour], TROUSERS[look.trousers]
    bob = -2.6 * abs(cos(pose.stride)) * pose.walking + 0.5 * sin(time * 1.9 + pose.x)
    drop = pose.seated * (HIP - SEAT_HEIGHT)
    hip = (pose.x, FLOOR - HIP + drop - min(bob, 0))
    shoulder = (pose.x + d * 1.5, FLOOR - SHOULDER + drop - bob)
    near, far = hand_target(pose)
    if pose.gesture == "wave":
        far = (far[0] + d * 6 * sin(time * 9) * pose.amount, far[1])
    near_hand, far_hand = (pose.x + near[0], FLOOR - near[1] - bob), (pose.x + far[0], FLOOR - far[1] - bob)

    far_arm = ((shoulder[0] + d * 11, shoulder[1] + 3), far_hand, d, shade(cloth, 0.82), shade(skin, 0.95))
    if pose.gesture != "look":
        _arm(pen, *far_arm)
    for side in (1, -1):  # the far leg first
        _leg(pen, pose, hip, d, side, shade(trousers, 0.84 if side > 0 else 1.0))
    _body(pen, look, pose, hip, shoulder, cloth)
    _head(pen, look, pose, shoulder, bob)
    if pose.gesture == "look":  # a hand that shades the eyes is before the face
        _arm(pen, *far_arm)
    holding = pose.carries or ("teapot" if pose.gesture == "pour" and pose.amount > 0.3 else "")
    if holding:
        _hold(pen, pose, holding, near_hand, far_hand)
    _arm(pen, (shoulder[0] - d * 11, shoulder[1] + 3), near_hand, d, shade(cloth, 0.93), skin)


def _hold(pen: Pen, pose: Pose, thing: str, near: Point, far: Point) -> None:
    spread = pose.amount if pose.gesture in ("read", "open") else 0.0
    middle = ((near[0] + far[0]) / 2, min(near[1], far[1]) - 4)
    x, y = _between((near[0] + pose.facing * 4, near[1] + 2), middle, spread)
    draw_thing(pen, thing, x, y, facing=pose.facing, opened=spread, glowing=pose.gesture == "examine")


def _arm(pen: Pen, shoulder: Point, hand: Point, d: float, sleeve: Colour, skin: Colour) -> None:
    away = hypot(hand[0] - shoulder[0], hand[1] - shoulder[1])
    longest = UPPER_ARM + FOREARM - 0.5
    if away > longest:
        hand = _between(shoulder, hand, longest / away)
    joint = elbow(shoulder, hand, UPPER_ARM, FOREARM, d)
    wrist = _between(joint, hand, 0.82)
    pen.ellipse(hand[0], hand[1], 4.6, 4.3, skin)
    pen.limb([wrist, hand], [5.5, 6.5], skin)
    pen.limb([shoulder, joint, wrist], [13.5, 10.5, 8.2], sleeve)


def _leg(pen: Pen, pose: Pose, hip: Point, d: float, side: int, trousers: Colour) -> None:
    phase = pose.stride + (0 if side > 0 else pi)
    step = 19 * cos(phase) * pose.walking
    lift = 9 * max(-sin(phase), 0) * pose.walking if pose.walking else 0
    stand = d * step + (1 - pose.walking) * d * side * 6.0
    sit = d * (27 + 6 * side)
    foot = (pose.x + stand + (sit - stand) * pose.seated, FLOOR - 6 - lift)
    root = (hip[0] + d * side * 4.5, hip[1])
    knee = elbow(root, foot, THIGH, SHIN, -d)
    toe = d * (8.5 if pose.walking or pose.seated > 0.5 else 7.0)
    pen.limb([root, knee, foot], [17, 13, 9], trousers)
    pen.blob([(foot[0] - d * 5, foot[1] + 6), (foot[0] - d * 5, foot[1] - 2),
              (foot[0] + d * 2, foot[1] - 2.5), (foot[0] + toe, foot[1] + 2),
              (foot[0] + toe + d * 1.5, foot[1] + 6)], SHOES)  # fmt: skip


def _body(pen: Pen, look: Look, pose: Pose, hip: Point, top: Point, cloth: Colour) -> None:
    d, (hx, hy), (sx, sy) = pose.facing, hip, top
    length = {"coat": 25.0, "sweater": 4.0, "jacket": 9.0}[look.garment] * (1 - 0.75 * pose.seated)
    flare = {"coat": 19.0, "sweater": 14.5, "jacket": 15.5}[look.garment]
    sway = 2.5 * sin(pose.stride) * pose.walking
    hem = hy + length
    outline = smooth([
        (sx - 8, sy - 3), (sx + 8, sy - 3), (sx + 17, sy + 4), (sx + 15.5, sy + 20), (hx + 14, hy - 12),
        (hx + flare + sway, hem), (hx, hem + 1.5), (hx - flare + sway, hem), (hx - 14, hy - 12),
        (sx - 15.5, sy + 20), (sx - 17, sy + 4),
    ])  # fmt: skip
    pen.polygon(outline, cloth)
    side = -d  # the light comes from ahead: the back is in shadow
    pen.blob([(sx + side * 15, sy + 6), (sx + side * 9, sy + 20), (hx + side * 8, hy - 8),
              (hx + side * 10 + sway, hem - 1), (hx + side * (flare - 1.5) + sway, hem - 1),
              (hx + side * 13.2, hy - 12), (sx + side * 15, sy + 20)], shade(cloth, 0.88))  # fmt: skip
    if look.garment == "sweater":
        pen.line([(hx - 12, hem - 2.5), (hx, hem - 1.5), (hx + 12, hem - 2.5)], shade(cloth, 0.8), 2.0)
        pen.line(
            [(sx - 12, sy + 17), (sx, sy + 19.5), (sx + 12, sy + 17)], mix(cloth, (255, 255, 255), 0.45), 2.4
        )
        pen.line(
            [(sx - 13, sy + 22), (sx, sy + 24.5), (sx + 13, sy + 22)], mix(cloth, (255, 255, 255), 0.45), 1.0
        )
    else:
        front = sx + d * 4
        pen.line([(front, sy + 2), (hx + d * 4.5, hy - 8), (hx + d * 5 + sway, hem)], shade(cloth, 0.74), 1.0)
        for k in range(3 if look.garment == "coat" else 2):
            pen.ellipse(front + d * 4.2, sy + 19 + 13 * k, 1.4, 1.4, shade(cloth, 0.62))
        pen.polygon(
            [(sx + d * 1, sy - 4), (sx + d * 13, sy - 1), (front + d * 1, sy + 12)], shade(cloth, 1.13)
        )
        pen.polygon(
            [(sx + d * 2, sy - 4), (sx - d * 9, sy - 1), (front - d * 1, sy + 12)], shade(cloth, 1.08)
        )
    if look.garment == "coat":
        pen.line([(hx - 14.2, hy - 11), (hx, hy - 9), (hx + 14.2, hy - 11)], shade(cloth, 0.68), 2.6)


def _head(pen: Pen, look: Look, pose: Pose, top: Point, bob: float) -> None:
    d, skin, hair = pose.facing, SKIN[look.skin], HAIR[look.hair_colour]
    x, y = head_at(pose)
    y -= bob
    dark = shade(hair, 0.84)
    _hair_behind(pen, look, x, y, d, dark)
    pen.limb([(top[0], top[1] + 1), (x - d * 1.5, y + 9)], [10.5, 9.5], shade(skin, 0.86))
    if look.scarf:
        cloth = mix(
            CLOTH[look.garment_colour],
            (250, 240, 214) if look.garment_colour != "white" else (190, 70, 66),
            0.75,
        )
        pen.limb(
            [(top[0] - 9, top[1] - 1), (top[0] + d * 2, top[1] + 2), (top[0] + 9, top[1] - 1)],
            [7, 8, 7],
            cloth,
        )
        pen.limb([(top[0] + d * 6, top[1] + 2), (top[0] + d * 7.5, top[1] + 20)], [6, 7], shade(cloth, 0.92))
    pen.ellipse(x - d * 11.2, y + 1.5, 2.6, 3.6, shade(skin, 0.9))  # the near ear
    pen.blob([(x - 12, y - 5), (x - 11, y + 5), (x - 6 + d, y + 12.5), (x + d * 2, y + 14.5),
              (x + 6 + d, y + 12.5), (x + 11, y + 5), (x + 12, y - 5), (x + 7, y - 13),
              (x - 7, y - 13)], skin)  # fmt: skip
    if look.beard:
        pen.blob([(x - d * 11, y + 0.5), (x - d * 10.5, y + 8), (x - d * 4, y + 16),
                  (x + d * 4, y + 18), (x + d * 10, y + 13), (x + d * 11.6, y + 5),
                  (x + d * 8, y + 6.2), (x + d * 3, y + 4.6), (x - d * 2, y + 6.5),
                  (x - d * 7, y + 4)], dark)  # fmt: skip
    _face(pen, look, pose, x + d * 3.2, y + 1.5 + 2.2 * pose.bow, skin)
    _hair_above(pen, look, x, y, d, hair)


def _face(pen: Pen, look: Look, pose: Pose, x: float, y: float, skin: Colour) -> None:
    """Eyes, brows, nose, mouth, cheeks around (x, y), the middle between the eyes."""
    d = pose.facing
    for side in (-1, 1):
        pen.ellipse(x + side * 6.4, y + 5.6, 2.5, 1.7, mix(skin, (226, 96, 90), 0.25))
        ex = x + side * 4.9
        if pose.blink > 0.5:
            pen.line([(ex - 1.7, y + 0.3), (ex, y + 1), (ex + 1.7, y + 0.3)], (58, 44, 48), 0.8)
        else:
            pen.ellipse(ex, y, 1.45, 2.1 - 0.6 * pose.bow - 0.5 * pose.smile, (46, 36, 44))
            pen.ellipse(ex + d * 0.5, y - 0.8, 0.5, 0.5, (250, 250, 250))
        brow = shade(HAIR[look.hair_colour], 0.8)
        inner = 1.0 if ex < x else -1.0
        ends = [(ex - 2.1 * inner, y - 4.2), (ex, y - 5.0), (ex + 2.1 * inner, y - 4.2 + 1.7 * pose.frown)]
        pen.line(ends, brow, 1.0)
        if look.glasses:
            ring = [(ex + 3.7 * cos(a * pi / 8), y + 3.6 * sin(a * pi / 8)) for a in range(17)]
            pen.line(ring, (60, 54, 60), 0.7)
    if look.glasses:
        pen.line([(x - 1.2, y - 0.5), (x + 1.2, y - 0.5)], (60, 54, 60), 0.7)
    pen.line([(x + d * 0.6, y + 1.5), (x + d * 1.9, y + 4.1), (x + d * 0.2, y + 4.5)], shade(skin, 0.8), 0.8)
    my = y + 8.6
    if pose.mouth > 0.08:
        high, wide = 0.5 + 2.4 * pose.mouth, 3.3 - 0.7 * pose.mouth
        pen.ellipse(x, my, wide, high, (122, 46, 50))
        if high > 1.3:
            pen.ellipse(x, my + high * 0.45, wide * 0.6, high * 0.45, (206, 104, 100))
            pen.box(x - wide * 0.62, my - high * 0.82, x + wide * 0.62, my - high * 0.4, (248, 244, 238))
    else:
        curl = 0.7 + 1.5 * pose.smile
        pen.line(
            [(x - 3.2, my - curl * 0.6), (x, my + curl * 0.6), (x + 3.2, my - curl * 0.6)], (158, 78, 70), 0.9
        )


def _hair_behind(pen: Pen, look: Look, x: float, y: float, d: float, hair: Colour) -> None:
    if look.hair == "long":
        pen.blob([(x - 12, y - 11), (x + 12, y - 11), (x + 14, y + 4), (x + 14 - d * 2, y + 22),
                  (x + 9, y + 31), (x, y + 28), (x - 10, y + 32), (x - 14 - d * 2, y + 22),
                  (x - 14, y + 4)], hair)  # fmt: skip
    elif look.hair == "bun":
        pen.ellipse(x - d * 9, y - 14, 7.2, 6.8, hair)
        pen.ellipse(x - d * 4, y - 2, 12, 12.5, hair)
    elif look.hair == "curly":
        wide = 13 if look.gender == "woman" else 11
        for k in range(9):
            a = pi * (0.95 + 1.1 * k / 8) if look.gender == "man" else pi * (0.72 + 1.56 * k / 8)
            pen.ellipse(x + wide * cos(a), y - 1 + wide * sin(a), 5.6, 5.6, hair)
    elif look.gender == "woman":  # short
        pen.blob([(x - 13, y - 8), (x, y - 15), (x + 13, y - 8), (x + 14, y + 6),
                  (x + 11, y + 13), (x, y + 10), (x - 11, y + 13), (x - 14, y + 6)], hair)  # fmt: skip
    elif look.hair != "bald":
        pen.ellipse(x - d * 3, y - 3, 11.5, 12, hair)


def _hair_above(pen: Pen, look: Look, x: float, y: float, d: float, hair: Colour) -> None:
    light = mix(hair, (255, 244, 226), 0.16)
    if look.hair == "bald":
        pen.line([(x + d * 1, y - 11.5), (x + d * 5, y - 10.5)], (255, 244, 232), 1.2)
        return
    if look.hair == "curly":
        for k in range(7):
            a = pi * (1.08 + 0.84 * k / 6)
            pen.ellipse(x + 10.5 * cos(a), y - 2.5 + 10.5 * sin(a), 4.9, 4.7, hair)
        pen.ellipse(x + d * 3.5, y - 14, 2.2, 1.6, light)
        return
    if look.hair == "parted" or (look.gender == "man"):
        quiff = 3.0 if look.hair == "parted" else 0.0
        pen.blob([(x - d * 12.6, y + 1), (x - d * 13, y - 8), (x - d * 7, y - 15 - quiff / 2),
                  (x + d * 3, y - 16 - quiff), (x + d * 11, y - 12 - quiff),
                  (x + d * 12.8, y - 5), (x + d * 10.5, y - 7.2), (x + d * 2, y - 8.8),
                  (x - d * 6, y - 7), (x - d * 9.3, y - 3)], hair)  # fmt: skip
        pen.line([(x - d * 4, y - 13.2), (x + d * 3, y - 13.8)], light, 1.3)
        return
    pen.blob([(x - d * 13.4, y + 7), (x - d * 13.8, y - 5), (x - d * 8, y - 14.5),
              (x + d * 2, y - 16.2), (x + d * 10.5, y - 12), (x + d * 13.4, y - 3),
              (x + d * 13, y + 4), (x + d * 10.6, y - 3.5), (x + d * 5.5, y - 8.5),
              (x - d * 3, y - 6.2), (x - d * 9, y - 1.5), (x - d * 10.6, y + 6)], hair)  # fmt: skip
    pen.line([(x - d * 6, y - 12), (x + d * 1, y - 13.6), (x + d * 5, y - 12.6)], light, 1.3)
