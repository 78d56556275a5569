"""What a parser promises of any bytes: it returns, or raises an error of the library that names the file."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cinescribe.errors import CinescribeError

CORPUS = Path(__file__).with_name("corpus")
Outcome = Literal["read", "refused"]


@dataclass(frozen=True, slots=True)
class Parser:
    """A parser, and how it is given its input.

    Attributes:
        name: of its folder in the corpus.
        file: name that the input is given; an error has to hold it ("" where there is no file).
        read: reads the file at a path; asserts what else it promises, such as that what was read can be
            written and read again.
        prepare: writes what has to lie beside the input into the folder, once.
        names_folder: the error may name the folder instead, of which the file is a part.
        values_only: it is JSON, and stays so when it is changed, with no number that asks for all memory.
    """

    name: str
    file: str
    read: Callable[[Path], object]
    prepare: Callable[[Path], object] = lambda folder: None
    names_folder: bool = False
    values_only: bool = False

    def kept(self) -> list[Path]:
        """The files of its corpus: `read-...` must be read, `refused-...` refused, `odd-...` either."""
        return sorted((CORPUS / self.name).iterdir())


class Broken(AssertionError):
    """A parser did not do what it promises.

    Attributes:
        place: file and line where it went wrong, and how; the same for inputs that show the same fault.
    """

    def __init__(self, parser: Parser, error: BaseException) -> None:
        self.place = _place(error)
        super().__init__(f"{parser.name}: {self.place}: {str(error)[:300]}")


def check(parser: Parser, data: bytes, folder: Path) -> Outcome:
    """Give a parser an input in a folder that it was prepared for. Raises Broken."""
    path = folder / parser.file if parser.file else folder / "input"
    path.write_bytes(data)
    try:
        parser.read(path)
    except CinescribeError as error:
        named = str(folder) if parser.names_folder else parser.file
        if named not in str(error):
            raise Broken(parser, AssertionError(f"the error does not name {named}: {error}")) from error
        return "refused"
    except Exception as error:
        raise Broken(parser, error) from error
    return "read"


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    where = ours[-1] if ours else None
    return f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}" if where else repr(error)
