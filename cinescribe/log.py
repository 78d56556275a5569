"""What happens, for programs to read: one JSON object a line, the same fields in pipelines and service.

`time` (UTC) and `event` are in every line; `film_id`, `stage`, `kind`, `message` and `seconds` mean the same
wherever they are. Keys, secrets and what people ask for are never given to it.
"""

import json
import logging
import sys
import time
from typing import Any

_logger = logging.getLogger("cinescribe.events")
_common: dict[str, str] = {}  # what all lines of the open log have


def open_log(path: str, **common: str) -> None:
    """Add lines, all with `common`, to the file at `path` from now on, or, where it is "", to stderr."""
    handler = logging.FileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    _common.clear()
    _common.update(common)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for old in _logger.handlers[:]:
        _logger.removeHandler(old)
        old.close()
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def line(event: str, **facts: Any) -> None:
    """One line: the time, what happened, and the facts of it. Nothing where no log was opened."""
    if _logger.isEnabledFor(logging.INFO):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _logger.info(
            "%s",
            json.dumps({"time": now, "event": event, **_common, **facts}, ensure_ascii=True, default=str),
        )
