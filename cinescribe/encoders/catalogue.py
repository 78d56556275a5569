"""The encoders by name, as `--encoders` takes them.

clip                      the default model of that encoder
clip:ViT-L-14/openai      another model of it
clip@5                    at another rate, in features per second
"""

import importlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cinescribe.encoders.protocol import Encoder, EncoderSpec
from cinescribe.errors import UsageError, WeightsError

# Each module has `spec(model, hz)` and `load(model, hz, *, device, threads)`; "" and None: its defaults.
ENCODERS: Mapping[str, str] = {
    "clip": "cinescribe.encoders.clip",
    "s3d": "cinescribe.encoders.s3d",
    "objects": "cinescribe.encoders.objects",
    "actions": "cinescribe.encoders.actions",
    "motion": "cinescribe.encoders.motion",
    "appearance": "cinescribe.encoders.appearance",
    "scene": "cinescribe.encoders.scene",
    "audio": "cinescribe.encoders.audio",
    "face": "cinescribe.encoders.face",
    "ocr": "cinescribe.encoders.ocr",
    "sound": "cinescribe.encoders.sound",
}

_WRITTEN = re.compile(r"(?P<kind>[a-z0-9_-]+)(?::(?P<model>.+?))?(?:@(?P<hz>\d+(?:\.\d+)?))?")


def spec(written: str) -> EncoderSpec:
    """What an encoder is, without loading anything. Raises UsageError on an unknown one."""
    module, model, hz = _parse(written)
    found: EncoderSpec = module.spec(model, hz)
    return found


def load(written: str, *, device: str = "cpu", threads: int = 0) -> Encoder:
    """A loaded encoder.

    Args:
        written: its name, with model and rate where they are not the defaults.
        device: "cpu" or "cuda".
        threads: of the process's torch, 0 leaves them.

    Raises:
        UsageError: no such encoder or model.
        WeightsError: its weights can't be had.
    """
    module, model, hz = _parse(written)
    loaded: Encoder = module.load(model, hz, device=device, threads=threads)
    return loaded


def of_table(name: str, hz: float) -> str:
    """The encoder, as it is written, that fills the table `features/<name>` at that rate.

    Returns:
        "" where the name doesn't tell it, as of a checkpoint by its path.
    """
    candidates = [f"{kind}@{hz:g}" for kind in ENCODERS] + [f"s3d:joint@{hz:g}"]
    return _filling(name, hz, candidates) or _filling(name, hz, _clips(name, hz))


def _filling(name: str, hz: float, candidates: Iterable[str]) -> str:
    """The candidate that fills the table of that name, or ""."""
    for written in candidates:
        try:
            found = spec(written)
        except (UsageError, WeightsError):  # another encoder, of which something is missing here
            continue
        if (found.name, found.hz) == (name, hz):
            return written
    return ""


def _clips(name: str, hz: float) -> Iterator[str]:
    """Published CLIP models whose tags are in the name of a table."""
    if name.startswith("clip-"):
        import open_clip

        words = set(re.split(r"\W|_", name))
        for architecture, tag in open_clip.list_pretrained():
            if set(re.split(r"\W|_", tag)) <= words:
                yield f"clip:{architecture}/{tag}@{hz:g}"


def _parse(written: str) -> tuple[Any, str, float | None]:
    match = _WRITTEN.fullmatch(written)
    if match is None or match["kind"] not in ENCODERS:
        raise UsageError(f"no encoder {written!r}; there are: {', '.join(ENCODERS)} (clip:MODEL, clip@HZ)")
    hz = float(match["hz"]) if match["hz"] else None
    if hz is not None and not 0 < hz <= 60:
        raise UsageError(f"{written}: a rate is above 0 and at most 60 features per second")
    return importlib.import_module(ENCODERS[match["kind"]]), match["model"] or "", hz
