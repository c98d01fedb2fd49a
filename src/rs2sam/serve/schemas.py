"""What requests and answers look like: the models of the OpenAPI description, with examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rs2sam.serve.asking.prepared import Question
from rs2sam.serve.problems import ProblemError
from rs2sam.serve.settings import Limits
from rs2sam.views.options import MinArea

Sentence = Annotated[str, Field(min_length=1, max_length=2000, examples=["the storage tanks"])]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Coordinate = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


class _Strict(BaseModel):
    """A body that has no other members."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Options(_Strict):
    """How a sentence is answered; what is left out is the model's own choice."""

    threshold: Fraction = 0.5
    min_area: Annotated[str, Field(max_length=30, examples=["40px", "25m2"])] = "0"
    min_presence: Fraction | None = None
    scope: Literal["scene", "tile"] = "scene"
    tile: Annotated[int, Field(ge=16, le=100_000)] | None = None
    overlap: Annotated[int, Field(ge=0, le=100_000)] | None = None


class JobOptions(Options):
    """How a scene is answered."""

    gsd_m: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None


class SegmentRequest(_Strict):
    """Sentences about an image."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"sentences": ["the storage tanks", "the water"], "options": {"threshold": 0.5}}]
        },
    )
    sentences: Annotated[list[Sentence], Field(min_length=1, max_length=1000)]
    options: Options = Options()


class Outputs(_Strict):
    """Which files a job writes."""

    format: Literal["gpkg", "geojson"] = "gpkg"
    cog: bool = False
    class_map: bool = False
    simplify_m: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = 0.0
    orthogonal: bool = False


class JobRequest(_Strict):
    """A scene and sentences."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"image": "i_0123456789abcdef", "sentences": ["the water"]}]},
    )
    image: Annotated[str, Field(max_length=100)]
    sentences: Annotated[list[Sentence], Field(min_length=1, max_length=1000)]
    options: JobOptions = JobOptions()
    outputs: Outputs = Outputs()


class UploadStart(_Strict):
    """An image whose bytes will come in pieces."""

    name: Annotated[str, Field(min_length=1, max_length=255, examples=["scene.tif"])]
    size: Annotated[int, Field(ge=1, le=2**53)]


class Reading(_Strict):
    """How a file becomes pixels, as `rs2sam segment` takes it; what is left out is as the file says."""

    bands: Annotated[list[Annotated[int, Field(ge=1, le=65535)]], Field(min_length=1, max_length=3)] | None = None
    stretch: Annotated[str, Field(max_length=100, examples=["percentile:2,98"])] | None = None
    nodata: Annotated[float, Field(allow_inf_nan=False)] | None = None
    nodata_tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    alpha: Literal["use", "ignore"] = "use"


class ImageSourceRequest(_Strict):
    """Where an image comes from, exactly one of `example`, `path` and `upload`; and how it is read."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"example": "demo"},
                {"path": "2024/scene.tif"},
                {"upload": {"name": "scene.tif", "size": 123456}},
            ]
        },
    )
    example: Annotated[str, Field(max_length=100)] | None = None
    path: Annotated[str, Field(max_length=4096)] | None = None
    upload: UploadStart | None = None
    reading: Reading = Reading()


class RegionsRequest(_Strict):
    """Clicks and boxes on an image."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"points": [[120, 80]], "boxes": [[10, 10, 60, 50]]}]}
    )
    answer: Annotated[str, Field(max_length=100)] | None = None
    index: Annotated[int, Field(ge=0, le=1000)] | None = None
    points: Annotated[list[tuple[Coordinate, Coordinate]], Field(max_length=64)] = []
    boxes: Annotated[list[tuple[Coordinate, Coordinate, Coordinate, Coordinate]], Field(max_length=64)] = []
    threshold: Fraction = 0.5


class RunLengths(_Strict):
    """A mask in COCO's run lengths."""

    size: tuple[Annotated[int, Field(ge=1, le=65536)], Annotated[int, Field(ge=1, le=65536)]]
    counts: Annotated[str, Field(max_length=20_000_000)] | Annotated[list[int], Field(max_length=20_000_000)]


