"""A film on paper: when each line and action would be, without voices and pictures, and its truth."""

from dataclasses import dataclass
from typing import Any

from cinescribe.cineworld.blocking import TimedScene, narrated, schedule
from cinescribe.cineworld.shots import PlannedShot, plan
from cinescribe.cineworld.story import Story
from cinescribe.utterance import Utterance

SPEAKING = 2.7  # words a second, where no voice has spoken a line


@dataclass(frozen=True, slots=True)
class Film:
    """A story in time. The same story can be rendered; voices then make its times a little different."""

    story: Story
    scenes: tuple[TimedScene, ...]
    shots: tuple[PlannedShot, ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.scenes[-1].end

    def utterances(self) -> list[Utterance]:
        """Description and dialogue, in order, none over another."""
        return [
            Utterance(
                round(line.start, 3),
                round(line.end, 3),
                line.beat.text,
                line.beat.speaker,
                "narrator" if narrated(line) else "dialogue",
            )
            for scene in self.scenes
            for line in scene.spoken
        ]

    def truth(self) -> dict[str, Any]:
        """What is true of the film, as JSON has it.

        A description is known by its number among the utterances. It tells what is done while it is spoken
        ("now"), under the line "before" or the line "after" it, or of the "place"; `actions` are the numbers
        of those it tells, whose times are the true ones.
        """
        performances = [(scene, p) for scene in self.scenes for p in scene.performances]
        numbers = {id(p.cue): number for number, (_, p) in enumerate(performances)}
        descriptions, spoken = [], 0
        for scene in self.scenes:
            for number, line in enumerate(scene.spoken):
                if narrated(line):
                    told = scene.spoken[number + line.beat.describes].beat.cues
                    tells = {-1: "before", 0: "now", 1: "after"}[line.beat.describes] if told else "place"
                    acts = [numbers[id(cue)] for cue in told if id(cue) in numbers]
                    descriptions.append({"utterance": spoken, "tells": tells, "actions": acts})
                spoken += 1
        return {
            "seed": self.story.seed,
            "title": self.story.title,
            "duration": self.duration,
            "people": [
                {"name": c.name, "look": c.look.phrase(), "voice": c.voice.name}
                for c in self.story.characters
            ],
            "shots": [
                {
                    "start": shot.start,
                    "end": shot.end,
                    "place": "title" if shot.scene < 0 else self.scenes[shot.scene].scene.place,
                    "framing": shot.framing,
                    "subject": shot.subject,
                }
                for shot in self.shots
            ],
            "actions": [
                {
                    "start": round(p.start, 3),
                    "end": round(p.end, 3),
                    "who": p.cue.who,
                    "verb": p.cue.verb,
                    "object": p.cue.object,
                    "target": p.cue.target,
                    "feeling": p.cue.feeling,
                    "place": scene.scene.place,
                }
                for scene, p in performances
            ],
            "descriptions": descriptions,
        }


def on_paper(story: Story) -> Film:
    """A story at the times it would have if all spoke `SPEAKING` words a second."""
    lengths = [(len(beat.text.split()) + 0.5) / SPEAKING for scene in story.scenes for beat in scene.beats]
    scenes = schedule(story, lengths)
    return Film(story, scenes, plan(scenes))
