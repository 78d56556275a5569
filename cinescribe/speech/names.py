"""Named to Unnamed text: persons become "someone", as in LSMDC and MAD-Unnamed.

Source: Han et al., AutoAD: Movie Description in Context, CVPR 2023 (there with an entity recogniser).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from cinescribe.errors import UsageError, WeightsError
from cinescribe.speech.sentences import SENTENCE_STARTERS

Span = tuple[int, int]
PersonFinder = Callable[[Sequence[str]], list[list[Span]]]
"""The persons in each sentence, as character spans in order that don't overlap."""

# fmt: off
TITLES = frozenset((
    "agent", "aunt", "brother", "capt", "captain", "coach", "col", "colonel", "commander", "corporal", "cpl",
    "detective", "doctor", "dr", "father", "gen", "general", "governor", "inspector", "judge", "king", "lady",
    "lieutenant", "lord", "lt", "madame", "major", "master", "mayor", "miss", "mister", "monsieur", "mother",
    "mr", "mrs", "ms", "officer", "president", "prince", "princess", "private", "prof", "professor", "queen",
    "reverend", "senator", "sergeant", "sgt", "sheriff", "sir", "sister", "uncle",
))
_NEVER_PERSONS = frozenset((
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february",
    "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
    "christmas", "easter", "halloween", "thanksgiving", "god", "christ", "jesus", "lord", "bible", "satan",
    "american", "african", "arab", "arabic", "asian", "australian", "austrian", "british", "brazilian",
    "bulgarian", "canadian", "caribbean", "chinese", "cuban", "dutch", "egyptian", "english", "european",
    "french", "german", "greek", "hispanic", "hungarian", "indian", "iranian", "iraqi", "irish", "israeli",
    "italian", "japanese", "jewish", "korean", "latin", "mexican", "muslim", "nazi", "norwegian", "polish",
    "portuguese", "roman", "russian", "scottish", "slavic", "spanish", "swedish", "swiss", "turkish",
    "victorian", "vietnamese", "welsh", "catholic", "christian", "earth", "internet", "ok", "okay", "yes",
    "yeah", "hey", "hello", "hi", "ah", "hmm", "huh", "wow", "thanks", "sorry", "mom", "mum", "dad", "daddy",
    "mommy", "grandma", "grandpa", "someone", "marines", "marine",
))
_DETERMINERS = frozenset(("the", "a", "an", "this", "that", "another", "some", "any", "no", "two", "three"))
_COMPANY = frozenset((  # words that go before persons rather than before places or things
    "and", "as", "at", "with", "beside", "behind", "toward", "towards", "after", "when", "while", "then",
    "past", "to", "for", "facing", "joins", "follows", "meets", "watches", "sees", "hugs", "kisses", "tells",
))
# fmt: on
_TITLE_BEFORE = re.compile(rf"\b(?:(?:{'|'.join(t.capitalize() for t in sorted(TITLES))})\b\.?\s+)+$")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_POSSESSIVE = re.compile(r"['’]s?$", re.IGNORECASE)
_PLURAL_POSSESSIVE = re.compile(r"(?<=s)['’](?![^\W\d_])")  # James' house
_SENTENCE_START = re.compile(r"(?:^|[.!?…][\"'”’)\]]*\s)[\s\"'“‘(\[¿¡—–-]*$")


def unname(text: str, finder: PersonFinder) -> str:
    """`text` with each person replaced by "someone" ("Someone" at the start of a sentence).

    Names in a row and titles before them are one person ("Mr. John Smith"); a possessive stays ("someone's");
    "Anna and Tom" becomes "someone and someone".
    """
    return unname_all([text], finder)[0]


def unname_all(sentences: Sequence[str], finder: PersonFinder) -> list[str]:
    """`unname` for many sentences with one call of the finder."""
    return [_replace(text, spans) for text, spans in zip(sentences, finder(sentences), strict=True)]


def _replace(text: str, spans: Iterable[Span]) -> str:
    unnamed, position = "", 0
    for begin, end in _persons(text, spans):
        starts_sentence = _SENTENCE_START.search(text[:begin]) is not None
        unnamed += text[position:begin] + ("Someone" if starts_sentence else "someone")
        possessive = _PLURAL_POSSESSIVE.match(text, end)
        unnamed += "'s" if possessive else ""
        position = possessive.end() if possessive else end
    return unnamed + text[position:]


