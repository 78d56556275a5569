"""The scene of the films: a queue of them makes machines and workers appear, and its end makes them go."""

import argparse
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.autoscale_cluster import AutoscalingCluster, Group
from benchmarks.autoscale_scene import Result, first, start, told, until_gone
from benchmarks.autoscale_watch import Recorder, nodes_of, of
from benchmarks.scale import render, sounds
from cinescribe import tables

GROUP = Group(cpus=2, memory=4 * 10**9, most=3)
_SECONDS = 2.0  # of a film
_WORKERS = 6  # as many as the machines that may come hold, as infra.render says it
_COMMAND = """
import sys
from benchmarks.scale import cleaner_class
from pipelines.transcribe import main
raise SystemExit(main(sys.argv[2:], cleaner_class(sys.argv[1])))
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """Films that wait to be transcribed, where they go, and by what."""

    films: Path
    many: int
    out: Path
    cleaner: str


def prepare(out: Path, given: argparse.Namespace) -> Queue:
    """Render the films, with a tone for speech."""
    queue = Queue(out / "films", given.films, out / "transcribed", given.cleaner)
    queue.films.mkdir(exist_ok=True)
    for n, sound in enumerate(sounds("", queue.many, _SECONDS)):
        path = queue.films / f"{n:03}.mp4"
        if not path.exists():
            render(path, _SECONDS, sound)
    shutil.rmtree(queue.out, ignore_errors=True)
    return queue


def play(cluster: AutoscalingCluster, recorder: Recorder, queue: Queue) -> Result:
    """Transcribe them on a cluster that has no machine yet."""
    result = Result("films")
    out = str(queue.out)

    def tell() -> Mapping[str, object]:
        done = len(tables.written_names(out, "speech"))
        return {"units": {"done": done, "waiting": queue.many - done}}

    recorder.tell = tell
    began = recorder.seconds
    recorder.note("transcribe begins")
    process = start(
        cluster,
        [
            "-c",
            _COMMAND,
            queue.cleaner,
            str(queue.films),
            "--out",
            out,
            "--threads",
            "1",
            "--workers",
            str(_WORKERS),
        ],
        queue.out.with_suffix(".log"),
    )
    code = process.wait(600)
    ended = recorder.seconds
    recorder.note("transcribe ends")
    samples = [sample for sample in recorder.samples if sample["scene"] == "films"]
    done = [sample for sample in samples if sample["units"]["done"]]
    nodes = max(nodes_of(sample, "films") for sample in samples)
    workers = max(of(sample, "film workers") for sample in samples)
    result.rows += [
        ("films, s of each", f"{queue.many}, {_SECONDS:g}"),
        ("until the first node", told(first(samples, began, lambda s: nodes_of(s, "films")))),
        ("until the first film was done", told(first(samples, began, lambda s: s["units"]["done"]))),
        (
            f"until {nodes} nodes, the most",
            told(first(samples, began, lambda s: nodes_of(s, "films") == nodes)),
        ),
        (
            f"until {workers} workers, the most",
            told(first(samples, began, lambda s: of(s, "film workers") == workers)),
        ),
        ("until all films were done", told(first(samples, began, lambda s: not s["units"]["waiting"]))),
    ]
    if len(done) > 1:
        rate = (done[-1]["units"]["done"] - done[0]["units"]["done"]) / (ended - done[0]["seconds"])
        result.rows.append(("films a second, after the first", f"{rate:.2f}"))
    until_gone(recorder, result, "films", ended, "the end of the run")
    ids = tables.read_table(out, "speech")["film_id"].to_pylist()
    result.promise(code == 0, f"the run ended with {code}, see {queue.out.with_suffix('.log')}")
    result.promise(
        sorted(ids) == sorted({*ids}) and len(ids) == queue.many, f"{len(ids)} of {queue.many} films"
    )
    result.promise(not len(tables.read_table(out, "errors")), "films failed")
    result.promise(nodes == GROUP.most, f"{nodes} nodes came, of {GROUP.most} there could be")
    result.promise(workers > 1, "there was one worker all the time")
    return result
