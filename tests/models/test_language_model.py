"""Language models by name: whole or not at all."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, LlamaConfig
from transformers.utils import is_gguf_available

from cinescribe import zoo
from cinescribe.errors import UsageError, WeightsError
from cinescribe.models.autoad import AutoAD, AutoADConfig, Example
from cinescribe.models.decoding import Decoding
from cinescribe.models.language_model import LanguageModel, fresh, fresh_tokeniser, load_language_model

TEXTS = ["She walks to the door.", "He opens the box.", "They look up at the sky."]


def small(seed: int = 0) -> LanguageModel:
    return fresh(GPT2Config(n_layer=1, n_embd=16, n_head=2), fresh_tokeniser(TEXTS, 300), seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = small()
    model.model.save_pretrained(tmp_path)
    model.tokeniser.save_pretrained(tmp_path)
    return tmp_path


def test_a_folder_is_loaded_whole(folder: Path) -> None:
    model = load_language_model(str(folder))
    assert model.name == str(folder)
    assert not model.model.training
    for name, value in small().model.state_dict().items():
        torch.testing.assert_close(model.model.state_dict()[name], value)
    assert model.ids("He looks up.") == small().ids("He looks up.")


def test_a_folder_that_lacks_weights_is_refused_and_not_filled_up(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["transformer.h.0.mlp.c_fc.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"mlp\.c_fc\.weight.*random"):
        load_language_model(str(folder))


def test_what_is_no_language_model_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="can't be loaded"):
        load_language_model(str(tmp_path))
    file = tmp_path / "model.bin"
    file.write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"\.gguf"):
        load_language_model(str(file))
    with pytest.raises(WeightsError, match="'asr'"):
        load_language_model("whisper-tiny.en")


def test_random_weights_are_the_seed_s_and_say_so() -> None:
    one, same, other = small(1), small(1), small(2)
    assert one.name == "fresh"
    weight = "transformer.wte.weight"
    assert torch.equal(one.model.state_dict()[weight], same.model.state_dict()[weight])
    assert not torch.equal(one.model.state_dict()[weight], other.model.state_dict()[weight])


def test_a_fresh_tokeniser_writes_any_text_and_knows_its_ends() -> None:
    model = small()
    for text in ("Voilà: 5 €!", "He opens the box.", "日本"):
        assert model.tokeniser.decode(model.ids(text)) == text
    assert len(model.ids("the door.")) < len("the door.")
    assert model.tokeniser.decode([model.end]) == "<|endoftext|>"
    assert "." in [model.tokeniser.decode([token]) for token in model.full_stops]
    with pytest.raises(UsageError, match="257"):
        fresh_tokeniser(TEXTS, 100)


def test_llama_is_a_language_model_too() -> None:
    config = LlamaConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1,
    )  # fmt: skip
    model = fresh(config, fresh_tokeniser(TEXTS, 300))
    assert model.model.get_input_embeddings().weight.shape == (len(model.tokeniser), 16)


@pytest.mark.slow
def test_smollm2_of_the_zoo_speaks_and_carries_autoad() -> None:
    """The real weights: a text goes on sensibly, and order of words counts."""
    if not is_gguf_available():
        with pytest.raises(WeightsError, match="needs the package gguf"):
            load_language_model("smollm2-135m-instruct")
        pytest.skip("the package gguf is not installed")
    model = load_language_model(zoo.entry("smollm2-135m-instruct").name)
    assert sum(value.numel() for value in model.model.parameters()) == 134_515_008
    prompt = torch.tensor([model.ids("The capital of France is")])
    with torch.no_grad():
        following = model.model(prompt).logits[0, -1].topk(5).indices.tolist()
        plain = model.model(torch.tensor([model.ids("She opens the door and walks into the room.")]))
        mixed = model.model(torch.tensor([model.ids("room the into. walks and door opens the She")]))
    assert "Paris" in [model.tokeniser.decode([token]).strip() for token in following]
    assert _likelihood(plain.logits, model.ids("She opens the door and walks into the room.")) > _likelihood(
        mixed.logits, model.ids("room the into. walks and door opens the She")
    )
    autoad = AutoAD(model, AutoADConfig())
    clip = Example(torch.zeros(8, 512), ["He enters the kitchen.", "He fills a kettle."])
    texts = autoad.describe([clip], Decoding(beams=2, most_tokens=5))
    assert len(texts) == 1


def _likelihood(logits: torch.Tensor, ids: list[int]) -> float:
    odds = logits[0, :-1].log_softmax(-1)
    return float(odds.gather(1, torch.tensor(ids[1:])[:, None]).mean())
