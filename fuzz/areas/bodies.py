"""What clients of the service send: forms, JSON, pieces of uploads, files that are not what they say, odd headers."""

from __future__ import annotations

import base64
import io
import random
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz.areas import rasters
from fuzz.mutations import NUMBERS, TEXTS, as_json, mutate_bytes, mutate_text, mutate_tree, written

SENTENCES = ("the red roofs", "all ships", "the largest roof", "no such thing", "the roof at the upper left")
PIECE = "application/offset+octet-stream"
_NAMES = (
    "scene.tif",
    "a.png",
    "a.jpg",
    "a.vrt",
    "a.tif.png",
    ".upload.part",
    ".pixels.npy",
    "CON",
    "a\r\nX: y",
    *TEXTS,
)
_ACCEPTS = ("*/*", "application/json", "image/png", "image/png;values=probability", "application/geo+json",
            "application/vnd.coco.rle+json", "image/tiff", "application/geopackage+sqlite3")  # fmt: skip
_ODD_ACCEPTS = ("", ",", ";", "text/html", "*/*;q=0", "*/*;q=nan", "image/*;q=inf", "application/json;q=1e999",
                "a" * 5000, "image/png;values=\"", "*/*" + ",*/*" * 2000, "image/png;q=0.5, */*;q=-1",
                "application/json; q", "*")  # fmt: skip
_ODD_HEADERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("content-length", ("0", "-1", "5", "9" * 30, "9" * 5000, "1e3", "²", "")),
    ("content-encoding", ("gzip", "br", "identity")),
    ("content-type", ("", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "multipart/mixed",
                      "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a", PIECE, "image/png")),
    ("host", ("", "evil.example", "localhost:99999", "[::1", "127.0.0.1:x", "localhost")),
    ("origin", ("null", "http://evil.example", "http://localhost", "http://[", "")),
    ("range", ("bytes=0-", "bytes=5-2", "bytes=-1", "bytes=999999999-", "bytes=0-0,2-3", "x", "bytes=a-b", "bytes=")),
    ("if-none-match", ("*", '"x"')), ("if-range", ("x",)), ("if-modified-since", ("yesterday", "0")),
    ("authorization", ("Bearer", "Bearer x", "Basic eDp4", "Bearer " + "é" * 20, "bearer  0123456789abcdef")),
    ("cookie", ("rs2sam_session=x", "rs2sam_session", "=;=;", "rs2sam_session=\"é\"", "a" * 5000, "rs2sam_session=[]")),
    ("upload-offset", ("", "0", "-1", "1", "9" * 18, "9" * 40, "0x1", " 1", "²")),
    ("idempotency-key", ("", "a", "x" * 128, "x" * 129, "é")),
    ("x-forwarded-for", ("1.2.3.4", "x" * 300)), ("expect", ("100-continue",)), ("last-event-id", ("5", "x")),
    ("accept-encoding", ("gzip", "nonsense;q=2")), ("transfer-encoding", ("chunked", "x")),
)  # fmt: skip


@dataclass
class Sending:
    """One request.

    Args:
        method: of HTTP.
        address: path and query, as they stand in a request.
        body: bytes.
        headers: names in lower case.
    """

    method: str
    address: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def spoil_headers(rng: random.Random, sending: Sending) -> None:
    """Set, or leave out, a header or two."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        name, values = rng.choice(_ODD_HEADERS)
        if rng.random() < 0.2:
            sending.headers.pop(name, None)
        else:
            sending.headers[name] = rng.choice(values) if rng.random() < 0.8 else rng.choice(TEXTS)


def accept(rng: random.Random) -> str:
    """What the client takes."""
    kind = rng.random()
    if kind < 0.7:
        return rng.choice(_ACCEPTS)
    if kind < 0.85:
        return rng.choice(_ODD_ACCEPTS)
    return mutate_text(rng, ", ".join(f"{one};q={rng.choice(NUMBERS)}" for one in rng.sample(_ACCEPTS, 3)))


def image_file(rng: random.Random, folder: Path) -> bytes:
    """The content of an image, or of what is none."""
    kind = rng.random()
    if kind < 0.45:
        rgb = np.full((rng.choice((1, 40, 70, 150)), rng.choice((1, 40, 90)), 3), (40, 120, 50), np.uint8)
        rgb[5:25, 5:35] = (220, 30, 30)
        stream = io.BytesIO()
        Image.fromarray(rgb).save(stream, rng.choice(("PNG", "JPEG", "WEBP", "TIFF")))
        return stream.getvalue()
    if kind < 0.85:
        path = folder / "made.tif"
        if rng.random() < 0.3:
            content = rasters.picture(rng)[1]
        else:
            rasters.write_tiff(rng, path)
            content = path.read_bytes()
        path.unlink(missing_ok=True)
        how = rng.random()
        return content if how < 0.5 else rasters.mutate_tiff(rng, content) if how < 0.8 else mutate_bytes(rng, content)
    return rng.choice(_DISGUISES)(rng)


def _vrt(_: random.Random) -> bytes:
    """A picture of other files."""
    return (
        b'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        b"<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )


def _zipped(_: random.Random) -> bytes:
    """An archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("../a.tif", b"II*\0")
    return stream.getvalue()


