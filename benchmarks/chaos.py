"""Everything that a run consists of is killed while it works: `python -m benchmarks.chaos --out FOLDER`.

Kills workers, nodes, drivers, replicas of the service and the S3 server, in an order drawn by a seed, during
ingest, indexing, training and serving, by the real commands with the real small models, on a Ray cluster of
three nodes and an S3 server, all on this machine. Results are held against those of runs without kills. Ends
with 1 when a promise was broken. See docs/chaos.md.
"""

import argparse
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from benchmarks.arguments import folder
from benchmarks.chaos_attack import Told, listed
from benchmarks.chaos_machines import Machines
from benchmarks.chaos_scenes import Scenes
from benchmarks.chaos_service import serving

SCENES = ("ingest", "indexing", "training", "serving")
Scene = Callable[[Told, random.Random], None]


def run(options: argparse.Namespace, told: list[Told]) -> None:
    """All scenes in rounds until the time is over, before its first time each without kills; fills `told`."""
    out: Path = options.out
    with Machines(out) as machines:
        machines.start_cluster()
        scenes = Scenes(machines, out / "films", out / "world", options.light)
        say("films, tables and a world to train on ...")
        scenes.prepare()
        doing: dict[str, Scene] = {
            "ingest": scenes.ingest,
            "indexing": scenes.indexing,
            "training": scenes.training,
            "serving": lambda told, chance: serving(machines, told, chance),
        }
        left, number = 60.0 * options.minutes, 0
        quiet: set[str] = set()
        while left > 0:
            number += 1
            for name in options.scenes:
                calm = "indexing" if name == "serving" else name  # what is served was indexed
                if calm not in quiet:
                    say(f"{calm} without kills ...")
                    scenes.quiet(calm)
                    quiet.add(calm)
                one = Told(name, number)
                told.append(one)
                began = time.monotonic()
                try:
                    doing[name](one, random.Random(f"{options.seed} {number} {name}"))
                except Exception as error:  # what is known until here is told, and the rest goes on
                    one.broken.append(f"{type(error).__name__}: {error}")
                except KeyboardInterrupt:
                    one.interrupted = True
                    raise
                finally:
                    one.seconds = round(time.monotonic() - began, 1)
                left -= one.seconds
                say(line(one))
                write(out, options, told)
                if one.broken:
                    machines.start_cluster()  # the next scene doesn't suffer from what this one left
                if left <= 0:
                    break


def say(text: str) -> None:
    """A line, now."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def line(one: Told) -> str:
    """What came of a scene, in short."""
    kills = ", ".join(f"{count} {kind}" for kind, count in sorted(one.kills.items()))
    state = "broken: " + "; ".join(one.broken) if one.broken else "kept"
    return (
        f"round {one.round} {one.scene}: {one.seconds:.0f} s, kills {kills or 'none'}, tries {one.tries}, "
        f"units {one.units}, differences {len(one.differences)}, {state}"
    )


def write(out: Path, options: argparse.Namespace, told: Sequence[Told]) -> None:
    """All that is known, as JSON."""
    content = {
        "seed": options.seed,
        "minutes": options.minutes,
        "light": options.light,
        "scenes": [listed(one) for one in told],
    }
    (out / "chaos.json").write_text(json.dumps(content, indent=1))


def summary(options: argparse.Namespace, told: Sequence[Told]) -> str:
    """The tables that are printed at the end."""
    rows = [
        f"seed {options.seed}; {sum(one.seconds for one in told) / 60:.1f} minutes of scenes",
        "",
        "| | rounds | min | kills: worker | node | driver | S3 | tries | units | given up | differences |",
        "|---" * 11 + "|",
    ]
    for name in options.scenes:
        runs = [one for one in told if one.scene == name]
        kills = sum((one.kills for one in runs), Counter[str]())
        figures = [
            len(runs),
            f"{sum(one.seconds for one in runs) / 60:.1f}",
            *(kills[kind] for kind in ("worker", "node", "driver", "s3")),
            sum(one.tries for one in runs),
            sum(one.units for one in runs),
            sum(one.given_up.total() for one in runs),
            sum(len(one.differences) for one in runs),
        ]
        rows.append(f"| {name} | " + " | ".join(map(str, figures)) + " |")
    rows += [
        "",
        "| seconds until it went on, median (longest) | worker | node | driver | S3 |",
        "|---" * 5 + "|",
    ]
    for name in options.scenes:
        cells = []
        for kind in ("worker", "node", "driver", "s3"):
            taken = sorted(s for one in told if one.scene == name for k, s in one.recoveries if k == kind)
            cells.append(f"{taken[len(taken) // 2]:.1f} ({taken[-1]:.1f})" if taken else "-")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    requests = sum((one.requests for one in told), Counter[str]())
    lost = sum(count for what, count in requests.items() if what.startswith(("lost", "formless")))
    answered = requests["200"]
    rows += ["", f"requests: {requests.total()} sent, {answered} answered, {lost} lost or without form"]
    rows += [f"  {count} {what}" for what, count in requests.most_common()]
    rows.append(
        f"largest difference of a loss: {max((one.loss_difference for one in told), default=0.0):.3g}"
    )
    for one in told:
        where = f"round {one.round} {one.scene}"
        rows += [f"{where}: given again, S3 having been away: {text}" for text in one.needed_again]
        rows += [f"{where}: differs: {text}" for text in one.differences]
        rows += [f"{where}: interrupted before its end"] * one.interrupted
        rows += [f"{where}: BROKEN: {text}" for text in one.broken]
    return "\n".join(rows)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__.partition("\n")[0])
    p.add_argument(
        "--out",
        type=folder,
        required=True,
        metavar="FOLDER",
        help="of chaos.md and chaos.json, the logs, the films",
    )
    p.add_argument(
        "--minutes",
        type=float,
        default=30.0,
        help="of scenes with kills, each first once without (default %(default)g)",
    )
    p.add_argument("--seed", type=int, default=None, help="of the kills (default: drawn, and printed)")
    p.add_argument(
        "--light", action="store_true", help="ingest by the stand-ins of the tests, which need no models"
    )
    p.add_argument("--scenes", nargs="+", choices=SCENES, default=SCENES, help="default: all")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 1 when a promise was broken."""
    options = parser().parse_args(argv)
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10_000)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    say(f"seed {options.seed}")
    told: list[Told] = []
    try:
        run(options, told)
    except KeyboardInterrupt:
        say("interrupted; what was done until then:")
    text = summary(options, told)
    (options.out / "chaos.md").write_text(text + "\n")
    print(text)
    return int(any(one.broken or one.differences for one in told))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
