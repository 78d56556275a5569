"""Anybody's own data: a folder with a file `<split>.jsonl` for each split.

A line is `{"video": "a", "captions": ["..."]}`, with `"start"` and `"end"` in seconds where a part of the
video is meant. It is also the way in for data sets whose text comes from their authors in no fixed file, such
as Spoken Moments in Time.
"""

from pathlib import Path

from cinescribe.annotations.files import captions_of, need, span_of
from cinescribe.annotations.types import Annotations, CaptionedClip
from cinescribe.errors import UsageError


def read(folder: Path) -> Annotations:
    """The splits, named as the files.

    Raises:
        UsageError: there is no such file, or a line is not of this form; names file and line.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UsageError(
            f'{folder}: no SPLIT.jsonl there; a line of it is {{"video": ..., "captions": [...]}}'
        )
    splits = {}
    for path in files:
        file = need(folder, path.name)
        clips = []
        for line, entry in file.records():
            where = f"{file.name}, line {line}"
            if not isinstance(entry.get("video"), str):
                raise UsageError(f"{where}: no video; its name is wanted")
            said = captions_of(entry.get("captions"), where)
            if (entry.get("start") is None) != (entry.get("end") is None):
                raise UsageError(f"{where}: start and end belong together")
            if entry.get("start") is None:
                clips.append(CaptionedClip(entry["video"], None, None, said))
            else:
                start, end = span_of((entry["start"], entry["end"]), where)
                clips.append(CaptionedClip(entry["video"], start, end, said))
        splits[path.stem] = tuple(clips)
    return Annotations(folder.resolve().name, splits)
