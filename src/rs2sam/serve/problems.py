"""Errors as answers: problem details of RFC 9457."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from rs2sam.errors import DataNotFoundError, InvalidImageError, RS2SAMError

_LOGGER = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MOST_POINTER = 200

# kind -> (status, title)
KINDS: dict[str, tuple[int, str]] = {
    "invalid-request": (422, "The request breaks a rule"),
    "unauthorized": (401, "A token is needed"),
    "forbidden": (403, "This may not be done"),
    "not-found": (404, "There is no such thing"),
    "method-not-allowed": (405, "The address does not take this method"),
    "not-acceptable": (406, "The answer does not exist in this form"),
    "conflict": (409, "The state does not allow this"),
    "gone": (410, "This was there and is no longer"),
    "length-required": (411, "The length must be said"),
    "too-large": (413, "This is larger than the service takes"),
    "unsupported-media-type": (415, "The body is of a type that is not taken"),
    "invalid-image": (422, "The image cannot be read"),
    "busy": (429, "The service has as much to do as it takes on"),
    "rate-limited": (429, "Too many requests"),
    "internal": (500, "The service has failed"),
    "unavailable": (503, "The service cannot answer now"),
    "timeout": (504, "The answer took too long"),
    "storage-full": (507, "There is no room left"),
}
_KIND_OF_STATUS = {
    400: "invalid-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    406: "not-acceptable",
    408: "timeout",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-request",
}


class ProblemError(RS2SAMError):
    """What ends a request.

    Args:
        kind: one of `KINDS`.
        detail: one line: the rule, what was received, what to do.
        status: another than the kind's own.
        retry_after: seconds after which it may go better.
        headers: of the answer.
        errors: the places in the body that are wrong, each `{"pointer", "detail"}`.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status = status or KINDS[kind][0]
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.errors = list(errors)

    def as_dict(self, instance: str | None = None) -> dict[str, Any]:
        """The problem object."""
        found: dict[str, Any] = {
            "type": f"/problems/{self.kind}",
            "title": KINDS[self.kind][1],
            "status": self.status,
            "detail": self.detail,
        }
        if instance is not None:
            found["instance"] = instance
        if self.errors:
            found["errors"] = self.errors
        if self.retry_after is not None:
            found["retry_after"] = math.ceil(self.retry_after)
        return found

    def response(self, instance: str | None = None) -> Response:
        """The problem as an answer."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="rs2sam"'
        # Surrogates of broken names are no UTF-8: they are written as escapes.
        content = json.dumps(self.as_dict(instance), ensure_ascii=True).encode("ascii")
        return Response(content, self.status, headers, MEDIA_TYPE)


def problem_of(error: Exception) -> ProblemError:
    """Any error as a problem; what nobody foresaw says nothing of its inside."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, InvalidImageError):
        return ProblemError("invalid-image", str(error))
    if isinstance(error, DataNotFoundError):
        return ProblemError("not-found", str(error))
    if isinstance(error, RS2SAMError):
        return ProblemError("invalid-request", str(error))
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        kind = _KIND_OF_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "invalid-request")
        allowed, detail = (error.headers or {}).get("Allow"), str(error.detail)
        if error.status_code == 405 and allowed is not None:
            detail = f"This address takes {allowed} alone."
        elif error.status_code == 404 and detail == "Not Found":  # what the framework says of an address it lacks
            detail = "There is no such address. /openapi.json, below the address of the service's page, lists all."
        return ProblemError(kind, detail, status=error.status_code, headers=error.headers)
    if isinstance(error, ClientDisconnect):
        return ProblemError("timeout", "The connection ended before the body did.", status=408)
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return ProblemError("timeout", "This took longer than is allowed. Ask for less, or send a job.")
    if isinstance(error, MemoryError):
        return ProblemError(
            "unavailable", "There was not enough memory for this. Ask for less, or later.", retry_after=10
        )
    _LOGGER.error("a request has failed: %s: %s", type(error).__name__, error, exc_info=error)
    return ProblemError("internal", "Something went wrong that nobody foresaw; the service's log has it.")


def add_handlers(app: FastAPI) -> None:
    """Have every error answered as a problem."""

    async def answer(request: Request, error: Exception) -> Response:
        problem = _of_content_type(request, error) or problem_of(error)
        return problem.response(request.url.path)

    for kind in (RS2SAMError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def _of_content_type(request: Request, error: Exception) -> ProblemError | None:
    """The problem of a body that was not said to be JSON, as curl sends one; None for others."""
    if not isinstance(error, RequestValidationError) or all(found["loc"][:1] != ("body",) for found in error.errors()):
        return None
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower().endswith(("/json", "+json")):
        return None
    return ProblemError(
        "unsupported-media-type",
        f"This address takes JSON, sent with the header `Content-Type: application/json`; received {kind[:80]!r}.",
    )


def pointer_to(place: Sequence[object]) -> str:
    """The JSON pointer of a place, cut where a name that a client made up would make it long."""
    text = "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)
    return text if len(text) <= _MOST_POINTER else f"{text[:_MOST_POINTER]}..."


def _of_validation(error: RequestValidationError) -> ProblemError:
    """What pydantic found, each with a JSON pointer to its place."""
    for found in error.errors():
        if found["type"] == "json_invalid":
            why = found.get("ctx", {}).get("error", "it cannot be read")
            return ProblemError("invalid-request", f"The body is no JSON, at character {found['loc'][-1]}: {why}.")
    errors = []
    for found in error.errors()[:20]:
        where, *rest = found["loc"] or ("body",)
        pointer = pointer_to(rest)
        errors.append({"pointer": pointer if where == "body" else f"{where}:{pointer}", "detail": str(found["msg"])})
    first = errors[0] if errors else {"pointer": "", "detail": "it is not understood"}
    return ProblemError(
        "invalid-request",
        f"The request does not have the form that /openapi.json describes: `{first['pointer'] or 'body'}`: "
        f"{first['detail']}.",
        errors=errors,
    )
