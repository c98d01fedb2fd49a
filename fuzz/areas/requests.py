"""The service of `rs2sam serve`, in this process: requests one after another, each of them answered, none with 5xx."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fuzz.areas import bodies
from fuzz.areas.answers import Log, check_content, check_problem
from fuzz.areas.bodies import Sending
from fuzz.contract import Box, Try, require, strict_json
from fuzz.mutations import NUMBERS, TEXTS, written
from tests.make_rasters import write_tiff

TOKEN = "a-token-of-the-fuzzer"
_PATIENCE_S = 30
_STATIC = ("/", "/page/app.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page/", "/favicon.ico", "/openapi.json",
           "/docs", "/healthz", "/readyz", "/metrics", "/v1/service", "/v1/models", "/v1/jobs", "/v1/images", "/v1",
           "//", "/problems/gone", "/problems/x", "/%ff", "/%00", "/v1/images/",
           "/v1/images/%2e%2e%2f%2e%2e/content")  # fmt: skip
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get")
_BELOW_ROOT = ("scene.tif", "sub/scene.tif", "link.tif", "pipe.tif", "secret.txt", "../root/scene.tif", "sub",
               "scene.tif/x", "/etc/passwd", "sub//scene.tif", "", "x" * 5000)  # fmt: skip


@dataclass
class _Known:
    """Ids of what the service has, and where its files lie.

    Args:
        store: of the service.
        answers: with the image that each is about.
        sizes: height and width of images.
    """

    store: Path
    images: list[str] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)


def make(rng: random.Random, box: Box) -> Try:
    """What a client sends; what it learns from the answers is put in as they come."""
    root = box.inputs / "root"
    (root / "sub").mkdir(parents=True)
    write_tiff(root / "scene.tif")
    shutil.copyfile(root / "scene.tif", root / "sub" / "scene.tif")
    (root / "secret.txt").write_text("secret")
    (root / "link.tif").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe.tif")
    files = box.inputs / "made"
    files.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pictures = [bodies.image_file(rng, files) for _ in range(2)]
    seed, count = rng.getrandbits(64), rng.randint(2, 9)
    settings: dict[str, Any] = {"root": root if rng.random() < 0.7 else None}
    settings["token"] = TOKEN if rng.random() < 0.2 else None
    return lambda: _serve(box, random.Random(seed), count, pictures, settings)


def _serve(box: Box, rng: random.Random, count: int, pictures: list[bytes], settings: dict[str, Any]) -> None:
    """Start the service, send everything, end it, and look at what it left."""
    from rs2sam.serve.settings import Example
    from tests.serve.live import RedModel, client

    # Wide where time alone would tell a refusal from an answer, narrow where a few requests have to reach the end.
    limits = {
        **{"rate": 1e6, "burst": 10**6, "receive_s": 5.0, "upload_bytes": 300_000, "chunk_bytes": 50_000},
        **{"body_bytes": 400_000, "pixels": 4_000_000, "interactive_pixels": 20_000, "job_bytes": 500_000_000},
    }
    examples = (Example("demo", "Two red rectangles", box.inputs / "root" / "scene.tif", ("the red",)),)
    known = _Known(box.out / "store")
    with Log() as log:
        with client(known.store, RedModel(), limits=limits, examples=examples, **settings) as opened:
            for number in range(count):
                sending = _image(rng, known, pictures) if number == 0 else _next(rng, known, pictures)
                if settings["token"] and rng.random() < 0.9:
                    sending.headers.setdefault("authorization", f"Bearer {TOKEN}")
                if rng.random() < 0.15:
                    bodies.spoil_headers(rng, sending)
                answer = _sent(opened, sending)
                _check(sending, answer, known, log)
                _learn(sending, answer, known)
            _wait(opened, known, {"authorization": f"Bearer {TOKEN}"})
        log.check("after all requests")
    _check_store(known)
    shutil.rmtree(box.out)


def _sent(opened: Any, sending: Sending) -> Any:
    """Send a request as bytes; what a server would not let through is left out of its headers."""
    headers = [
        (name.encode(), written(value.translate({10: None, 13: None, 0: None})))
        for name, value in sending.headers.items()
    ]
    return opened.request(
        sending.method, sending.address, content=sending.body, headers=headers, follow_redirects=False
    )


# What is sent


def _next(rng: random.Random, known: _Known, pictures: list[bytes]) -> Sending:
    """A request to any address, in part with a method that it does not take."""
    kinds = (_image, _segment_once, _static, _piece, _segment, _regions, _export, _add_job, _look, _look_at_job)
    # Without an image the others meet 404 alone.
    weights = (3, 2, 2, 3, 5, 3, 3, 3, 5, 3 if known.jobs else 1) if known.images else (20, 5, 3, *(1,) * 7)
    sending = rng.choices(kinds, weights)[0](rng, known, pictures)
    if rng.random() < 0.04:
        sending = replace(sending, method=rng.choice(_METHODS))
    return sending


def _id(rng: random.Random, found: list[Any], odd: Any = None) -> Any:
    """One that is there, seldom one that is not."""
    if found and rng.random() < 0.92:
        return rng.choice(found)
    text = rng.choice(TEXTS) if rng.random() < 0.5 else rng.choice(("i_0123456789abcdef", "a_0", "j_0", "..", "%2e%2e"))
    return text if odd is None else odd(text)


def _in_path(rng: random.Random, text: str) -> str:
    """A part of a path."""
    return quote(written(text), safe="" if rng.random() < 0.8 else "/:;%.~")[:3000]


def _image(rng: random.Random, known: _Known, pictures: list[bytes]) -> Sending:
    """A new image: whole, named, or announced."""
    if rng.random() < 0.6:
        body, kind = bodies.form(rng, rng.choice(pictures), bodies.fields(rng, asked=False))
        return Sending("POST", "/v1/images", body, {"content-type": kind})
    size = len(pictures[0]) or 1
    tree: dict[str, Any] = rng.choice((
        {"example": rng.choice(("demo", "demo", "demo", "gone"))},
        {"path": rng.choice(_BELOW_ROOT)},
        {"path": "scene.tif"},
        {"upload": {"name": rng.choice(("a.tif", *TEXTS)) or "a", "size": rng.choice((size, 5, *NUMBERS))}},
        {"upload": {"name": "a.tif", "size": size}},
        {"example": "demo", "path": "scene.tif"},
    ))  # fmt: skip
    if rng.random() < 0.3:
        reading = {"bands": rng.choice(([1], [3, 2, 1], [9], [0], [])),
                   "stretch": rng.choice(("none", "percentile:2,98", "x")), "nodata": rng.choice((0, 255, 1e300)),
                   "nodata_tolerance": rng.choice((0, 8, 1e300)),
                   "alpha": rng.choice(("use", "ignore"))}  # fmt: skip
        tree["reading"] = {name: reading[name] for name in rng.sample(sorted(reading), rng.choice((1, 2)))}
    return _json("POST", "/v1/images", bodies.json_body(rng, tree))


def _json(method: str, address: str, body: bytes) -> Sending:
    """A request with JSON."""
    return Sending(method, address, body, {"content-type": "application/json"})


def _piece(rng: random.Random, known: _Known, pictures: list[bytes]) -> Sending:
    """A piece of an upload that was announced, or a look at how far it is."""
    address = f"/v1/images/{_in_path(rng, _id(rng, known.images[-1:]))}/content"
    if rng.random() < 0.15:
        return Sending("HEAD", address)
    whole = pictures[0]
    start = rng.choice((0, 0, 0, len(whole) // 2, len(whole)))
    end = rng.choice((len(whole), len(whole), len(whole) // 2, start))
    content = whole[start:end] if rng.random() < 0.9 else bytes(rng.choice((1, 60_000)))
    offset = str(start) if rng.random() < 0.9 else str(rng.choice(NUMBERS))
    return Sending("PATCH", address, content, {"content-type": bodies.PIECE, "upload-offset": offset})


def _segment(rng: random.Random, known: _Known, _: list[bytes]) -> Sending:
    """Sentences about an image."""
    address = f"/v1/images/{_in_path(rng, _id(rng, known.images))}/segment"
    sending = _json("POST", address, bodies.json_body(rng, bodies.question(rng)))
    if rng.random() < 0.6:
        sending.headers["accept"] = bodies.accept(rng)
    return sending


def _segment_once(rng: random.Random, known: _Known, pictures: list[bytes]) -> Sending:
    """An image and sentences in one."""
    body, kind = bodies.form(rng, rng.choice(pictures), bodies.fields(rng, asked=True))
    headers = {"content-type": kind}
    if rng.random() < 0.6:
        headers["accept"] = bodies.accept(rng)
    return Sending("POST", "/v1/segment", body, headers)


def _answered(rng: random.Random, known: _Known) -> tuple[str, str | None]:
    """An image and an answer, mostly about it."""
    image = _id(rng, known.images)
    about = [answer for answer, of in known.answers if of == image or rng.random() < 0.1]
    return image, _id(rng, about) if about or rng.random() < 0.2 else None


def _regions(rng: random.Random, known: _Known, _: list[bytes]) -> Sending:
    """Clicks and boxes."""
    image, answer = _answered(rng, known)
    address = f"/v1/images/{_in_path(rng, image)}/regions"
    return _json("POST", address, bodies.json_body(rng, bodies.prompts(rng, answer)))


def _export(rng: random.Random, known: _Known, _: list[bytes]) -> Sending:
    """Masks as a file."""
    image, answer = _answered(rng, known)
    tree = bodies.export(rng, answer, known.sizes.get(image, (64, 96)))
    return _json("POST", f"/v1/images/{_in_path(rng, image)}/export", bodies.json_body(rng, tree))


def _add_job(rng: random.Random, known: _Known, _: list[bytes]) -> Sending:
    """A scene as a job."""
    sending = _json("POST", "/v1/jobs", bodies.json_body(rng, bodies.job(rng, _id(rng, known.images))))
    if rng.random() < 0.2:
        sending.headers["idempotency-key"] = rng.choice(("a", "b", "é", ""))
    return sending


def _look(rng: random.Random, known: _Known, _: list[bytes]) -> Sending:
    """An image, its picture, its tiles, an answer; or an image removed."""
    image = _in_path(rng, _id(rng, known.images))
    if rng.random() < 0.3 and known.answers:
        answer = _in_path(rng, _id(rng, known.answers, lambda text: (text, ""))[0])
        index = rng.choice((0, 0, 1, -1, 99, "x", 10**30))
        ends = ("", f"/{index}/mask.png", f"/{index}/probability.png")
        return Sending("GET", f"/v1/answers/{answer}{rng.choice(ends)}")
    if rng.random() < 0.1:
        return Sending("DELETE", f"/v1/images/{image}")
    z, x, y = (rng.choice((0, 1, 5, 18, 24, 30, -1, 99, 2**31, 10**30, "x", "1e3")) for _ in range(3))
    number = rng.choice(NUMBERS)
    ends = (f"?wait={rng.choice((0, 0.1, 20, 31, 'nan', -1))}", "/preview.png", f"/preview.png?max={number}",
            "/tilejson.json", f"/tiles/{z}/{x}/{y}.png", "/tiles/0/0/0.png", "",
            "/preview.png?max=64&max=x")  # fmt: skip
    return Sending("GET", f"/v1/images/{image}{rng.choice(ends)}")


def _look_at_job(rng: random.Random, known: _Known, _: list[bytes]) -> Sending:
    """A job, its picture, its files, its events; or a job cancelled."""
    if known.files and rng.random() < 0.4:
        job, name = _id(rng, known.files, lambda text: (rng.choice(known.jobs), text))
        return Sending("GET", f"/v1/jobs/{_in_path(rng, job)}/files/{_in_path(rng, name)}")
    job = _in_path(rng, _id(rng, known.jobs))
    if rng.random() < 0.2:
        return Sending("DELETE", f"/v1/jobs/{job}")
    ends = ("", "", "/preview.png", "/events", "/files/gone", "/files/..%2f..%2fserve.sqlite", "/files/.job")
    return Sending("GET", f"/v1/jobs/{job}{rng.choice(ends)}")


def _static(rng: random.Random, known: _Known, _: list[bytes]) -> Sending:
    """An address of another kind."""
    if rng.random() < 0.2:
        return Sending(rng.choice(("POST", "DELETE")), "/v1/session")
    address = rng.choice(_STATIC) if rng.random() < 0.8 else f"/{_in_path(rng, rng.choice(TEXTS))}"
    return Sending("GET", address + rng.choice(("", "", "", "?", "?a=%ff", "?a=" + "x" * 3000)))


# What comes back


def _check(sending: Sending, answer: Any, known: _Known, log: Log) -> None:
    """No failure; a refusal is a problem of RFC 9457, and an answer what its type says."""
    told = f"{sending.method} {sending.address[:200]}: {answer.status_code}"
    log.check(told)
    require(100 <= answer.status_code < 500, f"{told} {answer.content[:500]!r}")
    require(answer.headers.get("x-content-type-options") == "nosniff", f"{told}: without the headers of every answer")
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if sending.method == "HEAD":
        return
    if answer.status_code >= 400:
        require(kind == "application/problem+json", f"{told}: {kind} {answer.content[:300]!r}")
        check_problem(strict_json(answer.text), known.store, answer.status_code)
        require(answer.status_code != 429 or int(answer.headers["retry-after"]) >= 1, f"{told}: without Retry-After")
    elif answer.status_code in (200, 201, 202) and answer.content:
        check_content(kind, answer.content, told)


def _learn(sending: Sending, answer: Any, known: _Known) -> None:
    """Note the ids that an answer brings."""
    if sending.method == "HEAD":  # has the type of the answer to GET, and none of its content
        return
    if answer.status_code not in (200, 201, 202) or not answer.headers.get("content-type", "").startswith(
        "application/json"
    ):
        return
    found = answer.json()
    path = sending.address.partition("?")[0]
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        return
    if sending.method == "POST" and path == "/v1/images":
        known.images.append(found["id"])
    elif path.endswith("/segment"):
        known.answers.append((found["id"], found.get("image", "")))
        if path == "/v1/segment":
            known.images.append(found["image"])
    elif sending.method == "POST" and path == "/v1/jobs":
        known.jobs.append(found["id"])
    elif path.startswith("/v1/jobs/") and found.get("files"):
        known.files += [(found["id"], file["name"]) for file in found["files"]]
    if found.get("height"):
        known.sizes[found["id"]] = (found["height"], found["width"])


def _wait(opened: Any, known: _Known, headers: dict[str, str]) -> None:
    """Until every image and job has come to an end; how they failed, they say."""
    until = time.monotonic() + _PATIENCE_S
    for address in (*(f"/v1/images/{one}" for one in known.images), *(f"/v1/jobs/{one}" for one in known.jobs)):
        while True:
            answer = opened.get(address, headers=headers)
            if answer.status_code == 404:
                break
            found = answer.json()
            if found.get("state") not in ("encoding", "queued", "running"):
                if found.get("error"):
                    check_problem(found["error"], known.store)
                break
            require(time.monotonic() < until, f"{address} is {found['state']!r} after {_PATIENCE_S} s")
            time.sleep(0.02)


def _check_store(known: _Known) -> None:
    """What lies in the store is in the records, nothing is half written, and no thread of the service is left."""
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("rs2sam")]
    require(not left, f"threads go on: {left}")
    names = {path.name for path in known.store.iterdir()}
    require(
        names <= {"images", "answers", "jobs", "lock", "serve.sqlite", "serve.sqlite-wal", "serve.sqlite-shm"},
        f"{names}",
    )
    connection = sqlite3.connect(known.store / "serve.sqlite")
    states = {kind: dict(connection.execute(f"SELECT id, state FROM {kind}")) for kind in ("images", "jobs")}
    connection.close()
    for kind, found in states.items():
        for folder in (known.store / kind).iterdir():
            require(folder.name in found, f"a folder of {kind} that no record has")
            state = found[folder.name]
            for path in folder.rglob("*"):
                name = path.name
                require(
                    state == "uploading" or not name.endswith((".part", ".partial", ".tmp")), f"{kind} {state}: {name}"
                )
