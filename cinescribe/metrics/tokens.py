"""Words of a caption as the COCO evaluation counts them: Penn Treebank tokens in lower case, no punctuation.

Published caption scores are made with Stanford's Java tokeniser. Where a `java` is on the PATH that very
program runs (weight `stanford-ptb-tokenizer`); elsewhere a Python one by the same rules does. Every score
says which one made its words. On the captions of COCO, MSR-VTT, MSVD, ActivityNet, YouCook2 and MAD-eval they
differ in fewer than one sentence in 500 of each (`tests/metrics/test_tokens.py`): rare abbreviations and
symbols.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from cinescribe.errors import WeightsError

Tokeniser = Literal["stanford", "python"]
JAR = "stanford-ptb-tokenizer"

# The list of coco-caption (pycocoevalcap's PTBTokenizer). The brackets are written in capitals there, while
# the tokens arrive in lower case, so "-lrb-" counts as a word in every published score; it does here, too.
_PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)


def default_tokeniser() -> Tokeniser:
    """ "stanford" where a `java` is on the PATH, else "python"."""
    return "stanford" if shutil.which("java") else "python"


def tokenise(sentences: Sequence[str], tokeniser: Tokeniser | None = None) -> list[list[str]]:
    """The words of each sentence.

    Args:
        sentences: raw text; line breaks count as spaces.
        tokeniser: by default `default_tokeniser()`.

    Raises:
        WeightsError: the Stanford tokeniser was asked for and there is no Java, or its program can't be had.
    """
    flat = [re.sub(r"[\r\n\u0085\u2028\u2029]", " ", sentence) for sentence in sentences]
    split = _stanford if (tokeniser or default_tokeniser()) == "stanford" else _python
    return [[token for token in tokens if token not in _PUNCTUATION] for tokens in split(flat)]


def java() -> str:
    """The `java` of the PATH.

    Raises:
        WeightsError: there is none.
    """
    found = shutil.which("java")
    if found is None:
        raise WeightsError("no java on the PATH: install a Java runtime (8 or later)")
    return found


def _stanford(sentences: list[str]) -> list[list[str]]:
    from cinescribe import zoo

    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "sentences.txt"
        text.write_text("".join(f"{sentence}\n" for sentence in sentences), encoding="utf-8")
        command = [java(), "-cp", str(zoo.path(JAR)), "edu.stanford.nlp.process.PTBTokenizer"]
        command += ["-preserveLines", "-lowerCase", "-encoding", "UTF-8", str(text)]
        run = subprocess.run(command, capture_output=True, check=False)
    lines = run.stdout.decode("utf-8").split("\n")[: len(sentences)]
    if run.returncode or len(lines) < len(sentences):
        raise WeightsError(
            f"{JAR}: the tokeniser failed ({run.stderr.decode(errors='replace').strip()[-300:]}); "
            'use tokeniser="python"'
        )
    return [line.split() for line in lines]


def _python(sentences: list[str]) -> list[list[str]]:
    return [_split(sentence) for sentence in sentences]


# What the Treebank writes for a character.
_WRITTEN = str.maketrans(
    {"’": "'", "‘": "`", "“": "``", "”": "''", "–": "--", "—": "--", "…": "...", "½": "1/2", "\xa0": " "}
)
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
# Words of two tokens. The first group ends where the second token begins.
_DOUBLES = r"(can)not|(gon)na|(got)ta|(lem)me|(gim)me|(wan)na"
_TITLES = r"mr|mrs|ms|drs?|profs?|sens?|reps?|attys?|lt|col|gen|messrs|govs?|adm|rev|maj|sgt|cpl|pvt|mt|capt|ste?|ave|pres|lieut|hon|brig|co?mdr|pfc|spc|supts?|det"  # noqa: E501
_STAYS = (  # abbreviations whose full stop is part of the word
    rf"{_TITLES}|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu(?:rs)?|fri|jr|sr|bros|blvd|rd|esq"
    r"|inc|cos?|corp|ltd|plc|dept|assn|univ|intl|etc|al|seq|bldg|vs|v|cf|wm|jos|alex|calif|mass|mich|minn|wis"
)


@cache
def _lexer() -> re.Pattern[str]:
    word = r"[^\W_](?:[\w]|[-/](?=[^\W_])|(?<=[^\W\d_]{2})\.(?=[^\W\d_]))*"
    return re.compile(
        r"""
        (?P<address> (?:https?://|www\.)\S*[\w/] | [\w.+-]+@[\w-]+(?:\.[\w-]+)+ )
      | (?P<acronym> [a-z](?:\.[a-z])+\.? (?![\w]) )
      | (?P<clitic> '(?:s|m|d|ll|re|ve)(?![\w]) | n't(?![\w]) )
      | (?P<decade> '\d\ds(?!\w) | 't(?=(?:is|was)(?!\w)) | (?<!\w)'(?:em|til|cause|n)(?!\w)'? )
      | (?P<number> (?<![\w.])[-+]?\d+(?:[.,:/]\d+)*(?:(?=[ap]m\b)|(?!-?\w)) | (?<![\w.])\d+(?:[.,]\d+)*(?=%)
      ) | (?P<short> (?:%(stays)s)\.(?=[\s'\"),;:?!.-]|$) | [a-z]\.(?=\s) | no\.(?=\s*\d) )
      | (?P<names> (?:o|d|l)'[^\W\d_]{2,} | [^\W\d_]+'[^\W\d_]{3,} | ma'am(?!\w) )
      | (?P<word> %(word)s )
      | (?P<handle> [@\#][^\W\d]\w* )
      | (?P<run> \.{3,} | -{2,} | [!?]+ | `` | '' )
      | (?P<tag> </?[a-z][^<>\s]*> )
      | (?P<one> \S )
        """.replace("%(stays)s", _STAYS).replace("%(word)s", word),
        re.VERBOSE | re.IGNORECASE,
    )


def _split(sentence: str) -> list[str]:
    tokens: list[str] = []
    text = re.sub(r"(?<=\w)(n't)\b", r" \1", sentence.translate(_WRITTEN), flags=re.IGNORECASE)
    for match in _lexer().finditer(text):
        token = match.group().lower()
        if match.lastgroup in ("word", "names"):
            tokens += _parts(token)
        elif token in _BRACKETS:
            tokens.append(_BRACKETS[token])
        else:
            tokens.append("''" if token == '"' else token)
    return tokens


def _parts(word: str) -> list[str]:
    """The two tokens of "cannot", "gonna" and their like; any other word as it is."""
    double = re.fullmatch(_DOUBLES, word)
    if double is None:
        return [word]
    cut = len(double[double.lastindex or 0])
    return [word[:cut], word[cut:]]
