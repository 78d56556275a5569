"""The steps of `make demo`, in order; one that was done before is quick."""

import sys
from pathlib import Path

from cinescribe import zoo
from cinescribe.demo import alignment, description, finding, speech
from cinescribe.demo.stage import Demo, Stopped
from cinescribe.errors import CinescribeError


def pull_weights(_: Demo) -> None:
    """Have the weights of the small profile and the voices here."""
    voices = [name for name, weight in zoo.entries().items() if weight.role == "voice"]
    zoo.pull([*zoo.PROFILES["small"].values(), *voices])


# What each does, and about how long that took on two cores.
STEPS = (
    ("weights: speech, voices, objects, actions, sentences (430 MB the first time)", pull_weights),
    ("a film with two characters and a narrator is rendered: 1 min", speech.make_film),
    (
        "a small world to learn from, and one of its test films rendered without a narrator: 1 min",
        description.make_world,
    ),
    ("the speech of both films is cleaned: 1 min", speech.clean),
    ("objects and actions are recognised in both films: 1 min", finding.look),
    ("a small TAN learns where narration is seen: 2 min", alignment.train),
    ("it aligns how-to videos: 40 s", alignment.align),
    ("a small AutoAD learns to describe: 20 s", description.train),
    ("it describes the film without a narrator, in the pauses of its dialogue: 20 s", description.describe),
    ("what is said, described and seen is indexed: 5 s", finding.index),
    ("moments are found again: 5 s", finding.find),
    ("the page: 30 s", finding.open_page),
)


def main(folder: Path = Path("demo")) -> int:
    """Run every step; returns the exit code."""
    demo = Demo(folder, len(STEPS))
    try:
        for what, do in STEPS:
            demo.step(what)
            do(demo)
    except Stopped as stopped:
        return stopped.code
    except CinescribeError as error:
        print(f"cinescribe demo: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
