"""Images: sent whole, in pieces, by path or taken from the examples; shown as a picture and as tiles."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.responses import JSONResponse, Response

from rs2sam.serve.images.intake import below_root
from rs2sam.serve.images.record import ImageRecord
from rs2sam.serve.images.tiles import preview_of, preview_png, tile_png, tilejson
from rs2sam.serve.problems import ProblemError, pointer_to
from rs2sam.serve.routes.common import image_body, in_thread, png, problems, ready_image, service_of, usable_image
from rs2sam.serve.schemas import ImageBody, ImageSourceRequest, Reading
from rs2sam.serve.service import Service

router = APIRouter(prefix="/v1/images", tags=["images"])

PIECE = "application/offset+octet-stream"
FILE_FIELDS = ("file", *Reading.model_fields)
"""Of a form with an image."""

_WRITE_BYTES = 1_000_000
_SHOWN_S = 3600

_SOURCES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "bands": {"type": "string", "examples": ["4,3,2"]},
                        "stretch": {"type": "string", "examples": ["percentile:2,98"]},
                        "nodata": {"type": "number"},
                        "nodata_tolerance": {"type": "number"},
                        "alpha": {"type": "string", "enum": ["use", "ignore"]},
                    },
                }
            },
            "application/json": {
                "schema": {"$ref": "#/components/schemas/ImageSourceRequest"},
                "examples": {
                    "example": {"value": {"example": "demo"}},
                    "path": {"value": {"path": "2024/scene.tif"}},
                    "upload": {"value": {"upload": {"name": "scene.tif", "size": 123456}}},
                },
            },
        },
    }
}


@router.post(
    "", status_code=201, response_model=ImageBody, openapi_extra=_SOURCES, responses=problems(404, 413, 415, 422, 507)
)
async def add_image(request: Request) -> Response:
    """Send an image, or say where it is; reading it starts at once."""
    service = service_of(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with received_form(request) as form:
            check_fields(form, FILE_FIELDS)
            image_id = await stored(request, form)
    elif kind == "application/json":
        image_id = await _from_source(request, await _source(request))
    else:
        raise ProblemError(
            "unsupported-media-type",
            f"An image is sent as multipart/form-data or named in JSON, received {kind[:80]!r}.",
        )
    return _created(service, service.library.get(image_id))


@router.get("/{image_id}", response_model=ImageBody, responses=problems(404))
async def get_image(
    request: Request, image_id: str, wait: Annotated[float, Query(ge=0, le=30, allow_inf_nan=False)] = 0.0
) -> ImageBody:
    """An image's state; waits up to `wait` seconds until it is ready or has failed."""
    return image_body(service_of(request), await ready_image(request, image_id, wait))


@router.delete("/{image_id}", status_code=204, responses=problems(404, 409))
async def delete_image(request: Request, image_id: str) -> Response:
    """Remove an image with everything that was answered about it."""
    await in_thread(request, service_of(request).delete_image, image_id)
    return Response(status_code=204)


@router.head("/{image_id}/content", responses=problems(404))
async def upload_state(request: Request, image_id: str) -> Response:
    """How much of an upload has come."""
    record = service_of(request).library.get(image_id)
    return Response(headers={"Upload-Offset": str(record.received), "Upload-Length": str(record.bytes)})


