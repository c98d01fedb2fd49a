"""Requests to `rs2sam serve` and what comes back; see `rs2sam.client`."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rs2sam.datasets.readers.run_lengths import decode_runs
from rs2sam.errors import DataNotFoundError, InvalidInputError, RS2SAMError, words_of
from rs2sam.files import refuse_special_file

_PIECE = "application/offset+octet-stream"
_ATTEMPTS = 5
_COPY_BYTES = 1_000_000


class ServiceError(RS2SAMError):
    """What the service refuses or cannot do, or that it cannot be reached.

    Args:
        message: one line.
        status: of HTTP; 0 where there was no answer.
        kind: of the problem, e.g. `invalid-image`; empty where nobody said.
        retry_after: seconds after which it may go better; None where nobody said.
    """

    def __init__(self, message: str, status: int = 0, kind: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after


@dataclass(frozen=True, eq=False)
class Found:
    """What one sentence found.

    Args:
        sentence: that was asked.
        mask: (H, W) bool.
        values: (H, W) uint8 probabilities: the threshold k / 256 finds what is at least k.
        regions: GeoJSON features in pixels, largest first, each with `area_px`, `area_m2`, `confidence`, `geographic`.
        presence: probability that it is there at all; None where the model does not tell.
        score: predicted IoU; None where the model does not tell.
        warnings: what was doubtful, a line each.
    """

    sentence: str
    mask: NDArray[np.bool_]
    values: NDArray[np.uint8]
    regions: list[dict[str, Any]]
    presence: float | None
    score: float | None
    warnings: tuple[str, ...]


class Client:
    """A service.

    Args:
        url: of the service.
        token: that it wants to be shown; None: none.
        timeout_s: for one answer [s].

    Raises:
        InvalidInputError: the URL is none of HTTP.
    """

    def __init__(self, url: str = "http://127.0.0.1:8008", token: str | None = None, timeout_s: float = 120.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInputError(f"The URL of a service is like http://127.0.0.1:8008, but it is {url!r}.")
        self.url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s

    def about(self) -> dict[str, Any]:
        """Version, limits, model and examples of the service."""
        found: dict[str, Any] = self._json("GET", "/v1/service")
        return found

    def send(
        self, image: str | Path, progress: Callable[[int, int], None] | None = None, **reading: Any
    ) -> RemoteImage:
        """Send an image file in pieces; a connection that breaks is taken up where it broke.

        Args:
            image: path of the file.
            progress: called with the bytes that were sent and all bytes.
            reading: `bands`, `stretch`, `nodata`, `nodata_tolerance`, `alpha`, as of `rs2sam segment`.

        Raises:
            DataNotFoundError: there is no such file.
            ServiceError: the service refuses it.
        """
        path = Path(image)
        refuse_special_file("image", path)
        if not path.is_file():
            raise DataNotFoundError(f"The image {str(image)!r} is not there. Check the path.")
        size = path.stat().st_size
        about = self.about()
        if not about["signed_in"]:
            what = "wants a token" if self._token is None else "does not take this token"
            raise ServiceError(
                f"The service {what}. Give it its own: `Client(url, token=...)` or RS2SAM_TOKEN.", 401, "unauthorized"
            )
        most = int(about["limits"]["chunk_bytes"])
        body = self._json(
            "POST", "/v1/images", {"upload": {"name": path.name, "size": max(1, size)}, "reading": reading}
        )
        with path.open("rb") as file:
            self._send_pieces(body, file, size, most, progress or (lambda _done, _all: None))
        return self._ready(body["id"])

    def example(self, name: str = "demo") -> RemoteImage:
        """An image that the service offers."""
        return self._ready(self._json("POST", "/v1/images", {"example": name})["id"])

    def below_root(self, path: str) -> RemoteImage:
        """An image that lies below the service's root, by its path there."""
        return self._ready(self._json("POST", "/v1/images", {"path": path})["id"])

    def image(self, image_id: str) -> RemoteImage:
        """An image that was sent before, by its id, e.g. after a restart."""
        return self._ready(urllib.parse.quote(image_id, safe=""))

    def job(self, job_id: str) -> RemoteJob:
        """A job by its id, e.g. after a restart."""
        return RemoteJob(self, self._json("GET", f"/v1/jobs/{urllib.parse.quote(job_id, safe='')}"))

    def _send_pieces(
        self, body: Mapping[str, Any], file: io.BufferedReader, size: int, most: int, show: Callable[[int, int], None]
    ) -> None:
        """The bytes of a file, each piece until it has come."""
        address, offset, attempts = f"/v1/images/{body['id']}/content", 0, 0
        while offset < size:
            file.seek(offset)
            headers = {"Content-Type": _PIECE, "Upload-Offset": str(offset)}
            try:
                with self._open("PATCH", address, file.read(most), headers) as answer:
                    offset, attempts = int(answer.headers["Upload-Offset"]), 0
            except ServiceError as error:
                attempts += 1
                if error.status not in (0, 409, 429, 503) or attempts > _ATTEMPTS:
                    raise
                time.sleep(error.retry_after or 0.2 * 2**attempts)
                with self._open("HEAD", address) as answer:
                    offset = int(answer.headers["Upload-Offset"])
            show(offset, size)

    def _ready(self, image_id: str) -> RemoteImage:
        """An image once it is ready.

        Raises:
            ServiceError: it cannot be read.
        """
        while True:
            body = self._json("GET", f"/v1/images/{image_id}?wait=20")
            if body["state"] == "ready":
                return RemoteImage(self, body)
            if body["state"] == "failed":
                problem = body["error"] or {}
                raise ServiceError(problem.get("detail", "The image cannot be read."), 422, "invalid-image")

    def _json(self, method: str, address: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """An answer in JSON."""
        content = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Accept": "application/json"} if body is not None else {}
        with self._open(method, address, content, {**sent, **(headers or {})}) as answer:
            text = answer.read()
        try:
            return json.loads(text) if text else {}
        except ValueError as error:
            raise ServiceError(f"{self.url} answered with something that is no JSON. Is it `rs2sam serve`?") from error

    def _open(
        self, method: str, address: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """An open answer; problems are raised.

        Raises:
            ServiceError: the service refuses, or cannot be reached.
        """
        request = urllib.request.Request(self.url + address, content, dict(headers or {}), method=method)
        if self._token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        try:
            return urllib.request.urlopen(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = words_of(getattr(error, "reason", error))
            raise ServiceError(
                f"The service at {self.url} cannot be reached ({reason}). Start it (`rs2sam serve`), or check the URL."
            ) from error


@dataclass(frozen=True, eq=False)
class RemoteImage:
    """An image that a service has.

    Args:
        client: of the service.
        body: what the service says of it.
    """

    client: Client
    body: dict[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """Of the image."""
        return str(self.body["id"])

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.body["height"]), int(self.body["width"])

    def segment(self, sentences: Sequence[str], **options: Any) -> list[Found]:
        """What each sentence finds, for images that are answered at once.

        Args:
            sentences: referring expressions.
            options: `threshold`, `min_presence`, `min_area`, `scope`, `tile`, `overlap`.
        """
        asked = {"sentences": list(sentences), "options": options}
        answer = self.client._json("POST", f"/v1/images/{self.id}/segment", asked)
        return [_found(result) for result in answer["results"]]

    def segment_as(self, media_type: str, sentences: Sequence[str], **options: Any) -> bytes:
        """The same in another form, e.g. `application/geo+json` or `image/tiff`."""
        content = json.dumps({"sentences": list(sentences), "options": options}).encode()
        headers = {"Content-Type": "application/json", "Accept": media_type}
        with self.client._open("POST", f"/v1/images/{self.id}/segment", content, headers) as answer:
            return bytes(answer.read())

    def job(
        self,
        sentences: Sequence[str],
        outputs: Mapping[str, Any] | None = None,
        key: str | None = None,
        **options: Any,
    ) -> RemoteJob:
        """Have the service answer at its own pace, with files as results.

        Args:
            sentences: referring expressions.
            outputs: `format`, `cog`, `class_map`, `simplify_m`, `orthogonal`.
            key: the same key gives the same job, should this be sent twice.
            options: as of `segment`, and `gsd_m`.
        """
        asked = {"image": self.id, "sentences": list(sentences), "options": options, "outputs": dict(outputs or {})}
        headers = {} if key is None else {"Idempotency-Key": key}
        return RemoteJob(self.client, self.client._json("POST", "/v1/jobs", asked, headers))

    def delete(self) -> None:
        """Have the service forget it."""
        self.client._open("DELETE", f"/v1/images/{self.id}").close()


class RemoteJob:
    """A job of a service.

    Args:
        client: of the service.
        body: what the service says of it.
    """

    def __init__(self, client: Client, body: dict[str, Any]) -> None:
        self.client = client
        self.body = body

    @property
    def id(self) -> str:
        """Of the job."""
        return str(self.body["id"])

    @property
    def state(self) -> str:
        """`queued`, `running`, `done`, `failed` or `cancelled`, when it was asked last."""
        return str(self.body["state"])

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens to it, as it happens: kinds `state`, `progress`, `preview` with what is said of each."""
        kind, data = "message", ""
        with self.client._open("GET", f"/v1/jobs/{self.id}/events", headers={"Accept": "text/event-stream"}) as answer:
            for line in io.TextIOWrapper(answer, encoding="utf-8"):
                name, _, value = line.rstrip("\r\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data = value
                elif not name and data:
                    yield kind, json.loads(data)
                    kind, data = "message", ""

    def wait(self, progress: Callable[[int, int], None] | None = None) -> RemoteJob:
        """Wait for its end.

        Args:
            progress: called with the views that were answered and all views.

        Raises:
            ServiceError: it has failed or was cancelled.
        """
        while True:
            self.body = self.client._json("GET", f"/v1/jobs/{self.id}")
            said = self.body["progress"]
            if progress is not None and said["total"]:
                progress(said["done"], said["total"])
            if self.state == "done":
                return self
            if self.state in ("failed", "cancelled"):
                problem = self.body["error"] or {"detail": f"The job {self.id} was cancelled."}
                raise ServiceError(problem["detail"], int(problem.get("status", 0)))
            time.sleep(0.3)

    def save(self, folder: str | Path) -> list[Path]:
        """Fetch its files into a folder, each whole or not at all; returns their paths."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        paths = []
        for file in self.body["files"]:
            path = target / Path(file["name"]).name
            with tempfile.TemporaryDirectory(prefix=".rs2sam-", dir=target, ignore_cleanup_errors=True) as made:
                partial = Path(made) / "file"
                with self.client._open("GET", file["href"]) as answer, partial.open("wb") as written:
                    while piece := answer.read(_COPY_BYTES):
                        written.write(piece)
                if partial.stat().st_size != file["bytes"]:
                    raise ServiceError(f"{file['name']!r} was cut short on its way. Fetch it again.")
                os.replace(partial, path)
            paths.append(path)
        return paths

    def cancel(self) -> None:
        """Stop it; of one that is finished, remove it with its files."""
        self.client._open("DELETE", f"/v1/jobs/{self.id}").close()


def _found(result: Mapping[str, Any]) -> Found:
    """A result of an answer."""
    with Image.open(io.BytesIO(base64.b64decode(result["probability"]["base64"])), formats=["PNG"]) as picture:
        values = np.array(picture)
    return Found(
        sentence=result["sentence"],
        mask=decode_runs(result["rle"]),
        values=values,
        regions=result["regions"]["features"],
        presence=result["presence"],
        score=result["score"],
        warnings=tuple(result["warnings"]),
    )


def _refusal(error: urllib.error.HTTPError) -> ServiceError:
    """What the service says against a request."""
    with error:
        text = error.read(_COPY_BYTES)
    try:
        problem = json.loads(text)
        detail, kind = str(problem["detail"]), str(problem["type"]).rpartition("/")[2]
    except (ValueError, KeyError, TypeError):
        detail, kind = f"The service answered {error.code} {error.reason}. Is it `rs2sam serve`?", ""
    wait = error.headers.get("Retry-After")
    return ServiceError(detail, error.code, kind, float(wait) if wait and wait.isdecimal() else None)
