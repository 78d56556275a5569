"""TAN and AutoAD on this machine's GPU (or CPU): a training step, captions, and the share of the card's peak.

    python -m benchmarks.models_gpu --models tan,autoad
    python -m benchmarks.models_gpu --device cpu --size small --matrix 256 --repeats 2

A step is forward, backward and AdamW on a batch that is already on the device, so that no reading is part of
it. Its arithmetic is counted by torch while it is done once (matrix products and attention, forward and
backward; a multiplication and an addition are two). The peak is measured in the same run by matrix products
in the precision of the step. Weights and inputs are drawn at random: the time does not depend on them.
Captions are of a fixed number of tokens, none ends earlier.
"""

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.encoders_gpu import best_seconds, peak

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cinescribe.models.autoad import AutoAD, Batch, Tokens


@dataclass(frozen=True, slots=True)
class Size:
    """What is computed; the defaults are the papers'.

    Attributes:
        videos, seconds, sentences: of a batch of TAN; a window of 64 s holds about 12 sentences.
        width, layers, heads: of both of TAN's transformers.
        clips: of a batch of AutoAD, 8 runs of 16.
        gpt_layers, gpt_width, words: of AutoAD's language model, GPT-2 small.
        context, subtitles, target: tokens of a clip.
    """

    videos: int = 64
    seconds: int = 64
    sentences: int = 12
    width: int = 512
    layers: int = 6
    heads: int = 8
    clips: int = 128
    gpt_layers: int = 12
    gpt_width: int = 768
    words: int = 50_257
    context: int = 64
    subtitles: int = 32
    target: int = 36


