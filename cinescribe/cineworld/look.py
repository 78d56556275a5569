"""Prints a film or how-to video of a world: its script beside its truth.

python -m cinescribe.cineworld.look DIR --film howto-00003
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from cinescribe import storage, tables
from cinescribe.errors import CinescribeError, UsageError
from cinescribe.utterance import Utterance


def look(root: str, film_id: str) -> str:
    """The script of a film with its truth, a line each.

    Args:
        root: folder or `s3://` prefix of a world.
        film_id: as in `splits.json`.

    Raises:
        UsageError: there is no such film.
    """
    row = tables.read_row(root, "speech", film_id)
    address = storage.join(root, "truth", f"{film_id}.json")
    if row is None or not storage.exists(address):
        raise UsageError(f"{address}: no such film in this world; {root}/splits.json lists them")
    truth: dict[str, Any] = json.loads(storage.read_bytes(address))
    said = tables.utterances_of(row)
    return "\n".join(_film(truth, said) if "people" in truth else _howto(truth, said))


def _howto(truth: dict[str, Any], said: Sequence[Utterance]) -> list[str]:
    """Steps and sentences in the order in which they begin; a step stands at the margin."""
    lines = []
    for number, step in enumerate(truth["steps"]):
        what = " ".join(filter(None, (step["deed"], step["thing"], step["tool"] and f"({step['tool']})")))
        lines.append((step["start"], f"{_span(step['start'], step['end'])}  STEP {number}: {what}"))
    for sentence, utterance in zip(truth["sentences"], said, strict=True):
        of = f" -> step {sentence['step']}" if sentence["alignable"] else ""
        lines.append(
            (
                utterance.start,
                f"{_span(utterance.start, utterance.end)}      {utterance.text}   [{sentence['kind']}{of}]",
            )
        )
    head = f"how-to video of {truth['craft']}, {truth['duration']:.0f} s, seed {truth['seed']}"
    return [head, *(line for _, line in sorted(lines))]


def _film(truth: dict[str, Any], said: Sequence[Utterance]) -> list[str]:
    """Utterances in order under the place; descriptions with the actions they tell, and those left out."""
    lines = [f"{truth['title']}, {truth['duration']:.0f} s, seed {truth['seed']}"]
    lines += [f"  {person['name']}: {person['look']}, voice {person['voice']}" for person in truth["people"]]
    tells = {d["utterance"]: d for d in truth["descriptions"]}
    told = {number for d in truth["descriptions"] for number in d["actions"]}
    events: list[tuple[float, int, str]] = []
    for number, utterance in enumerate(said):
        text = f"{_span(utterance.start, utterance.end)}  {utterance.speaker + ':':10} {utterance.text}"
        if number in tells:
            actions = [_action(truth["actions"][n]) for n in tells[number]["actions"]]
            text += f"   [{tells[number]['tells']}{': ' if actions else ''}{'; '.join(actions)}]"
        events.append((utterance.start, 1, text))
    for number, action in enumerate(truth["actions"]):
        if number not in told:
            events.append((action["start"], 2, f"{' ' * 17}  (not told: {_action(action)})"))
    place = "title"
    for shot in truth["shots"]:
        if shot["place"] != place:
            events.append((shot["start"], 0, f"-- {shot['place']}"))
            place = shot["place"]
    return lines + [text for _, _, text in sorted(events)]


def _action(action: dict[str, Any]) -> str:
    words = [action["who"], action["verb"], action["object"], action["target"] and f"to {action['target']}"]
    words += [action["feeling"], f"{action['start']:.1f}-{action['end']:.1f}"]
    return " ".join(filter(None, words))


def _span(start: float, end: float) -> str:
    return f"{start:7.1f} - {end:6.1f}"


def main(argv: Sequence[str] | None = None) -> int:
    """The command: prints one film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", metavar="DIR", help="folder or s3:// prefix that `cinescribe world` wrote")
    parser.add_argument("--film", required=True, metavar="ID", help="such as howto-00003 or film-00001")
    arguments = parser.parse_args(argv)
    try:
        print(look(arguments.root, arguments.film))
    except CinescribeError as error:
        print(f"cineworld.look: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
