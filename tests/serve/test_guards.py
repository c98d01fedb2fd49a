from __future__ import annotations

import socket

import pytest

from rs2sam.errors import InvalidInputError
from rs2sam.serve.settings import BaseMap, Limits, Settings
from tests.serve.live import client, send, server

TOKEN = "a-token-of-more-than-sixteen"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with client(tmp_path_factory.mktemp("state"), token=TOKEN) as opened:
        yield opened


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00e4"]
)
@pytest.mark.parametrize("address", ["/v1/models", "/v1/jobs", "/v1/images/i_1", "/metrics", "/v1/nothing"])
def test_nothing_is_told_without_the_token(guarded, address, header):
    answer = guarded.get(address, headers={"Authorization": header.encode()})
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["detail"].startswith("This is not the service's token" if header else "Show the service's")


def test_health_and_the_need_for_a_token_are_told_to_everybody(guarded):
    assert guarded.get("/healthz").json() == {"status": "ok"}
    assert guarded.get("/readyz").status_code == 200
    about = guarded.get("/v1/service").json()
    assert (about["auth"], about["signed_in"], about["model"], about["limits"]) == ("token", False, None, None)


def test_the_token_opens_and_turns_into_a_cookie(guarded):
    assert guarded.get("/v1/models", headers=BEARER).json()["models"][0]["name"] == "compact"
    assert guarded.post("/v1/session").status_code == 401
    signed = guarded.post("/v1/session", headers=BEARER)
    cookie = signed.headers["set-cookie"].lower()
    assert signed.status_code == 204
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/v1/service").json()["signed_in"]
    assert guarded.delete("/v1/session").status_code == 204
    guarded.cookies.clear()
    forged = {"Cookie": f"rs2sam_session={TOKEN}"}
    assert guarded.get("/v1/models", headers=forged).status_code == 401


def test_other_addresses_than_localhost_need_a_token(tmp_path):
    for host in ("0.0.0.0", "192.168.1.5", "::", "example.org", ""):
        with pytest.raises(InvalidInputError, match="only with a token"):
            Settings(tmp_path, host=host)
        assert Settings(tmp_path, host=host, token=TOKEN).token == TOKEN
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        assert Settings(tmp_path, host=host).token is None
    with pytest.raises(InvalidInputError, match="at least 16"):
        Settings(tmp_path, token="short")
    assert TOKEN not in repr(Settings(tmp_path, token=TOKEN))


def test_every_answer_has_the_headers_of_safety(service):
    for address in ("/", "/v1/models", "/v1/nothing", "/healthz", "/openapi.json"):
        headers = service.get(address).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


def test_a_base_map_opens_the_policy_for_its_origin_alone(tmp_path):
    base_map = BaseMap("https://tiles.example/{z}/{x}/{y}.png", "somebody")
    with client(tmp_path / "state", base_map=base_map) as service:
        policy = service.get("/").headers["content-security-policy"]
        assert "img-src 'self' data: blob: https://tiles.example;" in policy
        assert service.get("/v1/service").json()["base_map"]["attribution"] == "somebody"
    for tiles in ("https://x/{z}", "ftp://x/{z}/{x}/{y}", "https://x;script-src */{z}/{x}/{y}", "{z}{x}{y}"):
        with pytest.raises(InvalidInputError):
            BaseMap(tiles)


def test_pages_of_other_sites_reach_nothing(service):
    rebound = service.get("/v1/models", headers={"Host": "evil.example"})
    assert (rebound.status_code, rebound.json()["type"]) == (403, "/problems/forbidden")
    posted = service.post("/v1/images", json={}, headers={"Origin": "https://evil.example"})
    assert (posted.status_code, posted.json()["type"]) == (403, "/problems/forbidden")
    for odd in ("http://[", "null", "localhost", ""):
        assert service.post("/v1/images", json={}, headers={"Origin": odd}).status_code == 403
    own = service.post("/v1/images", json={}, headers={"Origin": "http://localhost"})
    assert own.status_code == 422


def test_one_client_has_so_many_requests_a_second(tmp_path):
    with client(tmp_path / "state", limits={"rate": 0.001, "burst": 5}) as service:
        codes = [service.get("/healthz").status_code for _ in range(7)]
        answer = service.get("/healthz")
    assert codes == [200] * 5 + [429] * 2
    assert answer.json()["type"] == "/problems/rate-limited"
    assert 900 < int(answer.headers["retry-after"]) <= 1000


def test_a_body_is_bounded_with_and_without_a_length(tmp_path, scene):
    with client(tmp_path / "state", limits={"body_bytes": 1000}) as service:
        image = send(service, scene)
        body = b'{"sentences": ["' + b"x" * 2000 + b'"]}'
        for content in (body, iter([body[:900], body[900:]])):
            headers = {"Content-Type": "application/json"}
            answer = service.post(image["links"]["segment"], content=content, headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")


@pytest.mark.parametrize(
    "address", ["/v1/nothing", "/page/../../etc/passwd", "/..%2f..%2fetc/passwd", "/docs", "/redoc"]
)
def test_an_address_that_there_is_none_of_is_a_problem(service, address):
    answer = service.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["instance"]
    assert "/openapi.json" in answer.json()["detail"]
    posted = service.post("/healthz")
    assert (posted.status_code, posted.json()["detail"]) == (405, "This address takes GET alone.")


def test_a_failure_tells_nothing_of_its_inside(service, scene, monkeypatch):
    image = send(service, scene)

    def fail(*_):
        raise KeyError("/a/path/of/the/service")

    monkeypatch.setattr(service.service.desk, "ask", fail)
    answer = service.post(image["links"]["segment"], json={"sentences": ["red"]})
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")
    assert "path" not in answer.json()["detail"]


def test_a_body_that_pauses_is_not_waited_for(tmp_path):
    with server(tmp_path / "state", limits=Limits(receive_s=0.3)) as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = "POST /v1/jobs HTTP/1.1", f"Host: {host}", "Content-Type: application/json", "Content-Length: 50"
            connection.sendall("\r\n".join([*head, "", "{"]).encode())
            answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"paused for more than 0.3 s" in answer


@pytest.mark.parametrize(
    ("length", "status", "kind"),
    [("9" * 5000, 413, "too-large"), ("-1", 400, "invalid-request"), ("1e3", 400, "invalid-request")],
)
def test_a_length_that_is_none_is_a_problem(service, length, status, kind):
    answer = service.post("/v1/jobs", content=b"{}", headers={"Content-Length": length})
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")


@pytest.mark.parametrize(
    ("asked", "status", "named"),
    [("bytes=999999999-", 416, "*/"), ("bytes=5-2", 400, ""), ("bytes=a-b", 400, ""), ("bytes=0-0", 206, "bytes 0-0/")],
)
def test_a_range_that_no_file_has_is_a_problem(service, asked, status, named):
    answer = service.get("/page/app.js", headers={"Range": asked})
    assert answer.status_code == status
    assert named in answer.headers.get("content-range", "")
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


def test_methods_that_clients_make_up_are_counted_as_one(service):
    for number in range(20):
        assert service.request(f"BREW{number}", "/healthz").status_code == 405
    text = service.get("/metrics").text
    assert 'method="other"' in text
    assert "BREW" not in text
