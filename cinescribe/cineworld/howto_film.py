"""How-to videos as pictures: the steps of a video on paper, done by a demonstrator at a workbench.

While a step goes on the workbench is seen from near: the thing, the tool, the hands and what happens to the
thing. Between steps it is the demonstrator's face, who speaks when a sentence is spoken, or the whole place
with what the video works with lying about. Without sound: what is said is in the truth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import sin
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from cinescribe.cineworld.blocking import Pose
from cinescribe.cineworld.figures import CLOTH, SKIN, draw_figure
from cinescribe.cineworld.howto import HowTo, Step
from cinescribe.cineworld.paint import Colour, Image, Pen, shade, soften
from cinescribe.cineworld.picture import PAINTERS
from cinescribe.cineworld.scenery import SCALE, Mood
from cinescribe.cineworld.story import Look, looks_apart
from cinescribe.cineworld.workbench import HIGH, SIZE, WIDE, draw_thing, draw_work

PLACES = {"cooking": "kitchen", "repair": "street", "gardening": "park", "craft": "library"}
BENCHES: tuple[Colour, ...] = (
    (188, 142, 96), (120, 84, 60), (208, 204, 196), (92, 104, 116), (170, 120, 104), (136, 150, 126),
    (222, 196, 150), (74, 66, 72),
)  # fmt: skip
_EDGE = 50.0  # of the bench in the near view, from the top
_SHOT = 0.12  # chance a second that the camera turns to another view between steps


@dataclass(frozen=True, slots=True)
class Picture:
    """Size in pixels (even, 4 : 3) and frames a second."""

    width: int = 192
    height: int = 144
    fps: int = 10


def render_howto(video: HowTo, path: Path, picture: Picture | None = None) -> None:
    """Render a how-to video to an .mp4 (H.264, no sound); the same video gives the same bytes on a machine.

    Args:
        video: on paper, such as of `tell_howto`.
        path: of the file; its folder is made.
        picture: size and rate.
    """
    import av

    picture = picture or Picture()
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".cineworld-", dir=path.parent) as folder:  # nothing half-made at `path`
        unfinished = Path(folder, path.name)
        with av.open(str(unfinished), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=picture.fps)
            stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
            stream.options = {"preset": "veryfast", "crf": "23", "threads": "1", "g": str(picture.fps * 2)}
            for number, image in enumerate(frames(video, picture)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        unfinished.replace(path)


def frames(video: HowTo, picture: Picture) -> Iterator[Image]:
    """The pictures of a video in order: uint8 [height, width, 3] RGB."""
    renderer = _Renderer(video, picture)
    for number in range(round(video.duration * picture.fps)):
        yield renderer.frame(number / picture.fps)


class _Renderer:
    def __init__(self, video: HowTo, picture: Picture) -> None:
        self.video, self.picture = video, picture
        rng = Random(f"picture {video.seed}")
        self.look: Look = looks_apart(rng, [rng.choice(("woman", "man"))])[0]
        self.place = _backdrop(video.craft, video.stage, picture.width, picture.height)
        self.blurred = soften(self.place, picture.width / 48)
        self.bench = BENCHES[video.stage % len(BENCHES)]
        self.near = self._near_view()
        self.faces = _faces(rng, video.duration)
        self.about = sorted({step.thing for step in video.steps})
        self.lying = [(rng.uniform(14, WIDE - 14), rng.uniform(108, 117)) for _ in self.about]

    def frame(self, time: float) -> Image:
        """The picture at a time, seconds."""
        step = next((step for step in self.video.steps if step.start <= time < step.end), None)
        if step is not None:
            return self._work(step, time)
        return self._face(time) if self.faces[int(time)] else self._whole(time)

    def _pen(self, image: Image) -> Pen:
        return Pen(image, self.picture.width / WIDE)

    def _near_view(self) -> Image:
        """The empty bench before the place, which is out of focus."""
        image = self.blurred.copy()
        pen = self._pen(image)
        pen.box(0, _EDGE, WIDE, HIGH, self.bench)
        pen.box(0, _EDGE, WIDE, _EDGE + 3, shade(self.bench, 1.15))
        for y in (64.0, 80.0, 98.0):
            pen.line([(0, y), (WIDE, y + 2)], shade(self.bench, 0.94), 0.8)
        return image

    def _work(self, step: Step, time: float) -> Image:
        image = self.near.copy()
        progress = (time - step.start) / (step.end - step.start)
        skin, sleeve = SKIN[self.look.skin], CLOTH[self.look.garment_colour]
        draw_work(self._pen(image), step.deed, step.thing, step.tool, time, progress, skin, sleeve)
        return image

    def _demonstrator(self, image: Image, wide: float, left: float, top: float, time: float) -> None:
        """Draw the demonstrator; the picture shows `wide` units of the stage from (left, top) on."""
        speaks = any(said.start <= time < said.end for said in self.video.sentences)
        mouth = abs(sin(9 * time)) if speaks else 0.0
        blink = 1.0 if time % 3.4 < 0.13 else 0.0
        pose = Pose(
            480.0, 1.0 if self.video.seed % 2 else -1.0, mouth=mouth, blink=blink, bow=0.1 * sin(time)
        )
        draw_figure(Pen(image, self.picture.width / wide, (left, top)), self.look, pose, time)

    def _face(self, time: float) -> Image:
        image = self.blurred.copy()
        self._demonstrator(image, 110.0, 425.0, 150.0, time)
        return image

    def _whole(self, time: float) -> Image:
        image = self.place.copy()
        self._demonstrator(image, 230.0, 365.0, 140.0, time)
        pen = self._pen(image)
        pen.box(0, 96, WIDE, HIGH, self.bench)
        pen.box(0, 96, WIDE, 99, shade(self.bench, 1.15))
        for thing, at in zip(self.about, self.lying, strict=True):
            draw_thing(pen, thing, at, 0.42 * SIZE)
        return image


def _faces(rng: Random, duration: float) -> list[bool]:
    """For each second whether the face is seen between steps, else the whole place."""
    shown, faces = rng.random() < 0.6, []
    for _ in range(int(duration) + 1):
        if rng.random() < _SHOT:
            shown = rng.random() < 0.6
        faces.append(shown)
    return faces


@lru_cache(maxsize=8)
def _backdrop(craft: str, stage: int, width: int, height: int) -> Image:
    """The middle of a place of the films, as a camera without movement sees it; [height, width, 3] RGB."""
    rng = Random(f"workplace {craft} {stage}")
    scenery = PAINTERS[PLACES[craft]](Mood(("dawn", "day", "dusk")[stage % 3], "clear", rng))
    full = np.zeros((*scenery.layers[0].image.shape[:2], 3), np.float32)
    for layer in scenery.layers:
        if layer.depth <= 1:
            full = full * (1 - layer.image[..., 3:] / 255.0) + layer.image[..., :3]
    rows, wide = full.shape[0], round(full.shape[0] * width / height)
    first = round((300 + 40 * (stage % 4)) * SCALE)
    shown = np.clip(full[:rows, first : first + wide], 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
