"""A service with a stand-in for the model: it finds red. In this process, or by HTTP on a port of its own.

python -m tests.serve.live FOLDER SECONDS      # prints its port; SECONDS is what each view takes
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.testclient import TestClient

from rs2sam.errors import InvalidInputError
from rs2sam.processing import Processor
from rs2sam.segmenter import Segmentation, Segmenter
from rs2sam.serve.app import create_app
from rs2sam.serve.service import Service
from rs2sam.serve.settings import Limits, Settings
from tests.small_model import small_processor


class RedBackend:
    """What a segmenter asks of a backend besides its answers."""

    name = "red"
    has_presence = has_score = True

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size


class RedModel(Segmenter):
    """Finds red: probability 0.9 where red outweighs green, 0.1 elsewhere; nothing for a sentence with "no".

    `batches` are its batches' numbers of views; "wrong" in a sentence is an error; `may_answer` holds it up, `is_asked`
    tells that it has been asked.
    """

    def __init__(self, seconds: float = 0.0, batch_size: int = 4) -> None:
        super().__init__(_processor(), RedBackend(batch_size))
        self.seconds = seconds
        self.batches: list[int] = []
        self.may_answer, self.is_asked = threading.Event(), threading.Event()
        self.may_answer.set()

    def _run(self, pairs, size_hw):
        self.is_asked.set()
        self.may_answer.wait(20)
        self.batches.append(len(pairs))
        time.sleep(self.seconds * len(pairs))
        return [self._found(picture.rgb, sentence) for picture, sentence in pairs]

    def _found(self, rgb, sentence):
        if "wrong" in sentence:
            raise InvalidInputError(f"The sentence {sentence!r} is wrong. Ask another.")
        red = (rgb[..., 0].astype(int) > rgb[..., 1].astype(int) + 20) & ("no" not in sentence.split())
        probability = np.where(red, np.float32(0.9), np.float32(0.1))
        return Segmentation(sentence, probability > 0.5, probability, 0.9 if red.any() else 0.1, 0.7)


@cache
def _processor() -> Processor:
    """One for all: its tokenizer takes a while to read."""
    return small_processor()


@contextmanager
def client(folder: Path, model: Segmenter | None = None, **settings: Any) -> Iterator[TestClient]:
    """A client of a service in this process; `limits` may be a dict of some of them."""
    limits = settings.pop("limits", {})
    made = Settings(folder, limits=replace(Limits(), **limits), **settings)
    service = Service(made, model or RedModel())
    with TestClient(create_app(service), base_url="http://localhost", client=("127.0.0.1", 1)) as opened:
        opened.service = service  # type: ignore[attr-defined]
        yield opened


@contextmanager
def server(folder: Path, model: Segmenter | None = None, **settings: Any) -> Iterator[str]:
    """The URL of a service that answers at a port of its own."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        app = create_app(Service(Settings(folder, **settings), model or RedModel()))
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=3))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


def send(opened: TestClient, path: Path, name: str | None = None) -> dict[str, Any]:
    """Send an image and wait until it was read."""
    with path.open("rb") as file:
        answer = opened.post("/v1/images", files={"file": (name or path.name, file)})
    assert answer.status_code == 201, answer.text
    return opened.get(f"/v1/images/{answer.json()['id']}?wait=20").json()


def ended(opened: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    """A job once it has come to its end."""
    for _ in range(600):
        body = opened.get(f"/v1/jobs/{job['id']}").json()
        if body["state"] in ("done", "failed", "cancelled"):
            return body
        time.sleep(0.03)
    raise AssertionError(body)


def main() -> None:
    """Answer until killed, saving after every batch of a scene."""
    from rs2sam.scenes import scanning

    scanning._SAVE_EVERY_S = 0.0
    with server(Path(sys.argv[1]), RedModel(float(sys.argv[2]), batch_size=1)) as url:
        print(url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