def _persons(text: str, spans: Iterable[Span]) -> list[Span]:
    """Spans without possessives, with the titles before them, those in a row joined."""
    persons: list[Span] = []
    for begin, end in spans:
        possessive = _POSSESSIVE.search(text[begin:end])
        end -= len(possessive[0]) if possessive else 0
        previous = persons[-1][1] if persons else 0
        title = _TITLE_BEFORE.search(text, previous, begin)
        begin = title.start() if title else begin
        if persons and text[previous:begin].isspace():
            begin = persons.pop()[0]
        persons.append((begin, end))
    return persons


class _Occurrence(NamedTuple):
    """A word where it stands in a sentence."""

    text: str  # without possessive
    span: Span
    initial: bool  # its capital may only be that of a sentence
    possessive: bool
    before: str  # what stands between the previous word and this one
    after: str

    @property
    def key(self) -> str:
        return self.text.lower()

    @property
    def may_be_name(self) -> bool:
        """Written as a name is, and not one of the words that never name a person."""
        return (
            self.text[0].isupper()
            and not (len(self.text) == 1 or self.text.isupper())
            and not re.search(r"['’][a-z]", self.text)  # "I'm", "Don't", but not "O'Neil"
            and self.key not in _NEVER_PERSONS
            and self.key not in SENTENCE_STARTERS
            and self.key not in TITLES
        )


