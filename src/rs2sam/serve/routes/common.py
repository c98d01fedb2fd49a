"""What the addresses share: the service behind them, records as they are shown, waiting without end in sight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import Any, TypeVar, cast

import anyio
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.responses import Response

from rs2sam.serve.asking.desk import Ticket
from rs2sam.serve.images.record import ImageRecord
from rs2sam.serve.jobs.records import JobRecord
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.schemas import ImageBody, ImageLinks, JobBody, JobFile, JobLinks, ProblemBody, Progress
from rs2sam.serve.service import Service

Value = TypeVar("Value")

_LOOK_S = 0.02
_NUM_THREADS = 4
_KINDS = {
    "_mask.tif": ("mask", "image/tiff"),
    "_mask.png": ("mask_png", "image/png"),
    "_classes.tif": ("classes", "image/tiff"),
    "_polygons.gpkg": ("polygons", "application/geopackage+sqlite3"),
    "_polygons.geojson": ("polygons", "application/geo+json"),
    "_preview.png": ("preview", "image/png"),
    "_result.json": ("result", "application/json"),
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Descriptions of the problems that an address answers with, beside those that every address may."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    all_statuses = sorted({400, 401, 403, 415, 429, 503, *statuses})
    return {status: {"description": "A problem", "model": ProblemBody, "content": content} for status in all_statuses}


def service_of(request: Request) -> Service:
    """The service behind a request."""
    return cast(Service, request.app.state.service)


async def in_thread(request: Request, work: Callable[..., Value], *values: Any) -> Value:
    """Do work that takes processor or disk in a thread; few at once, the others wait."""
    state = request.app.state
    if not hasattr(state, "limiter"):
        state.limiter = anyio.CapacityLimiter(_NUM_THREADS)
    return await run_sync(partial(work, *values), limiter=state.limiter)


async def ready_image(request: Request, image_id: str, wait_s: float) -> ImageRecord:
    """An image once it is ready or has failed, at the latest after a while."""
    library = service_of(request).library
    until = asyncio.get_running_loop().time() + wait_s
    while True:
        record = library.get(image_id)
        if record.state in ("ready", "failed", "uploading") or asyncio.get_running_loop().time() >= until:
            return record
        await asyncio.sleep(_LOOK_S)


async def usable_image(request: Request, image_id: str) -> ImageRecord:
    """An image that can be asked about.

    Raises:
        ProblemError: there is none, or it is not, or not yet.
    """
    limits = service_of(request).settings.limits
    record = await ready_image(request, image_id, limits.interactive_s / 2)
    if record.state == "failed":
        detail = (record.error or {}).get("detail", "It could not be read.")
        raise ProblemError("conflict", f"The image cannot be used: {detail}")
    if record.state != "ready":
        raise ProblemError("conflict", f"The image is not ready: its state is {record.state!r}.", retry_after=2)
    return record


async def answer_of(request: Request, ticket: Ticket[Value]) -> Value:
    """Wait for an answer, as long as somebody waits for it and no longer than is allowed.

    Raises:
        ProblemError: it took too long.
    """
    limit = service_of(request).settings.limits.interactive_s
    done = asyncio.wrap_future(ticket.done)
    until = asyncio.get_running_loop().time() + limit
    try:
        while not done.done():
            await asyncio.wait([done], timeout=0.5)
            if done.done():
                break
            if await request.is_disconnected():
                raise ProblemError("timeout", "Nobody waits for the answer any longer.")
            if asyncio.get_running_loop().time() >= until:
                raise ProblemError(
                    "timeout", f"An answer has to come within {limit:g} s, but it did not. Send a job: POST /v1/jobs."
                )
        return done.result()
    except asyncio.CancelledError as error:
        if asyncio.current_task() is not None and done.cancelled():
            raise ProblemError("unavailable", "The service ends.", retry_after=5) from error
        raise
    finally:
        if not done.done():
            ticket.give_up()
            done.cancel()


def image_body(service: Service, record: ImageRecord) -> ImageBody:
    """An image as it is shown."""
    facts, address = record.facts, f"/v1/images/{record.id}"
    is_placed = facts is not None and facts.corners is not None
    return ImageBody(
        id=record.id,
        state=record.state,
        name=record.name,
        bytes=record.bytes,
        received=record.received,
        width=None if facts is None else facts.width,
        height=None if facts is None else facts.height,
        is_georeferenced=None if facts is None else facts.is_georeferenced,
        crs=None if facts is None else facts.crs,
        pixel_size_m=None if facts is None else facts.pixel_size_m,
        corners=None if facts is None else facts.corners,
        bounds=None if facts is None else facts.bounds,
        is_interactive=None if facts is None else service.library.is_interactive(record),
        num_views=record.num_views,
        warnings=[] if facts is None else list(facts.warnings),
        error=record.error,
        created=moment(record.created),
        expires=moment(record.used + service.settings.limits.keep_s),
        links=ImageLinks(
            self=address,
            segment=f"{address}/segment",
            regions=f"{address}/regions",
            export=f"{address}/export",
            preview=f"{address}/preview.png",
            tilejson=f"{address}/tilejson.json" if is_placed else None,
            tiles=f"{address}/tiles/{{z}}/{{x}}/{{y}}.png" if is_placed else None,
        ),
    )


def job_body(service: Service, record: JobRecord) -> JobBody:
    """A job as it is shown."""
    address, live = f"/v1/jobs/{record.id}", service.jobs.live(record.id)
    done, total = record.done, record.total
    if live is not None and live.total is not None:
        done, total = live.done, live.total
    has_picture = record.state == "done" or (live is not None and live.picture is not None)
    return JobBody(
        id=record.id,
        image=record.image_id,
        state=record.state,
        sentences=record.request["sentences"],
        progress=Progress(
            done=done, total=total, fraction=1.0 if record.state == "done" else done / total if total else 0.0
        ),
        queue_position=service.records.position(record.id),
        error=record.error,
        result=record.result,
        files=_files(service, record),
        created=moment(record.created),
        started=None if record.started is None else moment(record.started),
        finished=None if record.finished is None else moment(record.finished),
        expires=None if record.finished is None else moment(record.finished + service.settings.limits.keep_s),
        links=JobLinks(
            self=address, events=f"{address}/events", preview=f"{address}/preview.png" if has_picture else None
        ),
    )


def _files(service: Service, record: JobRecord) -> list[JobFile]:
    """The files of a finished job."""
    if record.state != "done":
        return []
    folder = service.jobs.results(record.id)
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith(".") and path.is_file():
            kind, media_type = kind_of(path.name)
            href = f"/v1/jobs/{record.id}/files/{path.name}"
            found.append(
                JobFile(name=path.name, kind=kind, bytes=path.stat().st_size, media_type=media_type, href=href)
            )
    return found


def kind_of(name: str) -> tuple[str, str]:
    """What a file of results is, and its media type."""
    for ending, known in _KINDS.items():
        if name.endswith(ending):
            return known
    return "mask_png" if "_mask_" in name and name.endswith(".png") else "other", "application/octet-stream"


def moment(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def png(content: bytes, *, keep_s: int = 0) -> Response:
    """A picture; kept by the browser alone."""
    headers = {"Cache-Control": f"private, max-age={keep_s}"} if keep_s else {}
    return Response(content, headers=headers, media_type="image/png")
