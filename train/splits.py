"""Which films are for training and which are held out. Always whole films."""

import json
from collections.abc import Iterable
from typing import Any

from cinescribe import storage
from cinescribe.errors import UsageError
from train.recipe import Split


def read_json(root: str, name: str) -> Any:
    """The content of a JSON file under a root, None when there is none.

    Raises:
        UsageError: it isn't JSON.
    """
    address = storage.join(root, name)
    try:
        return json.loads(storage.read_bytes(address))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{address}: not JSON ({error})") from error


def told(root: str, split: Split) -> set[str] | None:
    """The films of a split after `splits.json` ({kind: {"train", "val", "test": [film_id]}}), else None."""
    found = read_json(root, "splits.json")
    if found is None:
        return None
    name = "val" if split == "validation" else split
    try:
        return {film for kind in found.values() for film in kind.get(name, [])}
    except (AttributeError, TypeError) as error:
        raise UsageError(
            f'{storage.join(root, "splits.json")}: should be {{kind: {{"train": [film_id], "val": [...]}}}}'
        ) from error


def divide(films: Iterable[str], share: float, most: int, split: Split) -> list[str]:
    """The first `share` of the sorted films is held out, at most `most` and at least one; the rest is not."""
    ordered = sorted(films)
    held_out = max(1, min(int(len(ordered) * share), most)) if len(ordered) > 1 else 0
    return ordered[held_out:] if split == "train" else ordered[:held_out]
