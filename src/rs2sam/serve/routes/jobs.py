"""Scenes as jobs: sent, watched, cancelled, their files fetched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import FileResponse, JSONResponse, Response

from rs2sam.serve.images.record import ImageRecord
from rs2sam.serve.jobs.records import JobRecord
from rs2sam.serve.jobs.runner import PREVIEW, scene_request
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.routes.common import in_thread, job_body, kind_of, png, problems, service_of, usable_image
from rs2sam.serve.schemas import JobBody, JobList, JobRequest, checked_sentences
from rs2sam.serve.service import Service

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_LOOK_S = 0.25
_PICTURE_S = 1.0
"""A stream has a new picture at most this often."""


@router.post(
    "", status_code=202, response_model=JobBody, responses={200: {"model": JobBody}, **problems(404, 409, 422)}
)
async def add_job(
    request: Request,
    asked: JobRequest,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=128)] = None,
) -> Response:
    """Have a scene of any size answered; the same Idempotency-Key gives the same job."""
    service = service_of(request)
    checked_sentences(asked.sentences, service.settings.limits)
    image = await usable_image(request, asked.image)
    sent = asked.model_dump(include={"sentences", "options", "outputs"})
    await in_thread(request, _check, service, image, sent)
    record, is_new = service.records.add(asked.image, sent, idempotency_key)
    service.library.touch(asked.image)
    service.jobs.wake()
    headers = {"Location": f"/v1/jobs/{record.id}"}
    return JSONResponse(job_body(service, record).model_dump(), 202 if is_new else 200, headers)


@router.get("", response_model=JobList, responses=problems())
async def list_jobs(request: Request) -> JobList:
    """The newest jobs, the newest first."""
    service = service_of(request)
    return JobList(jobs=[job_body(service, record) for record in service.records.newest()])


@router.get("/{job_id}", response_model=JobBody, responses=problems(404))
async def get_job(request: Request, job_id: str) -> JobBody:
    """How far a job has come, and its files."""
    service = service_of(request)
    return job_body(service, service.records.get(job_id))


@router.delete("/{job_id}", response_model=JobBody, responses={204: {"description": "Removed"}, **problems(404)})
async def delete_job(request: Request, job_id: str) -> Response:
    """Cancel a job that waits or runs; remove one that is finished, with its files."""
    service = service_of(request)
    if service.records.get(job_id).is_finished:
        await in_thread(request, service.jobs.remove, job_id)
        return Response(status_code=204)
    service.jobs.cancel(job_id)
    return JSONResponse(job_body(service, service.records.get(job_id)).model_dump())


@router.get("/{job_id}/preview.png", response_class=Response, responses=problems(404))
async def job_picture(request: Request, job_id: str) -> Response:
    """What was found so far, or in the end, in colours over nothing."""
    service = service_of(request)
    service.records.get(job_id)
    live = service.jobs.live(job_id)
    if live is not None and live.picture is not None:
        return png(await in_thread(request, live.picture.png))
    try:
        return png((service.jobs.folder / job_id / PREVIEW).read_bytes())
    except OSError as error:
        raise ProblemError("not-found", "There is no picture of this job yet, or none any longer.") from error


@router.get("/{job_id}/files/{name}", response_class=Response, responses=problems(404))
async def job_file(request: Request, job_id: str, name: str) -> Response:
    """A file of a finished job."""
    service = service_of(request)
    body = job_body(service, service.records.get(job_id))
    if name not in {file.name for file in body.files}:
        raise ProblemError("not-found", f"The job has no file {name[:100]!r}.")
    path = service.jobs.results(job_id) / name
    return FileResponse(path, media_type=kind_of(name)[1], filename=name)


async def _known_job(request: Request, job_id: str) -> None:
    """Refuse an id that no job has, before a stream of its events has begun."""
    service_of(request).records.get(job_id)


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses=problems(404),
    dependencies=[Depends(_known_job)],
)
async def job_events(request: Request, job_id: str) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events `state`, `progress` and `preview`, to the job's end."""
    service = service_of(request)
    number = 0
    async for kind, data in _changes(service, job_id):
        number += 1
        yield ServerSentEvent(event=kind, id=str(number), data=data)


async def _changes(service: Service, job_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """What happens to a job, each change once."""
    state: tuple[str, int | None] | None = None
    done, version, pictured = -1, 0, 0.0
    while True:
        try:
            record = service.records.get(job_id)
        except ProblemError:  # removed while it was watched
            return
        body = job_body(service, record)
        if state != (record.state, body.queue_position):
            state = record.state, body.queue_position
            yield "state", body.model_dump()
        if record.is_finished:
            return
        if not service.is_ready:
            return
        live = service.jobs.live(job_id)
        if live is not None and body.progress.done != done:
            done = body.progress.done
            elapsed = round(time.monotonic() - live.since, 1)
            yield "progress", {**body.progress.model_dump(), "elapsed_s": elapsed, "remaining_s": live.remaining_s}
        picture = None if live is None else live.picture
        if picture is not None and picture.version != version and time.monotonic() - pictured >= _PICTURE_S:
            version, pictured = picture.version, time.monotonic()
            yield "preview", {"href": f"/v1/jobs/{job_id}/preview.png?v={version}"}
        await asyncio.sleep(_LOOK_S)


def _check(service: Service, image: ImageRecord, sent: dict[str, Any]) -> None:
    """Refuse options that the engine would refuse later.

    Raises:
        InvalidInputError: one of them is out of range.
    """
    now = time.time()
    record = JobRecord("j_new", image.id, "queued", sent, 0, None, 0, None, None, now, None, None)
    scene_request(record, image, service.jobs.folder / "j_new", service.settings)
