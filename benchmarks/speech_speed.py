"""The speed part of the speech benchmark: ours, the whisper library and WhisperX on one film."""

import json
import subprocess
import tempfile
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cinescribe import zoo
from cinescribe.media.audio import read_audio
from cinescribe.speech.clean import SpeechCleaner, SpeechSettings
from cinescribe.speech.whisper_engines import convert_to_ctranslate2, load_checkpoint

if TYPE_CHECKING:
    from benchmarks.speech import Bench

RATE = 16_000
T = TypeVar("T")


class Clocked:
    """Passes calls on to a model and adds up the seconds they take."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.model, name)
        return self._timed(value) if callable(value) else value

    def __call__(self, *arguments: Any) -> Any:
        """Call the model."""
        return self._timed(self.model)(*arguments)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - begin

        return call


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run took: wall seconds, and CPU seconds of its process."""

    wall: float
    cpu: float


def speed(bench: "Bench") -> None:
    """Ours, the whisper library and WhisperX in turns on the described film; the best of the turns counts."""
    options = bench.options
    film = bench.data / "video" / "elephants_dream" / "described_audio_16k.flac"
    sound = read_audio(film, rate=RATE, end=options.seconds or None)
    cleaner = SpeechCleaner(SpeechSettings(), threads=options.threads, device="cpu")
    models = clock_models(cleaner)
    runs: dict[str, list[Taken]] = {}
    stages: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_wav(Path(folder, "film.wav"), sound)
        peer = converted(Path(folder, "ct2")) if options.peers_python else None
        for _ in range(options.turns):
            for model in models.values():
                model.seconds = 0.0
            clean, taken = timed(partial(cleaner, path))
            runs.setdefault("ours: words, speakers, roles", []).append(taken)
            stages.append({**clean.seconds, **{f"in {name}": m.seconds for name, m in models.items()}})
            for beam, name in ((0, "whisper library: words"), (5, "whisper library, beam 5: words")):
                _, taken = timed(partial(bench.library.transcribe, sound, beam))
                runs.setdefault(name, []).append(taken)
            if peer:
                taken = run_whisperx(options.peers_python, peer, path, options.threads)
                runs.setdefault("WhisperX, beam 5: text only", []).append(taken)
    length = len(sound) / RATE
    best = {n: Taken(min(t.wall for t in of), min(t.cpu for t in of)) for n, of in runs.items()}
    ours = next(iter(best.values()))
    rows = []
    for name, t in best.items():
        ratios = (t.wall / length, t.wall / ours.wall, t.cpu / ours.cpu)
        rows.append([name, f"{t.wall:.1f}", f"{t.cpu:.1f}", *(f"{ratio:.3f}" for ratio in ratios)])
    if not peer:
        rows.append(["WhisperX: not run, see --peers-python", "", "", "", "", ""])
    bench.table(
        f"{length:.0f} s of Elephants Dream, described; {zoo.for_role('asr')}, {options.threads} threads, "
        f"best of {options.turns} turns, loading not counted. WhisperX without its alignment and speakers.",
        ["system", "seconds", "CPU seconds", "of real time", "seconds, ours = 1", "CPU seconds, ours = 1"],
        rows,
    )
    turn = min(stages, key=lambda seconds: sum(total_and_models(seconds)))
    total, inside = total_and_models(turn)
    rows = [[stage, f"{seconds:.2f}", f"{100 * seconds / total:.1f}%"] for stage, seconds in turn.items()]
    rows.append(["outside the networks", f"{total - inside:.2f}", f"{100 * (1 - inside / total):.1f}%"])
    bench.table(
        f"Where ours spent its {total:.1f} s (quickest turn): stages, and in the networks",
        ["", "seconds", "share"],
        rows,
    )


def clock_models(cleaner: SpeechCleaner) -> dict[str, Clocked]:
    """Put a clock around each network of the cleaner."""
    diarizer = cast(Any, cleaner.diarizer)
    transcriber = cast(Any, cleaner.transcriber)
    diarizer.segmentation = Clocked(diarizer.segmentation)
    diarizer.encoder = Clocked(diarizer.encoder)
    transcriber.engine = Clocked(transcriber.engine)
    return {
        "segmentation": diarizer.segmentation,
        "speaker embedding, filter banks included": diarizer.encoder,
        "whisper": transcriber.engine,
    }


def total_and_models(seconds: dict[str, float]) -> tuple[float, float]:
    """Sum over the stages, and over the networks in them."""
    inside = sum(value for name, value in seconds.items() if name.startswith("in "))
    return sum(seconds.values()) - inside, inside


def timed(function: Callable[[], T]) -> tuple[T, Taken]:
    """A call's result and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, Taken(time.perf_counter() - wall, time.process_time() - cpu)


def converted(folder: Path) -> Path:
    """The Whisper weights of the small profile as faster-whisper reads them."""
    checkpoint = zoo.path(zoo.for_role("asr"))
    model = load_checkpoint(checkpoint)
    return add_tokenizer(convert_to_ctranslate2(checkpoint, folder), multilingual=model.is_multilingual)


def write_wav(path: Path, samples: NDArray[Any]) -> Path:
    """16-bit mono at 16 kHz from samples in [-1, 1]."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())
    return path


_WHISPERX = """
import json, sys, time, wave
import numpy as np, torch, whisperx

folder, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(threads)
model = whisperx.load_model(folder, "cpu", compute_type="int8", language="en", threads=threads)
with wave.open(path) as file:
    sound = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
wall, cpu = time.perf_counter(), time.process_time()
model.transcribe(sound, batch_size=8)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu]))
"""


def run_whisperx(python: str, folder: Path, sound: Path, threads: int) -> Taken:
    """WhisperX's detection and recognition of speech, loading not counted.

    Its alignment model comes from a hub, so word times, and with them speakers, are left out.

    Args:
        python: interpreter of an environment with whisperx.
        folder: Whisper in CTranslate2's format with `tokenizer.json`.
        sound: 16-bit mono WAV at 16 kHz.
        threads: CPU threads.
    """
    command = [python, "-W", "ignore", "-c", _WHISPERX, str(folder), str(sound), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"WhisperX failed:\n{done.stderr[-2000:]}")
    return Taken(*json.loads(done.stdout.splitlines()[-1]))


def add_tokenizer(folder: Path, *, multilingual: bool) -> Path:
    """Write the `tokenizer.json` that faster-whisper reads, from the whisper library's own vocabulary."""
    if (folder / "tokenizer.json").exists():
        return folder
    import whisper
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers.convert_slow_tokenizer import TikTokenConverter
    from whisper.tokenizer import get_tokenizer

    assets = Path(str(whisper.__file__)).parent / "assets"
    vocabulary = assets / f"{'multilingual' if multilingual else 'gpt2'}.tiktoken"
    ranks, merges = TikTokenConverter().extract_vocab_merges_from_model(str(vocabulary))
    tokenizer = Tokenizer(models.BPE(ranks, merges))
    words = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(words), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = get_tokenizer(multilingual).special_tokens
    in_order: Sequence[str] = sorted(special, key=lambda token: special[token])
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in in_order])
    wrong = [token for token in in_order if tokenizer.token_to_id(token) != special[token]]
    if wrong:
        raise SystemExit(f"the tokenizer for {folder} numbers {wrong[:3]} unlike the whisper library")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
