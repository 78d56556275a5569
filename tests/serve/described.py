"""A generated description of a film of the tests' library."""

import shutil
from pathlib import Path

from cinescribe.describe.placement import Sentence
from tests.describe.rows import write_descriptions

KITCHEN, FERRY = "series one/Kitchen", "Ærø & the sea #1?"
ADDRESS = f"/v1/descriptions/{KITCHEN}"
POT, CAT, MAN = {"start": 0.0, "end": 2.5}, {"start": 2.5, "end": 5.0}, {"start": 5.0, "end": 7.0}
SENTENCES = [
    Sentence(0.0, 2.5, "A woman pours water into a pot.", 0.61),
    Sentence(2.5, 5.0, "A cat walks over the floor.", 0.34),
    Sentence(5.0, 7.0, "A man sits at the table with a blue cup.", 0.2),
]
_DIALOGUE = [(2.0, 3.2), (5.0, 6.4)]


def describe_kitchen(library: Path, root: Path) -> Path:
    """A copy, at `root`, of the library's tables, in which a machine described the kitchen: two cues, and one
    text that is too long."""
    shutil.copytree(library, root)
    write_descriptions(str(root), KITCHEN, SENTENCES, _DIALOGUE, 7.0)
    return root


def lock_corrections(root: Path) -> None:
    """From now on nobody can write corrections there, not even root: the kernel's folder takes no files."""
    shutil.rmtree(root / "corrections", ignore_errors=True)
    (root / "corrections").symlink_to("/sys", target_is_directory=True)
