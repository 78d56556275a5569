"""The demo's search: a moment by other words than were said of it, and the page."""

import subprocess
import sys
import webbrowser
from urllib.parse import urlencode

from rich.table import Table

from cinescribe.cineworld.truth import read_truth
from cinescribe.demo.description import HELD_OUT
from cinescribe.demo.speech import SAMPLE
from cinescribe.demo.stage import Demo, Stopped

QUERY = "somebody fills a cup with a hot drink"  # the narrator's words are others
RIGHT = "pour"  # the action of the sample film's truth that it means
DESCRIBED_QUERY, DESCRIBED_RIGHT = "somebody sits down", "sit"  # of the film that a model described


def look(demo: Demo) -> None:
    """Extract what is seen."""
    demo.cinescribe("extract", demo.films, "--out", demo.out, "--encoders", "objects,actions")


def index(demo: Demo) -> None:
    """Index what is said, described and seen."""
    demo.cinescribe("index", demo.out, "--workers", 1)


def find(demo: Demo) -> None:
    """Ask for a moment of each film, and compare the first answer with the film's truth."""
    if not ask(demo, QUERY, SAMPLE, RIGHT):
        raise Stopped(1)
    ask(demo, DESCRIBED_QUERY, HELD_OUT, DESCRIBED_RIGHT)  # the model that described it may have been wrong


def ask(demo: Demo, query: str, film: str, verb: str) -> bool:
    """Search a film and say whether the first moment is right."""
    from cinescribe.search.command import clock
    from cinescribe.search.query import Filters, Query
    from cinescribe.search.searcher import Searcher

    demo.cinescribe("search", demo.out, query, "--film", film, "--limit", 3)
    answer = Searcher(str(demo.out)).search(Query(query, filters=Filters(films=(film,)), limit=1))
    actions = [a for a in read_truth(demo.films / f"{film}.mp4").actions if a.verb == verb]
    right = bool(answer.moments) and any(
        answer.moments[0].start < action.end and answer.moments[0].end > action.start for action in actions
    )
    where = "; ".join(f"{a.who} does it from {clock(a.start)} to {clock(a.end)}" for a in actions)
    demo.say(f"The first moment is {'the' if right else 'not the'} right one: {where}.\n")
    demo.summary.append(("search", f'"{query}" in {film}: {"found" if right else "not found"}'))
    return right


def open_page(demo: Demo) -> None:
    """Serve the page: with a terminal until Ctrl-C and in a browser, without one for a single question."""
    import requests

    words = ["serve", str(demo.out), "--port", "0"]
    demo.say(f"[cyan]$ cinescribe {' '.join(words)}[/]")
    command = [sys.executable, "-m", "cinescribe.cli", *words]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    try:
        line = service.stdout.readline()  # "cinescribe: URL  (Ctrl-C ends it)", once it is ready
        if not line:
            raise Stopped(1)  # it has said why
        url = line.split()[1]
        reply = requests.post(f"{url}/v1/search", json={"text": QUERY, "limit": 1}, timeout=60)
        reply.raise_for_status()
        page = f"{url}/?{urlencode({'q': QUERY})}"
        summarise(demo, page)
        if sys.stdin.isatty() and sys.stdout.isatty():
            webbrowser.open(page)
            demo.say("Ctrl-C ends it.")
            service.wait()
        else:
            demo.say(f"The page answers, and is ended. To have it again: cinescribe serve {demo.out}")
    except KeyboardInterrupt:  # the service has it from the terminal too
        pass
    finally:
        service.terminate()
        service.wait()


def summarise(demo: Demo, page: str) -> None:
    """Print what was made, and how good it was measured to be."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in (*demo.summary, ("page", page)):
        table.add_row(name, value)
    demo.say("\nAll models here are small and trained in minutes on a made-up world:\n")
    demo.console.print(table)
