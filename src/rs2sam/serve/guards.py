"""What stands before every address: who may ask, how often, how much; and what browsers are told."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import OrderedDict
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rs2sam.serve.metrics import Metrics
from rs2sam.serve.problems import MEDIA_TYPE, ProblemError, problem_of
from rs2sam.serve.settings import LOOPBACK_NAMES, BaseMap, Limits, Settings

COOKIE = "rs2sam_session"
_OPEN = {("GET", "/v1/service"), ("HEAD", "/v1/service"), ("POST", "/v1/session"), ("DELETE", "/v1/session")}
_MOST_CLIENTS = 10_000
_MOST_DIGITS = 30
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def content_policy(base_map: BaseMap | None) -> str:
    """The Content-Security-Policy: everything from here alone, the tiles of a base map aside."""
    other = "" if base_map is None else f" {base_map.origin}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; manifest-src 'self'; "
        f"worker-src 'self' blob:; img-src 'self' data: blob:{other}; connect-src 'self'{other}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class Tokens:
    """Tells those who know the token from those who do not.

    Args:
        token: None: everybody does.
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else token.encode()
        self.cookie = "" if token is None else hmac.new(token.encode(), b"rs2sam session", hashlib.sha256).hexdigest()

    @property
    def needed(self) -> bool:
        """Whether a token is asked for."""
        return self._token is not None

    def by_header(self, headers: Headers) -> bool:
        """Whether `Authorization` has the token."""
        if self._token is None:
            return True
        scheme, _, said = headers.get("authorization", "").partition(" ")
        # Compared in constant time, so that an answer's time tells nothing of how much of it was right.
        return (
            hmac.compare_digest(said.strip().encode("latin-1", "replace"), self._token) and scheme.lower() == "bearer"
        )

    def allows(self, headers: Headers) -> bool:
        """Whether `Authorization` has the token, or a cookie shows that it was known."""
        if self.by_header(headers):
            return True
        try:
            shown = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return shown is not None and hmac.compare_digest(shown.value.encode(), self.cookie.encode())


def refused(headers: Headers) -> ProblemError:
    """What those are told who do not show the token."""
    if headers.get("authorization"):
        said = "This is not the service's token, which is shown as `Authorization: Bearer TOKEN`."
    else:
        said = "Show the service's token: `Authorization: Bearer TOKEN`."
    return ProblemError("unauthorized", said)


