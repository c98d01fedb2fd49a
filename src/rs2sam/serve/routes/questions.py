"""Sentences about images: answers, clicks and boxes, files of what is shown; and all of it in one call."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.responses import Response

from rs2sam.datasets.readers.run_lengths import decode_runs
from rs2sam.errors import words_of
from rs2sam.processing_config import Calibration
from rs2sam.raster.scene import Scene
from rs2sam.serve.asking.answers import Answer, as_probability
from rs2sam.serve.asking.forms import FILES, MEDIA_TYPES, Layer, decoded_mask, file_of, form_for
from rs2sam.serve.images.record import ImageRecord
from rs2sam.serve.names import safe_stem
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.routes.common import answer_of, png, problems, ready_image, service_of, usable_image
from rs2sam.serve.routes.images import FILE_FIELDS, check_fields, received_form, stored
from rs2sam.serve.schemas import ExportLayer, ExportRequest, Options, RegionsRequest, SegmentRequest, question_of
from rs2sam.serve.service import Service

router = APIRouter(prefix="/v1", tags=["questions"])

Value = TypeVar("Value")

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What the sentences find, in the form that `Accept` chooses",
        "content": {
            media: {"schema": {"type": "object"} if "json" in media else {"type": "string", "format": "binary"}}
            for media in MEDIA_TYPES.values()
        },
    }
}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "sentence"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "sentence": {"type": "array", "items": {"type": "string"}},
                        "threshold": {"type": "number", "minimum": 0, "maximum": 1},
                        "min_area": {"type": "string"},
                        "min_presence": {"type": "number", "minimum": 0, "maximum": 1},
                        "scope": {"type": "string", "enum": ["scene", "tile"]},
                    },
                }
            }
        },
    }
}
_FORM_OPTIONS = ("threshold", "min_area", "min_presence", "scope")
_ONE_CALL_KEEP_S = 600.0
_MOST_MAPS = 4
"""Probability maps of the largest image that are in memory at once for one question."""

_PIXEL_WORK = 24
"""Bytes a pixel that files take while they are worked on."""


@router.post(
    "/images/{image_id}/segment", responses={**_ANSWERS, **problems(404, 406, 409, 422, 504)}, response_class=Response
)
async def segment(request: Request, image_id: str, asked: SegmentRequest) -> Response:
    """Ask about an image that is answered at once."""
    question = question_of(asked.sentences, asked.options, service_of(request).settings.limits)
    form = form_for(request.headers.get("accept"))
    record = await usable_image(request, image_id)
    return await _answered(request, record, question, form)


@router.post(
    "/segment", responses={**_ANSWERS, **problems(406, 413, 422, 504)}, response_class=Response, openapi_extra=_FORM
)
async def segment_once(request: Request) -> Response:
    """Image and sentences in one call."""
    service = service_of(request)
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ProblemError("unsupported-media-type", "Image and sentences are sent as multipart/form-data.")
    async with received_form(request) as form:
        check_fields(form, ("file", "sentence", *_FORM_OPTIONS, *FILE_FIELDS[1:]))
        sentences = [text for text in form.getlist("sentence") if isinstance(text, str)]
        if not sentences:
            raise ProblemError("invalid-request", "The form says in no field `sentence` what to find.")
        question = question_of(sentences, _options_of(form), service.settings.limits)
        accepted = form_for(request.headers.get("accept"))
        image_id = await stored(request, form)
    # It goes soon, unless it is asked about again.
    service.library.touch(image_id, time.time() - max(0.0, service.settings.limits.keep_s - _ONE_CALL_KEEP_S))
    record = await ready_image(request, image_id, service.settings.limits.interactive_s)
    if record.state == "failed":
        kind = str((record.error or {}).get("type", "/problems/invalid-image")).rpartition("/")[2]
        service.delete_image(image_id)
        raise ProblemError(kind, (record.error or {}).get("detail", "The image cannot be read."))
    return await _answered(request, await usable_image(request, image_id), question, accepted)


@router.get("/answers/{answer_id}", responses=problems(404))
async def get_answer(request: Request, answer_id: str) -> Response:
    """An answer again."""
    return Response(service_of(request).answers.get(answer_id).body, media_type="application/json")


@router.get("/answers/{answer_id}/{index}/probability.png", response_class=Response, responses=problems(404))
async def get_probability(request: Request, answer_id: str, index: int) -> Response:
    """8-bit probabilities of one sentence: at k, found is what is at least k, which is the threshold k / 256."""
    answer = service_of(request).answers.get(answer_id)
    _check_index(answer, index)
    return png(answer.results[index].probability_png)


@router.get("/answers/{answer_id}/{index}/mask.png", response_class=Response, responses=problems(404))
async def get_mask(request: Request, answer_id: str, index: int) -> Response:
    """The mask of one sentence."""
    answer = service_of(request).answers.get(answer_id)
    _check_index(answer, index)
    return png(answer.results[index].mask_png)


@router.post("/images/{image_id}/regions", responses=problems(404, 409, 422, 504))
async def regions(request: Request, image_id: str, asked: RegionsRequest) -> dict[str, Any]:
    """What lies under clicks and in boxes: the model's objects, where it takes them; else what it half believes in.

    Where it believes in nothing, what has the same colour. `why` says of each that found nothing why not.
    """
    service = service_of(request)
    if not 1 <= len(asked.points) + len(asked.boxes) <= 64:
        raise ProblemError("invalid-request", "A request has 1 to 64 points and boxes together.")
    record = await _interactive(request, image_id)
    answer = None if asked.answer is None else _answer_about(service, asked.answer, asked.index, image_id)
    corrected = None if answer is None else answer.results[asked.index or 0]
    return await answer_of(request, service.desk.find(record, asked.points, asked.boxes, corrected, asked.threshold))


@router.post(
    "/images/{image_id}/export",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {media: {"schema": {"type": "string", "format": "binary"}} for media, _ in FILES.values()},
        },
        **problems(404, 409, 413, 422),
    },
)
async def export(request: Request, image_id: str, asked: ExportRequest) -> Response:
    """Masks that were answered, or corrected by hand, as a file that lies where the image lies."""
    service = service_of(request)
    record = await _interactive(request, image_id)
    if len(asked.layers) > service.settings.limits.sentences:
        raise ProblemError("invalid-request", f"A file has up to {service.settings.limits.sentences} layers here.")
    question_of([layer.sentence for layer in asked.layers], Options(), service.settings.limits)
    answers = [
        None if layer.answer is None else _answer_about(service, layer.answer, layer.index, image_id)
        for layer in asked.layers
    ]

    def work() -> bytes:
        scene = service.library.prepared(image_id).scene
        layers = [
            _layer(one, answer, scene, service.segmenter.calibration)
            for one, answer in zip(asked.layers, answers, strict=True)
        ]
        return file_of(asked.format, image_id, scene, layers, service.settings.model)

    content = await _worked(request, record, work, len(asked.layers))
    media_type, ending = FILES[asked.format]
    name = f"{safe_stem(record.path.name)}_{ending}"
    return Response(content, headers={"Content-Disposition": f'attachment; filename="{name}"'}, media_type=media_type)


async def _answered(request: Request, record: ImageRecord, question: Any, form: Any) -> Response:
    """Take a question on and wait for its answer."""
    service = service_of(request)
    _check_interactive(service, record)
    assert record.facts is not None
    num_pixels, most = record.facts.width * record.facts.height, _MOST_MAPS * service.settings.limits.interactive_pixels
    if num_pixels * len(question.sentences) > most:
        raise ProblemError(
            "invalid-request",
            f"An image of this size is asked up to {most // num_pixels} sentences at once, received "
            f"{len(question.sentences)}. Ask fewer, or send a job: POST /v1/jobs.",
        )
    if form in ("mask", "probability") and len(question.sentences) != 1:
        raise ProblemError("not-acceptable", "A PNG holds one sentence. Ask each by itself, or accept another form.")
    content = await answer_of(request, service.desk.ask(record, question, form))
    return Response(content, headers={"Content-Type": MEDIA_TYPES[form], "Vary": "Accept"})


async def _interactive(request: Request, image_id: str) -> ImageRecord:
    """An image that is answered at once."""
    record = await usable_image(request, image_id)
    _check_interactive(service_of(request), record)
    return record


def _check_interactive(service: Service, record: ImageRecord) -> None:
    """Refuse an image that only jobs can be about."""
    if not service.library.is_interactive(record):
        assert record.facts is not None
        raise ProblemError(
            "invalid-request",
            f"An image of {record.facts.width:,} x {record.facts.height:,} pixels is not answered at once. Send a job: "
            "POST /v1/jobs.",
        )


async def _worked(request: Request, record: ImageRecord, work: Callable[[], Value], num_layers: int = 1) -> Value:
    """Have work about an image done where its memory is counted."""
    assert record.facts is not None
    service = service_of(request)
    weight = record.facts.width * record.facts.height * _PIXEL_WORK * num_layers
    return await asyncio.wait_for(
        asyncio.wrap_future(service.desk.submit(weight, work)), service.settings.limits.interactive_s
    )


def _options_of(form: FormData) -> Options:
    """The options of a form.

    Raises:
        ProblemError: one of them is out of range.
    """
    given = {name: str(form[name]) for name in _FORM_OPTIONS if isinstance(form.get(name), str) and form[name] != ""}
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(str(part) for part in found["loc"])
        raise ProblemError("invalid-request", f"The field `{where}` of the form: {found['msg']}.") from error


def _check_index(answer: Answer, index: int | None) -> None:
    """Refuse a number that no sentence of an answer has."""
    if index is None or not 0 <= index < len(answer.results):
        raise ProblemError(
            "not-found", f"The answer has the sentences 0 to {len(answer.results) - 1}, received {index}."
        )


def _answer_about(service: Service, answer_id: str, index: int | None, image_id: str) -> Answer:
    """An answer about an image that has a sentence of this number."""
    answer = service.answers.get(answer_id)
    if answer.image_id != image_id:
        raise ProblemError("invalid-request", "The answer is about another image.")
    _check_index(answer, index)
    return answer


def _layer(asked: ExportLayer, answer: Answer | None, scene: Scene, calibration: Calibration | None) -> Layer:
    """A layer of a file."""
    kept = None if answer is None else answer.results[asked.index or 0]
    values = None if kept is None else kept.values()
    given = [name for name in ("mask_png", "rle") if getattr(asked, name) is not None]
    if len(given) > 1 or (not given and kept is None):
        raise ProblemError("invalid-request", "A layer has its mask from one of `mask_png`, `rle` and `answer`.")
    if asked.mask_png is not None:
        try:
            content = base64.b64decode(asked.mask_png, validate=True)
        except ValueError as error:  # `binascii.Error` is one; letters beyond ASCII are another
            raise ProblemError("invalid-request", f"`mask_png` is no base64 ({words_of(error)}).") from error
        mask = decoded_mask(content, scene.size_hw)
    elif asked.rle is not None:
        if tuple(asked.rle.size) != scene.size_hw:
            raise ProblemError(
                "invalid-request",
                f"Run lengths have the image's size {list(scene.size_hw)}, not {list(asked.rle.size)}.",
            )
        mask = decode_runs({"size": list(asked.rle.size), "counts": asked.rle.counts})
    elif kept is not None and answer is not None and asked.threshold == answer.threshold:
        mask = kept.mask()
    else:
        assert values is not None
        mask = values >= max(1, round(asked.threshold * 256))
    probability = mask.astype(np.float32) if values is None else as_probability(values)
    # A probability that nobody gave says nothing of how often the model is right.
    return Layer(asked.sentence, mask & scene.valid, probability, calibration=None if values is None else calibration)
