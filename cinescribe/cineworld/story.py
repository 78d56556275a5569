"""From a seed to a story: who, where, when, and every sentence spoken, in order.

A story is a thing that is found, shown to a friend, carried somewhere together and given away. Scenes are
lists of beats: a line of dialogue, or a sentence of the narrator with the actions it describes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from cinescribe.cineworld.drama_words import Feeling
from cinescribe.cineworld.lexicon import (
    ACTION_WORDS,
    GARMENT_COLOURS,
    GARMENTS,
    HAIR_COLOURS,
    HAIR_OF_MEN,
    HAIR_OF_WOMEN,
    LINES,
    MEN,
    PLACES,
    RELATIONS,
    TIME_WORDS,
    TIMES,
    TOKENS,
    WEATHER_WORDS,
    WOMEN,
    Time,
    Weather,
)
from cinescribe.cineworld.voices import VOICES, Gender, Voice
from cinescribe.errors import UsageError

NARRATOR = "narrator"
# Where people stand, in stage units (960 across; a wide shot shows 160 to 800).
OFF_LEFT, LEFT, SEAT, MIDDLE, AT_SURFACE, SURFACE, OFF_RIGHT = 105.0, 290.0, 370.0, 425.0, 556.0, 594.0, 855.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a character looks like; each field is drawn, and `phrase` says the most visible ones."""

    gender: Gender
    hair: str
    hair_colour: str
    garment: str
    garment_colour: str
    trousers: int
    skin: int
    beard: bool
    glasses: bool
    scarf: bool

    def phrase(self) -> str:
        """Like "woman with long red hair and a green coat"."""
        if self.hair == "bald":
            head = f"bald man with a {self.hair_colour} beard" if self.beard else "bald man"
        elif self.beard:
            head = f"man with a {self.hair_colour} beard"
        elif self.hair == "bun":
            head = f"{self.gender} with {self.hair_colour} hair in a bun"
        elif self.hair in ("long", "curly", "short"):
            head = f"{self.gender} with {self.hair} {self.hair_colour} hair"
        else:
            head = f"{self.gender} with {self.hair_colour} hair"
        article = "an" if self.garment_colour[0] in "aeiou" else "a"
        return f"{head} and {article} {self.garment_colour} {self.garment}"


@dataclass(frozen=True, slots=True)
class Character:
    """A person of the story."""

    name: str
    look: Look
    voice: Voice


@dataclass(frozen=True, slots=True)
class Cue:
    """Something done: who, the verb, with what, to whom; `to_x` is where walking ends (stage units).

    `beside` starts it together with the cue before instead of after it; `feeling` is that of `who` meanwhile.
    """

    who: str
    verb: str
    object: str = ""
    target: str = ""
    to_x: float = 0.0
    from_x: float = 0.0
    beside: bool = False
    feeling: Feeling = ""


@dataclass(frozen=True, slots=True)
class Beat:
    """One utterance and the actions that go with it. `speaker` is a name or `NARRATOR`.

    A narrator's sentence describes the actions of its own beat, or of the one `describes` beats later.
    """

    speaker: str
    text: str
    cues: tuple[Cue, ...] = ()
    describes: int = 0


@dataclass(frozen=True, slots=True)
class Scene:
    """One place at one time of day. `holder` has the scene's thing at the start: a name, "surface" or "".

    `token` is that thing; "" stands for the story's.
    """

    place: str
    time: Time
    weather: Weather
    present: tuple[tuple[str, float], ...]
    holder: str
    beats: tuple[Beat, ...]
    token: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """A whole film on paper."""

    seed: int
    title: str
    token: str
    narrator: Voice
    characters: tuple[Character, ...]
    scenes: tuple[Scene, ...]


