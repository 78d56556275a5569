"""Requests and faults as JSON lines. Neither keys nor what was asked is written: queries may be private."""

import json
import logging
import sys
import time
import traceback
from typing import Any

from starlette.requests import Request

_logger = logging.getLogger("cinescribe.serve")


def open_log(path: str) -> None:
    """Write the log to the file at `path`, or to standard error."""
    handler = logging.FileHandler(path, encoding="utf-8") if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for old in _logger.handlers[:]:
        _logger.removeHandler(old)
        old.close()
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


def line(event: str, **facts: Any) -> None:
    """One line: the time (UTC), what happened, and the facts of it."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    _logger.info("%s", json.dumps({"time": now, "event": event, **facts}, ensure_ascii=True, default=str))


def failure(request: Request, error: BaseException) -> None:
    """The fault behind a reply, with its stack: for the operator, never for the client."""
    line(
        "fault",
        request_id=getattr(request.state, "request_id", ""),
        kind=type(error).__name__,
        message=(str(error).splitlines() or [""])[-1][:500],  # of Ray's the last line is the error's own
        stack=traceback.format_exception(error),
    )