class NameListFinder:
    """Finds the persons of one film by how its words are written, without a model.

    A word is a name when it is hardly ever written in lower case, seldom used with an article, and used as
    persons are: before a verb ("Anna nods"), after a title, with a possessive, addressed ("Run, Anna!"),
    after words such as "and" or "toward". Words next to a name are part of it ("Anna Holm"). A word met at
    starts of sentences only must be met there three times, mostly before a verb. English only.

    `python -m benchmarks.names` measures its precision and recall on ten films.

    Args:
        sentences: all descriptions (and dialogue) of one film: the more, the surer.

    Attributes:
        names: the words found, in lower case.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        self.names = _person_words([_occurrences(sentence) for sentence in sentences])

    def __call__(self, sentences: Sequence[str]) -> list[list[Span]]:
        """Spans of the persons in sentences of the film."""
        return [self._spans(_occurrences(sentence)) for sentence in sentences]

    def _spans(self, words: Sequence[_Occurrence]) -> list[Span]:
        named = [
            word.text[0].isupper()
            and word.key in self.names
            and not (word.text.isupper() and len(word.text) < 3)
            for word in words
        ]
        return [word.span for word, name in zip(words, named, strict=True) if name]


def _occurrences(sentence: str) -> list[_Occurrence]:
    found = list(_WORD.finditer(sentence))
    ends = [0, *(word.end() for word in found)]
    starts = [*(word.start() for word in found), len(sentence)]
    words = []
    for i, word in enumerate(found):
        possessive = _POSSESSIVE.search(word[0])
        text = word[0][: possessive.start()] if possessive else word[0]
        before, after = sentence[ends[i] : starts[i]], sentence[ends[i + 1] : starts[i + 1]]
        initial = _SENTENCE_START.search(sentence[: word.start()]) is not None
        owns = possessive is not None or _PLURAL_POSSESSIVE.match(sentence, word.end()) is not None
        words.append(
            _Occurrence(text, (word.start(), word.start() + len(text)), initial, owns, before, after)
        )
    return words


def _person_words(sentences: Sequence[Sequence[_Occurrence]]) -> frozenset[str]:
    """The words that name persons in a film, in lower case."""
    lower: Counter[str] = Counter()
    total: Counter[str] = Counter()
    inner: Counter[str] = Counter()  # capitalised where no sentence starts
    determined: Counter[str] = Counter()
    subject: Counter[str] = Counter()
    as_person: Counter[str] = Counter()
    titled: set[str] = set()
    for words in sentences:
        for i, word in enumerate(words):
            if not word.may_be_name:
                lower[word.key] += word.text.islower()
                continue
            previous = words[i - 1] if i and word.before.isspace() else None
            following = words[i + 1] if i + 1 < len(words) and word.after.isspace() else None
            acts = following is not None and re.fullmatch(r"[a-z-]*[^s]s", following.text) is not None
            title = previous is not None and (previous.key in TITLES and previous.text[0].isupper())
            addressed = word.after[:1] in tuple(",.!?") and (word.initial or word.before.startswith(","))
            company = previous is not None and previous.key in _COMPANY
            total[word.key] += 1
            inner[word.key] += not word.initial
            determined[word.key] += previous is not None and previous.key in _DETERMINERS
            subject[word.key] += acts and not word.possessive
            as_person[word.key] += acts or title or addressed or company or word.possessive
            if title:
                titled.add(word.key)

    def is_name(key: str) -> bool:
        if lower[key] > 0.1 * total[key] or determined[key] > 0.25 * total[key]:
            return False
        if inner[key] == 0:
            return key in titled or (total[key] >= 3 and subject[key] >= 0.6 * total[key])
        return key in titled or as_person[key] >= max(2, 0.35 * total[key])

    names = {key for key in total if is_name(key)}
    beside = {
        word.key
        for words in sentences
        for left, right in pairwise(words)
        if left.after.isspace()
        for word, other in ((left, right), (right, left))
        if other.key in names and other.text[0].isupper() and word.may_be_name and not word.initial
        if not left.possessive and not lower[word.key] and not determined[word.key]
    }
    return frozenset(names | beside)


class TransformersPersonFinder:
    """Finds persons with a named-entity model: any token classifier with PER or PERSON labels.

    No published model has been run with this code; it is tested with a small BERT of known outputs.

    Args:
        name_or_path: a model of the hub or a folder, for instance "Jean-Baptiste/roberta-large-ner-english".
        device: torch device.

    Raises:
        WeightsError: the model can't be had.
        UsageError: the model has no label for persons, or a tokenizer without character positions.
    """

    def __init__(self, name_or_path: str, device: str = "cpu") -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(name_or_path)
            self.model: Any = AutoModelForTokenClassification.from_pretrained(name_or_path).to(device).eval()
        except (OSError, ValueError) as error:
            fix = "give the folder of a downloaded copy"
            raise WeightsError(f"name model {name_or_path}: can't be loaded; {fix} ({error})") from error
        labels = [str(self.model.config.id2label[i]) for i in range(self.model.config.num_labels)]
        self.person = [label.upper().split("-")[-1] in ("PER", "PERSON") for label in labels]
        if not any(self.person):
            raise UsageError(f"name model {name_or_path}: none of its labels {labels} is PER or PERSON")
        if not self.tokenizer.is_fast:
            raise UsageError(f"name model {name_or_path}: its tokenizer gives no character positions")

    def __call__(self, sentences: Sequence[str], batch: int = 32) -> list[list[Span]]:
        """Spans of the persons: whole words, of which the first piece is labelled a person's."""
        return [
            spans
            for first in range(0, len(sentences), batch)
            for spans in self._find(list(sentences[first : first + batch]))
        ]

    def _find(self, sentences: list[str]) -> list[list[Span]]:
        import torch

        positions = getattr(self.model.config, "max_position_embeddings", 514)
        length = min(self.tokenizer.model_max_length, positions - 2, 512)
        inputs = self.tokenizer(
            sentences,
            max_length=length,
            truncation=True,
            stride=length // 4,
            return_overflowing_tokens=True,  # a text longer than the model reads goes on in a further row
            return_offsets_mapping=True,
            return_tensors="pt",
            padding=True,
        )
        rows = inputs.pop("overflow_to_sample_mapping").tolist()
        offsets = inputs.pop("offset_mapping").tolist()
        with torch.inference_mode():
            labels = self.model(**inputs.to(self.model.device)).logits.argmax(-1).tolist()  # [row, piece]
        starts: list[set[int]] = [set() for _ in sentences]  # where pieces labelled as persons start
        for row, row_labels, row_offsets in zip(rows, labels, offsets, strict=True):
            starts[row] |= {
                begin + len(piece) - len(piece.lstrip())  # some tokenizers count the blank before a word
                for label, (begin, end) in zip(row_labels, row_offsets, strict=True)
                if self.person[label] and (piece := sentences[row][begin:end]).strip()
            }
        return [
            [word.span() for word in _WORD.finditer(sentence) if word.start() in starts[i]]
            for i, sentence in enumerate(sentences)
        ]
