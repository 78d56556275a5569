import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, BertTokenizer

from cinescribe.errors import SubtitleError, UsageError, WeightsError
from cinescribe.speech.curation import (
    Curated,
    Rejected,
    curate,
    curate_files,
    deduplicate,
    english_probability,
    write_sentences,
)
from cinescribe.speech.punctuator import PUBLISHED_LABELS, TokenPunctuator
from cinescribe.speech.sentences import restore_sentences
from cinescribe.subtitles import write_srt, write_vtt
from cinescribe.utterance import Utterance, Word

# What the small model says of each piece, whatever stands around it.
LABELS = {"salt": ".O", "pepper": ",O", "oil": "?U", "##ed": "!O", "'": ".O", "mix": ".O", "don": ".O"}
PLAIN = ["add", "the", "water", "now", "t", "e", "-", "mail"]


def small_punctuator(folder: Path, labels: tuple[str, ...] = PUBLISHED_LABELS, named: bool = True) -> str:
    """A real BERT, saved with its tokenizer, that reads the label off each piece's embedding."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LABELS, "perhaps", *PLAIN]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=0,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=258,  # a chunk of more than 256 pieces does not fit
        num_labels=len(labels),
    )
    if named:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: i for i, label in enumerate(labels)}
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.bert.embeddings.LayerNorm.weight.fill_(1.0)
        embedding = model.bert.embeddings.word_embeddings.weight
        for i, piece in enumerate(vocabulary):
            embedding[i, PUBLISHED_LABELS.index(LABELS.get(piece, "OO"))] = 1.0
            embedding[i, 31] = -1.0
        perhaps = vocabulary.index("perhaps")  # no mark is likelier than a full stop, by less than 0.4
        embedding[perhaps, PUBLISHED_LABELS.index(".O")] = 0.95
        model.classifier.weight[:, : len(labels)] = 5.0 * torch.eye(len(labels))
    model.save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def punctuator(tmp_path_factory: pytest.TempPathFactory) -> TokenPunctuator:
    return TokenPunctuator(small_punctuator(tmp_path_factory.mktemp("punctuator")))


def words(text: str, gap_after: str = "") -> list[Word]:
    timed, clock = [], 0.0
    for text_word in text.split():
        timed.append(Word(clock, clock + 0.5, text_word))
        clock += 0.5 + (1.5 if text_word == gap_after else 0.0)
    return timed


def ended(punctuator: TokenPunctuator, text: str, **options: float) -> list[str]:
    """The words after which a sentence ends."""
    spoken = words(text, gap_after="water")
    return [word.text for word, end in zip(spoken, punctuator(spoken, **options), strict=True) if end]


def test_full_stops_end_short_sentences_and_commas_only_long_ones(punctuator: TokenPunctuator) -> None:
    assert ended(punctuator, "add salt add pepper now oil") == ["salt", "oil"]
    assert ended(punctuator, "the " * 18 + "pepper now") == []  # piece 19
    assert ended(punctuator, "the " * 19 + "pepper now") == ["pepper"]  # piece 20


def test_case_and_punctuation_are_not_shown_to_the_model(punctuator: TokenPunctuator) -> None:
    assert ended(punctuator, "Add, SALT! now?") == ["SALT!"]


def test_no_mark_is_handicapped_by_four_tenths(punctuator: TokenPunctuator) -> None:
    ids = torch.tensor([[punctuator.tokenizer.convert_tokens_to_ids("perhaps")]])
    probability = punctuator.model(input_ids=ids).logits.detach().softmax(-1)[0, 0]
    no_mark, stop = (float(probability[PUBLISHED_LABELS.index(label)]) for label in ("OO", ".O"))
    assert stop < no_mark < stop + 0.4
    assert ended(punctuator, "add perhaps now") == ["perhaps"]


def test_words_are_never_cut_inside_nor_at_an_apostrophe(punctuator: TokenPunctuator) -> None:
    assert ended(punctuator, "don't mixed now mixing' now") == ["mixed"]


def test_only_long_gaps_end_sentences(punctuator: TokenPunctuator) -> None:
    assert ended(punctuator, "the water now", max_gap=1.0) == ["water"]
    assert ended(punctuator, "the water now", max_gap=1.6) == []


def test_long_texts_go_in_chunks(punctuator: TokenPunctuator) -> None:
    assert len(ended(punctuator, "add the salt " * 1500)) == 1500
    assert punctuator([]) == []


def test_a_caption_shares_its_time_over_word_pieces(punctuator: TokenPunctuator) -> None:
    assert punctuator.words(Utterance(0.0, 4.0, "The MIXED, e-mail")) == [
        Word(0.0, pytest.approx(4 / 6), "the"),
        Word(pytest.approx(4 / 6), pytest.approx(2.0), "mixed"),
        Word(pytest.approx(2.0), 4.0, "e-mail"),
    ]


def test_models_with_other_labels_are_refused_and_unnamed_ones_taken(tmp_path: Path) -> None:
    (tmp_path / "unnamed").mkdir()
    unnamed = TokenPunctuator(small_punctuator(tmp_path / "unnamed", named=False))
    assert ended(unnamed, "add salt now") == ["salt"]
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="labels"):
        TokenPunctuator(small_punctuator(tmp_path / "other", labels=PUBLISHED_LABELS[:3]))
    with pytest.raises(WeightsError, match="nowhere"):
        TokenPunctuator(str(tmp_path / "nowhere"))


def test_it_restores_sentences_of_recognised_speech(punctuator: TokenPunctuator) -> None:
    spoken = words("we add salt now the oil")
    segments = [Utterance(0.0, 1.0, "we add", words=tuple(spoken[:2]))]
    segments.append(Utterance(1.0, 3.0, "salt now the oil", words=tuple(spoken[2:])))
    restored = restore_sentences(segments, punctuator=punctuator)
    assert [(u.text, u.start, u.end) for u in restored] == [
        ("we add salt", 0.0, 1.5),
        ("Now the oil", 1.5, 3.0),
    ]


# ---- the four steps ----

RECIPE = [
    "First we wash the rice in cold water.",
    "Then we put it into a large pot. Now",
    "we add two cups of water and a little salt.",
    "Bring it to the boil, then turn the heat down.",
    "Mr. Miller leaves it on the stove for about 3.5 minutes, and then he stirs it.",
    "Do not lift the lid while it is cooking.",
    "After a quarter of an hour we take it off.",
    "Let it rest for a while before you serve it.",
    "You can add some butter if you like it rich.",
    "We serve it with vegetables, and with a lemon.",
    "Thank you for watching and see you next time.",
]


def captions(texts: list[str], seconds: float = 4.0) -> list[Utterance]:
    return [Utterance(i * seconds, (i + 1) * seconds, text) for i, text in enumerate(texts)]


def rejection(items: list[Utterance], **options: object) -> str:
    result = curate(items, **options)  # type: ignore[arg-type]
    assert isinstance(result, Rejected)
    return result.reason


def test_punctuated_captions_become_sentences_with_even_word_times() -> None:
    result = curate(captions(RECIPE))
    assert isinstance(result, Curated)
    texts = [sentence.text for sentence in result.sentences]
    assert texts[:4] == [
        RECIPE[0],
        "Then we put it into a large pot.",
        "Now we add two cups of water and a little salt.",
        RECIPE[3],
    ]
    assert texts[4] == RECIPE[4]  # neither "Mr." nor "3.5" ends a sentence
    assert " ".join(texts) == " ".join(RECIPE)
    third = result.sentences[2]
    assert (third.start, third.end) == (pytest.approx(4.0 + 4.0 * 8 / 9), 12.0)


def test_recognised_word_times_are_used() -> None:
    items = captions(RECIPE)
    timed = tuple(Word(4.0 + i / 10, 4.1 + i / 10, word) for i, word in enumerate(RECIPE[1].split()))
    items[1] = Utterance(4.0, 8.0, RECIPE[1], words=timed)
    result = curate(items)
    assert isinstance(result, Curated)
    assert result.sentences[1].words == timed[:8]
    assert result.sentences[2].start == timed[8].start


def test_the_numbers_of_the_length_step() -> None:
    assert rejection(captions(RECIPE[:10])) == "few-captions"
    assert rejection(captions(["one two three four five"] * 11)) == "short-captions"


def test_other_languages_are_left_out() -> None:
    german = ["Zuerst waschen wir den Reis in kaltem Wasser.", "Dann geben wir ihn in einen großen Topf."] * 6
    assert rejection(captions(german)) == "not-english"
    assert rejection(captions(["1 2 3 4 5 6"] * 12)) == "not-english"
    assert english_probability(RECIPE) > 0.9
    assert english_probability(RECIPE, seed=3) == english_probability(RECIPE, seed=3)


def test_rolling_captions_lose_their_repeats() -> None:
    rolling = [
        Utterance(0.0, 2.0, "we wash the rice"),
        Utterance(2.0, 2.01, "we wash the rice"),
        Utterance(2.01, 4.0, "we wash the rice\nin cold water"),
        Utterance(4.0, 4.01, "in cold water"),
        Utterance(4.01, 6.0, "in cold water\nand then"),
        Utterance(6.0, 8.0, "[Music]"),
        Utterance(8.0, 9.0, "  "),
        Utterance(8.5, 10.5, "boil"),
        Utterance(9.5, 12.0, "boil it now"),
        Utterance(11.0, 13.0, "serve"),
    ]
    assert [(u.start, u.end, u.text) for u in deduplicate(rolling)] == [
        (0.0, 4.0, "we wash the rice"),
        (4.01, 6.0, "in cold water and then"),
        (8.5, 11.5, "boil it now"),
        (11.5, 13.0, "serve"),
    ]


def test_a_caption_inside_a_longer_one_never_gets_a_negative_duration() -> None:
    cleaned = deduplicate([Utterance(0, 10, "a"), Utterance(1, 2, "b"), Utterance(3, 4, "c")])
    assert all(u.start <= u.end for u in cleaned)
    assert all(a.end <= b.start for a, b in pairwise(cleaned))


def test_videos_of_repeats_are_left_out() -> None:
    assert rejection(captions(RECIPE[:5] + [RECIPE[4]] * 10)) == "repeats"


def test_unpunctuated_captions_need_a_model_or_are_cut_at_pauses(punctuator: TokenPunctuator) -> None:
    bare = [text.replace(".", "").replace(",", "") for text in RECIPE]
    items = captions(bare)
    assert rejection(items) == "unpunctuated"
    assert "felflare/bert-restore-punctuation" in curate(items).message  # type: ignore[union-attr]
    late = items[:6] + [Utterance(u.start + 1.5, u.end + 1.5, u.text) for u in items[6:]]
    result = curate(late, sentences="pauses")
    assert isinstance(result, Curated)
    assert [s.text for s in result.sentences] == [" ".join(bare[:6]), " ".join(bare[6:])]
    result = curate(items, punctuator=punctuator)
    assert isinstance(result, Curated)
    assert result.sentences[0].text.endswith("a little salt")
    assert result.sentences[0].text == result.sentences[0].text.lower()


def test_files_of_all_kinds_give_the_training_table(tmp_path: Path) -> None:
    write_vtt(captions(RECIPE), tmp_path / "v1.en.vtt")
    write_srt(captions(RECIPE[:3]), tmp_path / "v2.srt")
    columns = {"start": [4.0 * i for i in range(11)], "end": [4.0 * i + 4 for i in range(11)], "text": RECIPE}
    (tmp_path / "many.json").write_text(json.dumps({"v3": columns, "v4": {"start": [1]}}))
    (tmp_path / "v5.vtt").write_text("no captions")
    paths = [tmp_path / name for name in ("v1.en.vtt", "v2.srt", "many.json", "v5.vtt")]
    results = curate_files(paths)
    reasons = {video: r.reason for video, r in results.items() if isinstance(r, Rejected)}
    assert reasons == {"v2": "few-captions", "v4": "unreadable", "v5": "unreadable"}
    assert "v5.vtt" in results["v5"].message  # type: ignore[union-attr]
    write_sentences(results, tmp_path / "out.json")
    table = json.loads((tmp_path / "out.json").read_text())
    assert set(table) == {"v1", "v3"}
    assert table["v1"] == table["v3"]
    assert table["v1"]["text"][0] == RECIPE[0]
    assert set(table["v1"]) == {"text", "start", "end"}
    with pytest.raises(UsageError, match="v1"):
        curate_files([tmp_path / "v1.en.vtt", tmp_path / "v1.en.vtt"])
    with pytest.raises(SubtitleError, match=r"broken\.json"):
        curate_files([tmp_path / "broken.json"])
