"""How-to captions to clean sentences: the curation of HTM-370K.

Source: Han et al., Temporal Alignment Networks for Long-term Video, CVPR 2022, and its released code.

Four steps: videos with few or short captions are dropped, then those that aren't English; captions are
freed of repeats and overlaps; the rest is cut into sentences.
"""

import argparse
import json
import random
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from cinescribe.errors import SubtitleError, UsageError
from cinescribe.reading import locate_words
from cinescribe.speech.punctuator import PUBLISHED_MODEL, TokenPunctuator
from cinescribe.speech.sentences import is_sentence_end
from cinescribe.subtitles import read_subtitles, write_atomically
from cinescribe.utterance import Utterance, Word

RejectReason = Literal[
    "few-captions",  # at most 10 of them
    "short-captions",  # 5 words or fewer in the mean
    "not-english",  # mean probability of English at most 0.9
    "repeats",  # at most 5 captions are left without repeats
    "unpunctuated",  # a punctuation model is needed, and none was given
    "unreadable",  # the file can't be parsed
]
MAX_PAUSE = 1.0  # seconds; a longer one ends a sentence of unpunctuated captions
_LANGUAGE_SUFFIX = re.compile(r"\.[a-z]{2,3}(?:-[A-Za-z0-9]+)*$")  # "dQw4w9WgXcQ.en", as downloaders name


@dataclass(frozen=True, slots=True)
class Curated:
    """The sentences of a video, in order, each with its words."""

    sentences: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A video that does not pass; `message` says why and, where one can, what to do."""

    reason: RejectReason
    message: str


def curate(
    captions: Sequence[Utterance],
    *,
    punctuator: TokenPunctuator | None = None,
    sentences: Literal["marks", "pauses"] = "marks",
    seed: int = 0,
) -> Curated | Rejected:
    """Clean sentences of one video.

    Args:
        captions: as published (lines of a cue kept apart), in order; or our own recognised utterances, whose
            word times are then used. Else times are shared out evenly over the words of a caption (over
            the word pieces with a punctuator).
        punctuator: for captions of which fewer than half hold "," or ".".
        sentences: "pauses" cuts such captions at pauses over 1 s instead, without a punctuator.
        seed: of the choice of captions whose language is looked at.

    Returns:
        The sentences, or the reason why the video is left out.
    """
    if len(captions) <= 10:
        return Rejected("few-captions", f"{len(captions)} captions; more than 10 are needed")
    mean_words = sum(len(caption.text.split()) for caption in captions) / len(captions)
    if mean_words <= 5:
        return Rejected("short-captions", f"{mean_words:.1f} words a caption; more than 5 are needed")
    english = english_probability([caption.text for caption in captions], seed)
    if english <= 0.9:
        return Rejected("not-english", f"probability of English {english:.2f}; more than 0.9 is needed")
    kept = deduplicate(captions)
    if len(kept) <= 5:
        return Rejected("repeats", f"{len(kept)} captions left without repeats; more than 5 are needed")

    if 2 * sum("," in caption.text or "." in caption.text for caption in kept) >= len(kept):
        words = [word for caption in kept for word in _words(caption)]
        ends = [is_sentence_end(word.text) for word in words]
    elif punctuator is not None:
        words = [word for caption in kept for word in punctuator.words(caption)]
        ends = punctuator(words, MAX_PAUSE)
    elif sentences == "pauses":
        words = [word for caption in kept for word in _words(caption)]
        ends = [after.start - before.end > MAX_PAUSE for before, after in pairwise(words)] + [True]
    else:
        fix = f"give a TokenPunctuator (the recipe's model is {PUBLISHED_MODEL}) or sentences='pauses'"
        return Rejected("unpunctuated", f"fewer than half of the captions hold ',' or '.': {fix}")
    return Curated(_group(words, ends))


def english_probability(texts: Sequence[str], seed: int = 0) -> float:
    """Mean probability that 5 randomly chosen texts of at least 4 words are English; 0 if there are none.

    langdetect errs on short texts: of 200 draws of 12 ActivityNet captions (English), 10 came out at 0.9 or
    less; of 200 draws with the captions cut to 7 words, 33.
    """
    from langdetect import DetectorFactory, LangDetectException, detect_langs

    DetectorFactory.seed = 0  # its answers are random otherwise
    long_enough = [text for text in texts if len(text.split()) >= 4]
    probabilities = []
    for text in random.Random(seed).sample(long_enough, min(5, len(long_enough))):
        try:
            languages = detect_langs(text)
        except LangDetectException:  # nothing but digits and signs: says nothing about the language
            continue
        probabilities.append(next((found.prob for found in languages if found.lang == "en"), 0.0))
    return sum(probabilities) / len(probabilities) if probabilities else 0.0


def deduplicate(captions: Sequence[Utterance]) -> list[Utterance]:
    """Captions without the repeats of rolling two-line captions, none overlapping the next.

    Captions of at most 0.2 s (the flicker between two rolls), empty ones and those with a bracketed part
    ("[Music]") are dropped. A last line that the next caption starts with is dropped. A caption that the next
    one starts with is merged into it. Neighbours that overlap meet at the mean of the two times.
    """
    long_enough = [caption for caption in captions if caption.end - caption.start > 0.2]
    merged: list[Utterance] = []
    for i, caption in enumerate(long_enough):
        lines = [line.strip() for line in caption.text.strip().split("\n")]
        if not lines[0] or ("[" in caption.text and "]" in caption.text):
            continue
        if len(lines) > 1 and i + 1 < len(long_enough):
            next_line = long_enough[i + 1].text.strip().split("\n")[0].strip()
            lines = lines[:-1] if lines[-1] == next_line else lines
        text = " ".join(line for line in lines if line)
        start = merged.pop().start if merged and text.startswith(merged[-1].text) else caption.start
        merged.append(replace(caption, start=start, text=text))
    for i in range(len(merged) - 1):
        this, following = merged[i], merged[i + 1]
        if following.start < this.end:
            # At least this start: a caption within a longer one would else get a negative duration.
            meeting = max((this.end + following.start) / 2, this.start)
            merged[i] = replace(this, end=meeting)
            merged[i + 1] = replace(following, start=meeting, end=max(following.end, meeting))
    return merged


def _words(caption: Utterance) -> list[Word]:
    """The caption's own words where they spell its text, else its words at even times."""
    own = [word for word, _, _ in locate_words(caption)]
    if own and own[0] in caption.words:
        return own
    texts = caption.text.split()
    step = (caption.end - caption.start) / max(len(texts), 1)
    return [
        Word(caption.start + i * step, caption.start + (i + 1) * step, text) for i, text in enumerate(texts)
    ]


