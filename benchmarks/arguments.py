"""Arguments that several benchmarks take."""

import argparse
from pathlib import Path


def folder(text: str) -> Path:
    """The absolute path of a folder, made where it is not there; refused with a reason where it can't be."""
    path = Path(text).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: can't be a folder: {error.strerror}") from error
    return path