def _headed(rng: random.Random) -> bytes:
    """The first bytes of a picture before something else."""
    heads = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP")
    return rng.choice(heads) + rng.choice((b"", rng.randbytes(200), _vrt(rng), bytes(5000), _zipped(rng)))


def _claimed(rng: random.Random) -> bytes:
    """A picture whose header claims far more than the file holds."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[16:24] = rng.choice((1, 8, 65535, 2**20, 2**31 - 1)).to_bytes(4, "big") * 2
    return bytes(content)


_DISGUISES = (
    _vrt, _zipped, _headed, _headed, _claimed, lambda rng: b"", lambda rng: rng.randbytes(500),
    lambda rng: b"<svg xmlns='http://www.w3.org/2000/svg'/>", lambda rng: b"\x80\x04cos\nsystem\n.",
    lambda rng: b"SQLite format 3\0" + bytes(200), lambda rng: b"\x1f\x8b" + bytes(50), lambda rng: b"\x93NUMPY\x01\0",
)  # fmt: skip


def form(rng: random.Random, content: bytes, fields: dict[str, list[str]]) -> tuple[bytes, str]:
    """A form with a file; returns the body and its type. Seldom damaged."""
    boundary = "b0undary"
    pieces = []
    for name, values in fields.items():
        for value in values:
            pieces.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + written(value))
    name = rng.choice(_NAMES[:4] if rng.random() < 0.6 else _NAMES)
    field_name = "file" if rng.random() < 0.95 else rng.choice(("File", "files", "", "sentence", "bands"))
    escaped = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A") if rng.random() < 0.9 else name
    head = f'Content-Disposition: form-data; name="{field_name}"; filename="{escaped}"\r\n'
    kind = rng.choice(("image/tiff", "text/html", "application/x-python", "", "x" * 300))
    pieces.append(written(f"{head}Content-Type: {kind}\r\n\r\n") + content)
    if rng.random() < 0.1:
        pieces.append(rng.choice(pieces))
    rng.shuffle(pieces)
    mark = f"--{boundary}".encode()
    body = b"".join(mark + b"\r\n" + piece + b"\r\n" for piece in pieces) + mark + b"--\r\n"
    if rng.random() < 0.1:
        body = mutate_bytes(rng, body)
    return body, f"multipart/form-data; boundary={boundary}"


def fields(rng: random.Random, *, asked: bool) -> dict[str, list[str]]:
    """Fields of a form: how the file is read, and where it is asked about, what."""
    found: dict[str, list[str]] = {}
    if asked:
        found["sentence"] = [_sentence(rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 0, 20)))]
    choices = {
        "bands": ("1", "3,2,1", "9", "", "a", "1,1,1,1", "0", ",", "99999999999999999999"),
        "stretch": ("percentile:2,98", "none", "fixed:0,255", "fixed:9,1", "fixed:nan,inf", "percentile:,", "x"),
        "nodata": ("0", "255", "nan", "1e999", "-9999", "x"),
        "nodata_tolerance": ("8", "-1", "1e300", "nan", ""),
        "alpha": ("use", "ignore", "x"),
    }
    if asked:
        choices.update(
            threshold=("0.5", "0", "1", "2", "nan", "1e-400"),
            min_area=("40px", "25m2", "-1", "px", "1e400", "nanm2", "x" * 40),
            min_presence=("0", "1", "0.3", "x"),
            scope=("scene", "tile", "x"),
        )
    for name in rng.sample(sorted(choices), rng.choice((0, 0, 1, 2))):
        found[name] = [rng.choice(choices[name]) if rng.random() < 0.85 else rng.choice(TEXTS)]
    return found


def _sentence(rng: random.Random) -> str:
    """What is asked."""
    kind = rng.random()
    if kind < 0.75:
        return rng.choice(SENTENCES)
    return rng.choice(TEXTS) if kind < 0.9 else mutate_text(rng, rng.choice(SENTENCES))


def json_body(rng: random.Random, tree: Any) -> bytes:
    """JSON, in part of another meaning, and seldom none."""
    if rng.random() < 0.35:
        tree = mutate_tree(rng, tree)
    content = written(as_json(rng, tree))
    if rng.random() < 0.03:
        return rng.choice(
            (b"", b"\xff\xfe", b"\xef\xbb\xbf" + content, content.decode("utf-8", "replace").encode("utf-16"))
        )
    return mutate_bytes(rng, content) if rng.random() < 0.03 else content


def question(rng: random.Random) -> dict[str, Any]:
    """Sentences and options."""
    options: dict[str, Any] = {
        "threshold": rng.choice((0, 0.3, 0.5, 1)),
        "min_area": rng.choice(("0", "40px", "25m2", "nanm2", "1e400px", "-5px", "5 m2")),
        "min_presence": rng.choice((None, 0, 0.9, 1)),
        "scope": rng.choice(("scene", "tile")),
        "tile": rng.choice((None, 16, 40, 64, 100_000)),
        "overlap": rng.choice((None, 0, 8, 15, 16, 100_000)),
    }
    kept = rng.sample(sorted(options), rng.choice((0, 0, 1, 2, 6)))
    return {
        "sentences": [_sentence(rng) for _ in range(rng.choice((1, 1, 2, 3, 17)))],
        "options": {name: options[name] for name in kept},
    }


def job(rng: random.Random, image: str) -> dict[str, Any]:
    """A scene and what is asked of it."""
    asked = question(rng)
    if rng.random() < 0.3:
        asked["options"]["gsd_m"] = rng.choice((0.3, 0.6, 2, 1e6, 1e-9))
    outputs = {"format": rng.choice(("gpkg", "geojson")), "cog": True, "class_map": True, "orthogonal": True,
               "simplify_m": rng.choice((0, 1, 1e6))}  # fmt: skip
    kept = rng.sample(sorted(outputs), rng.choice((0, 0, 1, 3)))
    return {"image": image, **asked, "outputs": {name: outputs[name] for name in kept}}


def prompts(rng: random.Random, answer: str | None) -> dict[str, Any]:
    """Clicks and boxes."""

    def place() -> float:
        return rng.choice((0, 3, 10, 12.5, 39, 40, 69, 70, 89, 1e9, -1e9, -1, 1e-300))

    return {
        "answer": answer,
        "index": None if answer is None else rng.choice((0, 0, 1, 99)),
        "points": [[place(), place()] for _ in range(rng.choice((0, 1, 2, 64)))],
        "boxes": [[place() for _ in range(4)] for _ in range(rng.choice((0, 1, 2)))],
        "threshold": rng.choice((0, 0.5, 1)),
    }


def export(rng: random.Random, answer: str | None, size: tuple[int, int]) -> dict[str, Any]:
    """Masks to be written; `size` is the image's height and width."""
    layers = []
    for _ in range(rng.choice((1, 1, 2, 17))):
        layer: dict[str, Any] = {"sentence": _sentence(rng), "threshold": rng.choice((0, 0.3, 0.5, 1))}
        kind = rng.randrange(4)
        if kind == 0 and answer is not None:
            layer.update(answer=answer, index=rng.choice((0, 0, 1, None)))
        elif kind == 1:
            layer["mask_png"] = _mask(rng, size)
        elif kind == 2:
            total = size[0] * size[1]
            counts = rng.choice(
                ([0, total], [total], [total // 2, total - total // 2], [2**63 - 1, 2**63 - 1, 2], "0", "")
            )
            layer["rle"] = {"size": list(size), "counts": counts}
        layers.append(layer)
    return {"format": rng.choice(("geotiff", "gpkg", "geojson", "png", "json")), "layers": layers}


def _mask(rng: random.Random, size: tuple[int, int]) -> str:
    """A mask as a picture, seldom of another size or kind."""
    stream = io.BytesIO()
    mode = rng.choice(("L", "1", "RGB", "RGBA", "P", "I;16"))
    shape = (size[1], size[0]) if rng.random() < 0.9 else (3, 3)
    Image.new(mode, (max(1, shape[0]), max(1, shape[1])), 1).save(stream, "PNG" if rng.random() < 0.95 else "TIFF")
    content = stream.getvalue()
    return base64.b64encode(mutate_bytes(rng, content) if rng.random() < 0.3 else content).decode()
