"""Renders a sample film and writes the exact truth beside it.

python -m cinescribe.cineworld.film OUT.mp4 --seed 7
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cinescribe.cineworld.blocking import FPS, TimedScene, narrated, schedule
from cinescribe.cineworld.shots import HEIGHT, WIDTH, PlannedShot, character_boxes, describe, plan
from cinescribe.cineworld.sound import Soundtrack, soundtrack, to_int16, write_sound
from cinescribe.cineworld.story import NARRATOR, Story, tell
from cinescribe.cineworld.truth import Action, Box, Person, Shot, Truth, truth_path
from cinescribe.cineworld.voices import RATE, speak
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.utterance import Utterance

AHEAD = 48  # frames rendered before they are encoded, at most


@dataclass(frozen=True, slots=True)
class Production:
    """A film up to its pictures: the story in time, its shots and its sound; `described` if narrated."""

    story: Story
    scenes: tuple[TimedScene, ...]
    shots: tuple[PlannedShot, ...]
    sound: Soundtrack
    described: bool = True

    @property
    def truth(self) -> Truth:
        """Everything known of the film."""
        story, scenes = self.story, self.scenes
        return Truth(
            seed=story.seed,
            title=story.title,
            duration=scenes[-1].end,
            fps=FPS,
            width=WIDTH,
            height=HEIGHT,
            narrator_voice=story.narrator.name if self.described else "",
            people=tuple(Person(c.name, c.look.phrase(), c.voice.name) for c in story.characters),
            utterances=tuple(
                Utterance(
                    round(line.start, 4),
                    round(line.end, 4),
                    line.beat.text,
                    speaker=line.beat.speaker,
                    role="narrator" if narrated(line) else "dialogue",
                )
                for scene in scenes
                for line in scene.spoken
                if self.described or not narrated(line)
            ),
            shots=tuple(self._shot(shot) for shot in self.shots),
            actions=tuple(
                Action(
                    round(p.start, 4),
                    round(p.end, 4),
                    p.cue.who,
                    p.cue.verb,
                    p.cue.object,
                    p.cue.target,
                    scene.scene.place,
                    p.cue.feeling,
                )
                for scene in scenes
                for p in scene.performances
            ),
            music=self.sound.music_intervals,
        )

    def _shot(self, shot: PlannedShot) -> Shot:
        boxes: list[Box] = []
        if shot.scene >= 0:
            scene = self.scenes[shot.scene]
            for second in range(ceil(shot.start), ceil(shot.end)):
                boxes += [Box(float(second), *box) for box in character_boxes(shot, scene, float(second))]
        place = "title" if shot.scene < 0 else self.scenes[shot.scene].scene.place
        description = describe(shot, self.scenes, self.story.title)
        return Shot(shot.start, shot.end, place, shot.framing, description, tuple(boxes))


def produce(seed: int, *, characters: int = 2, scenes: int = 3) -> Production:
    """Everything of a film but its pictures; see `tell` for the arguments."""
    return produce_story(tell(seed, characters, scenes))


def produce_story(story: Story, *, described: bool = True) -> Production:
    """Everything of a story's film but its pictures.

    Args:
        described: False leaves the narrator silent; all else is at the same times.

    Raises:
        UsageError: Piper is missing.
        WeightsError: a voice can't be had.
    """
    voices = {NARRATOR: story.narrator} | {c.name: c.voice for c in story.characters}
    beats = [beat for scene in story.scenes for beat in scene.beats]
    spoken = speak([(voices[beat.speaker], beat.text) for beat in beats])
    timed = schedule(story, [len(samples) / RATE for samples in spoken])
    for beat, samples in zip(beats, spoken, strict=True):
        if beat.speaker == NARRATOR and not described:
            samples[:] = 0.0
    return Production(story, timed, plan(timed), soundtrack(story.seed, timed, spoken), described)


def render_film(
    seed: int, path: Path, *, characters: int = 2, scenes: int = 3, picture: bool = True
) -> Truth:
    """Renders the film of a seed to `path` and its truth to `<path without suffix>.truth.json`.

    The film is 640x360 at 25 frames a second, H.264 and AAC, about half a minute per scene. The same
    seed gives the same film on the same machine.

    Args:
        characters: 2 or 3, beside the narrator.
        scenes: 2 to 5.
        picture: False writes the sound only (path ends in .wav or .flac), in seconds.

    Raises:
        UsageError: arguments out of range, a wrong suffix, or Piper missing.
        WeightsError: a voice can't be had.
    """
    return render_story(tell(seed, characters, scenes), path, picture=picture)


def render_story(story: Story, path: Path, *, picture: bool = True) -> Truth:
    """Renders a story as `render_film` does that of a seed.

    Raises:
        UsageError: a wrong suffix, or Piper missing.
        WeightsError: a voice can't be had.
    """
    _check_name(path, picture)
    return render_production(produce_story(story), path, picture=picture)


def _check_name(path: Path, picture: bool) -> None:
    wanted = (".mp4",) if picture else (".wav", ".flac")
    if path.suffix.lower() not in wanted:
        raise UsageError(f"{path}: the name must end in {' or '.join(wanted)}")


def render_production(production: Production, path: Path, *, picture: bool = True) -> Truth:
    """Renders what was produced as `render_film` does a seed. Raises UsageError on a wrong suffix."""
    _check_name(path, picture)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".cineworld-", dir=path.parent) as folder:  # nothing half-made at `path`
        unfinished = Path(folder, path.name)
        if picture:
            _encode(production, unfinished)
        else:
            write_sound(production.sound.mix(), unfinished)
        unfinished.replace(path)
    truth = production.truth
    truth_path(path).write_text(truth.to_json(), encoding="utf-8")
    return truth


def _frames(production: Production) -> Iterator[Callable[[], np.ndarray]]:
    """A task for each frame of the film, in order."""
    from cinescribe.cineworld.picture import ShotRenderer, TitleRenderer, mouth_curve, paint_place

    mouths = mouth_curve(production.sound.speech)
    scenery = [paint_place(scene, production.story.seed) for scene in production.scenes]
    for shot in production.shots:
        renderer: TitleRenderer | ShotRenderer
        if shot.scene < 0:
            renderer = TitleRenderer(shot, scenery[0], production.story.title)
        else:
            scene = production.scenes[shot.scene]
            renderer = ShotRenderer(shot, scene, scenery[shot.scene], production.story.characters, mouths)
        for index in range(round(shot.start * FPS), round(shot.end * FPS)):
            yield lambda r=renderer, time=index / FPS: r.frame(time)  # type: ignore[misc]


def _encode(production: Production, path: Path) -> None:
    import av

    with (
        av.open(str(path), "w", options={"movflags": "+faststart"}) as container,
        ThreadPoolExecutor(2) as pool,
    ):
        video = container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"preset": "veryfast", "crf": "19", "threads": "1", "g": str(FPS * 4)}
        audio = container.add_stream("aac", rate=RATE, layout="mono", bit_rate=128_000)
        samples = to_int16(production.sound.mix())
        per_frame = RATE // FPS
        tasks = _frames(production)
        waiting: list[Future[np.ndarray]] = [pool.submit(task) for task in islice(tasks, AHEAD)]
        number = 0
        while waiting:
            picture = av.VideoFrame.from_ndarray(waiting.pop(0).result(), format="rgb24")
            waiting += [pool.submit(task) for task in islice(tasks, 1)]
            picture.pts = number
            container.mux(video.encode(picture))
            block = samples[number * per_frame : (number + 1) * per_frame]
            sound = av.AudioFrame.from_ndarray(block[None, :], format="s16", layout="mono")
            sound.sample_rate, sound.pts = RATE, number * per_frame
            container.mux(audio.encode(sound))
            number += 1
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def main(argv: Sequence[str] | None = None) -> int:
    """The command: renders a film, prints where it is."""
    parser = argparse.ArgumentParser(
        prog="cinescribe film", description="Render a sample film with its exact truth."
    )
    parser.add_argument(
        "out", type=Path, metavar="OUT.mp4", help="the film; OUT.wav or OUT.flac for its sound only"
    )
    parser.add_argument("--seed", type=int, default=7, help="which film (default 7)")
    parser.add_argument("--characters", type=int, default=2, help="2 or 3 beside the narrator (default 2)")
    parser.add_argument("--scenes", type=int, default=3, help="2 to 5, about half a minute each (default 3)")
    arguments = parser.parse_args(argv)
    try:
        truth = render_film(
            arguments.seed,
            arguments.out,
            characters=arguments.characters,
            scenes=arguments.scenes,
            picture=arguments.out.suffix.lower() not in (".wav", ".flac"),
        )
    except CinescribeError as error:
        print(f"cinescribe film: {error}", file=sys.stderr)
        return 2
    print(f'{arguments.out}: "{truth.title}", {truth.duration:.1f} s, {len(truth.shots)} shots')
    print(f"{truth_path(arguments.out)}: {len(truth.utterances)} utterances, {len(truth.actions)} actions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
