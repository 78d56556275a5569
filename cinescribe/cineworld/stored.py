"""A world that was written: its settings and its size, from its folder."""

import json
from dataclasses import dataclass

from cinescribe import storage
from cinescribe.cineworld.howto import Narration
from cinescribe.cineworld.world import VERSION, WorldSettings
from cinescribe.errors import UsageError


@dataclass(frozen=True, slots=True)
class StoredWorld:
    """The settings of a world, and how many films and how-to videos of it were written."""

    settings: WorldSettings
    films: int
    videos: int


def read_settings(root: str) -> WorldSettings:
    """The settings of the world in a folder or under an `s3://` prefix. Raises as `read_world`."""
    return read_world(root).settings


def read_world(root: str) -> StoredWorld:
    """What the world in a folder or under an `s3://` prefix is.

    Raises:
        UsageError: there is no world, or one of another version.
    """
    address = storage.join(root, "world.json")
    try:
        found = json.loads(storage.read_bytes(address))
    except FileNotFoundError as error:
        raise UsageError(f"{address}: no world there; `cinescribe world --out {root}` makes one") from error
    if found.pop("version", None) != VERSION:
        raise UsageError(
            f"{address}: of another version of Cineworld; make the world anew in an empty folder"
        )
    known = {name: found[name] for name in WorldSettings.__dataclass_fields__ if name in found}
    settings = WorldSettings(**{**known, "narration": Narration(**known["narration"])})
    return StoredWorld(settings, int(found["films"]), int(found["videos"]))
