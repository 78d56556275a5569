"""Cues that can be read in the time they stand, and the words of a text with their times."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from cinescribe.errors import UsageError
from cinescribe.utterance import Utterance, Word

_WORDS = re.compile(r"[^\s。！？]*[。！？]+|[^\s。！？]+")  # Chinese and Japanese sentences have no blanks


class TextWord(NamedTuple):
    """A timed word and where it stands in its utterance's text: `text[begin:end]`."""

    word: Word
    begin: int
    end: int


def locate_words(utterance: Utterance) -> list[TextWord]:
    """The words of an utterance's text with their times, in order; they cover all of the text but blanks.

    They are the utterance's own words where these spell its text; otherwise the text's blank-separated words,
    their times interpolated linearly by characters.
    """
    return _own_words(utterance) or [
        TextWord(Word(*_interpolated(utterance, *found.span()), found[0]), *found.span())
        for found in _WORDS.finditer(utterance.text)
    ]


def _own_words(utterance: Utterance) -> list[TextWord]:
    """The recogniser's words placed in the text; empty when they don't spell it."""
    text, located, position = utterance.text, [], 0
    for word in utterance.words:
        begin = text.find(word.text, position)
        if begin < 0 or not word.text or text[position:begin].strip():
            return []
        position = begin + len(word.text)
        located.append(TextWord(word, begin, position))
    return [] if text[position:].strip() else located


def _interpolated(utterance: Utterance, begin: int, end: int) -> tuple[float, float]:
    rate = (utterance.end - utterance.start) / max(len(utterance.text), 1)
    return utterance.start + begin * rate, min(utterance.start + end * rate, utterance.end)


def split_for_reading(
    utterances: Iterable[Utterance], max_chars: int = 84, max_seconds: float = 7.0
) -> list[Utterance]:
    """Cues a viewer can read: at most two lines of `max_chars // 2` characters, at most `max_seconds` long.

    Cuts are near the middle, rather after a sentence, a comma or a pause, and at word times; no text is lost.
    A word that is spoken for longer than `max_seconds` keeps its cue; one longer than a line is broken.
    Words stay with their cue where they spell the text, and are left out where they don't.

    Raises:
        UsageError: limits no text can meet.
    """
    if max_chars < 2 or max_seconds <= 0:
        raise UsageError("max_chars must be at least 2 and max_seconds more than 0")
    return [
        cue
        for utterance in utterances
        for cue in _Layout(utterance, max_chars // 2, max_seconds).cues(utterance.start, utterance.end)
    ]


class _Layout:
    """One utterance cut in two until every part can be read."""

    def __init__(self, utterance: Utterance, line_chars: int, max_seconds: float) -> None:
        self.utterance, self.line_chars, self.max_seconds = utterance, line_chars, max_seconds
        self.own = _own_words(utterance)
        whole = self.own or locate_words(utterance)
        self.pieces = [piece for word in whole for piece in _broken(word, line_chars)]

    def cues(self, start: float, end: float) -> list[Utterance]:
        return self._cues(0, len(self.pieces), start, end) if self.pieces else [self.utterance]

    def _cues(self, first: int, last: int, start: float, end: float) -> list[Utterance]:
        lines = self._lines(first, last)
        if last - first == 1 or (lines is not None and end - start <= self.max_seconds):
            begin, stop = self.pieces[first].begin, self.pieces[last - 1].end
            words = tuple(own.word for own in self.own if begin <= own.begin < stop)
            text = "\n".join(lines if lines is not None else [self._text(first, last)])
            return [replace(self.utterance, start=start, end=end, text=text, words=words)]
        cut = self._best_cut(range(first + 1, last), first, last)
        right = min(max(self.pieces[cut].word.start, start), end)
        left = min(max(self.pieces[cut - 1].word.end, start), right)
        return self._cues(first, cut, start, left) + self._cues(cut, last, right, end)

    def _lines(self, first: int, last: int) -> list[str] | None:
        """One or two lines, or None where the text is too long for two."""
        text = self._text(first, last)
        if len(text) <= self.line_chars:
            return [text]
        if len(text) > 2 * self.line_chars + 1:
            return None
        cuts = [
            cut
            for cut in range(first + 1, last)
            if max(len(self._text(first, cut)), len(self._text(cut, last))) <= self.line_chars
        ]
        if not cuts:
            return None
        cut = self._best_cut(cuts, first, last)
        return [self._text(first, cut), self._text(cut, last)]

    def _best_cut(self, cuts: Sequence[int], first: int, last: int) -> int:
        """The most balanced place, where the end of a sentence, a comma or a pause makes up for imbalance."""
        begin, end = self.pieces[first].begin, self.pieces[last - 1].end

        def goodness(cut: int) -> float:
            before, after = self.pieces[cut - 1], self.pieces[cut]
            mark = before.word.text.rstrip("\"'”’)]»")[-1:]
            bonus = 0.4 if mark in set(".!?…。！？؟।") else 0.2 if mark in set(",;:—–、，") else 0.0
            pause = min(max(after.word.start - before.word.end, 0.0), 2.0)
            inside_word = before.end == after.begin
            return (
                bonus
                + 0.4 * pause
                - inside_word
                - abs(before.end + after.begin - begin - end) / (end - begin)
            )

        return max(cuts, key=goodness)

    def _text(self, first: int, last: int) -> str:
        return " ".join(self.utterance.text[self.pieces[first].begin : self.pieces[last - 1].end].split())


def _broken(located: TextWord, line_chars: int) -> list[TextWord]:
    """A word in pieces of at most a line, each with its share of the word's time."""
    word, begin, end = located
    if end - begin <= line_chars:
        return [located]
    rate = (word.end - word.start) / (end - begin)
    return [
        TextWord(
            Word(
                word.start + (at - begin) * rate,
                word.start + (min(at + line_chars, end) - begin) * rate,
                word.text[at - begin : at - begin + line_chars],
                word.probability,
            ),
            at,
            min(at + line_chars, end),
        )
        for at in range(begin, end, line_chars)
    ]
