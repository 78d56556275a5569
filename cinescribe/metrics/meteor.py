"""METEOR 1.5 by its authors' Java program (Denkowski and Lavie 2014), as the COCO evaluation runs it.

No version in Python gives its digits: the English paraphrase table and tuned weights come with the program
(weight `meteor-1.5`, fetched as any weight is). It needs a Java runtime and up to 2 GB of memory.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from cinescribe.errors import WeightsError
from cinescribe.metrics.tokens import java

METEOR = "meteor-1.5"


def meteor_score(
    references: Sequence[Sequence[list[str]]], captions: Sequence[list[str]]
) -> tuple[float, list[float]]:
    """METEOR of the whole set and of each caption, fractions.

    Args:
        references: the words of the references of each caption.
        captions: the words of each caption (`cinescribe.metrics.captioning.tokenise_captions`).

    Raises:
        WeightsError: there is no Java, or the program can't be had or fails.
    """
    from cinescribe import zoo

    folder: Path = zoo.path(METEOR)
    command = [java(), "-Dfile.encoding=UTF-8", "-Xmx2G", "-jar", "meteor-1.5.jar"]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            statistics = []
            for true, said in zip(references, captions, strict=True):
                fields = ["SCORE", *(" ".join(words) for words in true), " ".join(said).replace("|||", "")]
                statistics.append(_ask(process.stdin, process.stdout, " ||| ".join(fields)))
            first = _ask(process.stdin, process.stdout, " ||| ".join(["EVAL", *statistics]))
            values = [first, *(process.stdout.readline() for _ in captions)]
            scores = [float(value) for value in values]
        except (ValueError, BrokenPipeError) as error:
            raise WeightsError(
                f"{METEOR}: the program in {folder} failed ({error}); run it by hand"
            ) from error
        finally:
            process.kill()
    return scores[-1], scores[:-1]


def _ask(stdin: IO[str], stdout: IO[str], line: str) -> str:
    stdin.write(line + "\n")
    stdin.flush()
    return stdout.readline().strip()
