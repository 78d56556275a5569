"""Described films for training: stories told by what may happen next, as many scenes as one likes.

Like the stories of `story`, and of the same parts, so that the same camera, pictures and voices make films of
them. But what happens is drawn from what is possible (nobody sits twice, nobody gives what another holds),
each scene has its own thing, people have feelings, and the describer does as describers do: mostly speaks of
what happens now, at times of what was done under the line before or will be under the next one, and leaves
some out.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

from cinescribe.cineworld.drama_words import (
    ADDRESS,
    ADVERBS,
    FEELINGS,
    HOLDING,
    MEANWHILE,
    NAMES,
    PHRASES,
    TAILS,
    TALK,
    THING_WORDS,
    Feeling,
)
from cinescribe.cineworld.lexicon import (
    LINES,
    PLACES,
    RELATIONS,
    TIME_WORDS,
    TIMES,
    TOKENS,
    WEATHER_WORDS,
    Time,
    Weather,
)
from cinescribe.cineworld.story import (
    AT_SURFACE,
    NARRATOR,
    OFF_LEFT,
    OFF_RIGHT,
    SEAT,
    Beat,
    Character,
    Cue,
    Scene,
    Story,
    looks_apart,
)
from cinescribe.cineworld.voices import VOICES, Voice
from cinescribe.errors import UsageError

SPOTS = {"left": 270.0, "seat": SEAT, "middle": 462.0, "surface": AT_SURFACE, "right": 690.0}
_FELT = ("walk_in", "leave", "sit", "pick_up", "give", "look", "read", "open", "examine")
_QUIET = ("nod", "smile", "look", "read", "open", "examine")  # can be done while one speaks


def tell_drama(seed: int, characters: int, scenes: int) -> Story:
    """The drama of a seed; the same seed gives the same story.

    Args:
        characters: 2 to 4.
        scenes: 2 or more, each about half a minute.

    Raises:
        UsageError: numbers out of range.
    """
    if not 2 <= characters <= 4 or scenes < 2:
        raise UsageError(f"a drama has 2 to 4 characters and 2 or more scenes, not {characters} and {scenes}")
    rng = Random(f"drama {seed}")
    narrator, *bases = rng.sample(VOICES, 3)
    voices = list(bases)
    for base, pitch in zip(bases, rng.sample((0.86, 1.16), 2), strict=True):
        voices.append(Voice(f"{base.name}-{'deep' if pitch < 1 else 'high'}", base.base, base.gender, pitch))
    voices = voices[:characters]
    names = {gender: rng.sample(all_names, 4) for gender, all_names in NAMES.items()}
    looks = looks_apart(rng, [voice.gender for voice in voices])
    people = tuple(Character(names[v.gender].pop(), look, v) for v, look in zip(voices, looks, strict=True))
    return _Chronicler(rng, seed, narrator, people).story(scenes)


class _Chronicler:
    """Lets things happen, and writes what is said of them."""

    def __init__(self, rng: Random, seed: int, narrator: Voice, people: tuple[Character, ...]) -> None:
        self.rng, self.seed, self.narrator, self.people = rng, seed, narrator, people
        self.look = {person.name: person.look for person in people}
        self.relation = rng.choice(RELATIONS)
        self.seen: set[str] = set()  # by the audience
        self.named: set[str] = set()  # known to the audience by name
        self.lines = {part: rng.sample(lines, len(lines)) for part, lines in LINES.items()}
        for part in TALK:
            sentences = [s for line in LINES[part] for s in re.split(r"(?<=[.?!]) ", line)]
            self.lines[part] = rng.sample(sentences, len(sentences))
        self.token, self.holder = "", ""

    def story(self, count: int) -> Story:
        rng = self.rng
        times = sorted((rng.choice(TIMES) for _ in range(count)), key=TIMES.index)
        scenes: list[Scene] = []
        for number, time in enumerate(times):
            others = [place for place in PLACES if not scenes or place != scenes[-1].place]
            scenes.append(self._scene(rng.choice(others), time, new=number > 0 and times[number - 1] != time))
        title = f"The {self.token} at {PLACES[scenes[-1].place].the}".title().replace(" At The ", " at the ")
        return Story(self.seed, title, self.token, self.narrator, self.people, tuple(scenes))

    def _scene(self, place: str, time: Time, new: bool) -> Scene:
        rng = self.rng
        weather: Weather = rng.choice(("clear", "clear", "rain", "snow"))
        self.place, self.words = place, PLACES[place]
        self.next = rng.choice([words.the for name, words in PLACES.items() if name != place])
        if self.holder not in self.look or rng.random() < 0.4:
            self.token, self.holder = rng.choice(list(TOKENS)), "surface"
        self.thing = rng.choice(THING_WORDS[self.token])
        self.subject, self.mentioned, self.thing_named = "", set[str](), False
        self.beats: list[Beat] = []
        cast = rng.sample([p.name for p in self.people], rng.randint(2, min(3, len(self.people))))
        if self.holder in self.look and self.holder not in cast:
            cast[0] = self.holder
        self.cast, self.mood = cast, {name: self._feeling() for name in cast}
        present = [name for name in cast if rng.random() < 0.35][:2]
        self.spot = dict(
            zip(present, rng.sample([s for s in SPOTS if s != "surface"], len(present)), strict=True)
        )
        self.seated: set[str] = set()
        begins = tuple((name, SPOTS[spot]) for name, spot in self.spot.items())
        starts_with = self.holder
        self._establish(time, weather, new)
        for _ in range(rng.randint(5, 9)):
            self._happen()
            if self.spot and rng.random() < 0.4:
                self._talk()
        return Scene(place, time, weather, begins, starts_with, tuple(self.beats), self.token)

    def _feeling(self) -> Feeling:
        return self.rng.choice(FEELINGS) if self.rng.random() < 0.5 else ""

    # What may happen.

    def _happen(self) -> None:
        """One of the things that are possible now."""
        rng, here = self.rng, list(self.spot)
        away = [name for name in self.cast if name not in here]
        can: list[tuple[float, Callable[[], None]]] = []
        if away and len(here) < 3:
            can.append((5.0 if len(here) < 2 else 1.0, lambda: self._enter(rng.choice(away))))
        standing = [name for name in here if name not in self.seated]
        free = set(SPOTS) - set(self.spot.values())
        if standing and "seat" in free:
            can.append((1.0, lambda: self._sit(rng.choice(standing))))
        if self.seated:
            can.append((0.7, lambda: self._stand(rng.choice(sorted(self.seated)))))
        reach = [name for name in standing if "surface" in free or self.spot[name] == "surface"]
        if self.holder == "surface" and reach:
            can.append((2.0, lambda: self._take(rng.choice(reach))))
        if self.place == "kitchen" and reach and self.holder not in reach:
            can.append((1.0, lambda: self._at_surface("pour", rng.choice(reach), "tea")))
        if self.holder in here:
            verb = TOKENS[self.token]
            can.append(
                (
                    1.5,
                    lambda: self._do(f"{verb} {self.token}", self.holder, Cue(self.holder, verb, self.token)),
                )
            )
        if here:
            can.append((1.2, lambda: self._simple("look", rng.choice(here))))
        if len(here) > 1:
            can += [(0.7, partial(self._simple, verb, rng.choice(here))) for verb in ("nod", "smile", "wave")]
            if self.holder in here:
                can.append((1.5, self._give))
            if standing:
                can.append((0.7, lambda: self._leave(rng.choice(standing))))
        rng.choices([act for _, act in can], [weight for weight, _ in can])[0]()

    def _enter(self, who: str) -> None:
        free = [spot for spot in SPOTS if spot not in (*self.spot.values(), "seat")]
        spot = self.rng.choice(free)
        start = OFF_LEFT if SPOTS[spot] < 480 else OFF_RIGHT
        self.spot[who] = spot
        self._do("walk_in", who, Cue(who, "walk_in", from_x=start, to_x=SPOTS[spot]))
        others = [name for name in self.spot if name != who]
        if others and self.rng.random() < 0.7:
            one, two = self.rng.sample([who, self.rng.choice(others)], 2)
            self._say("greet", one, two)
            if self.rng.random() < 0.5:
                self._say("greet back", two, one)

    def _leave(self, who: str) -> None:
        if self.holder == who and self.rng.random() < 0.5:
            return self._give()
        if self.rng.random() < 0.5:
            self._say("farewell", who, self._other(who))
        self._do("leave", who, Cue(who, "leave", to_x=OFF_LEFT if SPOTS[self.spot[who]] < 480 else OFF_RIGHT))
        del self.spot[who]
        self.cast.remove(who)
        return None

    def _sit(self, who: str) -> None:
        self.spot[who] = "seat"
        self.seated.add(who)
        self._do("sit", who, Cue(who, "walk_to", to_x=SEAT), Cue(who, "sit"))

    def _stand(self, who: str) -> None:
        self.seated.discard(who)
        self._do("stand", who, Cue(who, "stand"))

    def _take(self, who: str) -> None:
        verb = TOKENS[self.token]
        if self.rng.random() < 0.3:
            study = [p for p in PHRASES[f"{verb} {self.token}"] if p.endswith("{obj}")]
            then = self.rng.choice(study).format(obj="it")
            self._at_surface("pick_up", who, self.token, Cue(who, verb, self.token), then=then)
        else:
            self._at_surface("pick_up", who, self.token)
        self.holder = who
        if self.rng.random() < 0.5:
            self._say("alone found", who, self._other(who))

    def _at_surface(self, verb: str, who: str, thing: str, *cues: Cue, then: str = "") -> None:
        self.spot[who] = "surface"
        self._do(verb, who, Cue(who, "walk_to", to_x=AT_SURFACE), Cue(who, verb, thing), *cues, then=then)

    def _give(self) -> None:
        one, two = self.holder, self._other(self.holder)
        if self.rng.random() < 0.3:
            self._say("offer", one, two)
        self._do("give", one, Cue(one, "give", self.token, two), to=two)
        self.holder = two
        if self.rng.random() < 0.4:
            self._say("thanks", two, one)

    def _simple(self, verb: str, who: str) -> None:
        to = self._other(who) if verb != "look" and len(self.spot) > 1 else ""
        self._do(verb, who, Cue(who, verb, target=to), to=to)

    def _other(self, who: str) -> str:
        """Someone else who is there, or else of the story."""
        others = [name for name in self.spot if name != who]
        return self.rng.choice(others or [p.name for p in self.people if p.name != who])

    # What is said.

    def _talk(self) -> None:
        here = list(self.spot)
        if len(here) == 1:
            self._say(
                self.rng.choice(("alone before", "alone last", "remember")), here[0], self._other(here[0])
            )
            return
        one, two = self.rng.sample(here, 2)
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            self._say(self.rng.choice((*TALK, "plan")), one, two)
            one, two = two, one

    def _say(self, part: str, me: str, you: str, cue: Cue | None = None) -> None:
        line = self._line(part)
        if "{you}" not in line and len(self.spot) > 1 and self.rng.random() < 0.35:
            line = self.rng.choice(ADDRESS) + line
        text = line.format(me=me, you=you, obj=self.token, next=self.next, relation=self.relation)
        self.named |= {person.name for person in self.people if person.name in text}
        self.beats.append(Beat(me, text, (cue,) if cue else ()))

    def _line(self, part: str) -> str:
        """A line that was not said for the longest time; in talk, its sentences change partners."""
        stock = self.lines[part]
        stock.append(stock.pop(0))
        return " ".join(stock[-1:] + (stock[:1] if part in TALK and self.rng.random() < 0.5 else []))

    def _do(self, form: str, who: str, *cues: Cue, to: str = "", then: str = "") -> None:
        """Something is done, and described: now, after or before the line under which it is done, or not.

        Args:
            form: key of `PHRASES`.
            who: does it.
            cues: what is done.
            to: the other person, where there is one.
            then: phrase for the last cue, where it is a second deed.
        """
        rng = self.rng
        verb = cues[-1].verb
        feeling = self.mood[who] if verb in _FELT and rng.random() < 0.7 else ""
        cues = (*cues[:-1], replace(cues[-1], feeling=feeling))
        when = rng.random()
        if verb in _QUIET and len(cues) == 1 and when < 0.45:
            if 0.2 <= when < 0.3:
                self._describe(form, who, to, feeling, (), 1)
            self._say(rng.choice(TALK), who, to or self._other(who), cues[0])
            if when < 0.2:
                self._describe(form, who, to, feeling, (), -1)
            return
        self._describe(form, who, to, feeling, cues, 0, then)

    def _describe(
        self, form: str, who: str, to: str, feeling: Feeling, cues: tuple[Cue, ...], of: int, then: str = ""
    ) -> None:
        rng, phrase, opening = self.rng, self.rng.choice(PHRASES[form]), ""
        if self.holder == who and form in ("sit", "look", "leave", "stand") and rng.random() < 0.3:
            opening = f"{rng.choice(HOLDING).format(obj=self._thing())}, "
        elif feeling and rng.random() < 0.35:
            opening, feeling = f"{rng.choice(ADVERBS[feeling])}, ", ""
        elif form != "walk_in" and rng.random() < 0.3:
            opening = rng.choice(MEANWHILE)
        subject = self._name(who, subject=True)
        look = self.look[who]
        filled = phrase.format(
            to=self._name(to) if "{to}" in phrase else "",
            obj=self._thing() if "{obj}" in phrase else "",
            enter=rng.choice(self.words.enter),
            seat=self.words.seat,
            surface=self.words.surface,
            look=self.words.look,
            self="herself" if look.gender == "woman" else "himself",
            their="her" if look.gender == "woman" else "his",
        )
        if then:
            filled += f"{', then' if ' and ' in filled else ' and'} {then}"
        tail = f", {rng.choice(TAILS[feeling])}" if feeling and rng.random() < 0.6 else ""
        text = f"{opening}{subject} {filled}{tail}.".replace(",,", ",").replace(",.", ".")
        self.beats.append(Beat(NARRATOR, text[0].upper() + text[1:], cues, of))
        self.subject, self.mentioned = who, {who, to} if "{to}" in phrase else {who}

    def _thing(self) -> str:
        article = "an" if self.thing[0] in "aeiou" else "a"
        words, self.thing_named = (
            (f"the {self.thing}" if self.thing_named else f"{article} {self.thing}"),
            True,
        )
        return words

    def _name(self, who: str, subject: bool = False) -> str:
        """The person as the audience knows them: a pronoun, a name, or a look."""
        look = self.look[who]
        rivals = {name for name in self.mentioned - {who} if self.look[name].gender == look.gender}
        if subject and who == self.subject and not rivals and self.rng.random() < 0.6:
            return "she" if look.gender == "woman" else "he"
        if who in self.seen:
            return (
                who if who in self.named else f"the {look.gender} in the {look.garment_colour} {look.garment}"
            )
        self.seen.add(who)
        if not self.named:  # the first person of the film is introduced, the others are named by one another
            self.named.add(who)
        return f"{who}, a {look.phrase()}," if who in self.named else f"a {look.phrase()}"

    def _establish(self, time: Time, weather: Weather, new: bool) -> None:
        times = [words for words in TIME_WORDS[time] if new or not {"now.", "Later"} & set(words.split())]
        sentences = [self.rng.choice(times), self.rng.choice(self.words.details)]
        if weather != "clear":
            sentences.append(self.rng.choice(WEATHER_WORDS[weather, self.words.indoor]))
            del sentences[self.rng.randrange(2)]
        self.beats.append(Beat(NARRATOR, " ".join(sentences)))
