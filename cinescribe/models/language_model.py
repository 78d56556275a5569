"""Language models by name: a weight of the zoo, a folder, a GGUF file, or a repository on the hub.

What is loaded has all of its weights from the file, or it is an error. A model with random weights is only
ever made by `fresh`, which says so, for experiments that train from nothing and for tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cinescribe.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

END = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model of transformers with its tokeniser.

    Attributes:
        model: in evaluation mode, 32-bit floats, on the CPU.
        tokeniser: of the model.
        name: what it was loaded by, or "fresh".
    """

    model: "PreTrainedModel"
    tokeniser: "PreTrainedTokenizerBase"
    name: str

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without any that mark its beginning or end."""
        found: list[int] = self.tokeniser.encode(text, add_special_tokens=False)
        return found

    @property
    def end(self) -> int:
        """The token that ends a text."""
        found = self.tokeniser.eos_token_id
        if found is None:
            raise UsageError(f"language model {self.name}: its tokeniser has no end-of-text token")
        return int(found)

    @property
    def full_stops(self) -> tuple[int, ...]:
        """The tokens that are a full stop, with a space before or not."""
        return tuple({ids[0] for ids in map(self.ids, (".", " .")) if len(ids) == 1})


def load_language_model(source: str) -> LanguageModel:
    """A language model with the weights of `source`.

    Args:
        source: name in the zoo (`smollm2-135m-instruct`, `openai-community/gpt2`), path of a folder in the
            layout of transformers or of a .gguf file, or a repository on the hub (which `HF_TOKEN` may open).

    Raises:
        WeightsError: it can't be had, isn't a language model, or lacks some weights.
    """
    from cinescribe import zoo

    if source in zoo.entries():
        if zoo.entry(source).role != "language_model":
            raise WeightsError(f"{source} is a weight for {zoo.entry(source).role!r}, not a language model")
        return _load(zoo.path(source), source)
    place = Path(source).expanduser()
    return _load(place if place.exists() else source, source)


def fresh(
    config: "PretrainedConfig", tokeniser: "PreTrainedTokenizerBase", seed: int | None = None
) -> LanguageModel:
    """A language model with random weights, to be trained from nothing.

    Args:
        config: its architecture, such as `transformers.GPT2Config(n_layer=2, ...)`; the size of the
            vocabulary is set to the tokeniser's.
        tokeniser: such as `fresh_tokeniser` makes.
        seed: of the weights; by default torch's state.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config.vocab_size = len(tokeniser)
    for name in ("bos_token_id", "eos_token_id"):
        setattr(config, name, tokeniser.eos_token_id)
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    return LanguageModel(model.float().eval(), tokeniser, "fresh")


def fresh_tokeniser(texts: Iterable[str], size: int = 2048) -> "PreTrainedTokenizerBase":
    """A byte-level tokeniser of the kind of GPT-2's, its merges learned from texts; any text can be written
    in it.

    Args:
        texts: what the merges are learned from.
        size: of the vocabulary, at least 257.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    if size < 257:
        raise UsageError(f"a byte-level vocabulary has at least 257 tokens, not {size}")
    learner = ByteLevelBPETokenizer()
    learner.train_from_iterator(texts, vocab_size=size, special_tokens=[END], show_progress=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=learner._tokenizer, bos_token=END, eos_token=END, unk_token=END
    )


def _load(place: Path | str, name: str) -> LanguageModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options: dict[str, Any] = {}
    where = str(place)
    if isinstance(place, Path):
        options["local_files_only"] = True
        if place.is_file():
            if place.suffix != ".gguf":
                raise WeightsError(f"{place}: give a folder in the layout of transformers, or a .gguf file")
            _needs_gguf(place)
            where, options["gguf_file"] = str(place.parent), place.name
    try:
        tokeniser = AutoTokenizer.from_pretrained(where, **options)
        model, found = AutoModelForCausalLM.from_pretrained(
            where, dtype="float32", output_loading_info=True, **options
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"language model {name} can't be loaded ({' '.join(str(error).split())[:300]}); name one of the "
            "zoo (`cinescribe models list`), a folder in transformers' layout, or a repository on the hub"
        ) from error
    amiss = [*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])]
    if amiss:
        raise WeightsError(
            f"language model {name}: {len(amiss)} weights are not in its files, such as {sorted(amiss)[0]}; "
            "they would be random"
        )
    return LanguageModel(model.eval(), tokeniser, name)


def _needs_gguf(place: Path) -> None:
    from transformers.utils import is_gguf_available

    if not is_gguf_available():
        raise WeightsError(
            f"{place}: reading it needs the package gguf: install the locked dependencies (make setup)"
        )
