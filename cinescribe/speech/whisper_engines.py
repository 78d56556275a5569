"""Two ways to run the same Whisper weights: int8 on a CPU (CTranslate2), half precision on a GPU (torch).

Tokenizer, spectrogram and weights are the whisper library's in both. An engine sees batches of 30-s windows.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cinescribe.errors import WeightsError

FRAMES = 3000  # spectrogram frames of a window: 30 s at 100 per second
TOKENS_PER_SECOND = 50  # of the alignment
Spectrograms = NDArray[np.float32]  # [windows, mel bands, FRAMES]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What Whisper read in one window: text tokens, their mean log probability, P(no speech)."""

    tokens: tuple[int, ...]
    log_probability: float
    no_speech: float


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its leading space, in seconds from the window's start, and its mean token probability."""

    text: str
    start: float
    end: float
    probability: float


class WhisperEngine(Protocol):
    """One set of Whisper weights, loaded.

    Attributes:
        name: of the engine and precision, for the record.
        multilingual: whether the weights know other languages than English.
        bands: mel bands of the spectrogram, 80 or 128.
    """

    name: str
    multilingual: bool
    bands: int
    languages: int

    def encode(self, spectrograms: Spectrograms) -> Any:
        """Encode a batch of windows; the result goes to the other three."""
        ...

    def detect_language(self, encoded: Any) -> list[dict[str, float]]:
        """Probability of each language code, per window."""
        ...

    def decode(self, encoded: Any, prompt: Sequence[int], *, beam: int, no_repeat: int = 0) -> list[Decoded]:
        """Text of each window after the prompt (token ids: earlier text, if any, and the start sequence).

        `no_repeat` forbids repeating word pieces of that length (0: allows).
        """
        ...

    def align(
        self, encoded: Any, tokenizer: Any, tokens: Sequence[Sequence[int]], frames: Sequence[int]
    ) -> list[list[TimedWord]]:
        """Times of the words of each window, whose sound fills `frames` spectrogram frames."""
        ...


class CTranslate2Engine:
    """Whisper in int8 on the CPU."""

    def __init__(self, folder: Path, *, threads: int = 0) -> None:
        import ctranslate2

        self.model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1
        )
        self.name = "ctranslate2 int8"
        self.multilingual: bool = self.model.is_multilingual
        self.bands: int = self.model.n_mels
        self.languages = 100 if self.bands == 128 else 99

    def encode(self, spectrograms: Spectrograms) -> Any:
        """Encode a batch of windows `[windows, bands, FRAMES]` to `[windows, FRAMES / 2, width]`.

        One after the other: the same numbers as all at once, without the attention of all in memory.
        """
        import ctranslate2

        view = ctranslate2.StorageView.from_array
        encoded = [
            np.array(self.model.encode(view(np.ascontiguousarray(window[None])))) for window in spectrograms
        ]
        return view(np.concatenate(encoded))

    def detect_language(self, encoded: Any) -> list[dict[str, float]]:
        """Probability of each language code, per window."""
        return [{token[2:-2]: p for token, p in row} for row in self.model.detect_language(encoded)]

    def decode(self, encoded: Any, prompt: Sequence[int], *, beam: int, no_repeat: int = 0) -> list[Decoded]:
        """Text of each window."""
        results = self.model.generate(
            encoded,
            [list(prompt)] * encoded.shape[0],
            beam_size=beam,
            no_repeat_ngram_size=no_repeat,
            return_scores=True,
            return_no_speech_prob=True,
            max_length=448,
        )
        return [Decoded(tuple(r.sequences_ids[0]), r.scores[0], r.no_speech_prob) for r in results]

    def align(
        self, encoded: Any, tokenizer: Any, tokens: Sequence[Sequence[int]], frames: Sequence[int]
    ) -> list[list[TimedWord]]:
        """Times of the words of each window, by the cross-attention of the alignment heads."""
        results = self.model.align(
            encoded, list(tokenizer.sot_sequence), [list(t) for t in tokens], list(frames)
        )
        timed: list[list[TimedWord]] = []
        for row, result in zip(tokens, results, strict=True):
            if not row:
                timed.append([])
                continue
            words, word_tokens = tokenizer.split_to_word_tokens([*row, tokenizer.eot])
            bounds = np.concatenate([[0], np.cumsum([len(t) for t in word_tokens[:-1]])])
            text_index, time_index = np.array(result.alignments).T
            jumps = np.concatenate([[True], np.diff(text_index) > 0])
            times = time_index[jumps] / TOKENS_PER_SECOND
            probability = result.text_token_probs
            timed.append(
                [
                    TimedWord(word, float(times[a]), float(times[b]), float(np.mean(probability[a:b])))
                    for word, a, b in zip(words[:-1], bounds[:-1], bounds[1:], strict=True)
                ]
            )
        return timed


