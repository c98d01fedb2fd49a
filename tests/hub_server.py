"""A local server that plays the model hub for `huggingface_hub`'s real client."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    start: int
    """First byte asked for."""


@dataclass
class HubServer:
    """Repositories (id -> path -> content) served as the hub does: model info, file tree, metadata, files, ranges.

    `cut` maps a path to the bytes after which the next downloads of it are cut off, one number for each. `gated` holds
    repositories whose files are kept back: 401 for whoever sends no token, 403 for whoever does, but `granted`.
    """

    repos: dict[str, dict[str, bytes]]
    cut: dict[str, list[int]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    gated: set[str] = field(default_factory=set)
    granted: str = "hf_granted"

    def __enter__(self) -> HubServer:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def downloads(self, path: str) -> list[Request]:
        """The requests for the content of a file."""
        return [r for r in self.requests if r.method == "GET" and r.path.endswith(f"/resolve/{COMMIT}/{path}")]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub._answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                """Silent."""

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.requests.append(Request(handler.command, path, start))
        parts = path.strip("/").split("/")
        is_api = parts[:2] == ["api", "models"]
        repo = "/".join(parts[2:4] if is_api else parts[:2])
        files = self.repos.get(repo)
        if files is None:
            _send(handler, 404, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif is_api and "tree" in parts:
            _send_json(handler, [_entry(name, content) for name, content in files.items()])
        elif is_api and parts[4:5] == ["revision"] and parts[5] not in ("main", COMMIT):
            _send(handler, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif is_api:
            _send_json(handler, {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]})
        elif repo in self.gated and handler.headers.get("Authorization") != f"Bearer {self.granted}":
            status = 403 if handler.headers.get("Authorization") else 401
            message = f"Access to model {repo} is restricted."
            _send(handler, status, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": message})
        else:
            self._send_file(handler, "/".join(parts[4:]), files, start)

    def _send_file(self, handler: BaseHTTPRequestHandler, name: str, files: dict[str, bytes], start: int) -> None:
        if name not in files:
            _send(handler, 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        content = files[name]
        headers = {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cuts = self.cut.get(name, [])
        cut_at = cuts.pop(0) if cuts and handler.command == "GET" else None
        _send(handler, 206 if start else 200, content[start:], headers, cut_at)


def _entry(name: str, content: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}


def _send_json(handler: BaseHTTPRequestHandler, value: object) -> None:
    _send(handler, 200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str], cut_at: int | None = None
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command == "HEAD":
        return
    handler.wfile.write(body if cut_at is None else body[:cut_at])
    if cut_at is not None:
        handler.wfile.flush()
        handler.close_connection = True  # fewer bytes than announced: the client sees a broken transfer
