"""AutoAD's pretraining on audio description alone: perplexity of held-out films before and after.

    python -m benchmarks.ad_text --csv madeval_anno.csv --steps 25

A language model reads the descriptions before a sentence (6 of them, the last 64 tokens) and is scored on
the sentence's tokens: as published ("before"), and after the text stage of AutoAD (section 8.3.3 of the
thesis) on the other films of the file. No film is in both. Without context the sentence stands alone.
Perplexity per word compares models of different tokens.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.claims_training import Unevaluated
from cinescribe.errors import CinescribeError
from cinescribe.models import autoad_files
from cinescribe.models.autoad import AutoAD, AutoADConfig, Example
from cinescribe.models.language_model import LanguageModel, load_language_model
from train import loop
from train.recipes.autoad import TextAlone, TextOptions
from train.recipes.autoad_data import Films, Reading, read_texts
from train.settings import Settings


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Of some sentences: negative log likelihood in nats, tokens, words."""

    loss: float
    tokens: int
    words: int

    @property
    def per_token(self) -> float:
        """Perplexity."""
        return math.exp(self.loss / self.tokens)

    @property
    def per_word(self) -> float:
        """Perplexity."""
        return math.exp(self.loss / self.words)


class _Unscored(Unevaluated, TextAlone):
    """The text stage; held-out films are scored here, before and after, and not by the loop."""


def held_out(films: Films, most: int) -> list[Example]:
    """Sentences of all films with what was described before them; of more than `most`, evenly some."""
    examples = [
        Example(None, [cue.text for cue in cues[max(0, at - 6) : at]], (), cue.text)
        for _, cues in sorted(films.films.items())
        for at, cue in enumerate(cues)
    ]
    step = max(1.0, len(examples) / most)
    return [examples[int(number * step)] for number in range(min(most, len(examples)))]


def plain(language_model: LanguageModel, examples: Sequence[Example], context: bool) -> Likelihood:
    """Sentences as a language model that knows nothing of AutoAD reads them: text after text."""
    embed, tokeniser = language_model.model.get_input_embeddings(), language_model.tokeniser
    first = tokeniser.bos_token_id if tokeniser.bos_token_id is not None else language_model.end

    def rows() -> Iterator[tuple[Tensor, list[int]]]:
        for example in examples:
            past = (
                language_model.ids(" ".join(example.past))[-AutoADConfig().context_tokens :]
                if context
                else []
            )
            target = language_model.ids(f" {example.text}" if past else example.text)
            yield embed(torch.tensor([first, *past])), target

    return _likelihood(rows(), language_model.model, examples)


def described(model: AutoAD, examples: Sequence[Example], context: bool) -> Likelihood:
    """Sentences as AutoAD's text stage reads them, with its learned tokens around the context."""

    def rows() -> Iterator[tuple[Tensor, list[int]]]:
        for example in examples:
            asked = example if context else Example(None, (), (), example.text)
            yield model.prompt(model.batch([asked]))[0][0], model.language_model.ids(example.text)

    return _likelihood(rows(), model.gpt, examples)


def _likelihood(
    rows: Iterator[tuple[Tensor, list[int]]], model: Any, examples: Sequence[Example]
) -> Likelihood:
    """Of whole targets, given prompts [length, width]."""
    loss, tokens = 0.0, 0
    with torch.inference_mode():
        for prompt, target in rows:
            ids = torch.tensor(target)
            vectors = torch.cat([prompt, model.get_input_embeddings()(ids)])[None]
            logits = model(inputs_embeds=vectors).logits[0, len(prompt) - 1 : -1].float()
            loss += float(torch.nn.functional.cross_entropy(logits, ids, reduction="sum"))
            tokens += len(target)
    return Likelihood(loss, tokens, sum(len(example.text.split()) for example in examples))


def pretrain(given: argparse.Namespace, out: Path) -> AutoAD:
    """The text stage on the films that aren't held out."""
    options = TextOptions(
        language_model=given.language_model,
        held_out=given.held_out,
        batch=given.batch,
        consecutive=given.consecutive,
        steps=given.steps,
        warmup=max(1, given.steps // 10),
        learning_rate=given.learning_rate,
    )
    settings = Settings(
        recipe="autoad-text",
        data=str(given.csv),
        out=str(out),
        seed=given.seed,
        log_every=max(1, given.steps // 10),
        evaluate_every=given.steps,
        checkpoint_every=given.steps,
    )
    loop.train(_Unscored(options), settings)
    model = autoad_files.load(out / "last")
    model.set_stage("text")
    return model.eval()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument(
        "--csv", type=Path, required=True, help="descriptions, as `cinescribe train autoad-text` reads"
    )
    p.add_argument("--language-model", default="smollm2-135m-instruct", help="default %(default)s")
    p.add_argument("--held-out", type=float, default=0.2, help="share of the films (default %(default)s)")
    p.add_argument(
        "--sentences", type=int, default=100, help="of them, that are scored (default %(default)s)"
    )
    p.add_argument("--steps", type=int, default=25)
    p.add_argument("--batch", type=int, default=1, help="runs of consecutive sentences a step")
    p.add_argument("--consecutive", type=int, default=8, help="sentences of a run")
    p.add_argument("--learning-rate", type=float, default=1e-4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=1)
    given = p.parse_args(argv)
    torch.set_num_threads(given.threads)
    try:
        reading = Reading(None, 0, AutoADConfig().context_sentences, given.consecutive)
        training, testing = (
            read_texts(str(given.csv), split, reading, given.held_out) for split in ("train", "validation")
        )
        examples = held_out(testing, given.sentences)
        print(
            f"{given.language_model}: trained on {len(training.texts())} sentences of {len(training.films)} "
            f"films, {given.steps} steps of {given.batch * given.consecutive} sentences; scored on "
            f"{len(examples)} of {len(testing.texts())} sentences of {', '.join(sorted(testing.films))}",
            flush=True,
        )
        print("\n| perplexity | per token | per word |\n|---|---|---|")
        language_model = load_language_model(given.language_model)
        for name, context in (("without context", False), ("with context", True)):
            _show(f"before, {name}", plain(language_model, examples, context))
        del language_model
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as out:
            model = pretrain(given, Path(out))
        seconds = time.monotonic() - began
        for name, context in (("without context", False), ("with context", True)):
            _show(f"after, {name}", described(model, examples, context))
        print(f"\ntraining took {seconds:.0f} s")
    except CinescribeError as error:
        print(f"benchmarks.ad_text: {error}", file=sys.stderr)
        return 2
    return 0


def _show(name: str, found: Likelihood) -> None:
    print(f"| {name} | {found.per_token:.1f} | {found.per_word:.1f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
