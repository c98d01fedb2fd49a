"""The application: addresses, the page, and the guard around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from rs2sam.serve.guards import Guard
from rs2sam.serve.problems import ProblemError, add_handlers
from rs2sam.serve.routes import about, images, jobs, questions
from rs2sam.serve.schemas import ImageSourceRequest
from rs2sam.serve.service import Service
from rs2sam.versions import versions

_ABOUT = (
    "One sentence and one aerial or satellite image in, the mask of what the sentence names out. Errors are problem "
    "details (RFC 9457). Coordinates of pixels are columns and rows from the upper left corner."
)


def create_app(service: Service) -> ASGIApp:
    """The application of a service; it starts the service with itself, and ends it.

    Args:
        service: what answers.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            yield
        finally:
            service.stop()

    app = FastAPI(
        title="rs2sam",
        version=versions().get("rs2sam") or "0",
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # its scripts come from elsewhere, which the content policy forbids
        redoc_url=None,
    )
    app.state.service = service
    add_handlers(app)
    for module in (about, images, questions, jobs):
        app.include_router(module.router)
    _describe(app)
    _add_page(app, Path(str(files("rs2sam.serve"))) / "page")
    return Guard(app, service.settings, service.metrics)


def _describe(app: FastAPI) -> None:
    """Have the description hold the body of `POST /v1/images` too, which is read by hand: it may be a form or JSON."""
    made = app.openapi
    reference = "#/components/schemas/{model}"

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = made()["components"]["schemas"]
            source = ImageSourceRequest.model_json_schema(ref_template=reference)
            schemas.update(source.pop("$defs", {}))
            schemas["ImageSourceRequest"] = source
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add_page(app: FastAPI, folder: Path) -> None:
    """Serve the page, where it is part of the package."""
    index = folder / "index.html"
    if not index.is_file():

        @app.get("/", include_in_schema=False)
        async def nothing() -> Response:
            return JSONResponse({"service": "rs2sam", "description": "/openapi.json"})

        return

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    app.mount("/page", _Static(directory=folder), name="page")

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon(request: Request) -> Response:
        for name in ("favicon.ico", "icon.svg", "favicon.svg"):
            if (folder / name).is_file():
                return FileResponse(folder / name)
        raise ProblemError("not-found", "There is no icon.")


class _Static(StaticFiles):
    """Files of the page; the browser asks each time whether they have changed."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """A file with its ETag."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response