class ExportLayer(_Strict):
    """One mask of a file: a picture, run lengths, or what an answer found."""

    sentence: Sentence
    mask_png: Annotated[str, Field(max_length=60_000_000)] | None = None
    rle: RunLengths | None = None
    answer: Annotated[str, Field(max_length=100)] | None = None
    index: Annotated[int, Field(ge=0, le=1000)] | None = None
    threshold: Fraction = 0.5


class ExportRequest(_Strict):
    """Masks as a file."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"format": "gpkg", "layers": [{"sentence": "the water", "answer": "a_0123456789", "index": 0}]}
            ]
        },
    )
    format: Literal["geotiff", "gpkg", "geojson", "png", "json"]
    layers: Annotated[list[ExportLayer], Field(min_length=1, max_length=100)]


class ImageLinks(BaseModel):
    """Where to go on with an image."""

    self: str
    segment: str
    regions: str
    export: str
    preview: str
    tilejson: str | None
    tiles: str | None


class ImageBody(BaseModel):
    """An image; what is not known yet is null."""

    id: str
    state: Literal["uploading", "encoding", "ready", "failed"]
    name: str
    bytes: int
    received: int
    width: int | None
    height: int | None
    is_georeferenced: bool | None
    crs: str | None
    pixel_size_m: tuple[float, float] | None
    corners: list[list[float]] | None
    bounds: list[float] | None
    is_interactive: bool | None
    num_views: int | None
    warnings: list[str]
    error: dict[str, Any] | None
    created: str
    expires: str
    links: ImageLinks


class Progress(BaseModel):
    """How far a job has come, in views of the model."""

    done: int
    total: int | None
    fraction: float


class JobFile(BaseModel):
    """A file of a finished job."""

    name: str
    kind: str
    bytes: int
    media_type: str
    href: str


class JobLinks(BaseModel):
    """Where to go on with a job."""

    self: str
    events: str
    preview: str | None


class JobBody(BaseModel):
    """A scene and what becomes of it."""

    id: str
    image: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    sentences: list[str]
    progress: Progress
    queue_position: int | None
    error: dict[str, Any] | None
    result: dict[str, Any] | None
    files: list[JobFile]
    created: str
    started: str | None
    finished: str | None
    expires: str | None
    links: JobLinks


class JobList(BaseModel):
    """The newest jobs."""

    jobs: list[JobBody]


class ProblemBody(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "/problems/invalid-image",
                    "title": "The image cannot be read",
                    "status": 422,
                    "detail": "An image is a TIFF, PNG, JPEG or WebP by its content, whatever its name, but ...",
                    "instance": "/v1/images",
                }
            ]
        }
    )
    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    errors: list[dict[str, str]] | None = None
    retry_after: int | None = None


def checked_sentences(sentences: list[str], limits: Limits) -> tuple[str, ...]:
    """Sentences within the limits, each of them text that names something.

    Raises:
        ProblemError: there are too many, one is too long or blank.
    """
    if not 1 <= len(sentences) <= limits.sentences:
        raise ProblemError(
            "invalid-request", f"A request has 1 to {limits.sentences} sentences here, but {len(sentences)} came."
        )
    for number, sentence in enumerate(sentences):
        wrong = None
        if not sentence.strip():
            wrong = "a sentence must name what to find, but this one is blank"
        elif len(sentence) > limits.sentence_chars:
            wrong = f"a sentence has up to {limits.sentence_chars} characters here, but this one has {len(sentence)}"
        elif not _is_text(sentence):
            wrong = "a sentence is text in Unicode without NUL"
        if wrong is not None:
            raise ProblemError(
                "invalid-request",
                f"Sentence {number + 1} of {len(sentences)}: {wrong}.",
                errors=[{"pointer": f"/sentences/{number}", "detail": wrong}],
            )
    return tuple(sentences)


def question_of(sentences: list[str], options: Options, limits: Limits) -> Question:
    """A request as it is asked.

    Raises:
        ProblemError: a sentence breaks a rule.
        InvalidInputError: the least area is none.
    """
    return Question(
        sentences=checked_sentences(sentences, limits),
        threshold=options.threshold,
        min_presence=options.min_presence,
        min_area=MinArea.parse(options.min_area),
        scope=options.scope,
        tile=options.tile,
        overlap=options.overlap,
    )


def _is_text(sentence: str) -> bool:
    """Whether a sentence can be written as UTF-8."""
    try:
        return b"\0" not in sentence.encode()
    except UnicodeEncodeError:
        return False