@router.patch(
    "/{image_id}/content",
    response_model=ImageBody,
    responses=problems(404, 409, 413, 415),
    openapi_extra={
        "requestBody": {"required": True, "content": {PIECE: {"schema": {"type": "string", "format": "binary"}}}},
        "parameters": [
            {"name": "Upload-Offset", "in": "header", "required": True, "schema": {"type": "integer", "minimum": 0}}
        ],
    },
)
async def upload_piece(request: Request, image_id: str) -> Response:
    """The next bytes of an upload; the last ones start the reading."""
    library = service_of(request).library
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PIECE:
        raise ProblemError("unsupported-media-type", f"A piece of an upload is sent as {PIECE}.")
    said = request.headers.get("upload-offset", "")
    if not said.isdecimal() or len(said) > 18:
        raise ProblemError(
            "invalid-request", "A piece needs the header `Upload-Offset`: the bytes that came before it."
        )
    lock = library.lock(image_id)
    if not lock.acquire(blocking=False):
        raise ProblemError("conflict", "Another piece of this upload is being received. Send one after another.")
    try:
        record = library.get(image_id)
        state = {"Upload-Offset": str(record.received)}
        if record.state != "uploading" or int(said) != record.received:
            raise ProblemError(
                "conflict",
                f"The upload has {record.received:,} of {record.bytes:,} bytes and is {record.state!r}, but one from "
                f"byte {int(said):,} on was sent. Go on where `Upload-Offset` says.",
                headers=state,
            )
        await _append(request, library.part(image_id), record)
        library.touch(image_id)
        received = library.get(image_id).received
        if received == record.bytes:
            library.complete(image_id)
    finally:
        lock.release()
    body = image_body(service_of(request), library.get(image_id))
    return JSONResponse(body.model_dump(), headers={"Upload-Offset": str(received)})


@router.get("/{image_id}/preview.png", response_class=Response, responses=problems(404, 409))
async def preview(
    request: Request, image_id: str, longest: Annotated[int, Query(alias="max", ge=64, le=4096)] = 1600
) -> Response:
    """The image as the model sees it, in 8 bits, transparent where it has no data."""
    record = await usable_image(request, image_id)
    library = service_of(request).library
    if library.is_interactive(record):  # its pixels are in memory, or kept on disk as they are shown
        scene = (await in_thread(request, library.prepared, image_id)).scene
        content = await in_thread(request, preview_of, scene.rgb, scene.valid, longest)
    else:
        content = await in_thread(request, preview_png, record, longest)
    return png(content, keep_s=_SHOWN_S)


@router.get("/{image_id}/tilejson.json", responses=problems(404, 409))
async def tile_description(request: Request, image_id: str) -> dict[str, Any]:
    """TileJSON 3.0 of a georeferenced image."""
    record = await usable_image(request, image_id)
    address = f"{request.url.scheme}://{request.url.netloc}/v1/images/{image_id}/tiles/{{z}}/{{x}}/{{y}}.png"
    return cast("dict[str, Any]", await in_thread(request, tilejson, record, address))


@router.get("/{image_id}/tiles/{z}/{x}/{y}.png", response_class=Response, responses=problems(404, 409))
async def tile(request: Request, image_id: str, z: int, x: int, y: int) -> Response:
    """A Web Mercator tile of 256 pixels, transparent outside of the image."""
    record = await usable_image(request, image_id)
    return png(await in_thread(request, tile_png, record, z, x, y), keep_s=_SHOWN_S)


@asynccontextmanager
async def received_form(request: Request) -> AsyncIterator[FormData]:
    """A form with an image; few are received at once.

    Raises:
        ProblemError: as many as may be are being received, or there is no room.
    """
    service, state = service_of(request), request.app.state
    service.library.check_room(int(request.headers.get("content-length", "0")))
    if getattr(state, "forms", 0) >= service.settings.limits.forms:
        raise ProblemError("busy", "As many images as are taken at once are being received.", retry_after=5)
    state.forms = getattr(state, "forms", 0) + 1
    try:
        async with request.form(max_files=1, max_fields=200) as form:
            yield form
    finally:
        state.forms -= 1


def check_fields(form: FormData, known: Collection[str]) -> None:
    """Refuse a form with a field that means nothing here: it is a slip, and would be passed over.

    Raises:
        ProblemError: there is one.
    """
    unknown = sorted(set(form) - set(known))
    if unknown:
        raise ProblemError(
            "invalid-request",
            f"The form has a field {unknown[0][:80]!r}, which means nothing here. Fields are {', '.join(known)}.",
        )


