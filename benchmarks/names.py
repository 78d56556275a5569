"""Precision and recall of `NameListFinder` on real audio description, against the films' casts.

    python -m benchmarks.names DATA

DATA holds `autoad_zero/madeval_anno.csv` (descriptions of ten films; github.com/Jyxarthur/AutoAD-Zero) and
`autoad/MAD_charbank_2023mar.json` (their casts; github.com/TengdaHan/AutoAD).

A word counts as a name when it is capitalised and stands in the cast. The casts list the first 18 credits,
and spell some names unlike the descriptions, so real names outside them count against precision: the last
column shows the most frequent ones, to be judged by eye.
"""

import argparse
import csv
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from cinescribe.speech.names import TITLES, NameListFinder, Span

# The rules and word lists of the finder were chosen on these films; the others were only measured.
TUNED_ON = frozenset(
    (
        "1005_Signs",
        "1026_Legion",
        "1051_Harry_Potter_and_the_goblet_of_fire",
        "3009_BATTLE_LOS_ANGELES",
        "3034_IDES_OF_MARCH",
    )
)
_ROLE_NOTE = re.compile(
    r"\(.*?\)|\b\w+\.|'s\b.*"
)  # "(voice)", "LCpl.", "Annie's Mom": the mother has no name
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# fmt: off
_ROLE_WORDS = frozenset((  # of nameless roles: "Security Guard"
    "advance", "anchor", "band", "birthday", "boy", "brazilian", "bullpen", "campaign", "city", "columbia",
    "convict", "corpsman", "cream", "death", "deputy", "doorman", "dorm", "eater", "editor", "football",
    "frat", "girl", "greene", "guard", "guy", "haired", "handsome", "horned", "ice", "in", "innkeeper",
    "junior", "lawyer", "mairie", "man", "member", "mexico", "minivan", "off-screen", "overseer", "piano",
    "pitcher", "player", "psychiatrist", "raggedy", "red", "reporter", "security", "sfc", "softball", "store",
    "student", "teammate", "teenage", "toy", "tv", "university", "witch", "young", "nd",
))
# fmt: on


class Counts(NamedTuple):
    """Words of one film: in the cast, found, both; and those found outside the cast."""

    sentences: int
    cast: int
    found: int
    both: int
    outside: Counter[str]


def measure(sentences: Sequence[str], roles: Sequence[str]) -> Counts:
    """Compare what the finder, shown the film's sentences, finds in them with the names of the roles."""
    cast = {
        _folded(word)
        for role in roles
        for word in _WORD.findall(_ROLE_NOTE.sub(" ", role))
        if len(word) > 1 and _folded(word) not in _ROLE_WORDS | TITLES
    }
    found = NameListFinder(sentences)(sentences)
    cast_count = found_count = both = 0
    outside: Counter[str] = Counter()
    for sentence, spans in zip(sentences, found, strict=True):
        for word in _WORD.finditer(sentence):
            in_cast = word[0][0].isupper() and _folded(word[0]) in cast
            is_found = _covers(spans, word.start())
            cast_count += in_cast
            found_count += is_found
            both += in_cast and is_found
            if is_found and not in_cast:
                outside[word[0]] += 1
    return Counts(len(sentences), cast_count, found_count, both, outside)


def _folded(word: str) -> str:
    """Lower case without accents."""
    decomposed = unicodedata.normalize("NFD", word.lower())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _covers(spans: Sequence[Span], position: int) -> bool:
    return any(begin <= position < end for begin, end in spans)


def main() -> None:
    """Print one row per film and the sums over the tuning and the other films."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with autoad_zero/ and autoad/")
    data: Path = parser.parse_args().data
    films: dict[str, list[str]] = {}
    with open(data / "autoad_zero" / "madeval_anno.csv", encoding="cp1252", newline="") as rows:
        for row in csv.DictReader(rows):
            films.setdefault(row["movie"], []).append(row["sentence"])
    casts = json.loads((data / "autoad" / "MAD_charbank_2023mar.json").read_text(encoding="utf-8"))

    table = Table("film", "sentences", "cast names", "found", "precision", "recall", "found outside the cast")
    for title, tuned in (("tuned on", True), ("not tuned on", False)):
        group = []
        for film in sorted(film for film in films if (film in TUNED_ON) == tuned):
            group.append(measure(films[film], [role["role"] for role in casts[film]]))
            _add(table, film, group[-1])
        total = Counts(
            sentences=sum(counts.sentences for counts in group),
            cast=sum(counts.cast for counts in group),
            found=sum(counts.found for counts in group),
            both=sum(counts.both for counts in group),
            outside=Counter(),
        )
        _add(table, f"all {title}", total, style="bold")
    Console(width=200).print(table)


def _add(table: Table, name: str, counts: Counts, style: str = "") -> None:
    precision = 100 * counts.both / max(counts.found, 1)
    recall = 100 * counts.both / max(counts.cast, 1)
    outside = ", ".join(f"{word} {count}" for word, count in counts.outside.most_common(12))
    numbers = (f"{precision:.1f}%", f"{recall:.1f}%", outside)
    table.add_row(name, str(counts.sentences), str(counts.cast), str(counts.found), *numbers, style=style)


if __name__ == "__main__":
    main()
