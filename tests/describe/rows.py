"""Rows of `descriptions` as `cinescribe describe` writes them, without a model."""

from collections.abc import Sequence

from cinescribe import tables
from cinescribe.describe.corrected import row_of, settle
from cinescribe.describe.corrections import Corrections
from cinescribe.describe.placement import PlacementSettings, Places, Sentence, Span, place

SETTINGS = PlacementSettings(words_per_minute=300.0, shortest_gap=1.0)
UNTOUCHED = Corrections({}, "")


def write_descriptions(
    root: str, film_id: str, sentences: Sequence[Sentence], lines: Sequence[Span] = (), duration: float = 60.0
) -> None:
    """Write what a machine described of a film, placed over its narrator."""
    generated = place(sentences, lines, duration, SETTINGS)
    settled = settle(generated, UNTOUCHED, Places(lines, duration, SETTINGS), SETTINGS.seconds)
    film = {"film_id": film_id, "etag": "1"}
    row = row_of(film, settled, UNTOUCHED, SETTINGS, {"autoad": "test"}, over_narrator=True)
    tables.write_row(root, "descriptions", film_id, row)