async def stored(request: Request, form: FormData) -> str:
    """Keep the file of a form as an image; returns its id.

    Raises:
        ProblemError: there is no file, or it is too large.
    """
    library, file = service_of(request).library, form.get("file")
    if not isinstance(file, UploadFile):
        raise ProblemError("invalid-request", "The form has no file in a field `file`.")
    image_id = library.begin(file.filename or "image", file.size or 0, _reading_of(form))
    try:
        await in_thread(request, _copy, file, library.part(image_id))
        library.complete(image_id)
    except BaseException:
        library.delete(image_id)
        raise
    return image_id


def _reading_of(form: FormData) -> dict[str, Any]:
    """How the fields of a form say that its file is read; bands as `4,3,2`.

    Raises:
        ProblemError: one of them is out of range.
    """
    given: dict[str, Any] = {name: form[name] for name in Reading.model_fields if form.get(name)}
    if isinstance(given.get("bands"), str):
        given["bands"] = given["bands"].split(",")
    try:
        return Reading.model_validate(given).model_dump()
    except ValidationError as error:
        found = error.errors()[0]
        raise ProblemError("invalid-request", f"The field `{found['loc'][0]}` of the form: {found['msg']}.") from error


def _copy(file: UploadFile, path: Path) -> None:
    """Write an upload that came whole."""
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target, _WRITE_BYTES)


async def _append(request: Request, path: Path, record: ImageRecord) -> None:
    """Write the bytes of a piece behind those that came before.

    Raises:
        ProblemError: they are more than were announced; those that came before stay.
    """
    left = record.bytes - record.received
    with path.open("ab") as target:
        async for piece in request.stream():
            left -= len(piece)
            if left < 0:
                target.truncate(record.received)
                raise ProblemError(
                    "too-large",
                    f"The upload was announced with {record.bytes:,} bytes, but more came. Begin a new one.",
                )
            await in_thread(request, target.write, piece)


async def _source(request: Request) -> ImageSourceRequest:
    """The JSON that says where an image is.

    Raises:
        ProblemError: it is not understood.
    """
    try:
        return ImageSourceRequest.model_validate(json.loads(await request.body()))
    except ValidationError as error:
        found = error.errors()[0]
        pointer = pointer_to(found["loc"])
        raise ProblemError(
            "invalid-request",
            f"An image is named by one of `example`, `path` and `upload`; `{pointer or 'body'}`: {found['msg']}.",
            errors=[{"pointer": pointer, "detail": found["msg"]}],
        ) from error
    except (ValueError, RecursionError) as error:
        raise ProblemError("invalid-request", "The body is no JSON.", status=400) from error


async def _from_source(request: Request, source: ImageSourceRequest) -> str:
    """Take an image from where it is; returns its id."""
    service = service_of(request)
    given = [name for name in ("example", "path", "upload") if getattr(source, name) is not None]
    if len(given) != 1:
        raise ProblemError(
            "invalid-request", f"An image is named by one of `example`, `path` and `upload`, received {given}."
        )
    reading = source.reading.model_dump()
    if source.example is not None:
        example = next((one for one in service.settings.examples if one.name == source.example), None)
        if example is None:
            known = ", ".join(one.name for one in service.settings.examples) or "none"
            raise ProblemError("not-found", f"There is no example {source.example!r}; there are: {known}.")
        return await in_thread(request, service.library.link, example.path, example.path.name, reading)
    if source.path is not None:
        path = await in_thread(request, below_root, service.settings.root, source.path)
        return await in_thread(request, service.library.link, path, path.name, reading)
    assert source.upload is not None
    image_id = await in_thread(request, service.library.begin, source.upload.name, source.upload.size, reading)
    service.library.part(image_id).touch()
    return image_id


def _created(service: Service, record: ImageRecord) -> Response:
    """The answer to a new image."""
    headers = {"Location": f"/v1/images/{record.id}"}
    return JSONResponse(image_body(service, record).model_dump(), 201, headers)
