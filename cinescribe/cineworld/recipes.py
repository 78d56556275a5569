"""The words of Cineworld's how-to videos: what can be done with what, and the ways people say it.

What is seen is a concept (the keys); what is said is one of its words. The two meet only in these lists.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that is worked on; `words` follow "the", `plural` decides between "it" and "them"."""

    words: tuple[str, ...]
    plural: bool = False


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to a thing.

    Attributes:
        words: the verb in its base form; a part after "_" follows the thing ("take_apart": "take it apart").
        stage: 0 to 9: early deeds come before late ones, more or less.
        things: concepts of what it is done to.
        tools: concepts of what it is done with; may be empty.
    """

    words: tuple[str, ...]
    stage: int
    things: tuple[str, ...]
    tools: tuple[str, ...] = ()


THINGS: dict[str, Thing] = {
    "onion": Thing(("onions", "onion slices", "red onions"), True),
    "carrot": Thing(("carrots", "carrot sticks"), True),
    "potato": Thing(("potatoes", "spuds"), True),
    "tomato": Thing(("tomatoes", "cherry tomatoes"), True),
    "courgette": Thing(("zucchini", "courgette", "squash")),
    "pepper": Thing(("bell pepper", "pepper", "capsicum")),
    "garlic": Thing(("garlic", "garlic clove")),
    "chicken": Thing(("chicken", "meat", "chicken breast")),
    "dough": Thing(("dough", "pastry", "base")),
    "egg": Thing(("eggs", "egg whites"), True),
    "cheese": Thing(("cheese", "cheddar", "parmesan")),
    "rice": Thing(("rice", "basmati", "grain")),
    "pasta": Thing(("pasta", "spaghetti", "macaroni")),
    "herb": Thing(("herbs", "parsley leaves", "greens"), True),
    "sauce": Thing(("sauce", "gravy", "liquid")),
    "apple": Thing(("apples", "fruit slices"), True),
    "wheel": Thing(("wheel", "rim")),
    "chain": Thing(("chain", "drive chain")),
    "tyre": Thing(("tire", "tyre", "rubber")),
    "brake": Thing(("brakes", "brake pads"), True),
    "saddle": Thing(("saddle", "seat")),
    "drawer": Thing(("drawer", "drawer front")),
    "hinge": Thing(("hinges", "door hinges"), True),
    "shelf": Thing(("shelf", "board", "plank")),
    "leg": Thing(("legs", "table legs"), True),
    "lamp": Thing(("lamp", "light fitting", "lampshade")),
    "pipe": Thing(("pipe", "drain")),
    "frame": Thing(("frame", "wooden frame")),
    "soil": Thing(("soil", "dirt", "earth", "compost")),
    "seed": Thing(("seeds", "little seeds", "grains"), True),
    "rose": Thing(("roses", "rose bush branches"), True),
    "seedling": Thing(("seedlings", "baby plants", "young plants"), True),
    "pot": Thing(("pot", "planter", "container")),
    "hedge": Thing(("hedge", "bushes", "shrub")),
    "lawn": Thing(("lawn", "grass", "turf")),
    "bulb": Thing(("bulbs", "tulip bulbs"), True),
    "tree": Thing(("tree", "apple tree", "sapling")),
    "paper": Thing(("paper", "sheet", "card stock")),
    "fabric": Thing(("fabric", "cloth", "material")),
    "yarn": Thing(("yarn", "wool", "thread")),
    "bead": Thing(("beads", "pearls"), True),
    "ribbon": Thing(("ribbon", "bow", "band")),
    "clay": Thing(("clay", "modelling clay")),
    "zip": Thing(("zipper", "zip")),
    "candle": Thing(("candle", "wax")),
    "box": Thing(("box", "carton", "cardboard box")),
}

TOOLS: dict[str, tuple[str, ...]] = {
    "knife": ("a sharp knife", "my knife", "a blade"),
    "peeler": ("a peeler", "a vegetable peeler"),
    "grater": ("a grater", "a box grater"),
    "pan": ("a skillet", "a frying pan", "a hot pan"),
    "saucepan": ("a saucepan", "a big pot", "a deep pot"),
    "whisk": ("a whisk", "a hand mixer"),
    "spoon": ("a wooden spoon", "a spatula", "a ladle"),
    "bowl": ("a mixing bowl", "a large bowl"),
    "rolling pin": ("a rolling pin",),
    "oven": ("the oven", "a hot oven"),
    "spanner": ("a wrench", "a spanner"),
    "screwdriver": ("a screwdriver", "a driver"),
    "rag": ("a rag", "an old cloth", "a towel"),
    "sandpaper": ("some sandpaper", "a sanding block"),
    "saw": ("a saw", "a hand saw"),
    "drill": ("a drill", "a power drill"),
    "hammer": ("a hammer", "a mallet"),
    "brush": ("a brush", "a paintbrush"),
    "tape": ("a tape measure", "a ruler"),
    "spade": ("a spade", "a shovel"),
    "rake": ("a rake", "a garden fork"),
    "can": ("a watering can", "a hose"),
    "shears": ("shears", "clippers", "pruners"),
    "scissors": ("scissors", "a pair of scissors"),
    "needle": ("a needle", "a sewing machine"),
    "iron": ("an iron", "a steam iron"),
    "glue": ("some glue", "a glue gun"),
}

_VEGETABLES = ("onion", "carrot", "potato", "tomato", "courgette", "pepper", "garlic", "apple")
_FOOD = (*_VEGETABLES, "chicken", "egg", "cheese", "rice", "pasta", "herb", "sauce", "dough")
_PARTS = (
    "wheel",
    "chain",
    "tyre",
    "brake",
    "saddle",
    "drawer",
    "hinge",
    "shelf",
    "leg",
    "lamp",
    "pipe",
    "frame",
)
_WOOD = ("drawer", "shelf", "leg", "frame")
_PLANTS = ("rose", "seedling", "hedge", "lawn", "bulb", "tree")
_CRAFT = ("paper", "fabric", "yarn", "bead", "ribbon", "clay", "zip", "candle", "box")

# What is done, by the kind of video. A deed of two kinds is one concept.
DEEDS: dict[str, dict[str, Deed]] = {
    "cooking": {
        "wash": Deed(("wash", "rinse", "clean"), 0, (*_VEGETABLES, "rice", "herb", "chicken")),
        "peel": Deed(("peel", "skin"), 1,
            ("onion", "carrot", "potato", "garlic", "apple"), ("peeler", "knife")),
        "chop": Deed(("chop", "cut_up", "dice", "slice"), 2, (*_VEGETABLES, "herb", "chicken"), ("knife",)),
        "grate": Deed(("grate", "shred"), 3, ("carrot", "cheese", "potato", "courgette"), ("grater",)),
        "beat": Deed(("beat", "whisk", "whip"), 3, ("egg", "sauce"), ("whisk", "bowl")),
        "mix": Deed(("mix", "combine", "blend"), 4,
            ("dough", "egg", "sauce", "rice", "herb"), ("bowl", "spoon")),
        "knead": Deed(("knead", "work"), 4, ("dough",)),
        "roll": Deed(("roll_out", "flatten", "stretch_out"), 5, ("dough",), ("rolling pin",)),
        "fry": Deed(("fry", "brown", "sear"), 6, (*_VEGETABLES, "chicken", "egg", "rice"), ("pan",)),
        "boil": Deed(("boil", "simmer", "cook_down"), 6,
            ("potato", "rice", "pasta", "egg", "sauce", "carrot"), ("saucepan",)),
        "stir": Deed(("stir", "move_around", "toss"), 7,
            ("sauce", "rice", "pasta", "onion", "chicken", "pepper"), ("spoon",)),
        "bake": Deed(("bake", "roast"), 8, ("dough", "potato", "chicken", "apple", "tomato"), ("oven",)),
        "serve": Deed(("serve", "plate_up", "dish_up"), 9,
            ("chicken", "rice", "pasta", "potato", "sauce", "dough")),
        "sprinkle": Deed(("sprinkle_over", "scatter", "dust"), 9, ("cheese", "herb", "garlic")),
    },
    "repair": {
        "unscrew": Deed(("unscrew", "loosen", "undo"), 0, _PARTS, ("screwdriver", "spanner")),
        "remove": Deed(("remove", "take_off", "pull_out"), 1, _PARTS, ("spanner",)),
        "clean": Deed(("clean", "wipe_down", "scrub"), 2, _PARTS, ("rag", "brush")),
        "sand": Deed(("sand", "smooth", "rub_down"), 3, _WOOD, ("sandpaper",)),
        "measure": Deed(("measure", "mark_out", "size_up"), 3, (*_WOOD, "pipe", "chain"), ("tape",)),
        "saw": Deed(("saw", "cut", "trim"), 4, (*_WOOD, "pipe"), ("saw",)),
        "drill": Deed(("drill", "bore into"), 5, _WOOD, ("drill",)),
        "glue": Deed(("glue", "stick_on", "bond"), 6, (*_WOOD, "tyre"), ("glue",)),
        "hammer": Deed(("hammer", "tap_in", "knock_in"), 6,
            ("leg", "frame", "hinge", "drawer"), ("hammer",)),
        "oil": Deed(("oil", "grease", "lubricate"), 7, ("chain", "hinge", "wheel", "brake"), ("rag",)),
        "tighten": Deed(("tighten", "fasten", "screw_on"), 8, _PARTS, ("spanner", "screwdriver")),
        "paint": Deed(("paint", "coat", "varnish"), 8, (*_WOOD, "lamp"), ("brush",)),
        "test": Deed(("test", "check", "try_out"), 9,
            ("wheel", "brake", "lamp", "drawer", "chain", "hinge")),
    },
    "gardening": {
        "dig": Deed(("dig_up", "turn_over"), 0, ("soil", "lawn"), ("spade",)),
        "rake": Deed(("rake", "level", "even_out"), 1, ("soil", "lawn"), ("rake",)),
        "fill": Deed(("fill_up", "top_up"), 2, ("pot", "box"), ("spade",)),
        "sow": Deed(("sow", "scatter", "spread_out"), 3, ("seed",)),
        "plant": Deed(("plant", "set_in", "bed_in"), 4, ("seedling", "bulb", "rose", "tree"), ("spade",)),
        "cover": Deed(("cover", "bury", "mulch"), 5, ("seed", "bulb", "soil"), ("spade", "rake")),
        "water": Deed(("water", "soak", "spray"), 6, (*_PLANTS, "soil", "seed", "pot"), ("can",)),
        "prune": Deed(("prune", "trim", "cut_back"), 7, ("rose", "hedge", "tree"), ("shears",)),
        "feed": Deed(("feed", "fertilize"), 8, (*_PLANTS,)),
        "tie": Deed(("tie_up", "support", "bind"), 8, ("rose", "seedling", "tree")),
        "pick": Deed(("pick", "harvest", "gather"), 9, ("rose", "tomato", "apple", "herb"), ("scissors",)),
    },
    "craft": {
        "measure": Deed(("measure", "mark_out", "size_up"), 0,
            ("paper", "fabric", "ribbon", "yarn"), ("tape",)),
        "cut": Deed(("cut_out", "snip", "trim"), 1,
            ("paper", "fabric", "ribbon", "yarn", "box"), ("scissors",)),
        "fold": Deed(("fold", "crease", "bend"), 2, ("paper", "fabric", "box")),
        "shape": Deed(("shape", "mould", "form"), 2, ("clay", "candle")),
        "iron": Deed(("iron", "press"), 3, ("fabric", "ribbon"), ("iron",)),
        "pin": Deed(("pin", "fix_down"), 3, ("fabric", "zip", "ribbon")),
        "thread": Deed(("thread", "string", "feed_through"), 4, ("bead", "yarn", "ribbon"), ("needle",)),
        "sew": Deed(("sew", "stitch", "hem"), 5, ("fabric", "zip", "ribbon", "bead"), ("needle",)),
        "glue": Deed(("glue", "stick_on", "bond"), 5,
            ("paper", "ribbon", "bead", "box", "fabric"), ("glue",)),
        "tie": Deed(("tie_up", "knot", "bind"), 6, ("ribbon", "yarn")),
        "paint": Deed(("paint", "coat", "varnish"), 7, ("clay", "box", "paper", "bead"), ("brush",)),
        "wrap": Deed(("wrap", "package"), 8, ("box", "candle", "clay"), ("scissors",)),
    },
}  # fmt: skip

# {do} is deed, thing and perhaps tool; all of these can be said of a deed that is shown.
SHOWING: tuple[str, ...] = (
    "now {do}", "so I'm going to {do}", "first we {do}", "then you {do}", "next I {do}",
    "go ahead and {do}", "you want to {do}", "what I do here is {do}", "let's {do}", "and {do}",
    "here you can see how I {do}", "okay and now we {do}", "we're gonna {do}",
    "at this point you should {do}", "after that {do}", "all you have to do is {do}",
)  # fmt: skip
MANNERS: tuple[str, ...] = (
    "", "", "", " like this", " nice and slowly", " until it looks right", " just a little bit",
    " very carefully", " all the way round", " for a minute or two", " as evenly as you can", " like so",
)  # fmt: skip
THING_ONLY: tuple[str, ...] = (
    "next up is the {thing}", "and here comes the {thing}", "this is what we do with the {thing}",
    "okay so on to the {thing}", "see how the {thing} is looking now",
)  # fmt: skip
MENTIONS: tuple[str, ...] = (
    "my mother always used to {do}", "you don't have to {do} if you don't want to",
    "I used to {do} but not any more", "in another video I showed how to {do}",
    "some people {do} and that's fine too", "please never {do}",
    "I bought the {thing} at the market yesterday", "you can find the {thing} in any store",
    "I just love {thing}", "if you don't have {thing} just leave it out",
    "the {thing} was not expensive at all", "somebody asked me last week about the {thing}",
    "we will not need the {thing} today", "don't worry about the {thing}", "later you could also {do}",
    "before the video I had to {do}",
)  # fmt: skip
CHAT_OPENINGS: tuple[str, ...] = (
    "", "so ", "okay ", "well ", "you know ", "honestly ", "to be fair ", "guys ", "by the way ",
    "I mean ", "as always ", "and yeah ",
)  # fmt: skip
CHATS: tuple[str, ...] = (
    "welcome back to my channel", "thanks for watching today", "don't forget to subscribe",
    "hit that like button", "leave me a comment below", "it tastes really good",
    "this is my favourite one", "I've been doing this for {n} years", "it was raining all day here",
    "my kids love it", "this took me about {n} minutes", "you'll be amazed by the result",
    "it doesn't have to be perfect", "it only costs {n} dollars", "I hope you're having a great day",
    "I made this for my sister's birthday", "that's what makes it so special",
    "it's much easier than it looks", "it smells amazing in here", "I had a lot of questions about this",
    "the secret is patience", "you can keep it for {n} days", "I learned this from my grandfather",
    "practice makes perfect", "let me know what you think", "sorry about the noise outside",
    "my neighbours must think I'm crazy", "the link is in the description",
    "I'll see you in the next one", "this is going to be fun", "it's a little bit chilly today",
    "I made the same mistake {n} times", "it's totally up to you", "I can't wait to show everyone",
    "that is why it is so healthy", "we had a lovely holiday last summer",
    "my camera battery is almost empty", "a friend gave me this idea", "just take your time",
    "you will thank me later", "that's really all there is to it", "I did this {n} weeks ago as well",
)  # fmt: skip
