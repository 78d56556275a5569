"""A page to look at what a search got wrong: the worst placed queries first, with what was found instead.

It is one file without scripts and without anything to fetch, light or dark as the reader's system, and can be
read by a screen reader: what the pictures show is said in words too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from cinescribe.evaluation.run import Run, Video
from cinescribe.evaluation.scores import NAMES, Ranks, Scores
from cinescribe.evaluation.thumbnails import Thumbnails

TOP = 5  # videos shown of those found
RIGHT = "Right"

_STYLE = """
/* Colours are said outright: a checker of contrast can't see those of the system. */
:root { color-scheme: light dark; --page: #fff; --ink: #111; --line: #bbb; --right: #0a6b2d; --box: #eee; }
@media (prefers-color-scheme: dark) {
  :root { --page: #111; --ink: #eee; --line: #555; --right: #7fdc9b; --box: #2a2a2a; }
}
html { background: var(--page); color: var(--ink); }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 80rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; }
section { border-top: 2px solid var(--line); margin-top: 2rem; }
h1, h2 { overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 1rem 0 .25rem; }
ol { display: flex; flex-wrap: wrap; gap: 1rem; padding: 0; list-style: none; }
li { width: 12rem; }
figure { margin: 0; }
img, .none { width: 12rem; min-height: 6.75rem; background: var(--box); display: block; }
.none { display: flex; align-items: center; justify-content: center; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; margin-top: .4rem; }
.right img, .right .none { outline: 4px solid var(--right); outline-offset: -4px; }
.right strong { color: var(--right); }
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """A query and what was found for it.

    Attributes:
        text: number of the query.
        rank: place of its video.
        found: numbers of the best placed videos, best first, with their similarities.
        own: similarity of its own video.
    """

    text: int
    rank: float
    found: tuple[tuple[int, float], ...]
    own: float


def worst(run: Run, ranks: Ranks, count: int) -> list[Failure]:
    """The worst placed queries of the first table, worst first; of equally placed ones the first."""
    order = np.lexsort((np.arange(len(run.texts)), -ranks.text_to_video))[:count]
    failures = []
    for text in order.tolist():
        row = run.tables[0].rows(text, text + 1)[0]
        best = np.lexsort((np.arange(len(row)), -row))[:TOP].tolist()
        found = tuple((video, float(row[video])) for video in best)
        failures.append(
            Failure(text, float(ranks.text_to_video[text]), found, float(row[run.texts[text].video]))
        )
    return failures


def render(
    run: Run, title: str, scores: Sequence[Scores], failures: Sequence[Failure], thumbnails: Thumbnails
) -> str:
    """The page as HTML.

    Args:
        run: what was scored.
        title: of the page.
        scores: of text to video and of video to text.
        failures: as `worst` found them.
        thumbnails: of the videos.
    """
    seed = run.tables[0].seed
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        _scores(run, scores),
        f"<p>The {len(failures)} worst placed of {len(run.texts)} texts"
        f"{f', seed {escape(seed)}' if seed else ''}: the right video first, then the "
        f"{min(TOP, len(run.videos))} found, with how alike each is.</p>",
    ]
    for number, failure in enumerate(failures, 1):
        text = run.texts[failure.text]
        parts += [
            f'<section aria-labelledby="q{number}">',
            f'<h2 id="q{number}">{escape(text.text)}</h2>',
            # Said to be a list, which one browser's screen reader takes from a list without marks.
            f'<p>Rank {failure.rank:g} of {len(run.videos)}.</p><ol role="list">',
            _figure(run, thumbnails, text.video, RIGHT, failure.own, right=True),
        ]
        parts += [
            _figure(run, thumbnails, video, f"Found {place}", alike, right=video == text.video)
            for place, (video, alike) in enumerate(failure.found, 1)
        ]
        parts.append("</ol></section>")
    return "\n".join([*parts, "</main></body></html>", ""])


def _scores(run: Run, scores: Sequence[Scores]) -> str:
    """A row a number, so that the table fits on a telephone."""
    rows = []
    for name in NAMES:
        cells = []
        for score in scores:
            spread = "" if score.deviation is None else f" ± {score.deviation[name]:.1f}"
            cells.append(f"<td>{score.mean[name]:.1f}{spread}</td>")
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    seeds = f"{len(run.tables)} seed" + ("s, mean ± deviation" if len(run.tables) > 1 else "")
    return (
        f"<table><caption>Recall (R@k) in percent, median (MdR) and mean rank (MnR); {seeds}</caption>"
        '<thead><tr><td></td><th scope="col">Text to video</th><th scope="col">Video to text</th></tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _figure(run: Run, thumbnails: Thumbnails, number: int, place: str, alike: float, *, right: bool) -> str:
    video = run.videos[number]
    where = _where(video)
    picture = thumbnails.of(video)
    shown = ""
    if picture:
        shown = f'<img src="{picture}" alt="{escape(f"Middle of {where}", quote=True)}">'
    elif thumbnails.wanted:
        shown = '<span class="none">no picture</span>'
    if right and place != RIGHT:
        place += ", the right one"  # said in words, too, not by its colour alone
    own = next((text.text for text in run.texts if text.video == number), "")
    told = f"<br>{escape(own)}" if own else ""
    return (
        f"<li{' class=right' if right else ''}><figure>{shown}<figcaption><strong>{place}</strong> "
        f"({alike:.3f})<br>{escape(where)}{told}</figcaption></figure></li>"
    )


def _where(video: Video) -> str:
    if video.start is None or video.end is None:
        return video.film
    return f"{video.film}, {video.start:.1f} to {video.end:.1f} s"
