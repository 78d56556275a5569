"""Requests and faults as JSON lines. Neither keys nor what was asked is written: queries may be private."""

import traceback

from starlette.requests import Request

from cinescribe.log import line, open_log

__all__ = ["failure", "line", "open_log"]


def failure(request: Request, error: BaseException) -> None:
    """The fault behind a reply, with its stack: for the operator, never for the client."""
    line(
        "fault",
        request_id=getattr(request.state, "request_id", ""),
        kind=type(error).__name__,
        message=(str(error).splitlines() or [""])[-1][:500],  # of Ray's the last line is the error's own
        stack=traceback.format_exception(error),
    )