def tell(seed: int, characters: int = 2, scenes: int = 3) -> Story:
    """The story of a seed; the same seed gives the same story.

    Args:
        characters: 2 or 3.
        scenes: 2 to 5, each about half a minute.

    Raises:
        UsageError: numbers out of range.
    """
    if characters not in (2, 3) or not 2 <= scenes <= 5:
        raise UsageError(f"a story has 2 or 3 characters and 2 to 5 scenes, not {characters} and {scenes}")
    rng = Random(f"cineworld {seed}")
    narrator, *bases = rng.sample(VOICES, 3)
    if characters == 3:
        first, pitch = rng.choice(bases), rng.choice((0.86, 1.16))
        bases.append(
            Voice(f"{first.name}-{'deep' if pitch < 1 else 'high'}", first.base, first.gender, pitch)
        )
    names = {"woman": rng.sample(WOMEN, 3), "man": rng.sample(MEN, 3)}
    looks = looks_apart(rng, [voice.gender for voice in bases])
    people = tuple(Character(names[v.gender].pop(), look, v) for v, look in zip(bases, looks, strict=True))
    return _Teller(rng, seed, narrator, people).story(scenes)


def looks_apart(rng: Random, genders: Sequence[Gender]) -> list[Look]:
    """Looks told apart at a glance: no garment colour and no hair colour twice."""
    clothes = rng.sample(GARMENT_COLOURS, len(genders))
    hairs = rng.sample(HAIR_COLOURS, len(genders))
    looks = []
    for gender, colour, hair_colour in zip(genders, clothes, hairs, strict=True):
        hair = rng.choice(HAIR_OF_WOMEN if gender == "woman" else HAIR_OF_MEN)
        beard = gender == "man" and (hair == "bald" or rng.random() < 0.4)
        looks.append(
            Look(
                gender,
                hair,
                hair_colour,
                rng.choice(GARMENTS),
                colour,
                rng.randrange(4),
                rng.randrange(4),
                beard,
                rng.random() < 0.3,
                rng.random() < 0.4,
            )
        )
    return looks


