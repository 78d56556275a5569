"""`cinescribe train`: fit a model of the papers."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Sequence

from cinescribe import storage
from cinescribe.errors import CinescribeError
from train import recipes
from train.settings import Settings

_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, train, and say where the model is; 2 with one message when a user can mend it."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv[:1] == ["curves"]:
            from train import curves

            return curves.main(argv[1:])
        return _train(argv)
    except (CinescribeError, OSError) as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cinescribe: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130


def _train(argv: Sequence[str]) -> int:
    name = argv[0] if argv and not argv[0].startswith("-") else ""
    if not name:
        _overview().parse_args(argv or ["--help"])
    arguments = vars(parser(name).parse_args(argv[1:]))
    own = {field.name for field in dataclasses.fields(recipes.kind(name).Options)}
    options = {option: value for option, value in arguments.items() if option in own and value is not None}
    rest = {entry: value for entry, value in arguments.items() if entry not in own and value is not None}
    for address in ("data", "out"):  # a worker may stand in another folder
        rest[address] = rest[address] if storage.is_s3(rest[address]) else os.path.abspath(rest[address])
    if "parts" not in rest:
        rest["parts"] = _parts(rest["out"], rest.get("workers", (1, 1))[1])
    from train import launch

    settings = Settings(recipe=name, options=options, **rest)
    progress = launch.run(settings)
    if not settings.quiet:
        print(f"{progress.step} steps; the last model: {storage.join(settings.out, 'last')}")
        if progress.best_step >= 0:
            best = storage.join(settings.out, "best")
            held_out = json.loads(storage.read_bytes(storage.join(best, "metrics.json")))
            told = ", ".join(f"{name} {value:.4g}" for name, value in held_out.items() if name != "step")
            print(f"best after {progress.best_step}: {best}\non what was held out: {told}")
    return 0


def _parts(out: str, workers: int) -> int:
    """Those of the run that is there, else one for each worker."""
    from train import folder

    known = folder.settings_of(out)
    return int(known["parts"]) if known else max(1, workers)


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, recipes.RECIPES))
    lines = [f"  {name:{width}} {about}" for name, (about, _) in recipes.RECIPES.items()]
    return argparse.ArgumentParser(
        prog="cinescribe train",
        usage="cinescribe train RECIPE --data DIR --out DIR [--name value ...]\n"
        "       cinescribe train RECIPE --help\n       cinescribe train curves RUN... --out FILE.png",
        description="Fit a model of the papers.\n\nrecipes:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def parser(name: str) -> argparse.ArgumentParser:
    """The arguments of a recipe, run and own ones."""
    p = argparse.ArgumentParser(
        prog=f"cinescribe train {name}", description=f"{recipes.RECIPES.get(name, ('',))[0]}"
    )
    p.add_argument("--data", required=True, metavar="DIR", help="folder or s3://bucket/prefix")
    p.add_argument(
        "--out", required=True, metavar="DIR", help="of the run, a folder or s3://; given again, it goes on"
    )
    run = p.add_argument_group("the run")
    run.add_argument(
        "--workers",
        type=_workers,
        metavar="N or A-B",
        help="processes, each a GPU if any; A-B takes what the cluster has; 0 trains in this process",
    )
    run.add_argument(
        "--parts",
        type=_positive,
        metavar="N",
        help="a batch is computed in so many parts (accumulated, or by several workers); default: one a "
        "worker",
    )
    run.add_argument("--seed", type=int, metavar="N", help="of the order and all that is random (default 0)")
    run.add_argument("--precision", choices=["auto", "float32", "bf16"], help="default: bf16 on GPUs")
    run.add_argument("--threads", type=_positive, metavar="N", help="of each worker")
    for flag, about in (
        ("--max-steps", "stop there, the schedule as it is"),
        ("--log-every", "steps"),
        ("--evaluate-every", "steps"),
        ("--checkpoint-every", "steps"),
        ("--max-failures", "of workers, before the run gives up"),
    ):
        default = _DEFAULTS[flag[2:].replace("-", "_")]
        told = f" (default {default})" if default else ""
        run.add_argument(flag, type=_positive, metavar="N", help=about + told)
    run.add_argument(
        "--address", metavar="ADDRESS", help="a running Ray cluster; else RAY_ADDRESS, else this machine"
    )
    run.add_argument("--quiet", action="store_true", help="say nothing but errors")
    own = p.add_argument_group("the recipe, by default as in the paper")
    for field in dataclasses.fields(recipes.kind(name).Options):
        shown = "none" if field.default == "" else field.default
        own.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=_boolean if isinstance(field.default, bool) else type(field.default),
            metavar=type(field.default).__name__,
            help=f"{field.metadata['help']} (default {shown})".replace("%", "%%"),
        )
    return p


def _workers(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    least, most = int(first), int(last or first)
    if least < 0 or most < least or (least == 0 and most):
        raise argparse.ArgumentTypeError("a number, or a range such as 1-4")
    return least, most


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _boolean(text: str) -> bool:
    known: dict[str, bool] = {"yes": True, "true": True, "no": False, "false": False}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError("yes or no")
    return known[text.lower()]
