"""Utterances to and from WebVTT, SubRip (SRT), RTTM and JSON lines.

What each format keeps: JSON lines everything; WebVTT and SRT times to the millisecond and the text
without blank lines; WebVTT also the speaker; RTTM times to the millisecond and the speaker.
Readers raise `SubtitleError` at the first malformed line. Given a list as `problems` they append the
error there instead, and go on with what can be read.
"""

import dataclasses
import html
import json
import math
import os
import re
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from cinescribe.errors import SubtitleError, UsageError
from cinescribe.reading import split_for_reading as split_for_reading
from cinescribe.utterance import Role, Utterance, Word

CueKind = Literal["captions", "descriptions", "subtitles"]
Problems = list[SubtitleError] | None

_ROLE_OF_KIND: dict[str, Role] = {"descriptions": "narrator", "captions": "dialogue", "subtitles": "dialogue"}
_LONGEST = 1e9  # seconds; no film lasts 30 years, and far beyond them milliseconds are lost
_TIME = r"(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_BROKEN_TIMING = re.compile(r"\s*\d[\d:.,\w]*\s*-->|-->\s*\d[\d:.,]*\s*$")  # meant as a timing line, in SRT
_VTT_BLOCKS_SKIPPED = re.compile(r"NOTE(?:[ \t]|$)|STYLE[ \t]*$|REGION[ \t]*$")
_TAG = re.compile(
    r"<(?P<close>/?)(?P<name>v|c|i|b|u|ruby|rt|lang|font)(?:\.[^\s>]*)?(?:\s+(?P<annotation>[^>]*))?>"
    r"|<\d+:[\d:.]+>",
    re.IGNORECASE,
)
_SRT_OVERRIDE = re.compile(r"\{\\[^}]*\}")  # "{\an8}", position codes many players honour
_LONG_REFERENCE = re.compile(r"&#\d{100,};?")  # beyond all characters; Python refuses to read long numbers


def to_vtt(utterances: Iterable[Utterance], kind: CueKind = "captions", language: str = "") -> str:
    """WebVTT text, one cue per utterance, speakers as voices.

    Args:
        utterances: with 0 <= start <= end, in the order of the cues.
        kind: told in the header as `Kind:`, where players and `from_vtt` find it.
        language: BCP 47 tag ("en", "pt-BR") for the header; "" leaves it out.

    Raises:
        UsageError: times that are negative, reversed or beyond 30 years.
    """
    header = ["WEBVTT", f"Kind: {kind}"]
    if language:
        header.append(f"Language: {language}")
    cues = [
        f"{_timing(utterance, '.')}\n{_voice(utterance.speaker)}{_escape(cue_text(utterance.text))}"
        for utterance in utterances
    ]
    return "\n\n".join(["\n".join(header), *cues]) + "\n"


def from_vtt(text: str, name: str = "WebVTT text", problems: Problems = None) -> list[Utterance]:
    """Utterances of WebVTT text; a cue with several voices gives one utterance per voice.

    Notes, styles, regions, settings and identifiers are read over; tags other than voices are dropped and
    their text is kept. The header's kind sets the role: descriptions narrator, captions and subtitles
    dialogue. `name` is what errors call the text.
    """
    lines = _lines(text.removeprefix("\ufeff"))
    if not re.match(r"WEBVTT(?:[ \t]|$)", lines[0]):
        raise SubtitleError(f"{name}, line 1: not a WebVTT file: it must start with WEBVTT")
    position = 1
    role: Role = "unknown"
    while position < len(lines) and lines[position] and "-->" not in lines[position]:
        key, _, value = lines[position].partition(":")
        if key.strip().lower() == "kind":
            role = _ROLE_OF_KIND.get(value.strip().lower(), "unknown")
        position += 1

    utterances: list[Utterance] = []
    while position < len(lines):
        if not lines[position]:
            position += 1
        elif "-->" in lines[position]:
            times = _times(lines[position], name, position + 1, problems)
            first = position = position + 1
            while position < len(lines) and lines[position] and "-->" not in lines[position]:
                position += 1
            if times is not None:
                utterances += _voices("\n".join(lines[first:position]), *times, role)
        else:  # an identifier, a block that is not a cue, or text that belongs to no cue
            first = position
            while position < len(lines) and lines[position] and "-->" not in lines[position]:
                position += 1
            identifies = position < len(lines) and "-->" in lines[position] and position == first + 1
            if not identifies and not _VTT_BLOCKS_SKIPPED.match(lines[first]):
                message = f"{name}, line {first + 1}: text outside any cue ({lines[first][:40]!r}); "
                _report(SubtitleError(message + "put its cue's times before it"), problems)
    return utterances