def _group(words: Sequence[Word], ends: Iterable[bool]) -> tuple[Utterance, ...]:
    groups: list[list[Word]] = [[]]
    for word, end in zip(words, ends, strict=True):
        groups[-1].append(word)
        if end:
            groups.append([])
    return tuple(
        Utterance(group[0].start, group[-1].end, " ".join(word.text for word in group), words=tuple(group))
        for group in groups
        if group
    )


def curate_files(
    paths: Iterable[str | Path],
    *,
    punctuator: TokenPunctuator | None = None,
    sentences: Literal["marks", "pauses"] = "marks",
    seed: int = 0,
) -> dict[str, Curated | Rejected]:
    """Clean sentences of many videos, by video id; files that can't be read are "unreadable".

    Args:
        paths: .vtt, .srt or .jsonl of one video each, its id the name without ending and language
            ("ID.en.vtt"); or .json of many, `{id: {"start": [], "end": [], "text": []}}`, seconds.
        punctuator, sentences, seed: as in `curate`.

    Raises:
        UsageError: a video id met twice.
    """
    results: dict[str, Curated | Rejected] = {}
    for path in map(Path, paths):
        for video, captions in _videos(path).items():
            if video in results:
                raise UsageError(f"{path}: video {video} was already read from another file; give it once")
            results[video] = (
                captions
                if isinstance(captions, Rejected)
                else curate(captions, punctuator=punctuator, sentences=sentences, seed=seed)
            )
    return results


