"""The papers' main comparisons at small scale on Cineworld.

    python -m benchmarks.claims --systems tan,autoad
    python -m benchmarks.claims --systems tan --part tan-stages --seeds 0 1 2 --out claims
    python -m benchmarks.claims --show --out claims          # the tables of what is there, measuring nothing

Each seed is a world, data, and training of its own. Numbers are kept as JSON lines in --out as they come; the
same command goes on where it was stopped. What is printed is what was measured, also where a paper's claim
does not hold. None of it is a result on the papers' data.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims_table import Bench, Results, System
from cinescribe.errors import CinescribeError, UsageError


def systems(names: str) -> list[System]:
    """The systems of a list with commas.

    Raises:
        UsageError: there is none of a name.
    """
    from benchmarks import (
        claims_autoad,
        claims_ce,
        claims_ctsan,
        claims_jsfusion,
        claims_prompt,
        claims_tan,
    )

    modules = (claims_tan, claims_autoad, claims_ce, claims_prompt, claims_jsfusion, claims_ctsan)
    known = {module.SYSTEM.name: module.SYSTEM for module in modules}
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in known]:
        raise UsageError(f"no system {unknown[0]!r}; there are: {', '.join(known)}")
    return [known[name] for name in chosen]


def measure(results: Results, parts: Sequence[str], given: argparse.Namespace) -> None:
    """Measure what is missing of some parts."""
    system, scorer = results.system, None
    if given.bertscore:
        from cinescribe.metrics.bertscore import BertScore, read_baseline

        scorer = BertScore(given.bertscore, 17, read_baseline(given.bertscore_baseline, 17))
    for part in parts:
        for seed in given.seeds:
            place = results.folder / f"seed{seed}"
            bench = Bench(place, seed, system.sizes[given.size], given.threads, scorer)
            for row in system.parts[part]:
                if (row, seed) in results.found:
                    continue
                began = time.process_time()
                numbers = system.measure(row, bench)
                results.add(row, seed, numbers, time.process_time() - began)
                told = "  ".join(f"{name} {value:.1f}" for name, value in numbers.items())
                print(f"{part}  seed {seed}  {row}  {told}", flush=True)


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--systems", default="tan,autoad", help="with commas (default %(default)s)")
    p.add_argument("--part", action="append", help="one of them alone; may be given again (default all)")
    p.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    p.add_argument(
        "--out", type=Path, default=Path("out/claims"), help="results, data, models (default %(default)s)"
    )
    p.add_argument("--size", choices=["small", "tiny"], default="small", help="tiny only shows that it runs")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--bertscore", default="", metavar="MODEL", help="roberta-large: a folder or repository")
    p.add_argument(
        "--bertscore-baseline", type=Path, metavar="FILE", help="its table, needed with --bertscore"
    )
    p.add_argument("--show", action="store_true", help="print the tables of what is there")
    given = p.parse_args(argv)
    if given.bertscore and given.bertscore_baseline is None:
        p.error("--bertscore also needs --bertscore-baseline, bert_score's en/roberta-large.tsv")
    return given


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    given = parsed(argv)
    try:
        chosen = systems(given.systems)
        parts = {part for system in chosen for part in system.parts}
        if unknown := set(given.part or ()) - parts:
            raise UsageError(f"no part {min(unknown)!r}; there are: {', '.join(sorted(parts))}")
        for system in chosen:
            results = Results(given.out, system, given.size)
            wanted = [part for part in system.parts if given.part is None or part in given.part]
            if not given.show:
                measure(results, wanted, given)
            if given.show or wanted:
                print(f"\n{results.tables()}\n\n{system.note(system.sizes[given.size])}", flush=True)
    except CinescribeError as error:
        print(f"benchmarks.claims: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
