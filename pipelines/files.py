"""The files of a film for people: description and dialogue as subtitles, the speakers as RTTM."""

from collections.abc import Sequence
from dataclasses import replace

from cinescribe import storage, tables
from cinescribe.reading import split_for_reading
from cinescribe.speech.clean import CleanSpeech
from cinescribe.speech.names import NameListFinder, unname_all
from cinescribe.subtitles import to_rttm, to_srt, to_vtt

ENDINGS = (".ad.vtt", ".ad.unnamed.vtt", ".dialogue.vtt", ".dialogue.srt", ".rttm")


def addresses(out: str, film_id: str, endings: Sequence[str] = ENDINGS) -> list[str]:
    """All addresses under which a film may have files of these endings."""
    return [_address(out, film_id, ending) for ending in endings]


def write(out: str, film_id: str, speech: CleanSpeech, *, unnamed: bool) -> None:
    """Write a film's files under `<out>/files`; with `unnamed`, also the description without names."""
    description = [u for u in speech.utterances if u.role == "narrator"]
    dialogue = split_for_reading(u for u in speech.utterances if u.role != "narrator")
    texts = {
        ".ad.vtt": to_vtt(description, "descriptions", speech.language),
        ".dialogue.vtt": to_vtt(dialogue, "captions", speech.language),
        ".dialogue.srt": to_srt(dialogue),
        ".rttm": to_rttm(speech.utterances, film_id),
    }
    if unnamed:
        finder = NameListFinder(u.text for u in speech.utterances)  # names are learned from the dialogue too
        sentences = unname_all([u.text for u in description], finder)
        someone = [replace(u, text=text, words=()) for u, text in zip(description, sentences, strict=True)]
        texts[".ad.unnamed.vtt"] = to_vtt(someone, "descriptions", speech.language)
    for ending, text in texts.items():
        storage.write_bytes(_address(out, film_id, ending), text.encode("utf-8", "replace"))


def _address(out: str, film_id: str, ending: str) -> str:
    """A film's id is its path, so it names its files; parts a file system would refuse are shortened."""
    parts = [part for part in film_id.split("/") if part not in ("", ".", "..")]
    short = [
        part if len(part.encode()) < 200 else tables.file_name(part).removesuffix(".parquet")
        for part in parts
    ]
    return storage.join(out, "files", *short) + ending