def _voices(text: str, start: float, end: float, role: Role) -> list[Utterance]:
    parts: list[tuple[str, str]] = [("", "")]  # (speaker, text), text in order
    position = 0
    for tag in _TAG.finditer(text, 0, text.rfind(">") + 1):  # see `_replaced`
        parts[-1] = (parts[-1][0], parts[-1][1] + _unescape(text[position : tag.start()]))
        position = tag.end()
        if (tag["name"] or "").lower() == "v":
            parts.append(("" if tag["close"] else _label(_unescape(tag["annotation"] or "")), ""))
    parts[-1] = (parts[-1][0], parts[-1][1] + _unescape(text[position:]))
    spoken = [(speaker, cue_text(said)) for speaker, said in parts]
    kept = [part for part in spoken if part[1]] or [max(spoken, key=lambda part: len(part[0]))]
    return [Utterance(start, end, said, speaker=speaker, role=role) for speaker, said in kept]


def _voice(speaker: str) -> str:
    name = _escape(_label(speaker))
    apart = " " if name.endswith("--") else ""  # else tag and name would make an arrow
    return f"<v {name}{apart}>" if name else ""


def _unescape(text: str) -> str:
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text))


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_srt(utterances: Iterable[Utterance]) -> str:
    """SubRip text, one numbered cue per utterance. SRT has no speakers and no escapes: "-->" becomes an
    arrow, and what players would take for a tag gets other brackets.

    Raises:
        UsageError: times that are negative, reversed or beyond 30 years.
    """
    cues = []
    for number, utterance in enumerate(utterances, 1):
        text = _replaced(_TAG, ">", lambda tag: f"‹{tag[0][1:-1]}›", cue_text(utterance.text))
        text = text.replace("{\\", "{ \\").replace("-->", "→")
        cues.append(f"{number}\n{_timing(utterance, ',')}\n{text}\n")
    return "\n".join(cues)


def from_srt(text: str, name: str = "SRT text", problems: Problems = None) -> list[Utterance]:
    """Utterances of SubRip text; numbers are read over, tags and position codes dropped, blank lines inside
    a cue allowed. `name` is what errors call the text."""
    lines = _lines(text.removeprefix("\ufeff"))
    timings = [i for i, line in enumerate(lines) if _TIMING.fullmatch(line) or _BROKEN_TIMING.match(line)]
    ends = [_without_number(lines, i) for i in timings] + [len(lines)]
    for i, line in enumerate(lines[: ends[0]]):
        if line.strip():
            message = f"{name}, line {i + 1}: text before the first cue's times ({line[:40]!r})"
            _report(SubtitleError(f"{message}; is it an SRT file?"), problems)
            break
    utterances = []
    for timing, end in zip(timings, ends[1:], strict=True):
        times = _times(lines[timing], name, timing + 1, problems)
        if times is not None:
            cue = "\n".join(lines[timing + 1 : end])
            plain = _replaced(_SRT_OVERRIDE, "}", "", _replaced(_TAG, ">", "", cue))
            utterances.append(Utterance(*times, cue_text(plain)))
    return utterances


def _replaced(pattern: re.Pattern[str], end: str, by: str | Callable[[re.Match[str]], str], text: str) -> str:
    """The text with what matches replaced. Only what stands before the last `end`, with which every match
    ends, is searched: behind it each beginning of one would be followed to the end of the text, in vain."""
    last = text.rfind(end) + 1
    return pattern.sub(by, text[:last]) + text[last:]


def _without_number(lines: Sequence[str], timing: int) -> int:
    """Where the cue before `timing` ends: before the number of the next one, if it has one."""
    numbered = timing > 0 and lines[timing - 1].strip().isdecimal()
    alone = timing < 2 or not lines[timing - 2].strip()
    return timing - 1 if numbered and alone else timing


