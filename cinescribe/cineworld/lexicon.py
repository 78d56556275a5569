"""The words of Cineworld: names, looks, places, things, and what people say.

Every noun here has a drawing in `figures`, `props`, `indoors` or `outdoors`: what the narrator names is seen.
"""

from dataclasses import dataclass
from typing import Literal

Time = Literal["dawn", "day", "dusk", "night"]
Weather = Literal["clear", "rain", "snow"]
TIMES: tuple[Time, ...] = ("dawn", "day", "dusk", "night")

WOMEN = ("Anna", "Clara", "Nora", "Emma", "Ruth", "Alice", "Helen", "Martha")
MEN = ("Tom", "Sam", "Peter", "Henry", "Jack", "Oscar", "Daniel", "Martin")

HAIR_COLOURS = ("black", "brown", "red", "blond", "grey")
HAIR_OF_WOMEN = ("long", "short", "curly", "bun")
HAIR_OF_MEN = ("short", "curly", "parted", "bald")
GARMENTS = ("coat", "sweater", "jacket")
GARMENT_COLOURS = ("green", "blue", "red", "yellow", "purple", "white", "orange")


@dataclass(frozen=True, slots=True)
class PlaceWords:
    """How a place is spoken of; `details` are sentences true of its drawing at any time and weather."""

    the: str
    enter: tuple[str, ...]
    seat: str
    surface: str
    look: str
    details: tuple[str, ...]
    indoor: bool = False


PLACES: dict[str, PlaceWords] = {
    "kitchen": PlaceWords(
        "the kitchen",
        ("walks into the kitchen", "comes into the kitchen", "steps into the kitchen"),
        "chair",
        "table",
        "out of the window",
        ("A lamp hangs over the kitchen table.", "Plates stand on a shelf in a small kitchen."),
        indoor=True,
    ),
    "library": PlaceWords(
        "the library",
        ("walks into the library", "comes into the library", "walks past the shelves of the library"),
        "armchair",
        "desk",
        "up at the tall window",
        ("Books fill the walls of an old library.", "A green lamp stands on a desk in the library."),
        indoor=True,
    ),
    "park": PlaceWords(
        "the park",
        ("walks along the path in the park", "strolls through the park", "comes along the path"),
        "bench",
        "stone wall",
        "up at the trees",
        ("Tall trees sway in the park.", "An empty bench stands in the park, under the trees."),
    ),
    "harbour": PlaceWords(
        "the harbour",
        ("walks along the quay", "comes along the quay", "strolls along the harbour wall"),
        "bench",
        "wooden crate",
        "out over the water",
        ("Sailing boats rock in the harbour.", "A lighthouse stands on the far side of the harbour."),
    ),
    "street": PlaceWords(
        "the street",
        ("walks down the street", "comes down the street", "comes along the pavement"),
        "bench",
        "small round table",
        "up at the windows",
        ("Narrow houses line an empty street.", "A street lamp stands before a row of narrow houses."),
    ),
    "forest": PlaceWords(
        "the forest",
        ("walks along the forest path", "comes along the path through the forest", "walks between the trees"),
        "fallen log",
        "tree stump",
        "up into the trees",
        ("Tall trees stand close together in the forest.", "Ferns grow beside a path through the forest."),
    ),
    "station": PlaceWords(
        "the station",
        ("walks along the platform", "comes along the platform", "walks onto the platform"),
        "bench",
        "brown suitcase",
        "along the platform",
        ("A train waits beside the platform of a small station.", "A round clock hangs over the platform."),
    ),
}