class RateLimit:
    """A bucket of tokens for each client; the clients that were heard of longest ago are forgotten first."""

    def __init__(self, limits: Limits) -> None:
        self._rate, self._burst = limits.rate, float(limits.burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take one; returns 0, or the seconds to wait."""
        now = time.monotonic()
        left, since = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return wait


class Guard:
    """The middleware around the whole application.

    Args:
        app: what it guards.
        settings: of the service.
        metrics: told of every request.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._limits = settings.limits
        self._metrics = metrics
        self._tokens = Tokens(settings.token)
        self._rate = RateLimit(settings.limits)
        self._in_progress = 0
        # Without a token, pages of other sites must not reach the service by a name of theirs that leads here.
        self._hosts = None if settings.token else {*LOOPBACK_NAMES, settings.host, *settings.hosts}
        self._headers = {
            "Content-Security-Policy": content_policy(settings.base_map),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        exchange = _Exchange(self._headers, send, scope["path"])
        self._in_progress += 1
        try:
            self._check(scope)
            await self._app(scope, exchange.bounded(receive, self._most_bytes(scope), self._limits.receive_s), exchange)
        except Exception as error:
            # The framework raises again what it has answered as a failure already; that is in the log by now.
            await exchange.refuse(problem_of(error))
        finally:
            self._in_progress -= 1
            route = getattr(scope.get("route"), "path", "other")
            # Names that clients make up would be kept for ever.
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(exchange.status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - start)

    def _check(self, scope: Scope) -> None:
        """Refuse what may not come in."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if self._in_progress > self._limits.requests:
            raise ProblemError("unavailable", "As many requests as are taken on are in progress.", retry_after=1)
        host = _host_of(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            raise ProblemError(
                "forbidden",
                f"Without a token the service answers under names of this machine alone, the request is for {host!r}. "
                "Use localhost, or name the host with --allow-host.",
            )
        wait = self._rate.take((scope.get("client") or ("unknown", 0))[0])
        if wait:
            raise ProblemError(
                "rate-limited", f"One client has up to {self._limits.rate:g} requests a second.", retry_after=wait
            )
        origin = headers.get("origin")
        if method in _UNSAFE and origin is not None and _place_of(origin) != headers.get("host", "").lower():
            raise ProblemError(
                "forbidden", f"Pages of other origins may not change anything here, but this is {origin!r}."
            )
        is_guarded = (path.startswith("/v1/") and (method, path) not in _OPEN) or path == "/metrics"
        if is_guarded and not self._tokens.allows(headers):
            raise refused(headers)
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise ProblemError(
                "invalid-request", f"`Content-Length` is a number of bytes, received {length[:80]!r}.", status=400
            )
        # Longer ones, Python itself refuses to read.
        if len(length) > _MOST_DIGITS or int(length) > self._most_bytes(scope):
            raise _too_large(self._most_bytes(scope))

    def _most_bytes(self, scope: Scope) -> int:
        """Bytes that the body of a request may have."""
        path: str = scope["path"]
        if path.endswith("/content"):
            return self._limits.chunk_bytes
        takes_file = path in ("/v1/images", "/v1/segment") and _is_form(Headers(scope=scope))
        # Boundaries and fields of a form come on top of the file, whose size is checked by itself.
        return self._limits.upload_bytes + 100_000 if takes_file else self._limits.body_bytes


class _Exchange:
    """One request and its answer."""

    def __init__(self, headers: dict[str, str], send: Send, path: str) -> None:
        self._headers = headers
        self._send = send
        self._path = path
        self._problem: ProblemError | None = None
        self._is_refused = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Send a part of the answer, or in its place what was wrong with the body."""
        if self._is_refused:
            return
        if message["type"] == "http.response.start":
            # What a body breaks, the framework has reported as a body that it cannot read.
            if self._problem is not None and message["status"] >= 400:
                problem, self._problem = self._problem, None
                await self._answer(problem)
                self._is_refused = True
                return
            if message["status"] >= 400 and not _is_problem(message):
                await self._answer(_of_plain_text(message))
                self._is_refused = True
                return
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

    def bounded(self, receive: Receive, most: int, patience_s: float) -> Receive:
        """Receive up to so many bytes, without long pauses."""
        received = 0
        is_whole = False

        async def take() -> Message:
            """The next part of the body."""
            nonlocal received, is_whole
            if is_whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), patience_s)
            except asyncio.TimeoutError:
                self._problem = ProblemError("timeout", f"The body paused for more than {patience_s:g} s.", status=408)
                raise self._problem from None
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if received > most:
                    self._problem = _too_large(most)
                    raise self._problem
            return message

        return take

    async def refuse(self, problem: ProblemError) -> None:
        """Answer with a problem, where nothing was answered yet."""
        if not self.status:
            self._problem = None
            await self._answer(problem)

    async def _answer(self, problem: ProblemError) -> None:
        """Send a problem; what is left of the body is not read."""
        response = problem.response(self._path)
        response.headers["Connection"] = "close"
        await self({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await self({"type": "http.response.body", "body": response.body})


def _host_of(host: str) -> str:
    """The name in a Host header, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return host


def _place_of(origin: str) -> str | None:
    """Host and port in an Origin header; None where it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _is_form(headers: Headers) -> bool:
    """Whether a body is a form with files."""
    return headers.get("content-type", "").lower().startswith("multipart/form-data")


def _is_problem(message: Message) -> bool:
    """Whether an answer that begins is a problem."""
    return Headers(raw=message["headers"]).get("content-type", "") == MEDIA_TYPE


def _of_plain_text(message: Message) -> ProblemError:
    """The problem of a refusal that the framework answers in plain text, such as a range that no file has."""
    status = message["status"]
    problem = problem_of(HTTPException(status, f"{HTTPStatus(status).phrase}."))
    said = Headers(raw=message["headers"]).get("content-range")
    problem.headers.update({} if said is None else {"Content-Range": said})
    return problem


def _too_large(most: int) -> ProblemError:
    """The problem of a body that is too large."""
    return ProblemError(
        "too-large", f"The body of this request has up to {most:,} bytes. Send an image in pieces, or less."
    )
