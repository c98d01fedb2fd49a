"""A running `rs2sam serve`: images go there once, sentences are answered from then on."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .commands import Options
from .errors import CanceledError, RunError
from .results import SceneResult

_WAIT_SECONDS = 5  # that the server holds a question about an image's state; cancelling takes as long at worst
_POLL_SECONDS = 0.3
_TIMEOUT_SECONDS = 120.0
_TRIES = 6  # of a request that a busy server puts off
_LONGEST_PAUSE_SECONDS = 10.0
_DOWNLOAD_BYTES = 1 << 20

# Which options a job takes, and where they stand in its description.
_JOB_OPTIONS = {"threshold": "threshold", "min_area": "min_area", "tile": "tile", "gsd": "gsd_m"}
_JOB_OUTPUTS = {"simplify": "simplify_m", "orthogonal": "orthogonal", "class_map": "class_map"}

Report = Callable[[float], None]
"""Takes how far something is, in [0, 100]."""


@dataclass(frozen=True)
class _Sent:
    """A file as it was when it went to the server."""

    path: str
    size: int
    changed: int


class Client:
    """Speaks to one server.

    Args:
        url: of the server, as `http://127.0.0.1:8008`.
        token: of a server that demands one.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.strip().rstrip("/")
        if not self.url.lower().startswith(("http://", "https://")):
            raise RunError(f"A server's address begins with http:// or https://, but the settings say {url!r}.")
        self._token = token.strip()
        self._images: dict[_Sent, str] = {}
        self._service: dict[str, Any] | None = None

    def service(self) -> dict[str, Any]:
        """What the server is and allows, asked once."""
        if self._service is None:
            self._service = self._json("GET", "/v1/service")
        return self._service

    def image(self, path: str, on_progress: Report, is_canceled: Callable[[], bool]) -> dict[str, Any]:
        """The image of a file, ready to be asked about; sent if the server does not have it.

        Raises:
            CanceledError: when the user stopped it.
            RunError: when the server cannot read it.
        """
        status = os.stat(path)
        sent = _Sent(path, status.st_size, status.st_mtime_ns)
        if sent in self._images:
            try:
                image = self._json("GET", f"/v1/images/{self._images[sent]}")
                return self._ready(image, is_canceled)
            except GoneError:
                del self._images[sent]
        image = self._send(path, status.st_size, on_progress, is_canceled)
        self._images[sent] = image["id"]
        return self._ready(image, is_canceled)

    def answer(self, image_id: str, sentences: Sequence[str], options: Options) -> dict[str, Any]:
        """Ask about an image that the server answers at once (`is_interactive`)."""
        described = self.describe(sentences, options)
        return self._json(
            "POST",
            f"/v1/images/{image_id}/segment",
            {"sentences": described["sentences"], "options": described["options"]},
        )

    def job(
        self,
        image_id: str,
        sentences: Sequence[str],
        options: Options,
        folder: str,
        on_progress: Report,
        is_canceled: Callable[[], bool],
    ) -> SceneResult:
        """Ask about an image of any size; the files of the result are brought into a folder.

        Raises:
            CanceledError: when the user stopped it; the server stops too.
            RunError: when the job failed.
        """
        job = self._json("POST", "/v1/jobs", {"image": image_id, **self.describe(sentences, options)})
        path = f"/v1/jobs/{job['id']}"
        while job["state"] in ("queued", "running"):
            if is_canceled():
                self._request("DELETE", path).close()
                raise CanceledError
            time.sleep(_POLL_SECONDS)
            job = self._json("GET", path)
            on_progress(100 * job["progress"]["fraction"])
        if job["state"] != "done":
            error = job["error"] or {}
            raise RunError(error.get("detail") or f"The server's job ended as {job['state']!r}.")
        os.makedirs(folder, exist_ok=True)
        for file in job["files"]:
            self._download(file["href"], os.path.join(folder, os.path.basename(file["name"])))
        return SceneResult(folder, job["result"])

    def describe(self, sentences: Sequence[str], options: Options) -> dict[str, Any]:
        """A question as the server reads it.

        Raises:
            RunError: when it has options that are the command line's alone.
        """
        taken = {**_JOB_OPTIONS, **_JOB_OUTPUTS}
        alone = [field.name for field in fields(options) if field.name not in taken and getattr(options, field.name)]
        if alone:
            raise RunError(
                f"A server has its own model and way to read images, but {', '.join(alone)} was given. Leave it out, "
                "or run through the command line."
            )

        def part(names: dict[str, str]) -> dict[str, Any]:
            given = {theirs: getattr(options, ours) for ours, theirs in names.items()}
            return {name: value for name, value in given.items() if value not in (None, "", False)}

        return {"sentences": list(sentences), "options": part(_JOB_OPTIONS), "outputs": part(_JOB_OUTPUTS)}

    def _send(self, path: str, size: int, on_progress: Report, is_canceled: Callable[[], bool]) -> dict[str, Any]:
        """Bring a file to the server, in pieces."""
        image = self._json("POST", "/v1/images", {"upload": {"name": os.path.basename(path), "size": size}})
        piece = self.service()["limits"]["chunk_bytes"]
        with open(path, "rb") as file:
            done = 0
            while data := file.read(piece):
                if is_canceled():
                    self._request("DELETE", f"/v1/images/{image['id']}").close()
                    raise CanceledError
                headers = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(done)}
                with self._request("PATCH", f"/v1/images/{image['id']}/content", data, headers) as answer:
                    image = json.load(answer)
                done += len(data)
                on_progress(100 * done / max(size, 1))
        return image

    def _ready(self, image: dict[str, Any], is_canceled: Callable[[], bool]) -> dict[str, Any]:
        """Wait until the server has read an image."""
        while image["state"] not in ("ready", "failed"):
            if is_canceled():
                raise CanceledError
            image = self._json("GET", f"/v1/images/{image['id']}?wait={_WAIT_SECONDS}")
        if image["state"] == "failed":
            raise RunError((image["error"] or {}).get("detail") or "The server cannot read the image.")
        return image

    def _download(self, path: str, target: str) -> None:
        """Bring a file here; it has its name when it is whole."""
        partial = f"{target}.part"
        with self._request("GET", path) as answer, open(partial, "wb") as file:
            while data := answer.read(_DOWNLOAD_BYTES):
                file.write(data)
        os.replace(partial, target)

    def _json(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """A request with JSON in and out."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **({} if data is None else {"Content-Type": "application/json"})}
        with self._request(method, path, data, headers) as answer:
            try:
                value = json.load(answer)
            except ValueError as error:
                raise RunError(f"{self.url} answers, but it is no rs2sam server. Start one: rs2sam serve.") from error
        return dict(value)

    def _request(self, method: str, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> Any:
        """One request; a busy server is asked again when it says so.

        Raises:
            GoneError: when the server does not have what the path names.
            RunError: with the server's own words, or when none answers.
        """
        headers = dict(headers or {})
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        for remaining in reversed(range(_TRIES)):
            try:
                return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in (429, 503) or not remaining:
                        raise _refusal(error) from error
                    pause = error.headers.get("Retry-After", "1")
                time.sleep(min(float(pause) if pause.isdigit() else 1.0, _LONGEST_PAUSE_SECONDS))
            except OSError as error:
                reason = getattr(error, "reason", error)
                raise RunError(
                    f"No rs2sam server answers at {self.url} ({reason}). Start one with `rs2sam serve`, or run through "
                    "the command line (Settings > Options > rs2sam)."
                ) from error
        raise AssertionError("unreachable: the last try returns or raises")


class GoneError(RunError):
    """The server no longer has an image, a job or an answer."""


def _refusal(error: urllib.error.HTTPError) -> RunError:
    """What a server says against a request (RFC 9457), as an error."""
    try:
        problem = json.load(error)
        detail = problem.get("detail") or problem.get("title")
    except (ValueError, AttributeError):
        detail = None
    if error.code == 401:
        return RunError("The server demands a token, and the one in Settings > Options > rs2sam is not it.")
    kind = GoneError if error.code in (404, 410) else RunError
    return kind(detail or f"The server refuses {error.url} ({error.code} {error.reason}).")