def _videos(path: Path) -> Mapping[str, list[Utterance] | Rejected]:
    if path.suffix.lower() == ".json":
        return {video: _captions(columns, f"{path}, video {video}") for video, columns in _load(path).items()}
    video = _LANGUAGE_SUFFIX.sub("", path.stem)
    try:
        return {video: read_subtitles(path)}
    except SubtitleError as error:
        return {video: Rejected("unreadable", str(error))}


def _load(path: Path) -> dict[str, object]:
    try:
        videos = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SubtitleError(f"{path}: can't be read as JSON: {error}") from error
    if not isinstance(videos, dict):
        raise SubtitleError(f"{path}: expected {{video id: {{start, end, text}}}}")
    return videos


def _captions(columns: object, name: str) -> list[Utterance] | Rejected:
    try:
        if not isinstance(columns, dict):
            raise TypeError("not an object")
        rows = zip(columns["start"], columns["end"], columns["text"], strict=True)
        return [Utterance(float(start), float(end), str(text)) for start, end, text in rows]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        fix = "expected lists start, end, text of one length"
        return Rejected("unreadable", f"{name}: {fix} ({type(error).__name__}: {error})")


def write_sentences(results: Mapping[str, Curated | Rejected], path: str | Path) -> None:
    """Write the curated videos as HTM-370K has them: `{id: {"text": [], "start": [], "end": []}}`."""
    table = {
        video: {
            "text": [sentence.text for sentence in result.sentences],
            "start": [sentence.start for sentence in result.sentences],
            "end": [sentence.end for sentence in result.sentences],
        }
        for video, result in results.items()
        if isinstance(result, Curated)
    }
    write_atomically(path, json.dumps(table, ensure_ascii=False))


def curate_table(root: str, **options: Any) -> dict[str, Curated | Rejected]:
    """Clean sentences of the films that `cinescribe transcribe` wrote to `root`, by film id.

    Args:
        root: folder or `s3://bucket/prefix` holding the table `speech`.
        options: punctuator, sentences, seed as in `curate`.

    Raises:
        UsageError: no such table.
    """
    from cinescribe import tables

    rows = tables.read_table(root, "speech").to_pylist()
    if not rows:
        raise UsageError(
            f"{root} holds no table `speech`; write it with: cinescribe transcribe VIDEO... --out {root}"
        )
    return {row["film_id"]: curate(tables.utterances_of(row), **options) for row in rows}


def main(argv: Sequence[str] | None = None) -> int:
    """The command `cinescribe curate`; returns 0, or 1 when no video passed."""
    parser = argparse.ArgumentParser(
        prog="cinescribe curate",
        description="Clean sentences from captions of how-to videos, as HTM-370K was made.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="subtitle files, JSON of many videos, or a folder (or s3://) that `cinescribe transcribe` wrote",
    )
    parser.add_argument("--out", required=True, metavar="FILE.json")
    parser.add_argument(
        "--punctuator",
        metavar="MODEL",
        help=f"token classifier for captions without punctuation, by name or path, e.g. {PUBLISHED_MODEL}",
    )
    parser.add_argument(
        "--sentences",
        choices=("marks", "pauses"),
        default="marks",
        help="where to cut when there is no punctuator",
    )
    arguments = parser.parse_args(argv)
    options: dict[str, Any] = {
        "punctuator": TokenPunctuator(arguments.punctuator) if arguments.punctuator else None,
        "sentences": arguments.sentences,
    }
    folders = [i for i in arguments.inputs if i.startswith("s3://") or Path(i).is_dir()]
    results = curate_files([i for i in arguments.inputs if i not in folders], **options)
    for folder in folders:
        results |= curate_table(folder, **options)
    write_sentences(results, arguments.out)
    passed = [result for result in results.values() if isinstance(result, Curated)]
    for video, result in results.items():
        if isinstance(result, Rejected):
            print(f"{video}: left out ({result.reason}): {result.message}", file=sys.stderr)
    print(
        f"{len(results)} videos = {len(passed)} curated + {len(results) - len(passed)} left out; "
        f"{sum(len(result.sentences) for result in passed)} sentences in {arguments.out}"
    )
    return 0 if passed else 1
