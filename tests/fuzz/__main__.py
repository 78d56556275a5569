"""Make up input for the parsers for as long as one likes, and keep what breaks one.

    python -m tests.fuzz --seconds 600 --seed 7              all parsers, 600 seconds together
    python -m tests.fuzz --seconds 60 vtt srt --out found/   two of them

Each parser runs in a process of its own, with bounded memory and a time limit for each input, so that inputs
that crash it or make it hang are found, too. A file that broke a parser belongs into its corpus once it is
mended: `tests/fuzz/corpus/PARSER/odd-WHAT` (or read-, refused-; see `tests.fuzz.promise`).
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.parsers import PARSERS
from tests.fuzz.process import fuzz


def main() -> int:
    """The command; 1 when a parser broke its promise."""
    p = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the project's parsers.")
    p.add_argument("parsers", nargs="*", metavar="PARSER", help=f"of: {', '.join(PARSERS)} (default: all)")
    p.add_argument(
        "--seconds", type=float, default=60, help="for all parsers together (default: %(default)s)"
    )
    p.add_argument("--seed", type=int, default=0, help="of what is made up (default: %(default)s)")
    p.add_argument("--out", type=Path, metavar="DIR", help="where inputs that break one are kept")
    arguments = p.parse_args()
    if unknown := set(arguments.parsers) - PARSERS.keys():
        p.error(f"no parser {', '.join(sorted(unknown))}")
    names = arguments.parsers or list(PARSERS)
    out = arguments.out or Path(tempfile.mkdtemp(prefix="fuzz-"))
    print(f"{'parser':28}{'inputs':>9}{'read':>9}{'faults':>9}")
    faults = 0
    for name in names:
        found = fuzz(PARSERS[name], arguments.seconds / len(names), arguments.seed, out)
        print(f"{name:28}{found.inputs:9}{found.read:9}{len(found.faults):9}", flush=True)
        for message in found.faults.values():
            print(f"    {message}", flush=True)
        faults += len(found.faults)
    if faults:
        print(f"{faults} faults; the inputs are in {out}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
