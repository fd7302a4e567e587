"""The application: API, pages, guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from kinprint._version import __version__
from kinprint.errors import BusyError, KinprintError, UnknownError, printable
from kinprint.server import api, pages, resumed
from kinprint.server.guard import Guard
from kinprint.server.service import Service
from kinprint.server.settings import Settings

CONNECTIONS = 500
"""At once; further ones are answered with 503."""

STATUS: dict[type[KinprintError], int] = {UnknownError: 404, BusyError: 429}
"""Of errors; others are inputs that cannot be used."""


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application over one library.

    Raises:
        LibraryError: the library cannot be opened.
    """
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        resumed.resume(service)
        yield
        service.close()

    app = FastAPI(
        title="kinprint",
        version=__version__,
        description="Paternity tests for language models, over a library of fingerprints.",
        docs_url=None,  # that page loads scripts from elsewhere; `/docs` is one of ours
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(api.router)
    app.include_router(pages.router)
    app.add_middleware(Guard, settings=settings, metrics=service.metrics)
    app.add_exception_handler(KinprintError, _unusable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _refused)
    return app


async def _unusable(request: Request, error: Exception) -> Response:
    assert isinstance(error, KinprintError)
    return _answer(request, STATUS.get(type(error), 422), str(error))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()[:5]]
    return _answer(request, 422, printable("; ".join(problems), 500))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    return _answer(request, error.status_code, str(error.detail), dict(error.headers or {}))


def _answer(request: Request, status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    """An error as people or as programs read it."""
    if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error": text}, status, headers)
    return pages.problem(request, status, text)


def run(app: Any, host: str, port: int) -> None:
    """Serve until interrupted."""
    import uvicorn

    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        server_header=False,
        h11_max_incomplete_event_size=32_768,
        limit_concurrency=CONNECTIONS,
    )
