"""SPICE: captions compared as graphs of things, attributes and relations (Anderson et al. 2016).

There is only its authors' Java program, which parses with Stanford's models: pycocoevalcap fetches those when
it is first used. So SPICE is scored where a user has installed pycocoevalcap and Java, and nowhere else.
"""

import importlib
from collections.abc import Sequence

from cinescribe.errors import WeightsError
from cinescribe.metrics.tokens import java


def spice_score(references: Sequence[Sequence[str]], captions: Sequence[str]) -> tuple[float, list[float]]:
    """SPICE F of the whole set and of each caption, fractions; raw text.

    Raises:
        WeightsError: there is no Java or no pycocoevalcap, or its models can't be had.
    """
    java()
    try:
        program = importlib.import_module("pycocoevalcap.spice.spice")
    except ImportError as error:
        raise WeightsError(
            "SPICE needs the package pycocoevalcap and the models it fetches: pip install pycocoevalcap"
        ) from error
    true = {number: list(texts) for number, texts in enumerate(references)}
    said = {number: [text] for number, text in enumerate(captions)}
    try:
        score, each = program.Spice().compute_score(true, said)
    except Exception as error:  # a failed download, or Java's own failure
        raise WeightsError(f"SPICE: pycocoevalcap's program failed ({error}); run it by hand") from error
    return float(score), [float(row["All"]["f"]) for row in each]
