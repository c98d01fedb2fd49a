"""What the operator of the service decides."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from rs2sam.errors import InvalidInputError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
LEAST_TOKEN = 16
"""Characters of a token, at least."""


@dataclass(frozen=True)
class Limits:
    """What one service takes on; everything beyond is refused, never queued without end.

    Args:
        upload_bytes: of one image file.
        chunk_bytes: of one piece of an upload in pieces.
        body_bytes: of any other request.
        pixels: of one image.
        block_bytes: of one block of an image file as GDAL decodes it.
        interactive_pixels: an image of more is asked by a job.
        interactive_s: a question that waits longer than this for its answer is given up [s].
        receive_s: a request whose body pauses longer than this is given up [s].
        sentences: of one request.
        sentence_chars: of one sentence.
        waiting: questions that may wait for the model.
        answer_bytes: of the probability maps of all questions that wait or are being answered.
        requests: in progress at once, event streams included.
        forms: images that are received whole at once; pieces are not counted.
        encodings: images that wait to be read.
        jobs: scenes that may wait.
        job_s: a job that has run longer than this in one process is given up [s].
        job_bytes: what the engine may use beside the model for a job.
        images: kept at once.
        attempts: a job is given up when the process has died this many times in a row while it ran and got no further.
        rate: requests a second of one client, on average.
        burst: requests of one client at once.
        cache_bytes: of prepared images in memory.
        answers_bytes: of answers in memory.
        store_bytes: of everything on disk.
        keep_s: images, answers and results are removed this long after they were last used [s].
    """

    upload_bytes: int = 2_000_000_000
    chunk_bytes: int = 16_000_000
    body_bytes: int = 64_000_000
    pixels: int = 2_000_000_000
    block_bytes: int = 512_000_000
    interactive_pixels: int = 4096 * 4096
    interactive_s: float = 60.0
    receive_s: float = 30.0
    sentences: int = 16
    sentence_chars: int = 500
    waiting: int = 64
    answer_bytes: int = 2_000_000_000
    requests: int = 256
    forms: int = 8
    encodings: int = 32
    jobs: int = 100
    job_s: float = 24 * 3600.0
    job_bytes: int = 2_000_000_000
    images: int = 10_000
    attempts: int = 3
    rate: float = 50.0
    burst: int = 500
    cache_bytes: int = 1_000_000_000
    answers_bytes: int = 256_000_000
    store_bytes: int = 20_000_000_000
    keep_s: float = 24 * 3600.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise InvalidInputError(f"The limit `{name}` must be above 0, but it is {value}.")


@dataclass(frozen=True)
class Example:
    """An image that the service offers.

    Args:
        name: in addresses.
        title: what it shows.
        path: of its file.
        sentences: that find something in it.
    """

    name: str
    title: str
    path: Path
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class BaseMap:
    """A map of somebody else's under georeferenced scenes.

    Args:
        tiles: `https://.../{z}/{x}/{y}.png`.
        attribution: what its owner wants to be said.
    """

    tiles: str
    attribution: str = ""

    def __post_init__(self) -> None:
        scheme, _, rest = self.tiles.partition("://")
        host = rest.partition("/")[0]
        if scheme not in ("https", "http") or not host or not all(part in rest for part in ("{z}", "{x}", "{y}")):
            raise InvalidInputError(
                "A base map is a URL with {z}, {x} and {y}, such as https://tiles.example/{z}/{x}/{y}.png, but it is "
                f"{self.tiles!r}."
            )
        if any(letter in self.tiles for letter in " ;,'\"\\") or not self.tiles.isprintable():
            raise InvalidInputError(f"The URL of a base map has no blanks, quotes or semicolons: {self.tiles!r}.")

    @property
    def origin(self) -> str:
        """Scheme and host."""
        scheme, _, rest = self.tiles.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"


@dataclass(frozen=True)
class Settings:
    """How the service runs.

    Args:
        data: folder for images, jobs and results, of this service alone.
        host: address to listen at.
        port: to listen at; 0: any that is free.
        token: what clients must show; None: nothing, on loopback addresses only.
        root: images below this folder may be named by path; None: none may.
        hosts: further names under which the service is reached.
        base_map: under georeferenced scenes; None: none.
        examples: images that are offered.
        model: name of the model, for the records.
        limits: what it takes on.

    Raises:
        InvalidInputError: an address that is not loopback without a token, a token that is too short, a root that is
            no folder.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8008
    token: str | None = field(default=None, repr=False)
    root: Path | None = None
    hosts: tuple[str, ...] = ()
    base_map: BaseMap | None = None
    examples: tuple[Example, ...] = ()
    model: str = "compact"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise InvalidInputError(
                f"The service listens at other addresses than localhost only with a token, but `host` is {self.host!r} "
                "and there is none. Give one by --token-file FILE (or RS2SAM_TOKEN), or leave --host out."
            )
        if self.token is not None and (
            len(self.token) < LEAST_TOKEN or not self.token.isascii() or not self.token.isprintable()
        ):
            raise InvalidInputError(
                f"A token has at least {LEAST_TOKEN} printable ASCII characters, received {len(self.token)}. Make one: "
                "python -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        if self.token is not None and " " in self.token:
            raise InvalidInputError("A token has no blanks, since it stands in a header. Make another.")
        if self.root is not None and not self.root.is_dir():
            raise InvalidInputError(f"The root of images must be a folder, but {str(self.root)!r} is none.")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
