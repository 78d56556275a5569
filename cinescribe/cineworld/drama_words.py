"""What the describer of a drama says: phrases for what is done, felt and held.

As in `lexicon`, what is named is drawn. A phrase follows its subject ("Anna sits down on the bench").
"""

from typing import Literal

Feeling = Literal["", "glad", "sad", "angry", "afraid"]
FEELINGS: tuple[Feeling, ...] = ("glad", "sad", "angry", "afraid")

NAMES: dict[str, tuple[str, ...]] = {
    "woman": ("Anna", "Clara", "Nora", "Emma", "Ruth", "Alice", "Helen", "Martha", "Julia", "Laura", "Vera",
              "Irene", "Sophie", "Paula", "Greta", "Ellen", "Louise", "Judith", "Monica", "Teresa"),
    "man": ("Tom", "Sam", "Peter", "Henry", "Jack", "Oscar", "Daniel", "Martin", "Victor", "Simon", "Felix",
            "Leo", "Robert", "Hugo", "Arthur", "Walter", "Edgar", "Louis", "Gordon", "Philip"),
}  # fmt: skip

# {obj} the thing, {to} the other person, {self} himself or herself, and the place's words.
PHRASES: dict[str, tuple[str, ...]] = {
    "walk_in": ("{enter}", "{enter}", "{enter}", "{enter}", "comes into view", "enters", "appears", "arrives",
                "approaches", "strides in", "hurries in"),
    "leave": ("walks away", "turns and leaves", "walks off", "leaves", "goes off", "disappears from view",
              "departs", "heads off", "turns and walks away"),
    "sit": ("sits down on the {seat}", "takes a seat on the {seat}", "settles on the {seat}", "sits down",
            "lowers {self} onto the {seat}", "sinks onto the {seat}", "drops onto the {seat}"),
    "stand": ("stands up", "gets up from the {seat}", "rises from the {seat}", "rises", "gets up",
              "gets to {their} feet"),
    "pick_up": ("crosses to the {surface} and picks up {obj}", "walks over to the {surface} and takes {obj}",
                "picks up {obj} from the {surface}", "lifts {obj} from the {surface}", "reaches for {obj}",
                "grabs {obj}", "finds {obj} on the {surface}", "snatches {obj} from the {surface}",
                "spots {obj} on the {surface} and takes it"),
    "give": ("hands {obj} to {to}", "gives {to} {obj}", "holds out {obj} to {to}", "passes {obj} to {to}",
             "offers {to} {obj}", "hands {to} {obj}", "hands over {obj} to {to}"),
    "read letter": ("holds up {obj} and reads it", "reads {obj}", "studies {obj}", "looks over {obj}",
                    "scans {obj}", "peruses {obj}"),
    "read map": ("studies {obj}", "looks closely at {obj}", "unfolds {obj}", "pores over {obj}",
                 "consults {obj}"),
    "read photograph": ("studies the faces in {obj}", "looks at {obj}", "gazes at {obj}", "examines {obj}",
                        "stares at {obj}", "considers {obj}"),
    "read book": ("opens {obj} and reads", "reads a page of {obj}", "leafs through {obj}", "reads {obj}",
                  "flips through {obj}", "reads from {obj}"),
    "open box": ("opens {obj}", "lifts the lid of {obj}", "looks into {obj}", "peers into {obj}"),
    "examine lantern": ("raises {obj}", "holds up {obj}", "lifts {obj}, which glows", "examines {obj}",
                        "inspects {obj}"),
    "wave": ("waves to {to}", "raises a hand and waves", "waves", "greets {to} with a wave",
             "greets {to}"),
    "look": ("looks {look}", "gazes {look}", "stares {look}", "shades both eyes and looks {look}",
             "peers {look}", "glances {look}"),
    "nod": ("nods", "nods slowly", "nods at {to}", "gives {to} a nod", "inclines {their} head"),
    "smile": ("smiles", "smiles at {to}", "looks at {to} and smiles", "gives {to} a smile", "grins at {to}",
              "breaks into a grin", "beams at {to}"),
    "pour": ("pours tea into a mug", "pours a mug of tea", "fills a mug with tea", "makes tea",
             "lifts the teapot"),
}  # fmt: skip

# Words for the thing; the first is the concept's own.
THING_WORDS: dict[str, tuple[str, ...]] = {
    "letter": ("letter", "note", "handwritten letter"),
    "map": ("map", "chart", "old map"),
    "photograph": ("photograph", "picture", "photo"),
    "book": ("book", "volume", "heavy book"),
    "box": ("box", "small box", "chest"),
    "lantern": ("lantern", "light", "glowing lantern"),
}

ADVERBS: dict[Feeling, tuple[str, ...]] = {
    "glad": ("Happily", "Cheerfully", "Gladly"),
    "sad": ("Sadly", "Gloomily", "Dejectedly"),
    "angry": ("Angrily", "Crossly", "Irritably"),
    "afraid": ("Nervously", "Anxiously", "Fearfully"),
}
TAILS: dict[Feeling, tuple[str, ...]] = {
    "glad": ("with a smile", "beaming", "smiling happily", "in good spirits"),
    "sad": ("with head bowed", "looking downcast", "sad and silent", "close to tears"),
    "angry": ("with a frown", "scowling", "brows drawn together", "glaring"),
    "afraid": ("looking worried", "with raised brows", "afraid", "looking uneasy"),
}
HOLDING: tuple[str, ...] = ("With {obj} in hand", "Holding {obj}", "Still holding {obj}", "Carrying {obj}")
MEANWHILE: tuple[str, ...] = ("Now ", "Then ", "Slowly, ", "After a moment, ", "Nearby, ", "Meanwhile, ")

ADDRESS: tuple[str, ...] = ("{you}. ", "{you}! ", "Listen, {you}. ", "You know, {you}. ", "Please, {you}. ")
TALK: tuple[str, ...] = ("explain", "react", "doubt", "comfort", "remember", "agree")
