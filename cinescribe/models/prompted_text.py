"""CLIP's text half, entered behind its table of words: prompts that are vectors go in between words."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cinescribe.errors import UsageError

if TYPE_CHECKING:
    from cinescribe.encoders.clip import ClipEncoder


class PromptedText(nn.Module):
    """The text transformer of an open_clip model.

    Args:
        clip: an open_clip model, or its text transformer alone. It has to read from left to right and to take
            the text's vector at the end-of-text token, as CLIP does: what follows that token has no effect.
        tokeniser: CLIP's own, as `open_clip.get_tokenizer` gives it.
        source: of the weights, for whoever loads it again: `ARCHITECTURE/WEIGHTS` as
            `cinescribe.encoders.clip` reads it, or "" for weights of its own.
        frozen: whether its weights stay as they are.

    Raises:
        UsageError: the model's text half is another than CLIP's.
    """

    def __init__(self, clip: nn.Module, tokeniser: Any, source: str = "", *, frozen: bool = True) -> None:
        super().__init__()
        text: Any = getattr(clip, "text", clip)
        pool = getattr(text, "text_pool_type", getattr(text, "pool_type", ""))
        plain = all(
            hasattr(text, name) for name in ("token_embedding", "transformer", "ln_final", "attn_mask")
        )
        if not plain or pool not in ("argmax", "eos") or text.attn_mask is None:
            raise UsageError(
                "learned prompts want CLIP's own text transformer, which reads from left to right; this "
                "model's is another: name an OpenAI or OpenCLIP model such as ViT-B-16/openai"
            )
        if not all(hasattr(tokeniser, name) for name in ("encode", "sot_token_id", "eot_token_id")):
            raise UsageError("learned prompts want CLIP's own tokeniser, and this model has another")
        self.token_embedding: nn.Embedding = text.token_embedding
        self.positional_embedding: Tensor = text.positional_embedding
        self.transformer: Any = text.transformer
        self.ln_final: nn.Module = text.ln_final
        self.text_projection: Any = text.text_projection
        self.register_buffer("mask", text.attn_mask.clone(), persistent=False)
        self.tokeniser, self.source, self.frozen = tokeniser, source, frozen
        self.float()
        self.requires_grad_(not frozen)

    @property
    def context(self) -> int:
        """Tokens of the longest text, 77 of CLIP."""
        return int(self.positional_embedding.shape[0])

    @property
    def width(self) -> int:
        """Numbers of a token's vector."""
        return int(self.token_embedding.embedding_dim)

    @property
    def dim(self) -> int:
        """Numbers of a text's vector: the space it shares with pictures."""
        projection = self.text_projection
        if projection is None:
            return self.width
        return int(projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1])

    def words(self, text: str, most: int) -> list[int]:
        """The tokens of a text without those of start and end, at most so many."""
        return list(self.tokeniser.encode(text))[:most]

    def vectors(self, tokens: Sequence[int]) -> Tensor:
        """[tokens, width] of tokens."""
        numbers = torch.tensor(tokens, dtype=torch.long, device=self.positional_embedding.device)
        return self.token_embedding(numbers)

    def forward(self, inputs: Tensor, ends: Tensor) -> Tensor:
        """Texts' vectors in the space of the pictures, not of length 1.

        Args:
            inputs: [texts, length, width] vectors of tokens and prompts, positions not yet added.
            ends: [texts] where the end-of-text token is.

        Returns:
            [texts, dim].
        """
        length = inputs.shape[1]
        x = inputs + self.positional_embedding[:length]
        mask = self.get_buffer("mask")[:length, :length]
        x = self.ln_final(self.transformer(x, attn_mask=mask))
        x = x[torch.arange(len(x), device=x.device), ends]
        projection = self.text_projection
        if projection is None:
            return x
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection


@lru_cache(maxsize=4)
def clip_tokeniser(architecture: str = "ViT-B-16") -> Any:
    """The tokeniser of an architecture of open_clip; that of the default is CLIP's own, which most have."""
    import open_clip

    return open_clip.get_tokenizer(architecture)


def from_clip(encoder: "ClipEncoder") -> PromptedText:
    """The frozen text half of a CLIP model that `cinescribe.encoders.clip` loaded."""
    architecture, _, _ = encoder.weights["clip"].partition("/")
    return PromptedText(encoder.model, clip_tokeniser(architecture), encoder.weights["clip"])


def fresh_text(dim: int, width: int = 64, layers: int = 2, heads: int = 2) -> PromptedText:
    """A small text half with random weights, to be trained with the prompts.

    For features that have no text half of their own, as Cineworld's; it knows no word before it is trained.
    """
    from open_clip.transformer import TextTransformer

    text = TextTransformer(width=width, heads=heads, layers=layers, output_dim=dim)
    return PromptedText(text, clip_tokeniser(), frozen=False)


def from_state(state: Mapping[str, Tensor]) -> PromptedText:
    """The frozen text half whose tensors these are, named as OpenAI's CLIP and open_clip name them.

    Args:
        state: by name; those of a picture half are passed over.

    Raises:
        KeyError, RuntimeError: a tensor is missing or of another shape.
    """
    from open_clip.transformer import QuickGELU, TextTransformer

    words, width = state["token_embedding.weight"].shape
    layers = {name.split(".")[2] for name in state if name.startswith("transformer.resblocks.")}
    text = TextTransformer(
        context_length=state["positional_embedding"].shape[0],
        vocab_size=words,
        width=width,
        heads=max(1, width // 64),  # of all of OpenAI's
        layers=len(layers),
        output_dim=state["text_projection"].shape[1],
        act_layer=QuickGELU,
    )
    own = text.state_dict()
    text.load_state_dict({name: state[name].float() for name in own})
    return PromptedText(text, clip_tokeniser())
