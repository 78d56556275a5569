"""The description of a film in plain sentences: who does what, always in the same words.

What a describer varies (phrases, adverbs, feelings, pronouns) is left out, what only the past tells (names)
is kept, so that models too small for a describer's English can be compared. See `drama` for that English.
"""

import re
from dataclasses import replace

from cinescribe.cineworld.lexicon import PLACES
from cinescribe.cineworld.script import Film
from cinescribe.utterance import Utterance

_DEEDS = {
    "walk_in": "walks in",
    "walk_to": "walks on",
    "leave": "leaves",
    "sit": "sits down",
    "stand": "stands up",
    "pick_up": "picks up the {object}",
    "give": "gives the {object} to {target}",
    "read": "reads the {object}",
    "open": "opens the {object}",
    "examine": "looks at the {object}",
    "look": "looks around",
    "nod": "nods",
    "smile": "smiles",
    "wave": "waves",
    "pour": "pours tea",
}


def plain_utterances(film: Film, names: bool = True) -> list[Utterance]:
    """A film's utterances, its descriptions in plain sentences at the times of the others.

    "Anna, in a red coat, walks in." where she is first told of, then "Anna sits down."; a new scene is
    "The harbour.".

    Args:
        film: on paper.
        names: False for "The woman sits down.", as one would write who sees the film without its past.
    """
    truth, said = film.truth(), film.utterances()
    looks = {person.name: person.look for person in film.story.characters}
    places = [scene.scene.place for scene in film.scenes for _ in scene.spoken]
    known: set[str] = set()
    for told in truth["descriptions"]:
        number = told["utterance"]
        if told["actions"]:
            act = truth["actions"][told["actions"][-1]]
            who, look = act["who"], looks[act["who"]]
            worn = "" if who in known else f", in {_article(look.garment_colour)} {look.garment},"
            known.add(who)
            text = f"{who}{worn} {_DEEDS[act['verb']].format(**act)}."
        else:
            text = f"{PLACES[places[number]].the.capitalize()}."
        said[number] = replace(said[number], text=text if names else _nameless(text, film))
    return said


def _nameless(text: str, film: Film) -> str:
    for person in film.story.characters:
        text = re.sub(rf"\b{person.name}\b", f"the {person.look.gender}", text)
    return text[:1].upper() + text[1:]


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
