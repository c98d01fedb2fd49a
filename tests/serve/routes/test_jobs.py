from __future__ import annotations

import io
import json
import time

import numpy as np
import pytest
import rasterio
from PIL import Image

from rs2sam.scenes import scanning
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import SceneRequest, run_scene
from tests.make_rasters import SCENE, objects, write_tiff
from tests.serve.live import RedModel, client, ended, send


@pytest.fixture
def large(tmp_path):
    """A scene of 16 tiles."""
    return write_tiff(tmp_path / "large.tif", np.kron(SCENE, np.ones((3, 2, 1), np.uint8)))


def add(service, image, **body):
    asked = {"image": image["id"], "sentences": ["red things"], **body}
    return service.post("/v1/jobs", json=asked)


def test_a_job_gives_the_files_of_the_command(service, large, tmp_path):
    answer = add(service, send(service, large), outputs={"format": "geojson"})
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/jobs/{answer.json()['id']}")
    job = ended(service, answer.json())
    assert (job["state"], job["progress"]["fraction"]) == ("done", 1.0)
    assert {file["kind"] for file in job["files"]} == {"mask", "polygons", "preview", "result"}
    options = OutputOptions(polygon_format="geojson")
    run_scene(SceneRequest(str(large), ("red things",), tmp_path / "out", outputs=options), RedModel())
    for file in job["files"]:
        got = service.get(file["href"])
        assert len(got.content) == file["bytes"]
        if file["kind"] in ("mask", "polygons"):
            assert got.content == (tmp_path / "out" / file["name"]).read_bytes()
    text = service.get(f"/v1/jobs/{job['id']}").text + service.get(job["files"][-1]["href"]).text
    assert "large.tif" in text
    assert str(tmp_path) not in service.get(f"/v1/jobs/{job['id']}").text


def test_the_picture_of_a_job_shows_what_was_found(service, large):
    job = ended(service, add(service, send(service, large)).json())
    shown = np.array(Image.open(io.BytesIO(service.get(job["links"]["preview"]).content)))
    np.testing.assert_array_equal(shown[..., 3] > 0, np.kron(objects(), np.ones((3, 2), bool)))


def test_events_tell_every_step_to_the_end(tmp_path, large):
    with client(tmp_path / "state", RedModel(0.1, batch_size=1)) as service:
        job = add(service, send(service, large)).json()
        text = service.get(f"/v1/jobs/{job['id']}/events").text
    events = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")]
    kinds = [event["event"] for event in events]
    assert {"state", "progress", "preview"} <= set(kinds)
    last = json.loads(events[-1]["data"])
    assert (kinds[-1], last["state"], len(last["files"])) == ("state", "done", 4)
    steps = [json.loads(event["data"])["done"] for event in events if event["event"] == "progress"]
    assert steps == sorted(steps)
    assert [int(event["id"]) for event in events] == list(range(1, len(events) + 1))


def test_there_are_no_events_of_a_job_that_there_is_none_of(service):
    answer = service.get("/v1/jobs/j_nothing/events")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_jobs_wait_for_their_turn_and_can_be_cancelled(tmp_path, large):
    model = RedModel(batch_size=1)
    with client(tmp_path / "state", model) as service:
        image = send(service, large)
        model.may_answer.clear()
        first, second, third = (add(service, image).json() for _ in range(3))
        while service.get(f"/v1/jobs/{first['id']}").json()["state"] != "running":
            time.sleep(0.01)
        assert service.get(f"/v1/jobs/{third['id']}").json()["queue_position"] == 2
        assert service.delete(f"/v1/images/{image['id']}").status_code == 409
        assert service.delete(f"/v1/jobs/{second['id']}").json()["state"] == "cancelled"
        assert service.delete(f"/v1/jobs/{first['id']}").status_code == 200
        model.may_answer.set()
        assert ended(service, first)["state"] == "cancelled"
        assert ended(service, third)["state"] == "done"
        listed = service.get("/v1/jobs").json()["jobs"]
        assert [job["id"] for job in listed] == [third["id"], second["id"], first["id"]]
        assert not (service.service.jobs.folder / first["id"]).exists()
        assert service.delete(f"/v1/jobs/{third['id']}").status_code == 204
        assert service.get(f"/v1/jobs/{third['id']}").status_code == 404
        assert service.delete(f"/v1/images/{image['id']}").status_code == 204


def test_the_same_key_gives_the_same_job(service, large):
    image = send(service, large)
    asked = {"image": image["id"], "sentences": ["red things"]}
    headers = {"Idempotency-Key": "one"}
    first = service.post("/v1/jobs", json=asked, headers=headers)
    again = service.post("/v1/jobs", json=asked, headers=headers)
    other = service.post("/v1/jobs", json={**asked, "sentences": ["no things"]}, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 409)
    assert first.json()["id"] == again.json()["id"]


def test_jobs_beyond_the_queue_are_told_to_come_again(tmp_path, large):
    model = RedModel(batch_size=1)
    with client(tmp_path / "state", model, limits={"jobs": 1}) as service:
        image = send(service, large)
        model.may_answer.clear()
        first = add(service, image).json()
        while service.get(f"/v1/jobs/{first['id']}").json()["state"] != "running":
            time.sleep(0.01)
        assert add(service, image).status_code == 202
        refused = add(service, image)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        model.may_answer.set()


def test_a_job_that_cannot_be_done_says_why(service, large, tmp_path):
    job = ended(service, add(service, send(service, large), sentences=["a wrong sentence"]).json())
    assert (job["state"], job["error"]["type"]) == ("failed", "/problems/invalid-request")
    assert "Ask another" in job["error"]["detail"]
    bad = add(service, send(service, large), options={"tile": 64, "overlap": 64})
    failed = bad.json() if bad.status_code == 422 else ended(service, bad.json())["error"]
    assert "overlap" in failed["detail"]
    assert str(tmp_path) not in failed["detail"]


def test_a_service_that_ends_leaves_the_job_to_the_next(tmp_path, large, monkeypatch):
    monkeypatch.setattr(scanning, "_SAVE_EVERY_S", 0.0)
    model = RedModel(0.05, batch_size=1)
    with client(tmp_path / "state", model) as service:
        job = add(service, send(service, large)).json()
        while not service.get(f"/v1/jobs/{job['id']}").json()["progress"]["done"]:
            time.sleep(0.01)
    asked = len(model.batches)
    again = RedModel(batch_size=1)
    with client(tmp_path / "state", again) as service:
        assert ended(service, job)["state"] == "done"
        assert service.service.records.get(job["id"]).attempts == 1
    # Of 16 tiles; what was read ahead or on its way to the store is asked again.
    assert asked < 16
    assert 16 <= asked + len(again.batches) <= 20


def test_a_file_of_a_job_is_one_of_its_results(service, large):
    job = ended(service, add(service, send(service, large)).json())
    for name in ("..%2f..%2f..%2fserve.sqlite", "nothing.tif", ".rs2sam-large", "%2fetc%2fpasswd"):
        assert service.get(f"/v1/jobs/{job['id']}/files/{name}").status_code == 404
    with rasterio.MemoryFile(service.get(job["files"][0]["href"]).content) as file, file.open() as dataset:
        assert dataset.shape == (192, 192)