TIME_WORDS: dict[Time, tuple[str, ...]] = {
    "dawn": ("Early morning.", "Morning.", "The sun is rising."),
    "day": ("Midday.", "Afternoon.", "Later that day."),
    "dusk": ("Evening.", "Dusk.", "The sun is setting."),
    "night": ("Night.", "Late at night.", "It is dark now."),
}
WEATHER_WORDS: dict[tuple[Weather, bool], tuple[str, ...]] = {  # by weather, indoor
    ("rain", False): ("Rain is falling.", "It is raining.", "Steady rain comes down."),
    ("snow", False): ("Snow is falling.", "It is snowing.", "Large flakes of snow drift down."),
    ("rain", True): ("Rain is falling outside the window.", "Outside, it is raining."),
    ("snow", True): ("Snow is falling outside the window.", "Outside, it is snowing."),
}

# What the story turns on: thing -> what its finder does with it.
TOKENS: dict[str, str] = {
    "letter": "read",
    "map": "read",
    "photograph": "read",
    "book": "read",
    "box": "open",
    "lantern": "examine",
}

# What the narrator says of an action: {who} does, {obj} thing, {to} the other person, and the place's words.
ACTION_WORDS: dict[str, tuple[str, ...]] = {
    "walk_in": ("{who} {enter}.",),
    "sit": (
        "{who} sits down on the {seat}.",
        "{who} takes a seat on the {seat}.",
        "{who} settles on the {seat}.",
    ),
    "stand": ("{who} stands up.", "{who} gets up from the {seat}.", "{who} rises from the {seat}."),
    "pick_up": (
        "{who} crosses to the {surface} and picks up {obj}.",
        "{who} walks over to the {surface} and takes {obj}.",
        "{who} goes to the {surface}, where {obj} lies, and picks it up.",
    ),
    "pick_up here": (
        "{who} picks up {obj} from the {surface}.",
        "{who} takes {obj} from the {surface}.",
    ),
    "give": (
        "{who} hands {obj} to {to}.",
        "{who} gives {to} {obj}.",
        "{who} holds out {obj}, and {to} takes it.",
    ),
    "read letter": ("{who} reads the letter.", "{who} holds up the letter and reads it."),
    "read map": ("{who} studies the map.", "{who} looks closely at the map."),
    "read photograph": ("{who} looks at the photograph.", "{who} studies the faces in the photograph."),
    "read book": ("{who} reads a page of the book.", "{who} opens the book and reads."),
    "open box": (
        "{who} opens the box. Something inside it shines.",
        "{who} lifts the lid. Light falls out of the box.",
    ),
    "examine lantern": ("{who} raises the lantern. It glows.", "{who} holds up the glowing lantern."),
    "wave": ("{who} waves.", "{who} raises a hand and waves.", "{who} waves to {to}."),
    "look": ("{who} looks {look}.", "{who} shades both eyes and looks {look}.", "{who} gazes {look}."),
    "nod": ("{who} nods.", "{who} nods slowly."),
    "smile": ("{who} smiles.", "{who} looks at {to} and smiles."),
    "pour": ("{who} goes to the table and pours tea into a mug.", "At the table, {who} pours a mug of tea."),
    "leave": ("{who} walks away.", "{who} turns and leaves.", "{who} turns and walks off."),
}

RELATIONS = ("grandmother", "grandfather", "mother", "old teacher", "sister", "uncle")