class _Teller:
    """Writes the scenes, remembering what was said and whom the audience knows by name."""

    def __init__(self, rng: Random, seed: int, narrator: Voice, people: tuple[Character, ...]) -> None:
        self.rng, self.seed, self.narrator, self.people = rng, seed, narrator, people
        self.look = {person.name: person.look for person in people}
        self.token = rng.choice(list(TOKENS))
        self.relation = rng.choice(RELATIONS)
        self.lines = {part: rng.sample(lines, len(lines)) for part, lines in LINES.items()}
        self.words = {verb: rng.sample(forms, len(forms)) for verb, forms in ACTION_WORDS.items()}
        self.seen: set[str] = set()
        self.named: set[str] = set()
        self.token_seen = False
        self.subject = ""  # of the narrator's last sentence, for pronouns
        self.beats: list[Beat] = []

    def story(self, count: int) -> Story:
        rng = self.rng
        first, second = self.people[0].name, self.people[1].name
        places = rng.sample(list(PLACES), count)
        times = sorted((rng.choice(TIMES) for _ in range(count)), key=TIMES.index)
        usual: Weather = rng.choice(("clear", "clear", "rain", "snow"))
        other: Weather = rng.choice(("clear", "rain")) if usual == "clear" else "clear"
        # A third person comes on a journey.
        last = "journey" if len(self.people) == 3 and count < 4 else "parting"
        kinds = (*("alone", "meeting", "journey", "journey")[: count - 1], last)
        scenes = []
        holder = "surface"
        for k, (kind, place, time) in enumerate(zip(kinds, places, times, strict=True)):
            weather = usual if rng.random() < 0.7 else other
            self.place, self.words_of_place, self.beats, self.subject = place, PLACES[place], [], ""
            self.next = PLACES[places[min(k + 1, count - 1)]].the
            self._establish(time, weather, new=k > 0 and times[k - 1] != time)
            starts_with = holder
            if kind == "parting" and count == 2:
                starts_with = second  # sent on between the scenes
            present = getattr(self, f"_{kind}")(first, second)
            holder = first if kind in ("alone", "parting") else second
            scenes.append(Scene(place, time, weather, present, starts_with, tuple(self.beats)))
        titles = (f"The {self.token}", f"A {self.token} for {second}", f"The {self.token} and {self.next}")
        title = (
            rng.choice(titles)
            .title()
            .replace(" For ", " for ")
            .replace(" And ", " and ")
            .replace(" The ", " the ")
        )
        return Story(self.seed, title, self.token, self.narrator, self.people, tuple(scenes))

    # The kinds of scene. Each returns who is there when it begins, and where.

    def _alone(self, a: str, b: str) -> tuple[tuple[str, float], ...]:
        self._narrate("walk_in", a, Cue(a, "walk_in", from_x=OFF_LEFT, to_x=MIDDLE))
        walk, take = Cue(a, "walk_to", to_x=AT_SURFACE), Cue(a, "pick_up", self.token)
        if self.place == "kitchen":
            self._narrate("pour", a, walk, Cue(a, "pour", "tea"))
            self._narrate("pick_up here", a, take)
        else:
            if self.rng.random() < 0.5:
                self._say("alone before", a, b)
            self._narrate("pick_up", a, walk, take)
        self._say("alone found", a, b)
        self._study(a)
        self._say("alone decided", a, b)
        if self.rng.random() < 0.5:
            self._narrate("look", a, Cue(a, "look"))
        else:
            self._narrate("leave", a, Cue(a, "leave", to_x=OFF_RIGHT))
        return ()

    def _meeting(self, a: str, b: str) -> tuple[tuple[str, float], ...]:
        seated = self.rng.random() < 0.6
        if seated:
            self._narrate("sit", b, Cue(b, "walk_to", to_x=SEAT), Cue(b, "sit"))
        else:
            self._narrate("look", b, Cue(b, "look"))
        self._narrate(
            "walk_in", a, Cue(a, "walk_in", from_x=OFF_RIGHT, to_x=(SEAT if seated else MIDDLE) + 88)
        )
        self._say("greet", a, b)
        if self.rng.random() < 0.5:
            self._narrate("wave", b, Cue(b, "wave", target=a), to=a)
        else:
            self._say("greet back", b, a)
        self._narrate("give", a, Cue(a, "give", self.token, b), to=b)
        self._study(b)
        self._say("react", b, a)
        if self.next != self.words_of_place.the:
            self._say("plan", b, a)
        if self.rng.random() < 0.5:
            self._say("agree", a, b)
        elif seated:
            self._narrate("stand", b, Cue(b, "stand"))
        else:
            self._narrate(verb := self.rng.choice(("nod", "smile")), b, Cue(b, verb, target=a), to=a)
        return ((b, LEFT if seated else MIDDLE),)

    def _journey(self, a: str, b: str) -> tuple[tuple[str, float], ...]:
        both = self._sentence("walk_in", "{who}")
        both = both.replace("{who}", f"{a} and {b}")
        for singular, plural in (
            ("walks", "walk"),
            ("comes", "come"),
            ("strolls", "stroll"),
            ("steps", "step"),
        ):
            both = re.sub(rf"\b{singular}\b", plural, both)
        walk = Cue(a, "walk_in", from_x=OFF_LEFT, to_x=MIDDLE + 86)
        self._add(
            NARRATOR, both, walk, Cue(b, "walk_in", from_x=OFF_LEFT - 102, to_x=MIDDLE - 16, beside=True)
        )
        self.subject = ""
        self._say("remember", a, b)
        self._narrate("look", b, Cue(b, "look"))
        self._say("doubt", b, a)
        self._say("comfort", a, b)
        if len(self.people) == 3:
            c = self.people[2].name
            self._narrate("walk_in", c, Cue(c, "walk_in", from_x=OFF_RIGHT, to_x=MIDDLE + 188))
            self._say("stranger", c, a)
            self._say("stranger answer", a, c)
            self._say("stranger wish", c, a)
            self._narrate("leave", c, Cue(c, "leave", to_x=OFF_RIGHT))
        else:
            self._study(b)
            self._narrate("smile", a, Cue(a, "smile", target=b), to=b)
        self._say("plan" if self.next != self.words_of_place.the else "react", b, a)
        return ()

    def _parting(self, a: str, b: str) -> tuple[tuple[str, float], ...]:
        self._narrate("walk_in", b, Cue(b, "walk_in", from_x=OFF_RIGHT, to_x=MIDDLE + 88))
        self._say("farewell", b, a)
        self._say("farewell back", a, b)
        self._say("offer", b, a)
        self._narrate("give", b, Cue(b, "give", self.token, a), to=a)
        if self.rng.random() < 0.5:
            self._say("thanks", a, b)
        self._narrate("leave", b, Cue(b, "leave", to_x=OFF_RIGHT))
        self._narrate("wave", a, Cue(a, "wave", target=b), to=b)
        self._say("alone last", a, b)
        if self.rng.random() < 0.4:
            self._narrate("look", a, Cue(a, "look"))
        elif self.rng.random() < 0.6:
            self._narrate("sit", a, Cue(a, "walk_to", to_x=SEAT), Cue(a, "sit"))
        return ((a, MIDDLE),)

    # Sentences.

    def _add(self, speaker: str, text: str, *cues: Cue) -> None:
        self.beats.append(Beat(speaker, text, cues))

    def _say(self, part: str, me: str, you: str) -> None:
        line = self._take(self.lines, part)
        text = line.format(me=me, you=you, obj=self.token, next=self.next, relation=self.relation)
        self.named |= {person.name for person in self.people if person.name in text}
        self._add(me, text)

    def _study(self, who: str) -> None:
        verb = TOKENS[self.token]
        self._narrate(f"{verb} {self.token}", who, Cue(who, verb, self.token))

    def _narrate(self, form: str, who: str, *cues: Cue, to: str = "") -> None:
        text = self._sentence(form, self._name(who, subject=True), to=self._name(to) if to else "")
        self._add(NARRATOR, text[0].upper() + text[1:], *cues)
        self.subject = who

    def _sentence(self, form: str, who: str, to: str = "") -> str:
        place = self.words_of_place
        template = self._take(self.words, form)
        if "{obj}" in template:
            obj = f"the {self.token}" if self.token_seen else f"a {self.token}"
            self.token_seen = True
        else:
            obj = ""
        enter = self.rng.choice(place.enter)
        return template.format(
            who=who, to=to, obj=obj, enter=enter, seat=place.seat, surface=place.surface, look=place.look
        )

    def _take(self, stock: dict[str, list[str]], part: str) -> str:
        """The next of a shuffled stock; a used one comes round again last."""
        stock[part].append(stock[part].pop(0))
        return stock[part][-1]

    def _name(self, who: str, subject: bool = False) -> str:
        """The person as the audience knows them: a pronoun, a name, or a look."""
        look = self.look[who]
        if subject and who == self.subject and self.rng.random() < 0.6:
            return "she" if look.gender == "woman" else "he"
        if who in self.seen:
            return who if who in self.named else f"the {look.gender}"
        self.seen.add(who)
        if not self.named:  # the first person of the film is introduced, the others are named by one another
            self.named.add(who)
        return f"{who}, a {look.phrase()}," if who in self.named else f"a {look.phrase()}"

    def _establish(self, time: Time, weather: Weather, new: bool) -> None:
        place = self.words_of_place
        times = [words for words in TIME_WORDS[time] if new or not {"now.", "Later"} & set(words.split())]
        sentences = [self.rng.choice(times), self.rng.choice(place.details)]
        if weather != "clear":  # two sentences are enough
            sentences.append(self.rng.choice(WEATHER_WORDS[weather, place.indoor]))
            del sentences[self.rng.randrange(2)]
        self._add(NARRATOR, " ".join(sentences))
