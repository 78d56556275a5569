"""The HTTP application: the routes of its parts, the page, and what watches over them."""

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.security import APIKeyCookie, HTTPBearer
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from cinescribe import __version__
from serve import captions, descriptions, films, log, reference, replies, searches
from serve.access import COOKIE, PAGE, SESSION_SECONDS, Access, Keys
from serve.catalog import Catalog
from serve.decoding import Decoder
from serve.describing import Describer
from serve.finding import Finder
from serve.gate import App, Gate, Limits
from serve.metrics import Metrics
from serve.replies import declared, refusal
from serve.schemas import SessionRequest, State
from serve.settings import Settings
from serve.thumbnails import Thumbnails


def guarded(
    settings: Settings, finder: Finder, replica: str = "0", describer: Describer | None = None
) -> App:
    """The whole service as an ASGI application: the gate, who may ask, and the routes."""
    log.open_log(settings.log)
    keys, metrics = Keys(settings), Metrics(replica)
    app = application(settings, finder, keys, metrics, describer)
    limits = Limits(upload=settings.upload_bytes, upload_seconds=settings.upload_seconds)
    return Gate(Access(app, settings, keys, metrics), limits)


def application(
    settings: Settings, finder: Finder, keys: Keys, metrics: Metrics, describer: Describer | None = None
) -> FastAPI:
    """The routes."""
    app = FastAPI(
        title="cinescribe",
        version=__version__,
        description="Find the moment of a film where something is said, described or seen.",
        docs_url=None,  # FastAPI's page loads scripts from elsewhere
        redoc_url=None,
    )
    replies.install(app)
    decoder = Decoder(settings.decode_seconds, settings.pixels, settings.clip_seconds)
    catalog = Catalog(settings.root, settings.refresh_seconds)
    known = [Depends(HTTPBearer(auto_error=False)), Depends(APIKeyCookie(name=COOKIE, auto_error=False))]
    app.include_router(searches.router(finder, decoder, metrics, settings), dependencies=known)
    pictures = Thumbnails(settings, decoder)
    generated = descriptions.Descriptions(settings.root, catalog, settings.refresh_seconds)
    app.include_router(films.router(catalog, generated, pictures, settings), dependencies=known)
    app.include_router(descriptions.router(generated), dependencies=known)
    app.include_router(captions.router(describer, catalog, decoder, settings), dependencies=known)
    _add_sessions(app, keys)
    _add_state(app, finder, metrics, describer is not None)

    @app.exception_handler(ClientDisconnect)
    async def _(_: Request, __: ClientDisconnect) -> Response:
        return Response(None, 400)  # nobody is there to read it

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(reference.page(app.openapi()))

    @app.get("/docs/style.css", include_in_schema=False)
    def style() -> Response:
        return Response(reference.STYLE, media_type="text/css")

    app.mount("/page", _Page(directory=PAGE))
    app.mount("/", _Page(directory=PAGE, html=True))
    return app


class _Page(StaticFiles):
    """The page's files, asked for anew each time: a new version shows at once."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        reply = await super().get_response(path, scope)
        reply.headers["cache-control"] = "no-cache"
        return reply


def _add_sessions(app: FastAPI, keys: Keys) -> None:
    @app.post(
        "/v1/session",
        status_code=204,
        tags=["session"],
        responses=declared(401, 403, 422),
        summary="Exchange a key for a session cookie, as the page does",
    )
    def open_session(asked: SessionRequest, request: Request) -> Response:
        reply = Response(status_code=204)
        if not keys.asked:
            return reply
        if not keys.knows(asked.key):
            raise refusal(401, "key", "that is none of the keys", {"WWW-Authenticate": "Bearer"})
        reply.set_cookie(
            COOKIE,
            keys.session(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https",
        )
        return reply

    @app.delete("/v1/session", status_code=204, tags=["session"], summary="End the session")
    def end_session() -> Response:
        reply = Response(status_code=204)
        reply.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return reply


def _add_state(app: FastAPI, finder: Finder, metrics: Metrics, captions_there: bool) -> None:
    @app.get("/healthz", tags=["state"], summary="Whether the service is alive")
    async def alive() -> State:
        return State(status="alive")

    @app.get("/readyz", tags=["state"], responses=declared(503), summary="Whether it can answer")
    async def ready() -> State:
        try:
            state = await finder.state()
        except Exception as error:
            raise refusal(503, "not-ready", "the index can't be asked yet", {"Retry-After": "1"}) from error
        return State(status="ready", films=state.films, rows=dict(state.rows), captions=captions_there)

    @app.get("/metrics", tags=["state"], responses=declared(401), response_class=Response)
    async def measured() -> Response:
        """Counters in Prometheus' text form."""
        try:
            state = await finder.state()
            text = metrics.text(state.films, dict(state.rows))
        except Exception:
            text = metrics.text(0, {})
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
