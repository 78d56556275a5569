"""Named weights: where they come from, their SHA-256 and licence, and their tensors.

    zoo.path(zoo.for_role("asr"))   # a checked local file, pulled when it is not there
    zoo.load_state("ge2e")          # its tensors, without unpickling

Nothing is ever replaced by another weight: what can't be had is an error that says what to do.
"""

from cinescribe.zoo.catalogue import PROFILES, File, Profile, Role, Weight, entries, entry, for_role
from cinescribe.zoo.store import is_pulled, load_metadata, load_state, path, pull, store_folder, verify

__all__ = [
    "PROFILES",
    "File",
    "Profile",
    "Role",
    "Weight",
    "entries",
    "entry",
    "for_role",
    "is_pulled",
    "load_metadata",
    "load_state",
    "path",
    "pull",
    "store_folder",
    "verify",
]