class TorchEngine:
    """Whisper in the whisper library's own torch: half precision on a GPU, single on a CPU."""

    def __init__(self, checkpoint: Path, *, device: str) -> None:
        from whisper.tokenizer import get_tokenizer

        self.model = load_checkpoint(checkpoint).to(device)
        self.half = device != "cpu"
        self.name = f"torch {'fp16' if self.half else 'fp32'}"
        self.multilingual = bool(self.model.is_multilingual)
        self.bands = int(self.model.dims.n_mels)
        self.languages = int(self.model.num_languages)
        self.sot = int(get_tokenizer(self.multilingual, num_languages=self.languages).sot)
        if self.half:
            self.model.half()

    def encode(self, spectrograms: Spectrograms) -> Any:
        """Encode a batch of windows `[windows, bands, FRAMES]`."""
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(spectrograms).to(self.model.device)
            return self.model.encoder(batch.half() if self.half else batch)

    def detect_language(self, encoded: Any) -> list[dict[str, float]]:
        """Probability of each language code, per window."""
        from whisper.decoding import detect_language

        return list(detect_language(self.model, encoded)[1])

    def decode(self, encoded: Any, prompt: Sequence[int], *, beam: int, no_repeat: int = 0) -> list[Decoded]:
        """Text of each window. The library knows no `no_repeat`: repetitions are cut out afterwards."""
        from whisper.decoding import DecodingOptions, decode
        from whisper.tokenizer import LANGUAGES

        start = prompt.index(self.sot)
        language = list(LANGUAGES)[prompt[start + 1] - self.sot - 1] if self.multilingual else "en"
        options = DecodingOptions(
            language=language,
            prompt=list(prompt[1:start]) or None,  # without the token for "earlier text" before it
            without_timestamps=True,
            beam_size=beam if beam > 1 else None,
            fp16=self.half,
        )
        # The library's beam search mixes up the windows of a batch: one at a time then.
        batches = encoded.split(1) if beam > 1 else [encoded]
        results = [result for batch in batches for result in decode(self.model, batch, options)]
        return [Decoded(tuple(r.tokens), r.avg_logprob, r.no_speech_prob) for r in results]

    def align(
        self, encoded: Any, tokenizer: Any, tokens: Sequence[Sequence[int]], frames: Sequence[int]
    ) -> list[list[TimedWord]]:
        """Times of the words of each window, by the cross-attention of the alignment heads."""
        import torch
        from whisper.timing import find_alignment

        encoder, self.model.encoder = self.model.encoder, torch.nn.Identity()  # they are encoded already
        try:
            return [
                [
                    TimedWord(w.word, float(w.start), float(w.end), float(w.probability))
                    for w in find_alignment(self.model, tokenizer, list(row), window, count)
                ]
                for row, window, count in zip(tokens, encoded, frames, strict=True)
            ]
        finally:
            self.model.encoder = encoder


def load_checkpoint(checkpoint: Path) -> Any:
    """The whisper library's model from one of its checkpoints (`{"dims": ..., "model_state_dict": ...}`).

    Raises:
        WeightsError: when the file is no Whisper checkpoint.
    """
    import torch
    from whisper import _ALIGNMENT_HEADS
    from whisper.model import ModelDimensions, Whisper

    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        model = Whisper(ModelDimensions(**content["dims"]))
        model.load_state_dict(content["model_state_dict"])
    except Exception as error:  # a broken one raises nearly anything; one that holds code is not read further
        raise WeightsError(f"{checkpoint} is no checkpoint of the whisper library: {error}") from error
    name = _official_name(model.dims)
    if name in _ALIGNMENT_HEADS:
        model.set_alignment_heads(_ALIGNMENT_HEADS[name])
    return model.eval()


def _official_name(dims: Any) -> str:
    """The official size of these dimensions; alignment heads are published per size."""
    sizes = {384: "tiny", 512: "base", 768: "small", 1024: "medium"}
    if dims.n_audio_state in sizes:
        return sizes[dims.n_audio_state] + ("" if dims.n_vocab >= 51865 else ".en")
    if dims.n_text_layer == 4:
        return "large-v3-turbo"
    return "large-v3" if dims.n_mels == 128 else "large-v2"


