"""Who may ask, and what every reply carries; also where requests are counted and logged."""

import hmac
import time
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser

from serve import log
from serve.gate import App, Message, Receive, Scope, Send
from serve.metrics import Metrics
from serve.replies import error_body
from serve.settings import Settings

COOKIE = "cinescribe_session"
SESSION_SECONDS = 12 * 3600
PAGE = Path(__file__).with_name("page")
# All that needs no key, besides the page's files: whatever is not named here is guarded.
_OPEN = {"/", "/docs", "/docs/style.css", "/openapi.json", "/healthz", "/readyz", "/v1/session"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' "
    "blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Keys:
    """The API keys, as hashes, and the sessions that were opened with them."""

    def __init__(self, settings: Settings) -> None:
        self._hashes = [bytes.fromhex(known) for known in settings.key_hashes]
        self._secret = settings.session_secret.encode()

    @property
    def asked(self) -> bool:
        """Whether a key is needed at all."""
        return bool(self._hashes)

    def knows(self, key: str) -> bool:
        """Whether a key is one of those given; takes as long for a wrong one."""
        hashed = sha256(key.encode("utf-8", "surrogatepass")).digest()
        return sum(hmac.compare_digest(hashed, known) for known in self._hashes) > 0

    def session(self) -> str:
        """The value of a fresh session's cookie."""
        until = str(int(time.time()) + SESSION_SECONDS)
        return f"{until}.{self._signed(until)}"

    def holds(self, cookie: str) -> bool:
        """Whether a cookie is of a session that goes on."""
        until, _, signature = cookie.partition(".")
        right = hmac.compare_digest(signature.encode("utf-8", "replace"), self._signed(until).encode())
        return right and until.isdigit() and int(until) > time.time()

    def _signed(self, until: str) -> str:
        return hmac.new(self._secret, until.encode("utf-8", "replace"), sha256).hexdigest()


class Access:
    """ASGI middleware inside the gate: names, origins, keys; headers, log and metrics of each reply."""

    def __init__(self, app: App, settings: Settings, keys: Keys, metrics: Metrics) -> None:
        self._app, self._names, self._keys, self._metrics = app, settings.names, keys, metrics
        files = (path for path in PAGE.rglob("*") if path.is_file())
        self._open = _OPEN | {f"/{path.relative_to(PAGE).as_posix()}" for path in files}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection as ASGI asks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = request.headers.get("x-request-id", "")
        began, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/v1/"):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        self._metrics.in_flight.inc()
        try:
            refused = self._refused(request)
            await (refused or self._app)(scope, receive, answer)
        except Exception as error:
            if not status:
                raise
            if status != 500:  # broke off inside a reply; a 500 was logged where it was made
                log.failure(request, error)
        finally:
            self._metrics.in_flight.dec()
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.observe(route, scope["method"], status, seconds)
            log.line(
                "request",
                request_id=request.state.request_id,
                method=scope["method"],
                route=route,
                film_id=scope.get("path_params", {}).get("film_id", ""),
                status=status,
                seconds=round(seconds, 4),
            )

    def _refused(self, request: Request) -> Response | None:
        """The reply to a request that may not go on."""
        host = request.headers.get("host", "")
        if self._names and _name(host) not in self._names:
            return _error(request, 403, "host", "the service does not answer to that name; see --name")
        if request.method not in ("GET", "HEAD", "OPTIONS") and _is_cross_site(request.headers, host):
            return _error(request, 403, "cross-site", "requests from other sites' pages are refused")
        if not self._keys.asked or request.scope["path"] in self._open:
            return None
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._keys.knows(key.strip()):
            return None
        cookie = cookie_parser(request.headers.get("cookie", "")).get(COOKIE, "")
        if not scheme and cookie and self._keys.holds(cookie):
            return None
        wrong = bool(scheme or cookie)
        challenge = 'Bearer realm="cinescribe"' + (', error="invalid_token"' if wrong else "")
        message = "the key or session is not valid (any more)" if wrong else "a key is needed"
        return _error(request, 401, "key", message, {"www-authenticate": challenge})


def _error(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(error_body(code, message, request.state.request_id), status, headers)


def _name(host: str) -> str:
    """The name of a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_cross_site(headers: Headers, host: str) -> bool:
    """Whether a browser says that another site's page sent this; programs say nothing."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and _netloc(origin) != host.lower()


def _netloc(origin: str) -> str:
    """Host and port of an Origin header, "" when it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
