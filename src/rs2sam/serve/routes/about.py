"""Health, models, metrics, the session, and what the page has to know first."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from rs2sam.backends.protocol import EncodingBackend
from rs2sam.serve.guards import COOKIE, Tokens, refused
from rs2sam.serve.metrics import CONTENT_TYPE
from rs2sam.serve.problems import KINDS, ProblemError
from rs2sam.serve.routes.common import in_thread, problems, service_of
from rs2sam.serve.service import Service
from rs2sam.versions import versions

router = APIRouter(tags=["service"])


@router.get("/healthz", responses=problems())
async def health() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=problems())
async def ready(request: Request) -> dict[str, str]:
    """Whether the model is loaded and requests are taken."""
    if not service_of(request).is_ready:
        raise ProblemError("unavailable", "The service is starting or ending.", retry_after=5)
    return {"status": "ready"}


@router.get("/metrics", response_class=Response, responses=problems())
async def metrics(request: Request) -> Response:
    """Counters for Prometheus."""
    text = await in_thread(request, service_of(request).metrics.text)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


@router.get("/problems/{kind}", responses=problems(404))
async def problem(kind: str) -> dict[str, Any]:
    """What a kind of problem means."""
    if kind not in KINDS:
        raise ProblemError("not-found", f"There is no kind of problem {kind[:80]!r}.")
    status, title = KINDS[kind]
    return {"type": f"/problems/{kind}", "title": title, "status": status}


@router.post("/v1/session", status_code=204, responses=problems())
async def sign_in(request: Request) -> Response:
    """Turn the token into a cookie, for pictures and event streams, whose requests carry no header."""
    tokens = Tokens(service_of(request).settings.token)
    if not tokens.by_header(request.headers):
        raise refused(request.headers)
    response = Response(status_code=204)
    if tokens.needed:
        is_secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, tokens.cookie, httponly=True, samesite="strict", secure=is_secure, path="/")
    return response


@router.delete("/v1/session", status_code=204, responses=problems())
async def sign_out() -> Response:
    """Forget the cookie."""
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
    return response


@router.get("/v1/service", responses=problems())
async def about(request: Request) -> JSONResponse:
    """Limits, model and examples; without the token, where one is needed, only that it is."""
    service = service_of(request)
    settings, limits = service.settings, service.settings.limits
    tokens = Tokens(settings.token)
    is_known = tokens.allows(request.headers)
    shown = (
        "upload_bytes",
        "chunk_bytes",
        "pixels",
        "interactive_pixels",
        "sentences",
        "sentence_chars",
        "interactive_s",
    )
    prompted = "model" if service.segmenter.takes_prompts else "regions"
    found: dict[str, Any] = {
        "version": versions().get("rs2sam"),
        "auth": "token" if tokens.needed else "none",
        "signed_in": is_known,
        "limits": {name: getattr(limits, name) for name in shown} if is_known else None,
        "model": described_model(service) if is_known else None,
        "examples": [
            {"id": one.name, "title": one.title, "sentences": list(one.sentences)} for one in settings.examples
        ]
        if is_known
        else None,
        "has_root": settings.root is not None if is_known else None,
        "base_map": None,
        "prompts": dict.fromkeys(("points", "boxes"), prompted) if is_known else None,
    }
    if is_known and settings.base_map is not None:
        found["base_map"] = {"tiles": settings.base_map.tiles, "attribution": settings.base_map.attribution}
    return JSONResponse(found)


@router.get("/v1/models", responses=problems())
async def models(request: Request) -> dict[str, Any]:
    """The models that answer; one a service, since it has one process a device."""
    return {"models": [{**described_model(service_of(request)), "is_default": True}]}


def described_model(service: Service) -> dict[str, Any]:
    """The model as it is shown."""
    segmenter = service.segmenter
    gsd = segmenter.gsd_range_m
    return {
        "name": service.settings.model,
        "backend": segmenter.backend_name,
        "image_size": segmenter.image_size,
        "min_presence": segmenter.min_presence,
        "has_presence": segmenter._backend.has_presence,
        "has_score": segmenter._backend.has_score,
        "has_known": segmenter.min_known > 0,
        "takes_prompts": segmenter.takes_prompts,
        "encodes_once": isinstance(segmenter._backend, EncodingBackend),
        "gsd_range_m": None if gsd is None else list(gsd),
    }
