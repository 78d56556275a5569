"""Shorter forms of an English description: whole phrases fall away from its end, and nothing else changes.

What may fall away is a sentence, what follows a semicolon or a dash, and what begins like an addition
("and then", "while", ", smiling", ", and she"). A phrase that may not fall away keeps its sentence as it is:
in "The old man, smiling, opens the door" the last phrase is the verb, so it is spoken whole or not at all.
What remains has at least three words, one of them with the look of a present verb ("walks"), the tense of
audio description. It is a rule of words, not a grammar: in doubt it keeps the phrase, and the text may be
dropped for its length.
"""

import re

FEWEST_WORDS = 3

_ABBREVIATIONS = r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)"
_SENTENCE = rf"{_ABBREVIATIONS}[.!?…]+[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z])"
_PRONOUN = r"(?:he|she|it|they|we|you|i|someone|everyone)\b"
_NO_VERBS = r"(?:his|its|this|ours|yours|hers|theirs|yes|always|perhaps|sometimes|across|towards)\b"
_VERB = rf"(?!{_NO_VERBS})\w{{2,}}s\b"
_ADDITION = (
    rf"(?:(?:and|but)\s+(?:then\b|{_PRONOUN}|{_VERB})"
    rf"|then\b|while\b|before\b|after\b|until\b|when\b|where\b|who\b|which\b|with\b|as\s+{_PRONOUN}|\w+ing\b)"
)
_BARE = rf"(?:and\s+then\b|while\b|until\b|as\s+{_PRONOUN}|(?:and|but)\s+{_PRONOUN})"
# Where one phrase ends and the next begins; of a comma it is told apart whether the rest may fall away.
_BOUNDARY = re.compile(
    rf"(?P<sentence>{_SENTENCE})|(?P<free>\s*;\s+|\s+[-–—]+\s+|\s*—\s*|(?i:,\s+(?={_ADDITION})|\s+(?={_BARE})))"
    r"|(?P<firm>,\s+|\s*:\s+)"
)
_OPENS_A_CLAUSE = re.compile(
    r"(?:as|when|while|after|before|if|until|since|once|because|although|though)\b", re.I
)
_LOOKS_LIKE_A_VERB = re.compile(rf"\b(?:{_VERB}|is|are|has|have|was|were)", re.IGNORECASE)


def forms(text: str) -> list[str]:
    """A text and its shorter forms, longest first; each is a beginning of it and ends with a full stop.

    Args:
        text: in one line or several; blanks are made single.

    Returns:
        [] when the text has no word.
    """
    whole = " ".join(text.split())
    if not re.search(r"\w", whole):
        return []
    found = [whole]
    kept = False  # a phrase of this sentence stays, so what is before it stays too
    for boundary in reversed(list(_BOUNDARY.finditer(whole))):
        kept = boundary["sentence"] is None and (kept or boundary["firm"] is not None)
        if kept:
            continue
        head = whole[: boundary.start()].rstrip(" ,;:-–—")
        if _stands_alone(head):
            closed = re.search(r"[.!?…][\"'”’)]*$", whole[: boundary.end()].rstrip())
            found.append(head + closed[0] if closed else head.rstrip(".!?…") + ".")
    return found


def _stands_alone(head: str) -> bool:
    words = head.split()
    if len(words) < FEWEST_WORDS or head.count('"') % 2 or head.count("“") != head.count("”"):
        return False
    if head.count("(") != head.count(")"):
        return False
    last = re.split(_SENTENCE, head)[-1]
    if _OPENS_A_CLAUSE.match(last) and "," not in last:  # "As she enters" is no sentence by itself
        return False
    return _LOOKS_LIKE_A_VERB.search(last.partition(" ")[2]) is not None
