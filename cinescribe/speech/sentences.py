"""Sentence restoration: recogniser segments to one utterance per sentence."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from cinescribe.reading import TextWord, locate_words
from cinescribe.utterance import Utterance, Word

Punctuator = Callable[[Sequence[Word]], list[bool]]
"""Tells for each word of unpunctuated text whether a sentence ends after it."""

# fmt: off
_TITLES = frozenset((
    "adm", "capt", "cmdr", "cmdt", "col", "cpl", "det", "dr", "fr", "ft", "gen", "gov", "hon",
    "insp", "lt", "maj", "messrs", "mlle", "mme", "mr", "mrs", "ms", "mt", "mx", "pfc", "pres",
    "prof", "pvt", "rep", "rev", "sen", "sgt", "st", "supt", "vs",
))
SENTENCE_STARTERS = frozenset((  # capitalised only because a sentence starts: never the rest of a name
    "a", "after", "all", "an", "and", "another", "as", "at", "back", "before", "beside", "but",
    "by", "don't", "down", "each", "every", "everyone", "everything", "for", "from", "he", "he's",
    "her", "his", "holding", "how", "if", "in", "inside", "it", "it's", "its", "later", "let",
    "looking", "meanwhile", "my", "nearby", "next", "no", "nothing", "now", "of", "oh", "okay",
    "on", "once", "one", "or", "our", "outside", "please", "she", "she's", "so", "some", "someone",
    "something", "soon", "still", "taking", "that", "that's", "the", "their", "then", "there",
    "there's", "these", "they", "they're", "this", "those", "through", "to", "two", "under", "up",
    "we", "we're", "well", "what", "what's", "when", "where", "while", "who", "why", "with", "yes",
    "you", "you're", "your",
))
# fmt: on
_OPENERS = "\"'“‘«„([{¿¡-–—"
_CLOSERS = "\"'”’»“)]}"
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")  # "J" of "J. Smith", "U.S", "p.m"


def is_sentence_end(word: str, next_word: str | None = None) -> bool:
    """Whether a sentence ends after `word` (written with its punctuation).

    True after . ! ? (also of other scripts) and closing quotes; false after "Mr.", "No." before a number,
    initials, "...", within "3.5" or "U.S.", and where `next_word` goes on in lower case ('"Who?" he asks').

    Args:
        word: one word without blanks.
        next_word: the word after it where its capital can be trusted; None when there is none to ask.
    """
    bare = word.rstrip(_CLOSERS)
    following = (next_word or "").lstrip(_OPENERS)
    if bare.endswith(("..", "…")) or not bare.endswith((".", "!", "?", "。", "！", "？", "؟", "।")):
        return False
    if following[:1].islower():
        return False
    core = bare[:-1].lstrip(_OPENERS)
    if not bare.endswith("."):
        return True
    if core.lower() in _TITLES:
        return False
    if core.lower() == "no":
        return not following[:1].isdigit()
    if _INITIALS.fullmatch(core) and core != "I":
        return next_word is None or following.lower() in SENTENCE_STARTERS
    return True


def restore_sentences(
    utterances: Iterable[Utterance], max_gap: float = 1.0, punctuator: Punctuator | None = None
) -> list[Utterance]:
    """Utterances of one sentence each, from recogniser segments that hold parts of one or several.

    Segments of one speaker and role are read as one stream of words, cut at sentence ends and at pauses
    longer than `max_gap`; no word is lost, invented or reordered. Where a cut inside a segment makes a new
    start, its first letter becomes a capital. A segment without an end mark goes on in the next one, unless
    that starts with a word such as "The". In unpunctuated text (under one end mark in 50 words) `punctuator`
    says where sentences end; without one its segments are only cut at pauses.

    Args:
        utterances: of one film, any order. Words that spell the text give their times; else times are
            interpolated linearly and the results have no words.
        max_gap: seconds.
        punctuator: for instance `cinescribe.speech.punctuator.TokenPunctuator`.

    Returns:
        Utterances in order of their start, `confidence` the mean over their words.
    """
    streams: dict[tuple[str, str], list[_Token]] = {}
    for utterance in sorted(utterances, key=lambda u: (u.start, u.end)):
        tokens = streams.setdefault((utterance.speaker, utterance.role), [])
        located = locate_words(utterance)
        timed = bool(located) and located[0].word in utterance.words
        tokens += [_Token(utterance, word, timed) for word in located]
    words = [token.located.word.text for tokens in streams.values() for token in tokens]
    punctuated = 50 * sum(map(is_sentence_end, words)) >= len(words)
    restored = []
    for tokens in streams.values():
        if punctuated:
            ends = _ends_by_marks(tokens)
        elif punctuator is not None:
            ends = punctuator([token.located.word for token in tokens])
        else:
            ends = [a.source is not b.source for a, b in pairwise(tokens)]
        restored += _cut(tokens, ends, max_gap)
    return sorted(restored, key=lambda u: (u.start, u.end))


class _Token(NamedTuple):
    source: Utterance
    located: TextWord
    timed: bool  # the word is the recogniser's, not interpolated


def _cut(tokens: Sequence[_Token], ends: Sequence[bool], max_gap: float) -> list[Utterance]:
    sentences, first = [], 0
    for i, (token, following) in enumerate(pairwise(tokens)):
        if ends[i] or following.located.word.start - token.located.word.end > max_gap:
            sentences.append(_sentence(tokens, first, i + 1))
            first = i + 1
    return [*sentences, _sentence(tokens, first, len(tokens))] if tokens else []


def _ends_by_marks(tokens: Sequence[_Token]) -> list[bool]:
    cased = any(token.located.word.text != token.located.word.text.lower() for token in tokens)
    ends = []
    for token, following in pairwise(tokens):
        word, after = token.located.word.text, following.located.word.text
        end = is_sentence_end(word, after if cased else None)
        if not end and token.source is not following.source and cased:
            # A segment that trails off is a sentence when the next one starts as only sentences do.
            start = after.lstrip(_OPENERS)
            trails = word.rstrip(_CLOSERS).endswith(("..", "…"))
            end = start[:1].isupper() and (trails or _starts_sentence(word, start))
        ends.append(end)
    return ends


def _starts_sentence(word: str, start: str) -> bool:
    open_ended = word.endswith((",", ";", ":", "-", "–", "—", "."))  # a final "." here is an abbreviation's
    return not open_ended and start.rstrip(".,!?").lower() in SENTENCE_STARTERS


def _sentence(stream: Sequence[_Token], first: int, last: int) -> Utterance:
    tokens = stream[first:last]
    words = [token.located.word for token in tokens]
    text = " ".join(
        source.text[run[0].located.begin : run[-1].located.end] for source, run in _by_source(tokens)
    )
    if first and stream[first - 1].source is tokens[0].source and text[0].islower():
        text = text[0].upper() + text[1:]
        words[0] = replace(words[0], text=words[0].text[0].upper() + words[0].text[1:])
    timed = all(token.timed for token in tokens)
    certainty = sum(t.located.word.probability if t.timed else t.source.confidence for t in tokens)
    return replace(
        tokens[0].source,
        start=words[0].start,
        end=max(word.end for word in words),
        text=text,
        words=tuple(words) if timed else (),
        confidence=certainty / len(tokens),
    )


def _by_source(tokens: Sequence[_Token]) -> list[tuple[Utterance, list[_Token]]]:
    """Runs of tokens of one segment."""
    runs: list[tuple[Utterance, list[_Token]]] = []
    for token in tokens:
        if not runs or runs[-1][0] is not token.source:
            runs.append((token.source, []))
        runs[-1][1].append(token)
    return runs