def to_rttm(utterances: Iterable[Utterance], film_id: str) -> str:
    """RTTM SPEAKER lines. Fields are parted by blanks, so a blank in a label or in the film's id becomes
    "_"; no speaker is "<NA>".

    Raises:
        UsageError: unusable times, an empty film id, or two speakers that would get the same label.
    """
    if not film_id.strip():
        raise UsageError("an RTTM file needs a film id")
    labels: dict[str, str] = {}
    lines = []
    for utterance in utterances:
        start, end = _milliseconds(utterance)
        label = "_".join(utterance.speaker.split()) or "<NA>"
        if labels.setdefault(label, utterance.speaker) != utterance.speaker:
            both = f"{labels[label]!r} and {utterance.speaker!r}"
            raise UsageError(f"{film_id}: speakers {both} are the same RTTM label {label!r}; rename one")
        times = f"{start / 1000:.3f} {(end - start) / 1000:.3f}"
        lines.append(f"SPEAKER {'_'.join(film_id.split())} 1 {times} <NA> <NA> {label} <NA> <NA>\n")
    return "".join(lines)


def read_rttm(path: str | Path, film_id: str | None = None, problems: Problems = None) -> list[Utterance]:
    """Speaker turns (utterances without text) of one film; lines of other types are read over.

    Args:
        path: the RTTM file.
        film_id: as given to `write_rttm`; needed when the file holds several.
        problems: see the module.

    Raises:
        SubtitleError: unreadable file or malformed line; several films and no `film_id`; no such film.
    """
    turns: dict[str, list[Utterance]] = {}
    for number, line in enumerate(_lines(_read(path)), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            film, start, duration, label = fields[1], float(fields[3]), float(fields[4]), fields[7]
            if not (start >= 0 and duration >= 0 and start + duration <= _LONGEST):
                raise ValueError
        except (IndexError, ValueError):
            fix = "expected SPEAKER file channel start duration <NA> <NA> speaker <NA> <NA>"
            _report(SubtitleError(f"{path}, line {number}: {fix}, times from 0 to {_LONGEST:g} s"), problems)
            continue
        end = round(start + duration, 6)  # 1.44 + 11.872 is 13.312, not 13.312000000000001
        turns.setdefault(film, []).append(Utterance(start, end, "", speaker="" if label == "<NA>" else label))
    if film_id is None and len(turns) > 1:
        raise SubtitleError(f"{path}: holds {len(turns)} films ({', '.join(sorted(turns)[:5])}); name one")
    if film_id is None:
        return next(iter(turns.values()), [])
    if "_".join(film_id.split()) not in turns:
        raise SubtitleError(
            f"{path}: has no film {film_id!r}; it holds {', '.join(sorted(turns)[:5]) or 'none'}"
        )
    return turns["_".join(film_id.split())]


def to_jsonl(utterances: Iterable[Utterance]) -> str:
    """One JSON object per utterance with every field, words included; lossless.

    Raises:
        UsageError: a time or probability that is not finite.
    """
    try:
        rows = [json.dumps(dataclasses.asdict(u), ensure_ascii=False, allow_nan=False) for u in utterances]
    except ValueError as error:
        raise UsageError(f"an utterance has a time or probability that is not finite: {error}") from error
    return "".join(f"{row}\n" for row in rows)


def from_jsonl(text: str, name: str = "JSON lines", problems: Problems = None) -> list[Utterance]:
    """Utterances of `to_jsonl`'s text; fields other than start, end and text may be left out."""
    utterances = []
    for number, line in enumerate(text.split("\n"), 1):  # U+2028 and the like may stand inside a string
        if line.strip():
            try:
                utterances.append(_utterance(json.loads(line)))
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                _report(SubtitleError(f"{name}, line {number}: not an utterance: {error}"), problems)
    return utterances


def _utterance(row: Any) -> Utterance:
    if not isinstance(row, dict):
        raise TypeError("expected an object")
    words = tuple(Word(**word) for word in row.pop("words", ()))
    utterance = Utterance(**row, words=words)
    spans = [(utterance.start, utterance.end, utterance.confidence)]
    spans += [(word.start, word.end, word.probability) for word in words]
    if not all(start <= end and all(map(math.isfinite, (start, end, p))) for start, end, p in spans):
        raise ValueError("times and probabilities must be finite, start <= end")
    if utterance.role not in get_args(Role):
        raise ValueError(f"role must be one of {', '.join(get_args(Role))}")
    if not all(
        isinstance(text, str) for text in (utterance.text, utterance.speaker, *(w.text for w in words))
    ):
        raise TypeError("text and speaker must be strings")
    return utterance


def read_subtitles(path: str | Path, problems: Problems = None) -> list[Utterance]:
    """Utterances of a .vtt, .srt or .jsonl file (UTF-8, or UTF-16 with its mark).

    Raises:
        SubtitleError: missing file, other ending, other encoding, or (without `problems`) a malformed line.
    """
    readers = {".vtt": from_vtt, ".srt": from_srt, ".jsonl": from_jsonl}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise SubtitleError(f"{path}: can't tell the format; the name must end in {', '.join(readers)}")
    return reader(_read(path), str(path), problems)


def read_jsonl(path: str | Path) -> list[Utterance]:
    """Utterances of a file of `write_jsonl`, whatever its name. Raises `SubtitleError`."""
    return from_jsonl(_read(path), str(path))


def write_vtt(
    utterances: Iterable[Utterance], path: str | Path, kind: CueKind = "captions", language: str = ""
) -> None:
    """Write `to_vtt`'s text to `path`, whole or not at all."""
    write_atomically(path, to_vtt(utterances, kind, language))


def write_srt(utterances: Iterable[Utterance], path: str | Path) -> None:
    """Write `to_srt`'s text to `path`, whole or not at all."""
    write_atomically(path, to_srt(utterances))


def write_rttm(utterances: Iterable[Utterance], path: str | Path, film_id: str) -> None:
    """Write `to_rttm`'s text to `path`, whole or not at all."""
    write_atomically(path, to_rttm(utterances, film_id))


def write_jsonl(utterances: Iterable[Utterance], path: str | Path) -> None:
    """Write `to_jsonl`'s text to `path`, whole or not at all."""
    write_atomically(path, to_jsonl(utterances))


def write_atomically(path: str | Path, text: str) -> None:
    """Write UTF-8 text under a temporary name beside `path`, then rename: readers never see half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "replace"))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def cue_text(text: str) -> str:
    """Text as a cue holds it: lines stripped, blank lines left out (one would end the cue), no NUL."""
    lines = (line.strip() for line in _lines(text.replace("\0", "\ufffd")))
    return "\n".join(line for line in lines if line)


def _label(speaker: str) -> str:
    return " ".join(speaker.replace("\0", "\ufffd").split())


def _lines(text: str) -> list[str]:
    """Lines by CR, LF and CR LF only, as WebVTT has it: `str.splitlines` also parts at U+0085, U+2028, ..."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _milliseconds(utterance: Utterance) -> tuple[int, int]:
    if not 0 <= utterance.start <= utterance.end <= _LONGEST:
        raise UsageError(f"can't write times {utterance.start} to {utterance.end} of {utterance.text[:40]!r}")
    return round(utterance.start * 1000), round(utterance.end * 1000)


def _timing(utterance: Utterance, point: str) -> str:
    start, end = _milliseconds(utterance)
    return " --> ".join(
        f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
        for ms in (start, max(end, start + 1))  # a cue must not end where it starts
    )


def _times(line: str, name: str, number: int, problems: Problems) -> tuple[float, float] | None:
    """Start and end in seconds of a timing line; reports and gives None where it is malformed."""
    match = _TIMING.fullmatch(line)
    if match is None or any(int(match[group]) > 59 for group in (2, 3, 6, 7)):
        what = f"{name}, line {number}: can't read the times {line.strip()[:60]!r}"
        _report(SubtitleError(f"{what}; expected hh:mm:ss.mmm --> hh:mm:ss.mmm"), problems)
        return None
    start, end = (
        int(match[g] or 0) * 3600
        + int(match[g + 1]) * 60
        + int(f"{match[g + 2]}{match[g + 3] or '':0<3}") / 1000
        for g in (1, 5)
    )
    if end < start:
        what = f"{name}, line {number}: the cue ends before it starts"
        _report(SubtitleError(f"{what} ({line.strip()[:60]}); put the earlier time first"), problems)
        return None
    return round(start, 3), round(end, 3)


def _report(error: SubtitleError, problems: Problems) -> None:
    if problems is None:
        raise error
    problems.append(error)


def _read(path: str | Path) -> str:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise SubtitleError(f"{path}: can't be read: {error.strerror}") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SubtitleError(f"{path}, line {line}: not UTF-8 text; convert it to UTF-8") from error
