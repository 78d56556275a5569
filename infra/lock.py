"""`python -m infra.lock`: the part of requirements.lock that an image installs, hashes and all.

The lock holds everything that the project uses anywhere, tests and linters too. An image takes what the
product needs, and the extras it is asked for, from that one list: nothing is resolved anew. It needs nothing
installed, as it runs where nothing is yet.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PROJECT = "cinescribe (pyproject.toml)"  # how the lock names the project itself
# By far the largest, and those that change least: a layer of their own, so that the others are pulled alone.
_LARGE = re.compile(r"torch|triton|nvidia-.*|cuda-.*")
_PARTS: dict[str, Callable[[str], bool]] = {
    "large": lambda name: bool(_LARGE.fullmatch(name)),
    "rest": lambda name: not _LARGE.fullmatch(name),
    "builder": lambda name: name == "setuptools",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A package of the lock: its lines, of several versions where Pythons differ, and what asks for it."""

    lines: tuple[str, ...]
    wanted_by: tuple[str, ...]


def read_lock(text: str) -> dict[str, Entry]:
    """The packages by name."""
    entries: dict[str, Entry] = {}
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        if not block.strip() or block.startswith("#"):
            continue
        lines = block.rstrip().splitlines()
        via = [line.strip().removeprefix("#").strip().removeprefix("via").strip() for line in lines
               if line.strip().startswith("#")]  # fmt: skip
        kept = tuple(line for line in lines if not line.strip().startswith("#"))
        before = entries.setdefault(name := _name(lines[0]), Entry((), ()))
        askers = tuple(asker for asker in via if asker)
        entries[name] = Entry(before.lines + kept, before.wanted_by + askers)
    return entries


def needed(
    entries: Mapping[str, Entry], direct: Collection[str], without: Collection[str] = ()
) -> dict[str, Entry]:
    """The packages that `direct` ones lead to.

    Args:
        direct: names that the project itself asks for.
        without: names to leave out, and what only they ask for.

    Raises:
        KeyError: one of `direct` is not locked.
    """
    kept: set[str] = set()
    asks: dict[str, list[str]] = {}
    for name, entry in entries.items():
        for asker in entry.wanted_by:
            asks.setdefault(asker, []).append(name)
    waiting = [name for name in direct if name not in without]
    while waiting:
        name = waiting.pop()
        if name in kept:
            continue
        entries[name]  # an unlocked one is a fault of the lock
        kept.add(name)
        waiting += [asked for asked in asks.get(name, []) if asked not in without]
    return {name: entry for name, entry in entries.items() if name in kept}


def direct_names(project: Path, extras: Collection[str]) -> list[str]:
    """What pyproject.toml asks for, with these of its extras.

    Raises:
        KeyError: it has no such extra.
    """
    table = tomllib.loads(project.read_text("utf-8"))["project"]
    wanted = list(table["dependencies"])
    for extra in extras:
        wanted += table["optional-dependencies"][extra]
    return [_name(line) for line in wanted]


def _name(requirement: str) -> str:
    """As registries write it: lower case, parted by hyphens."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the part that is asked for."""
    p = argparse.ArgumentParser(
        prog="python -m infra.lock", description="The part of requirements.lock that an image installs."
    )
    p.add_argument("--extras", default="", metavar="A,B", help="of pyproject.toml (default: none)")
    p.add_argument("--without", default="", metavar="A,B", help="packages to leave out")
    p.add_argument(
        "--part", choices=["all", *_PARTS], default="all",
        help="large: torch and CUDA; rest: all others; builder: of those, what builds the ones that come as "
        "source (default: %(default)s)",
    )  # fmt: skip
    arguments = p.parse_args(argv)
    extras, without = (
        [name for name in text.split(",") if name] for text in (arguments.extras, arguments.without)
    )
    entries = read_lock((_ROOT / "requirements.lock").read_text("utf-8"))
    try:
        found = needed(entries, direct_names(_ROOT / "pyproject.toml", extras), without)
    except KeyError as error:
        print(
            f"infra.lock: {error}: neither an extra of pyproject.toml nor a package of the lock",
            file=sys.stderr,
        )
        return 2
    for name, entry in found.items():
        if arguments.part == "all" or _PARTS[arguments.part](name):
            print("\n".join(entry.lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
