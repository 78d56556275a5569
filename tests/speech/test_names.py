import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForTokenClassification, BertTokenizer

from cinescribe.errors import UsageError, WeightsError
from cinescribe.speech.names import NameListFinder, Span, TransformersPersonFinder, unname, unname_all


def listed(sentences: Sequence[str]) -> list[list[Span]]:
    """Finds Anna, Tom, Smith, John and James."""
    return [[m.span() for m in re.finditer(r"\b(Anna|Tom|Smith|John|James)\b", s)] for s in sentences]


@pytest.mark.parametrize(
    ("named", "unnamed"),
    [
        ("Anna nods.", "Someone nods."),
        ("He sees Anna. Tom runs.", "He sees someone. Someone runs."),
        ('"Anna!" He hugs Tom\'s dog.', '"Someone!" He hugs someone\'s dog.'),
        ("Anna and Tom kiss.", "Someone and someone kiss."),
        ("Now Mr. John Smith, Dr Tom and James' son go.", "Now someone, someone and someone's son go."),
        ("Captain Smith’s hat", "Someone’s hat"),
        ("The captain waves.", "The captain waves."),
        ("Annabel nods.", "Annabel nods."),
        ("", ""),
    ],
)
def test_persons_become_someone(named: str, unnamed: str) -> None:
    assert unname(named, listed) == unnamed


FILM = [
    "Anna walks to the window and looks out.",
    "She turns to Tom, who shakes his head.",
    "Tom shrugs, and Anna leaves for Paris on Monday.",
    "In Paris, the American reads the Bible in a Jeep.",
    "Anna meets Professor Holm in Paris.",
    "Lisa nods.",
    "Lisa smiles.",
    "Lisa gets up.",
    "Later, she hugs Anna Berg.",
    "Later, Holm opens the Jeep.",
    "Will he come? She writes her will.",
    "Anna's hand rests on Tom's arm.",
]


def test_names_of_a_film_are_told_from_places_things_and_first_words() -> None:
    assert NameListFinder(FILM).names == {"anna", "tom", "holm", "lisa", "berg"}


def test_the_film_is_unnamed() -> None:
    unnamed = unname_all(FILM, NameListFinder(FILM))
    assert unnamed[2] == "Someone shrugs, and someone leaves for Paris on Monday."
    assert unnamed[4] == "Someone meets someone in Paris."
    assert unnamed[8] == "Later, she hugs someone."
    assert unnamed[11] == "Someone's hand rests on someone's arm."
    assert [unnamed[i] for i in (0, 3, 10)] == ["Someone" + FILM[0][4:], FILM[3], FILM[10]]


def test_persons_addressed_in_dialogue_are_found() -> None:
    lines = ["Emo?", "Emo.", "Follow me, Emo!", "Okay.", "Okay.", "Okay.", "I'm here.", "It's Monday, Sir."]
    assert NameListFinder(lines).names == {"emo"}


def test_names_in_capitals_are_found_once_known() -> None:
    finder = NameListFinder(FILM)
    assert unname("ANNA looks at the TV.", finder) == "Someone looks at the TV."
    assert finder([]) == []
    assert NameListFinder([]).names == frozenset()


def small_tagger(folder: Path, labels: tuple[str, ...] = ("O", "B-PER", "I-PER", "B-LOC")) -> str:
    """A real BERT, saved with its tokenizer, that reads the label off each piece's embedding."""
    tagged = {"Anna": 1, "Mc": 1, "##G": 2, "##ee": 0, "Holm": 2, "Paris": 3}
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tagged, "meets", "in", ".", "'", "s"]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        num_hidden_layers=0,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=34,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.bert.embeddings.LayerNorm.weight.fill_(1.0)
        for i, piece in enumerate(vocabulary):
            model.bert.embeddings.word_embeddings.weight[i, tagged.get(piece, 0)] = 1.0
        model.classifier.weight[:, : len(labels)] = torch.eye(len(labels))
    model.save_pretrained(folder)
    BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    return str(folder)


def test_a_tagger_finds_whole_words_also_in_texts_longer_than_it_reads(tmp_path: Path) -> None:
    finder = TransformersPersonFinder(small_tagger(tmp_path))
    assert unname_all(["Anna Holm meets McGee's in Paris.", "", "in Paris"], finder) == [
        "Someone meets someone's in Paris.",
        "",
        "in Paris",
    ]
    long = "in Paris " * 100 + "Anna meets Anna"
    assert unname(long, finder) == "in Paris " * 100 + "someone meets someone"


def test_taggers_that_can_not_serve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="PER"):
        TransformersPersonFinder(small_tagger(tmp_path, ("O", "B-ORG", "I-ORG", "B-LOC")))
    with pytest.raises(WeightsError, match="nowhere"):
        TransformersPersonFinder(str(tmp_path / "nowhere"))
