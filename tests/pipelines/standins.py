"""Speech cleaners that need no weights: they decode the film's real sound and measure it.

Run the pipeline with one of them: `python -m tests.pipelines.standins NAME ARGUMENTS-OF-TRANSCRIBE...`. With
`Leaving` it runs on a cluster of two machines, of which one goes away.
"""

import os
import signal
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np

import pipelines.cluster
from cinescribe.errors import WeightsError
from cinescribe.media.audio import read_audio
from cinescribe.speech.clean import CleanSpeech, SpeechSettings
from cinescribe.speech.narrator import SpeakerEvidence
from cinescribe.utterance import Utterance, Word
from pipelines.transcribe import main


class Loudness:
    """One utterance over the whole film that tells its loudness; a narrator above -12 dB."""

    def __init__(self, settings: SpeechSettings, *, threads: int = 0, device: str = "") -> None:
        assert threads >= 1
        assert device in ("cpu", "cuda")
        self.settings = settings

    def __call__(self, path: Path) -> CleanSpeech:
        samples = read_audio(path)
        level = 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-9)
        role = "narrator" if level > -12 else "dialogue"
        end = len(samples) / 16000
        text = f"Anna hears {level:.1f} dB."
        words = tuple(Word(0.0, end, word, 0.5) for word in text.split())
        return CleanSpeech(
            utterances=(Utterance(0.0, end, text, "SPEAKER_00", role, words, 0.5),),
            language=self.settings.language or "en",
            language_probability=1.0,
            narrator_confidence=0.5,
            evidence=(SpeakerEvidence("SPEAKER_00", 4, end, 0.0, role == "narrator", "loudness"),),
            suppressed={"silence": 1},
            damaged_seconds=0.0,
            weights={"asr": "none"},
            seconds={"all": time.monotonic()},
        )


class Troubled(Loudness):
    """Does to its process what the film's name says; each try leaves a mark beside the film."""

    def __call__(self, path: Path) -> CleanSpeech:
        with open(f"{path}.tries", "a") as file:
            file.write("x")
        if path.stem == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.stem == "hang":
            time.sleep(3600)
        if path.stem == "bug":
            raise ZeroDivisionError("a fault of\nthe program")
        if path.stem == "memory":
            np.ones(2**60, np.uint8)
        if path.stem == "killed" and os.path.getsize(f"{path}.tries") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(path)


class Slow(Loudness):
    """Takes long enough to be interrupted."""

    def __call__(self, path: Path) -> CleanSpeech:
        time.sleep(1.0)
        return super().__call__(path)


class Leaving(Loudness):
    """Begins with a film named "hang" and waits till its machine goes away; elsewhere it does it."""

    def __call__(self, path: Path) -> CleanSpeech:
        mark = path.with_name("begun")
        if path.stem == "hang" and not mark.exists():
            import ray

            mark.write_text(ray.get_runtime_context().get_node_id())
            time.sleep(3600)
        return super().__call__(path)


def run_where_a_machine_leaves(arguments: list[str], cleaner: type) -> int:
    """The pipeline's exit code, on two machines of which the one goes that has begun with "hang"."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    cluster.add_node(num_cpus=0, include_dashboard=False)
    machines = {node.node_id: node for node in (cluster.add_node(num_cpus=2), cluster.add_node(num_cpus=2))}
    mark = Path(arguments[0], "begun")

    def leave() -> None:
        while not mark.exists() or mark.read_text() not in machines:
            time.sleep(0.05)
        cluster.remove_node(machines[mark.read_text()])

    Thread(target=leave, daemon=True).start()
    try:
        return main([*arguments, "--address", cluster.address], cleaner)
    finally:
        cluster.shutdown()


class Weightless(Loudness):
    """Has no weights."""

    def __init__(self, settings: SpeechSettings, *, threads: int = 0, device: str = "") -> None:
        raise WeightsError("tiny.en: not there; get it with `cinescribe weights tiny.en`")


if __name__ == "__main__":
    from tests.pipelines import standins  # by its own name, so that the workers find the class too

    cleaner = getattr(standins, sys.argv[1])
    if cleaner is standins.Leaving:
        pipelines.cluster.TRIES = 1  # one machine lost is then as good as three
        raise SystemExit(run_where_a_machine_leaves(sys.argv[2:], cleaner))
    raise SystemExit(main(sys.argv[2:], cleaner))