def convert_to_ctranslate2(checkpoint: Path, folder: Path) -> Path:
    """Write the checkpoint's weights in CTranslate2's format to `folder`, once; returns it.

    Stored in half precision, as published; int8 is made at loading. Safe when several processes convert at
    once: the last rename wins and all of them wrote the same.
    """
    if (folder / "model.bin").exists():
        return folder
    from ctranslate2.specs.whisper_spec import WhisperSpec
    from whisper.tokenizer import get_tokenizer

    model = load_checkpoint(checkpoint)
    dims, state = model.dims, {k: v.float().numpy() for k, v in model.state_dict().items()}
    spec = WhisperSpec(dims.n_audio_layer, dims.n_audio_head, dims.n_text_layer, dims.n_text_head)

    def linear(target: Any, *names: str) -> None:
        # Several linear layers of one input are fused; Whisper's keys have no bias, CTranslate2 wants zeros.
        weights = [state[f"{name}.weight"] for name in names]
        biases = [
            state.get(f"{name}.bias", np.zeros(len(w), np.float32))
            for name, w in zip(names, weights, strict=True)
        ]
        target.weight, target.bias = np.concatenate(weights), np.concatenate(biases)

    def norm(target: Any, name: str) -> None:
        target.gamma, target.beta = state[f"{name}.weight"], state[f"{name}.bias"]

    for side, specs in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        specs.position_encodings.encodings = state[f"{side}.positional_embedding"]
        norm(specs.layer_norm, "encoder.ln_post" if side == "encoder" else "decoder.ln")
        for number, layer in enumerate(specs.layer):
            block = f"{side}.blocks.{number}"
            linear(
                layer.self_attention.linear[0],
                *(f"{block}.attn.{part}" for part in ("query", "key", "value")),
            )
            linear(layer.self_attention.linear[1], f"{block}.attn.out")
            norm(layer.self_attention.layer_norm, f"{block}.attn_ln")
            if side == "decoder":
                linear(layer.attention.linear[0], f"{block}.cross_attn.query")
                linear(layer.attention.linear[1], f"{block}.cross_attn.key", f"{block}.cross_attn.value")
                linear(layer.attention.linear[2], f"{block}.cross_attn.out")
                norm(layer.attention.layer_norm, f"{block}.cross_attn_ln")
            linear(layer.ffn.linear_0, f"{block}.mlp.0")
            linear(layer.ffn.linear_1, f"{block}.mlp.2")
            norm(layer.ffn.layer_norm, f"{block}.mlp_ln")
    for number, convolution in ((1, spec.encoder.conv1), (2, spec.encoder.conv2)):
        convolution.weight = state[f"encoder.conv{number}.weight"]
        convolution.bias = state[f"encoder.conv{number}.bias"]
    spec.decoder.embeddings.weight = state["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = state["decoder.token_embedding.weight"]

    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages, task="transcribe")
    special = {index: text for text, index in tokenizer.special_tokens.items()}
    words = [
        special.get(i) or tokenizer.encoding.decode_single_token_bytes(i).decode("latin-1")
        for i in range(dims.n_vocab)
    ]
    spec.register_vocabulary(words)
    spec.config.suppress_ids = sorted({*tokenizer.non_speech_tokens, *_control_tokens(tokenizer)})
    spec.config.suppress_ids_begin = [*tokenizer.encode(" "), tokenizer.eot]
    spec.config.lang_ids = list(tokenizer.all_language_tokens) if model.is_multilingual else []
    spec.config.alignment_heads = model.alignment_heads.indices().T.tolist()
    spec.validate()
    spec.optimize(quantization=None)

    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        spec.save(str(scratch))
        (scratch / "source.json").write_text(json.dumps({"checkpoint": checkpoint.name}))
        scratch.rename(folder)
    except OSError:
        if not (folder / "model.bin").exists():  # otherwise another process was first
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _control_tokens(tokenizer: Any) -> list[int]:
    """Tokens that are never text: what the whisper library suppresses besides its non-speech symbols."""
    return [
        tokenizer.transcribe,
        tokenizer.translate,
        tokenizer.sot,
        tokenizer.sot_prev,
        tokenizer.sot_lm,
        tokenizer.no_speech,
    ]
