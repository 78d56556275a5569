"""Time and size of a fresh install: `make setup` of a clone in an empty folder.

    python -m benchmarks.install --out NEW_FOLDER            # with the wheels that uv has kept, if any
    python -m benchmarks.install --out NEW_FOLDER --cold     # with none: everything is downloaded

Needs about 7 GB (`--cold`: 14), and a registry that pip is set up for. The folder can be deleted afterwards.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table


def sizes(environment: Path) -> dict[str, int]:
    """Bytes on disk of each part of a virtual environment; a file of several names counts once.

    Returns:
        By the folder or file in site-packages, and "(the rest)" for what lies outside.
    """
    [packages] = environment.glob("lib/python*/site-packages")
    found: dict[str, int] = defaultdict(int)
    seen: set[int] = set()
    for folder, _, files in os.walk(environment):
        inside = Path(folder).is_relative_to(packages)
        for name in files:
            path = Path(folder, name)
            about = path.lstat()
            if about.st_ino not in seen:
                seen.add(about.st_ino)
                part = path.relative_to(packages).parts[0] if inside else "(the rest)"
                found[part] += 512 * about.st_blocks
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Install and print how long it took and what is large."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.install", description=__doc__.partition("\n")[0])
    p.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="must not be there; takes about 7 GB, with --cold 14, and can be deleted afterwards",
    )
    p.add_argument("--cold", action="store_true", help="with an empty cache of wheels")
    options = p.parse_args(argv)
    repository = Path(__file__).resolve().parents[1]
    try:
        options.out.mkdir(parents=True)
    except OSError as error:
        p.error(f"--out: name a folder that is not there yet: {error}")
    clone, cache = options.out.resolve() / "cinescribe", options.out.resolve() / "cache"
    subprocess.run(["git", "clone", "--quiet", str(repository), str(clone)], check=True)
    environment = os.environ | ({"UV_CACHE_DIR": str(cache)} if options.cold else {})
    environment.pop("VIRTUAL_ENV", None)
    load = os.getloadavg()[0]
    began, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["make", "setup", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=clone, env=environment, check=True)
    took, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    subprocess.run([".venv/bin/cinescribe", "--version"], cwd=clone, check=True)
    found = sizes(clone / ".venv")
    size = sum(found.values()) / 1e9
    table = Table(title=f"make setup: {took:.0f} s, CPU {cpu:.0f} s, {size:.2f} GB; load {load:.0f}")
    table.add_column("in site-packages")
    table.add_column("MB", justify="right")
    for name in sorted(found, key=lambda name: -found[name])[:16]:
        table.add_row(name, f"{found[name] / 1e6:.0f}")
    Console().print(table)
    if options.cold:
        kept = sum(512 * path.lstat().st_blocks for path in cache.rglob("*"))
        print(f"the cache of wheels: {kept / 1e9:.2f} GB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
