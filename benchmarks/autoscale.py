"""What grows and shrinks with the work: `python -m benchmarks.autoscale --out FOLDER`, 10 to 15 minutes.

A Ray cluster whose head computes nothing and whose autoscaler starts nodes, which are processes of this
machine and lend its few cores several times. One after the other:

    films      `cinescribe transcribe` of a queue of short films, on a cluster without a machine
    service    `serve run` of the config that infra.render makes, under load over HTTP
    training   `cinescribe train --workers 1-3`: it waits for a machine, gets more of them, loses one

Each scene has its own group of nodes, which is at 0 at its start and its end. FOLDER gets `timeline.json` and
`timeline.png`. Exit code 1 when something was not as promised.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import autoscale_films, autoscale_picture, autoscale_service, autoscale_training
from benchmarks.arguments import folder
from benchmarks.autoscale_cluster import AutoscalingCluster, Group
from benchmarks.autoscale_scene import Result
from benchmarks.autoscale_watch import Recorder

IDLE_SECONDS = 8.0  # after which a node without work goes
SCENES = {"films": autoscale_films, "service": autoscale_service, "training": autoscale_training}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenes, draw them, print what was seen; 1 when a promise was not kept."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.autoscale", description=__doc__.partition("\n")[0])
    p.add_argument(
        "--out", type=folder, required=True, metavar="FOLDER", help="of timeline.json, timeline.png, the runs"
    )
    p.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES), help="default: all")
    p.add_argument("--films", type=int, default=60, help="in the queue (default: %(default)s)")
    p.add_argument(
        "--cleaner",
        default="cinescribe.speech.clean:SpeechCleaner",
        help="module:class of what cleans their speech (default: %(default)s)",
    )
    given = p.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster ends with this
    # A shell that runs this in its background has it ignore interrupts, and its children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    out: Path = given.out
    groups = {name: scene.GROUP for name, scene in SCENES.items()}
    cluster = AutoscalingCluster(
        {name: Group(g.cpus, g.memory, 0) for name, g in groups.items()}, IDLE_SECONDS
    )
    os.environ.update(cluster.secrets)  # before anything imports Ray
    prepared = {name: SCENES[name].prepare(out, given) for name in given.scenes}
    results: list[Result] = []
    with cluster:
        import ray

        address = cluster.address
        ray.init(address=address or None, logging_level="ERROR", log_to_driver=False)
        with Recorder(cluster) as recorder:
            try:
                for name in given.scenes:
                    recorder.scene = name
                    cluster.allow(name, groups[name].most)
                    results.append(SCENES[name].play(cluster, recorder, prepared[name]))
                    cluster.allow(name, 0)
                    print(results[-1], flush=True)
            finally:
                recorder.write(out / "timeline.json")
                cluster.keep_logs(out / "logs")
        ray.shutdown()
    autoscale_picture.draw(out / "timeline.json", out / "timeline.png")
    broken = [promise for result in results for promise in result.broken]
    for promise in broken:
        print(f"not kept: {promise}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