# What people say, by its part in the story. {me} speaks to {you}; {obj} is the thing, {next} where they go.
LINES: dict[str, tuple[str, ...]] = {
    "alone before": (
        "I hardly slept last night. I could not stop thinking.",
        "Nobody is here yet. I suppose I am far too early again.",
        "I have come here every single day this week, and I still do not know why.",
        "My head is full of questions. I need a quiet moment.",
        "I always think better here than in my own room.",
    ),
    "alone found": (
        "What is this? I am sure I did not leave a {obj} here.",
        "A {obj}! I have not seen this since I was a child.",
        "That is strange. My name is written on this {obj}.",
        "I never thought I would hold this {obj} again.",
    ),
    "alone decided": (
        "It belonged to my {relation}. I must show it to {you}.",
        "My {relation} left this for me. I have to tell {you} about it.",
        "So my {relation} was right all along. I need to find {you}.",
        "I know this was from my {relation}. {you} will want to hear it from me.",
    ),
    "greet": (
        "{you}! I hoped I would find you here.",
        "There you are, {you}. I have been looking for you everywhere.",
        "Hello, {you}. I have something to show you.",
        "{you}, I am so glad you waited for me.",
    ),
    "greet back": (
        "You are late, {you}. But I knew you would come to me in the end.",
        "Good to see you, {you}. I was just thinking of you.",
        "{you}! I did not expect you before tomorrow. You gave me quite a surprise.",
        "Sit with me, {you}. I have all the time in the world.",
    ),
    "explain": (
        "I found it this morning. I think it was meant for both of us.",
        "My {relation} kept it for many years, and I never knew.",
        "I do not understand all of it, but I know where we have to look.",
        "I was afraid to tell anyone. You are the first person I have shown.",
    ),
    "react": (
        "I can hardly believe it. My hands are shaking.",
        "I remember this {obj}. We used to look for it when we were small.",
        "Then my father told us the truth after all.",
        "Give me a moment. I never thought we would see it again.",
        "I think I know what this means. We are not the first to find it.",
    ),
    "plan": (
        "We should go to {next}. I know the way.",
        "I think the answer is at {next}. Come with me.",
        "Let us go to {next} before it gets late. I will explain on the way.",
        "If we hurry, we can reach {next} in an hour. I am ready.",
    ),
    "agree": (
        "I will come with you. I would not miss it for anything.",
        "All right. But we go together, and we come back together.",
        "You know me. I never could say no to you.",
        "I trust you. I always have.",
    ),
    "remember": (
        "We came here once, when I was seven. I still remember the smell of the air.",
        "My {relation} used to bring me here every summer.",
        "I dreamed of this place last week. It looked exactly like this to me.",
        "This is where we said goodbye the last time. I have not been back since.",
    ),
    "doubt": (
        "What if we are wrong? I do not want to lose it again.",
        "I wonder whether we should have told someone.",
        "I am cold, and my feet hurt, but I am happy that we came.",
        "Do you think they will believe us? I am not so sure.",
    ),
    "comfort": (
        "I am not worried. We have come this far.",
        "Look at me. I would not have brought you here for nothing.",
        "Whatever happens, I am glad we are here together.",
        "My mother always told me that one good friend is enough.",
    ),
    "stranger": (
        "Wait, please. I am {me}. I have been waiting for you two.",
        "Excuse me. My name is {me}. I think you have something of mine.",
        "I am {me}. I knew your {relation} very well.",
    ),
    "stranger answer": (
        "Then you can tell us what we need to know, {you}. I am listening.",
        "We thought nobody knew about it. Please sit with us, {you}.",
        "I have heard of you, {you}. My {relation} talked about you often.",
    ),
    "stranger wish": (
        "I only want to see it once more. Then I will leave you in peace.",
        "Keep it safe for me. I am too old to carry it.",
        "I have told you all I know. The rest is up to you, my friends.",
    ),
    "offer": (
        "Keep the {obj}, {you}. I want you to have it.",
        "I want you to take the {obj} with you. It is safer with you than with me.",
        "Here, {you}. I have carried the {obj} long enough.",
    ),
    "thanks": (
        "I do not know how to thank you. I will look after it.",
        "Thank you. I shall put it on my shelf, where I can see it.",
        "That means more to me than I can say.",
    ),
    "farewell": (
        "I have to go now. My train does not wait for me.",
        "I will write to you as soon as I arrive. Goodbye, {you}.",
        "I should go home before they start to miss me. Good night, {you}.",
    ),
    "farewell back": (
        "Goodbye, {you}. I will see you in the spring.",
        "Take care, {you}. We will talk again soon, I promise.",
        "Come back soon, {you}. I will be here.",
    ),
    "alone last": (
        "We did it. I only wish my {relation} could have seen us.",
        "I will remember this day as long as I live.",
        "Now I know why I came back. I am home.",
    ),
}
