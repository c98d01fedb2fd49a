"""What the OpenAPI description allows and what it forbids, sent with ids that are known: no answer is a 5xx.

Schemathesis makes the requests; `make test-api` installs it. Without ids of what is there it only ever meets 404.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from rs2sam.client import Client
from rs2sam.serve.settings import Example, Limits
from tests.make_rasters import write_tiff
from tests.serve.live import RedModel, server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # Schemathesis' own, and those of what it uses
]

EXAMPLES = 30
"""Requests of each kind to each address."""
PATIENCE_S = 60


@dataclass(frozen=True)
class Known:
    """A service, and ids of what is there.

    Args:
        url: of the service.
        image: that was read.
        answer: about it.
        job: that is done.
        file: of its results.
    """

    url: str
    image: str
    answer: str
    job: str
    file: str

    def upload(self) -> str:
        """A new image whose bytes are to come."""
        return self._post("/v1/images", {"upload": {"name": "a.tif", "size": 1000}})["id"]

    def new_job(self) -> str:
        """A job that may be cancelled."""
        return self._post("/v1/jobs", {"image": self.image, "sentences": ["the red"]})["id"]

    def _post(self, address: str, body: dict[str, Any]) -> Any:
        import requests

        answer = requests.post(f"{self.url}{address}", json=body, timeout=PATIENCE_S)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """A service that finds red, with an image, an answer and a finished job."""
    pytest.importorskip("schemathesis", reason="Schemathesis is not installed: make test-api does")
    import requests

    folder = tmp_path_factory.mktemp("described")
    path = write_tiff(folder / "scene.tif")
    limits = Limits(rate=1e6, burst=10**6, images=10**6, jobs=10**6, receive_s=5.0)
    examples = (Example("demo", "Two red rectangles", path, ("the red",)),)
    with server(folder / "state", RedModel(), limits=limits, examples=examples) as url:
        client = Client(url)
        image = client.send(path)
        job = image.job(["the red"]).wait()
        file = job.body["files"][0]["name"]
        asked = f"{url}/v1/images/{image.id}/segment"
        answer = requests.post(asked, json={"sentences": ["the red"]}, timeout=PATIENCE_S).json()["id"]
        yield Known(url, image.id, answer, job.id, file)


def with_known_ids(case: Any, known: Known) -> None:
    """Put ids of what is there where a request has ids; what a request removes or fills is made for it."""
    places = case.path_parameters or {}
    is_consumed = case.method.upper() in ("DELETE", "PATCH", "HEAD")
    if "image_id" in places:
        places["image_id"] = known.upload() if is_consumed else known.image
    if "job_id" in places:
        places["job_id"] = known.new_job() if is_consumed else known.job
    for name, value in (("answer_id", known.answer), ("index", 0), ("name", known.file)):
        if name in places:
            places[name] = value
    if case.method.upper() == "PATCH":
        case.headers["Upload-Offset"] = "0"
    if isinstance(case.body, dict):
        for one in (case.body, *(case.body.get("layers") or () if isinstance(case.body.get("layers"), list) else ())):
            if isinstance(one, dict):
                one.update({name: value for name, value in known_members(known).items() if name in one})


def known_members(known: Known) -> dict[str, Any]:
    """Members of bodies that name what is there."""
    return {"image": known.image, "answer": known.answer, "index": 0, "example": "demo"}


def operations(url: str) -> list[Any]:
    """Everything that is described."""
    import schemathesis

    schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


def check(answer: Any, case: Any) -> None:
    """No 5xx; what is refused says so as the description does."""
    said = f"{case.method} {case.formatted_path}: {answer.status_code} {answer.content[:300]!r}"
    assert answer.status_code < 500, said
    if answer.status_code >= 400 and case.method.upper() != "HEAD":
        assert answer.headers["content-type"] == ["application/problem+json"], said
        assert answer.json()["status"] == answer.status_code, said
    if answer.status_code == 429:
        assert int(answer.headers["retry-after"][0]) >= 1, said


def test_no_request_that_the_description_knows_is_answered_with_5xx(known: Known) -> None:
    described = operations(known.url)
    from schemathesis import GenerationMode

    assert len(described) >= 20
    statuses: dict[str, Counter[int]] = {}
    for operation in described:
        counts = statuses.setdefault(operation.label, Counter())
        ask_about(operation, GenerationMode.POSITIVE, known, counts)
        with suppress(Unsatisfiable):  # where a request has no part, none of it can be wrong
            ask_about(operation, GenerationMode.NEGATIVE, known, counts)
    # Ids that are there were understood: of every address with an id something else than 404 came back.
    unreached = [
        label for label, counts in statuses.items() if "{" in label and "problems" not in label and set(counts) <= {404}
    ]
    assert unreached == []
    met = Counter(status for counts in statuses.values() for status in counts.elements())
    assert {200, 201, 202, 204, 404, 409, 422} <= set(met), met


def ask_about(operation: Any, mode: Any, known: Known, counts: Counter[int]) -> None:
    """Requests to one address, most of them with ids that are there."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), is_known=st.sampled_from([True, True, True, False]))
    def ask(case: Any, is_known: bool) -> None:
        if is_known:
            with_known_ids(case, known)
        answer = case.call(timeout=PATIENCE_S)
        counts[answer.status_code] += 1
        check(answer, case)

    ask()
