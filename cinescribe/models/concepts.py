"""Concept words of CT-SAN (section 4.2.2): the most frequent content words of training captions.

The thesis takes what NLTK's tagger calls nouns, verbs and adjectives. Here every word counts that is not one
of a closed list of function words: no tagger is needed, and adverbs come in.
"""

from collections import Counter
from collections.abc import Iterable

from cinescribe.models.vocabulary import Vocabulary, words_of

FUNCTION_WORDS = frozenset(
    """a about above across after again against all along also although am an and another any anyone
    anything are around as at away back be because been before behind being below beneath beside
    between beyond both but by can can't cannot could did do does doesn't doing don't done down
    during each either else enough even ever every everyone everything few for from further had has
    have having he he's her here hers herself him himself his how however i i'm if in inside into is
    isn't it it's its itself just least less like many may me might mine more most much must my
    myself near neither never no nobody none nor not nothing now of off often on once one only onto
    or other others our ours ourselves out outside over own past per quite rather same several shall
    she she's should since so some someone someone's something somewhere still such than that that's
    the their theirs them themselves then there these they they're this those though three through
    throughout till to together too toward towards two under underneath until unto up upon us very
    was we we're well were what whatever when where whether which while who whom whose why will with
    within without would yet you you're your yours yourself gonna let's 's""".split()
)


def content_words(text: str) -> list[str]:
    """The words of a text, in order, that are neither function words nor numbers."""
    return [word for word in words_of(text) if word not in FUNCTION_WORDS and not word.isdigit()]


def concept_words(captions: Iterable[str], vocabulary: Vocabulary, most: int = 2000) -> list[int]:
    """Numbers of the most frequent content words, most frequent first; equal ones in the order of letters."""
    counts = Counter(word for text in captions for word in content_words(text) if word in vocabulary)
    ordered = sorted(counts, key=lambda word: (-counts[word], word))
    return [vocabulary.number(word) for word in ordered[:most]]