SIZES = {
    "paper": Size(),
    "small": Size(4, 16, 3, 32, 2, 2, clips=4, gpt_layers=1, gpt_width=64, words=300, context=8, subtitles=4,
                  target=6),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of work.

    Attributes:
        seconds: of one call, the least.
        items: windows or clips a call.
        operations: floating-point operations of one call; 0 where they were not counted.
        peak: operations a second of the machine in the precision of the call.
        bytes: of GPU memory at most in use, 0 on a CPU.
    """

    name: str
    seconds: float
    items: int
    operations: float
    peak: float
    bytes: int

    @property
    def share(self) -> float:
        """Of the peak."""
        return self.operations / self.seconds / self.peak


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it is measured, and how: each measurement is the best of `repeats`."""

    device: str
    precision: str
    peak: float
    repeats: int

    def computing(self) -> AbstractContextManager[Any]:
        """The forward pass in the machine's precision; weights and the optimiser in 32 bits."""
        import torch

        return torch.autocast(
            torch.device(self.device).type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"
        )

    def measure(self, name: str, items: int, work: Callable[[], Any], counted: bool) -> Measured:
        """Time some work, and count its operations if asked."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        if counted:
            with counter:
                work()
        if self.device != "cpu":
            torch.cuda.reset_peak_memory_stats()
        seconds = best_seconds(work, self.device, self.repeats)
        used = torch.cuda.max_memory_allocated() if self.device != "cpu" else 0
        operations = float(counter.get_total_flops()) if counted else 0.0
        return Measured(name, seconds, items, operations, self.peak, used)


def measure_tan(size: Size, machine: Machine) -> Iterator[Measured]:
    """A step of each stage."""
    import torch

    from cinescribe.models.tan import TANConfig, TANPair
    from cinescribe.models.tan_loss import first_stage_loss, second_stage_loss

    config = TANConfig(width=size.width, heads=size.heads, dual_layers=size.layers, joint_layers=size.layers)
    pair = TANPair(config).to(machine.device).train()
    video = torch.randn(size.videos, size.seconds, config.video_width, device=machine.device)
    text = torch.randn(size.videos, size.sentences, config.text_width, device=machine.device)
    start = torch.randint(0, size.seconds - 4, (size.videos, size.sentences), device=machine.device).float()
    end = start + 4

    def first() -> "Tensor":
        return first_stage_loss(pair.online(video, text), start, end).total

    def second() -> "Tensor":
        return second_stage_loss(pair, video, text, start, end).total

    for name, loss in (("TAN, step of stage 1", first), ("TAN, step of stage 2", second)):
        yield machine.measure(name, size.videos, _step(pair, loss, machine), counted=True)


def measure_autoad(size: Size, machine: Machine, tokens: int) -> Iterator[Measured]:
    """A step with the language model frozen, and captions of clips, greedy and with beams."""
    import torch

    from cinescribe.models.decoding import Decoding, generate

    model = _autoad(size).to(machine.device).train()
    batch = _batch(size, model)
    yield machine.measure(
        "AutoAD, step", size.clips, _step(model, lambda: model.loss(batch), machine), counted=True
    )
    model.eval()
    never = [size.words - 1]  # random weights hardly ever say it, let alone in all clips

    def captions(beams: int) -> None:
        with machine.computing(), torch.no_grad():
            vectors, mask = model.prompt(batch)
            generate(model.gpt, vectors, mask, never, Decoding(beams, tokens))

    for beams in (1, 5):
        name = f"AutoAD, {tokens} tokens a clip, " + ("greedy" if beams == 1 else f"{beams} beams")
        yield machine.measure(name, size.clips, partial(captions, beams), counted=False)


def _step(model: "nn.Module", loss: "Callable[[], Tensor]", machine: Machine) -> Callable[[], None]:
    """A step of the optimiser, as the training loop takes it."""
    import torch

    optimiser = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], lr=1e-4)

    def step() -> None:
        with machine.computing():
            value = loss()
        value.float().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def _autoad(size: Size) -> "AutoAD":
    """AutoAD around a language model of GPT-2's kind, its weights drawn at random."""
    from transformers import AutoModelForCausalLM, GPT2Config

    from cinescribe.models.autoad import AutoAD
    from cinescribe.models.language_model import LanguageModel, fresh_tokeniser

    config = GPT2Config(
        vocab_size=size.words, n_layer=size.gpt_layers, n_embd=size.gpt_width, n_head=size.gpt_width // 64
    )
    language_model = AutoModelForCausalLM.from_config(config).float().eval()
    return AutoAD(LanguageModel(language_model, fresh_tokeniser([""], 257), "drawn at random"))


def _batch(size: Size, model: "AutoAD") -> "Batch":
    import torch

    from cinescribe.models.autoad import Batch, Tokens

    device = model.bos_token.weight.device

    def tokens(length: int) -> "Tokens":
        ids = torch.randint(0, size.words - 1, (size.clips, length), device=device)
        return Tokens(ids, torch.ones_like(ids))

    frames = torch.randn(size.clips, 8, model.config.frame_width, device=device)
    padding = torch.zeros(frames.shape[:2], dtype=torch.bool, device=device)
    return Batch(frames, padding, tokens(size.context), tokens(size.subtitles), tokens(size.target))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    import torch

    p = argparse.ArgumentParser(
        prog="python -m benchmarks.models_gpu", description=__doc__.partition("\n")[0]
    )
    p.add_argument("--models", default="tan,autoad", help="default: %(default)s")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--size", choices=list(SIZES), default="paper")
    p.add_argument("--batch", type=int, default=0, help="windows or clips a step; 0: the size's own")
    p.add_argument("--tokens", type=int, default=36, help="of a caption (default %(default)s)")
    p.add_argument("--matrix", type=int, default=8192, help="side of the matrices that tell the peak")
    p.add_argument("--repeats", type=int, default=10)
    options = p.parse_args(argv)
    size = SIZES[options.size]
    if options.batch:
        size = dataclasses.replace(size, videos=options.batch, clips=options.batch)
    gpu = options.device != "cpu"
    precision = "bfloat16" if gpu and torch.cuda.is_bf16_supported() else "float32"
    best = peak(options.device, precision, options.matrix, options.repeats)
    machine = Machine(options.device, precision, best, options.repeats)
    where = torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} threads"
    table = Table(title=f"{where}, {options.size} size, peak {best / 1e12:.2f} TFLOP/s in {precision}")
    for column in ("", "items", "ms a call", "items/s", "GFLOP a call", "of the peak", "GPU GB"):
        table.add_column(column, justify="right" if column else "left")
    for name in options.models.split(","):
        rows = measure_tan(size, machine) if name == "tan" else measure_autoad(size, machine, options.tokens)
        for got in rows:
            table.add_row(
                got.name,
                str(got.items),
                f"{1000 * got.seconds:.1f}",
                f"{got.items / got.seconds:.1f}",
                f"{got.operations / 1e9:.2f}" if got.operations else "-",
                f"{100 * got.share:.1f}%" if got.operations else "-",
                f"{got.bytes / 1e9:.2f}" if got.bytes else "-",
            )
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
