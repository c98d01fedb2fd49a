"""A local server of one file that answers range requests, as object stores do, and counts what it sends.

It runs in a process of its own: rasterio asks for some of a file's bytes while it holds the interpreter's lock.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.request import ProxyHandler, build_opener


@dataclass
class RangeServer:
    """Serves one file under its name, nothing else."""

    path: Path

    def __enter__(self) -> RangeServer:
        command = [sys.executable, __file__, str(self.path)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        self._root = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    @property
    def url(self) -> str:
        return f"{self._root}/{self.path.name}"

    @property
    def num_sent(self) -> int:
        """Bytes of the file sent so far."""
        with build_opener(ProxyHandler({})).open(f"{self._root}/sent") as answer:
            return int(answer.read())


def serve(path: Path) -> None:
    """Serve until killed; prints the port."""
    content = path.read_bytes()
    sent = [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._head()

        def do_GET(self) -> None:
            body = self._head()
            self.wfile.write(body)
            sent[0] += len(body) if self.path == f"/{path.name}" else 0

        def _head(self) -> bytes:
            """Send status and headers; returns what the body is."""
            status, body, described = 200, content, None
            asked = self.headers.get("Range")
            if self.path == "/sent":
                body = str(sent[0]).encode()
            elif self.path != f"/{path.name}":
                status, body = 404, b""
            elif asked is not None:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                body = content[int(first) : int(last) + 1 if last else None]
                status, described = 206, f"bytes {first}-{int(first) + len(body) - 1}/{len(content)}"
            self.send_response(status)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            if described is not None:
                self.send_header("Content-Range", described)
            self.end_headers()
            return body

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
