"""AutoAD: sizes, what the loss reads, contexts along a film, partial training, files; small fresh models."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, PreTrainedTokenizerBase

from cinescribe.errors import UsageError, WeightsError
from cinescribe.models import autoad_files
from cinescribe.models.autoad import AutoAD, AutoADConfig, Batch, Example, Perceiver, Tokens
from cinescribe.models.autoad_film import (
    Clip,
    describe_films,
    names_alone,
    recent_lines,
    training_examples,
    uniform_frames,
)
from cinescribe.models.decoding import Decoding
from cinescribe.models.language_model import LanguageModel, fresh, fresh_tokeniser
from cinescribe.utterance import Utterance
from cinescribe.zoo.checkpoints import read_state

TEXTS = ["She walks to the door.", "He opens a red box.", "A dog runs along the beach.", "They look up."]
GREEDY = Decoding(beams=1, most_tokens=12)


@pytest.fixture(scope="module")
def tokeniser() -> PreTrainedTokenizerBase:
    return fresh_tokeniser(TEXTS * 3, 300)


def small(
    tokeniser: PreTrainedTokenizerBase, config: AutoADConfig | None = None, llama: bool = False
) -> AutoAD:
    torch.manual_seed(0)
    architecture = (
        LlamaConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=True,
        )
        if llama
        else GPT2Config(n_layer=2, n_embd=32, n_head=4)
    )
    model = AutoAD(fresh(architecture, tokeniser, 1), config or AutoADConfig(frame_width=16, heads=2))
    return model.eval()


def frames(count: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(seed))


def examples() -> list[Example]:
    return [
        Example(frames(), TEXTS[:3], ["Hello there.", "Who are you?"], TEXTS[3]),
        Example(frames(3, 1), [], [], TEXTS[1]),
        Example(frames(5, 2), TEXTS[1:2], ["No."], TEXTS[0]),
    ]


def trainable(model: torch.nn.Module) -> int:
    return sum(value.numel() for value in model.parameters() if value.requires_grad)


# --- sizes


def test_parameters_at_the_paper_s_size_are_as_many_as_published(tokeniser: PreTrainedTokenizerBase) -> None:
    with torch.device("meta"):  # only counted, so without memory
        gpt2 = GPT2LMHeadModel(GPT2Config())
    model = AutoAD(LanguageModel(gpt2, tokeniser, "GPT-2's shape"))
    assert sum(value.numel() for value in model.perceiver.parameters()) == 6_573_056
    assert trainable(model) == 6_970_880
    model.set_stage("text")
    assert trainable(model) == sum(value.numel() for value in gpt2.parameters()) + 5 * 768


@pytest.mark.parametrize("count", [1, 8, 512])
def test_any_clip_becomes_ten_vectors(tokeniser: PreTrainedTokenizerBase, count: int) -> None:
    assert small(tokeniser).visual_prompt(torch.randn(2, count, 16)).shape == (2, 10, 32)


def test_a_clip_needs_frames_and_not_too_many(tokeniser: PreTrainedTokenizerBase) -> None:
    for count in (0, 513):
        with pytest.raises(UsageError, match=f"{count} frames"):
            Perceiver(AutoADConfig(frame_width=16, heads=2))(torch.randn(1, count, 16))
    with pytest.raises(UsageError, match="no frames"):
        uniform_frames(torch.zeros(0, 16))
    with pytest.raises(UsageError, match="no frames"):
        small(tokeniser).batch([Example(None, text="She walks.")])


def test_frames_are_taken_evenly() -> None:
    assert uniform_frames(torch.arange(15.0)[:, None])[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert uniform_frames(torch.arange(2.0)[:, None])[:, 0].tolist() == [0] * 4 + [1] * 4


# --- the loss


def test_a_frozen_language_model_gets_no_gradient_and_everything_else_does(
    tokeniser: PreTrainedTokenizerBase,
) -> None:
    model = small(tokeniser).train()
    model.loss(model.batch(examples())).backward()
    for name, value in model.named_parameters():
        assert (value.grad is None) == name.startswith("gpt."), name
    assert not model.gpt.training
    assert model.perceiver.training


@pytest.mark.parametrize("llama", [False, True])
def test_what_stands_in_padding_changes_neither_loss_nor_text(
    tokeniser: PreTrainedTokenizerBase, llama: bool
) -> None:
    model = small(tokeniser, llama=llama)
    batch = model.batch(examples())
    scrambled = Batch(
        torch.where(batch.frame_padding[..., None], 9.0, batch.frames),
        batch.frame_padding,
        *(
            Tokens(torch.where(part.mask.bool(), part.ids, 77), part.mask)
            for part in (batch.context, batch.subtitles, batch.target)
        ),
    )
    torch.testing.assert_close(model.loss(scrambled), model.loss(batch))
    together = model.generate(examples(), GREEDY)
    alone = [model.generate([example], GREEDY)[0] for example in examples()]
    assert [beams[0].tokens for beams in together] == [beams[0].tokens for beams in alone]


def test_loss_of_a_batch_is_that_of_its_clips_by_tokens(tokeniser: PreTrainedTokenizerBase) -> None:
    model = small(tokeniser)
    lengths = torch.tensor([len(model.language_model.ids(example.text)) for example in examples()])
    losses = torch.stack([model.loss(model.batch([example])) for example in examples()])
    expected = (losses * lengths).sum() / lengths.sum()
    torch.testing.assert_close(model.loss(model.batch(examples())), expected, atol=1e-5, rtol=1e-5)


def test_loss_is_the_likelihood_of_the_target_alone(tokeniser: PreTrainedTokenizerBase) -> None:
    model = small(tokeniser)
    batch = model.batch(examples()[:1])
    prompt, _ = model.prompt(batch)
    ids = batch.target.ids
    vectors = torch.cat([prompt, model.gpt.get_input_embeddings()(ids)], 1)
    odds = model.gpt(inputs_embeds=vectors).logits.log_softmax(-1)[0, prompt.shape[1] - 1 : -1]
    torch.testing.assert_close(model.loss(batch), -odds.gather(1, ids[0, :, None]).mean())


def test_the_prompt_is_pictures_descriptions_dialogue_and_a_first_token(
    tokeniser: PreTrainedTokenizerBase,
) -> None:
    model = small(tokeniser)
    batch = model.batch([Example(frames(), ["She walks."], ["No."])])
    prompt, mask = model.prompt(batch)
    past, said = (len(model.language_model.ids(text)) for text in ("She walks.", "No."))
    assert prompt.shape[1] == 10 + 1 + past + 1 + 1 + said + 1 + 1
    assert mask.all()
    torch.testing.assert_close(prompt[0, :10], model.visual_prompt(frames()[None])[0])
    for place, vector in (
        (10, model.context_special_token.weight[0]),
        (11 + past, model.context_special_token.weight[1]),
        (12 + past, model.subtitle_special_token.weight[0]),
        (13 + past + said, model.subtitle_special_token.weight[1]),
        (14 + past + said, model.bos_token.weight[0]),
    ):
        torch.testing.assert_close(prompt[0, place], vector)


def test_long_contexts_keep_their_end_and_long_targets_their_beginning(
    tokeniser: PreTrainedTokenizerBase,
) -> None:
    model = small(tokeniser)
    many = [f"Line number {number}." for number in range(30)]
    batch = model.batch([Example(frames(), many, many, " ".join(many))])
    ids = model.language_model.ids
    assert batch.context is not None
    assert batch.subtitles is not None
    assert batch.context.ids[0].tolist() == ids(" ".join(many[-6:]))[-64:]
    assert batch.subtitles.ids[0].tolist() == ids(" ".join(many[-4:]))[-32:]
    assert batch.target.ids[0].tolist() == ids(" ".join(many))[:36]


def test_the_end_is_learned_when_asked_for(tokeniser: PreTrainedTokenizerBase) -> None:
    model = small(tokeniser, AutoADConfig(frame_width=16, heads=2, learns_end=True))
    assert model.batch(examples()[:1]).target.ids[0, -1].item() == tokeniser.eos_token_id


def test_without_a_description_there_is_nothing_to_learn(tokeniser: PreTrainedTokenizerBase) -> None:
    model = small(tokeniser)
    with pytest.raises(UsageError, match="no clip of the batch has a description"):
        model.loss(model.batch([Example(frames())]))


# --- partial training


def test_with_pictures_alone_the_context_is_out_of_sight(tokeniser: PreTrainedTokenizerBase) -> None:
    model = small(tokeniser).train()
    model.set_stage("visual")
    first, *_ = examples()
    without = Example(first.frames, text=first.text)
    torch.testing.assert_close(model.loss(model.batch([first])), model.loss(model.batch([without])))
    model.loss(model.batch([first])).backward()
    learned = {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None}
    assert learned == {"perceiver", "project", "bos_token"}


def test_with_text_alone_no_picture_is_needed_and_the_language_model_learns(
    tokeniser: PreTrainedTokenizerBase,
) -> None:
    model = small(tokeniser).train()
    model.set_stage("text")
    model.loss(model.batch([Example(None, TEXTS[:2], text=TEXTS[2])])).backward()
    learned = {name.split(".")[0] for name, value in model.named_parameters() if value.grad is not None}
    assert learned == {"gpt", "context_special_token", "subtitle_special_token", "bos_token"}
    assert model.gpt.training


def test_the_parts_come_together_with_the_language_model_frozen_or_not(
    tokeniser: PreTrainedTokenizerBase,
) -> None:
    model = small(tokeniser)
    model.set_stage("text")
    model.set_stage("all")
    assert not any(value.requires_grad for value in model.gpt.parameters())
    model.set_stage("all", train_language_model=True)
    assert all(value.requires_grad for value in model.parameters())


# --- along a film


def test_a_clip_reads_only_descriptions_before_it_in_its_film() -> None:
    film = [Clip(frames(), (), f"Description {number}.") for number in range(9)]
    for at, example in enumerate(training_examples(film)):
        assert example.text == f"Description {at}."
        assert list(example.past) == [f"Description {number}." for number in range(max(0, at - 6), at)]


def test_oracle_and_recurrent_agree_when_the_predictions_are_the_references(
    tokeniser: PreTrainedTokenizerBase,
) -> None:
    model = small(tokeniser)
    films = [[Clip(frames(seed=number), ["No."]) for number in range(4)], [Clip(frames(seed=9))]]
    own = describe_films(model, films, "recurrent", GREEDY)
    assert [len(texts) for texts in own] == [4, 1]
    as_truth = [
        [Clip(clip.frames, clip.subtitles, text) for clip, text in zip(film, texts, strict=True)]
        for film, texts in zip(films, own, strict=True)
    ]
    assert describe_films(model, as_truth, "oracle", GREEDY) == own
    other = [[Clip(clip.frames, clip.subtitles, TEXTS[0]) for clip in film] for film in films]
    assert describe_films(model, other, "oracle", GREEDY)[0][1:] != own[0][1:]
    assert describe_films(model, other, "oracle", GREEDY)[0][0] == own[0][0]


def test_films_side_by_side_are_films_one_by_one(tokeniser: PreTrainedTokenizerBase) -> None:
    model = small(tokeniser)
    films = [[Clip(frames(seed=number + 10 * row)) for number in range(row + 1)] for row in range(3)]
    together = describe_films(model, films, "recurrent", GREEDY)
    assert together == [describe_films(model, [film], "recurrent", GREEDY)[0] for film in films]


def test_the_beams_own_words_are_not_read_but_the_greedy_ones(tokeniser: PreTrainedTokenizerBase) -> None:
    model = small(tokeniser)
    film = [Clip(frames(seed=number)) for number in range(3)]
    beams = Decoding(beams=3, most_tokens=12)
    greedy = describe_films(model, [film], "recurrent", GREEDY)[0]
    expected = [model.describe([Example(clip.frames, greedy[:at])], beams)[0] for at, clip in enumerate(film)]
    assert describe_films(model, [film], "recurrent", beams)[0] == expected


def test_oracle_context_needs_the_truth(tokeniser: PreTrainedTokenizerBase) -> None:
    with pytest.raises(UsageError, match="recurrent"):
        describe_films(small(tokeniser), [[Clip(frames()), Clip(frames())]], "oracle", GREEDY)


def test_the_last_lines_within_a_minute_are_read_and_not_the_narrator_s() -> None:
    lines = [
        Utterance(start, start + 2, text, role=role)
        for start, text, role in (
            (10.0, "too old", "dialogue"),
            (50.0, "one", "dialogue"),
            (60.0, "two", "unknown"),
            (63.0, "She waits.", "narrator"),
            (70.0, "three", "dialogue"),
            (80.0, "four", "dialogue"),
            (85.0, "five", "dialogue"),
            (99.0, "still being said", "dialogue"),
        )
    ]
    assert recent_lines(lines[::-1], 100.0) == ["two", "three", "four", "five"]
    assert recent_lines(lines, 15.0) == ["too old"]
    assert recent_lines(lines, 5.0) == []


def test_names_alone() -> None:
    lines = ["Emo, look at this!", "Why, Proog? emo...", "Proogle it."]
    assert names_alone(lines, ["Proog", "Emo", "Anna"]) == ["Emo", "Proog"]
    assert names_alone(lines, []) == []


def test_it_learns_to_describe_what_it_sees(tokeniser: PreTrainedTokenizerBase) -> None:
    """Four kinds of clips, a sentence each: learned from nothing, language model included."""
    torch.manual_seed(0)
    model = small(tokeniser).train()
    model.set_stage("all", train_language_model=True)
    kinds = frames(4, 7)
    optimiser = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 3e-3)
    for step in range(60):
        noise = torch.randn(4, 8, 16, generator=torch.Generator().manual_seed(step)) * 0.2
        clips = [Example(kinds[kind] + noise[kind], text=TEXTS[kind]) for kind in range(4)]
        loss = model.loss(model.batch(clips))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    clips = [Example(kinds[kind].expand(8, -1)) for kind in (2, 0, 3, 1)]
    assert model.describe(clips) == [TEXTS[kind] for kind in (2, 0, 3, 1)]
    assert model.training


# --- files


@pytest.mark.parametrize("llama", [False, True])
def test_a_saved_model_comes_back_whole(
    tokeniser: PreTrainedTokenizerBase, tmp_path: Path, llama: bool
) -> None:
    model = small(tokeniser, llama=llama)
    autoad_files.save(model, tmp_path / "model")
    back = autoad_files.load(tmp_path / "model")
    assert back.config == model.config
    assert {name: value.shape for name, value in back.state_dict().items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }
    torch.testing.assert_close(back.loss(back.batch(examples())), model.loss(model.batch(examples())))
    assert back.describe(examples(), GREEDY) == model.describe(examples(), GREEDY)


def test_names_in_the_file_are_those_of_the_authors_code(
    tokeniser: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    autoad_files.save(small(tokeniser), tmp_path)
    names = set(read_state(tmp_path / "model.safetensors"))
    block = "perceiver.encoder.resblocks.1."
    assert {
        "perceiver.latent",
        "perceiver.temporal_pos_embed",
        "perceiver.visual_prenorm.weight",
        f"{block}attn.in_proj_weight",
        f"{block}attn.out_proj.bias",
        f"{block}ln_1.weight",
        f"{block}ln_2.bias",
        f"{block}mlp.c_fc.weight",
        f"{block}mlp.c_proj.weight",
        "project.weight",
        "context_special_token.weight",
        "subtitle_special_token.weight",
        "bos_token.weight",
        "gpt.transformer.wte.weight",
        "gpt.transformer.h.0.attn.c_attn.weight",
    } <= names
    assert {name.split(".")[0] for name in names} == {
        "perceiver",
        "project",
        "context_special_token",
        "subtitle_special_token",
        "bos_token",
        "gpt",
    }


def test_an_incomplete_folder_is_refused(tokeniser: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a folder of AutoAD"):
        autoad_files.load(tmp_path)
    autoad_files.save(small(tokeniser), tmp_path)
    tensors = read_state(tmp_path / "model.safetensors")
    del tensors["perceiver.latent"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"1 tensors are missing .* perceiver\.latent"):
        autoad_files.load(tmp_path)


def test_a_checkpoint_of_the_authors_code_is_read(tokeniser: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    """Of the right names and shapes, as an older transformers saved it under data parallelism."""
    config = AutoADConfig(frame_width=128, heads=2, uses_subtitles=False)
    model = small(tokeniser, config)
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    for layer in range(2):
        state[f"module.gpt.transformer.h.{layer}.attn.bias"] = torch.ones(1, 1, 8, 8)
        state[f"module.gpt.transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    torch.save({"state_dict": state}, tmp_path / "checkpoint.pth.tar")
    state = read_state(tmp_path / "checkpoint.pth.tar", "state_dict")
    back = autoad_files.from_official(state, small(tokeniser).language_model, "checkpoint.pth.tar")
    assert back.config == config
    clips = [Example(torch.randn(8, 128, generator=torch.Generator().manual_seed(1)), TEXTS[:1])]
    assert back.describe(clips, GREEDY) == model.describe(clips, GREEDY)
    state.pop("module.project.bias")
    with pytest.raises(WeightsError, match=r"checkpoint\.pth\.tar.*project\.bias"):
        autoad_files.from_official(state, small(tokeniser).language_model, "checkpoint.pth.tar")
    with pytest.raises(WeightsError, match="is it a checkpoint of AutoAD"):
        autoad_files.from_official({}, small(tokeniser).language_model, "checkpoint.pth.tar")
