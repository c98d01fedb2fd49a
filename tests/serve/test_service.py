from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import pytest

from rs2sam.client import Client, ServiceError
from rs2sam.datasets.readers.run_lengths import decode_runs
from rs2sam.errors import BusyError
from rs2sam.scenes.run import SceneRequest, run_scene
from rs2sam.serve.database import Database
from rs2sam.serve.service import folder_bytes
from tests.make_rasters import SCENE, objects, write_tiff
from tests.serve.live import RedModel, client, ended, send


def test_what_is_old_goes_and_what_is_needed_stays(tmp_path, scene):
    model = RedModel()
    with client(tmp_path / "state", model, limits={"keep_s": 1000.0}) as opened:
        service = opened.service
        image = send(opened, scene)
        asked = {"image": image["id"], "sentences": ["red"]}
        old = ended(opened, opened.post("/v1/jobs", json=asked).json())
        started = opened.post("/v1/images", json={"upload": {"name": "a.tif", "size": 9}}).json()
        model.may_answer.clear()
        running = opened.post("/v1/jobs", json=asked).json()
        service.clean(time.time() + 900)
        assert opened.get(image["links"]["self"]).status_code == 200
        service.clean(time.time() + 2000)
        assert opened.get(f"/v1/jobs/{old['id']}").status_code == 404
        assert opened.get(started["links"]["self"]).status_code == 404
        assert opened.get(image["links"]["self"]).status_code == 200
        model.may_answer.set()
        ended(opened, running)
        service.clean(time.time() + 4000)
        assert opened.get(image["links"]["self"]).status_code == 404
        assert list(service.library.folder.iterdir()) == list(service.jobs.folder.iterdir()) == []


def test_the_oldest_go_when_the_disk_is_to_hold_less(tmp_path, scene):
    with client(tmp_path / "state") as opened:
        images = [send(opened, scene) for _ in range(3)]
        service = opened.service
        limits = replace(service.settings.limits, store_bytes=folder_bytes(tmp_path / "state") - 1)
        service.settings = replace(service.settings, limits=limits)
        service.clean()
        left = [opened.get(image["links"]["self"]).status_code for image in images]
    assert left == [404, 200, 200]


def test_a_folder_is_of_one_service(tmp_path):
    first = Database(tmp_path)
    with pytest.raises(BusyError, match="Another service"):
        Database(tmp_path)
    first.close()
    Database(tmp_path).close()


def test_many_clients_at_once_are_all_answered(tmp_path, scene):
    """Answers or "come again", each of them right, and no more memory than one after another."""
    model = RedModel()
    with client(tmp_path / "state", model, limits={"answers_bytes": 500_000}) as opened:
        images = [send(opened, scene) for _ in range(3)]

        def ask(number: int) -> int:
            sentence = "red things" if number % 2 else "no things"
            while True:
                answer = opened.post(images[number % 3]["links"]["segment"], json={"sentences": [sentence]})
                if answer.status_code != 429:
                    break
                time.sleep(0.02)
            mask = decode_runs(answer.json()["results"][0]["rle"])
            np.testing.assert_array_equal(mask, objects() & bool(number % 2))
            return answer.status_code

        with ThreadPoolExecutor(12) as users:
            codes = list(users.map(ask, range(48)))
        assert opened.service.answers.num_bytes <= 500_000
        assert opened.service.desk.num_waiting == 0
    assert codes == [200] * 48
    assert max(model.batches) > 1


@pytest.mark.slow
def test_memory_is_flat_over_two_thousand_questions(tmp_path, scene):
    with client(
        tmp_path / "state", RedModel(), limits={"answers_bytes": 2_000_000, "rate": 1e6, "burst": 10_000}
    ) as opened:
        image = send(opened, scene)

        def ask(_: int) -> int:
            return opened.post(image["links"]["segment"], json={"sentences": ["red things"]}).status_code

        with ThreadPoolExecutor(8) as users:
            assert set(users.map(ask, range(500))) == {200}
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            assert set(users.map(ask, range(1500))) == {200}
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 30_000  # [KiB]


class Process:
    """A service of its own that is killed without a word."""

    def __init__(self, folder: Path, seconds: float) -> None:
        words = [sys.executable, "-m", "tests.serve.live", str(folder), str(seconds)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert self.process.stdout is not None
        self.client = Client(self.process.stdout.readline().strip())

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


@pytest.mark.slow
def test_a_service_that_is_killed_loses_nothing_and_does_nothing_twice(tmp_path):
    path = write_tiff(tmp_path / "large.tif", np.kron(SCENE, np.ones((6, 4, 1), np.uint8)))
    state, seconds = tmp_path / "state", 0.1
    with Process(state, seconds) as running:
        image = running.client.send(path)
        jobs = [image.job(["red things"], key=f"job {number}").id for number in range(2)]
        reached = [_done_after(running.client, jobs[0], 5)]
    for _ in range(3):
        with Process(state, seconds) as running:
            job = running.client.job(jobs[0])
            assert job.state in ("queued", "running")
            # Of what was done at most a second's worth was not written down.
            reached.append(_done_after(running.client, jobs[0], reached[-1] + 5))
    with Process(state, 0.0) as running:
        again = httpx2.post(
            f"{running.client.url}/v1/jobs",
            json={"image": image.id, "sentences": ["red things"]},
            headers={"Idempotency-Key": "job 1"},
        )
        assert again.json()["id"] == jobs[1]
        for job_id in jobs:
            running.client.job(job_id).wait().save(tmp_path / job_id)
    run_scene(SceneRequest(str(path), ("red things",), tmp_path / "once"), RedModel())
    for job_id in jobs:
        for name in ("large_mask.tif", "large_preview.png"):
            assert (tmp_path / job_id / name).read_bytes() == (tmp_path / "once" / name).read_bytes()


def _done_after(watched: Client, job_id: str, least: int) -> int:
    """Wait until a job has done so many views; returns how many it has."""
    until = time.monotonic() + 100
    while (done := watched.job(job_id).body["progress"]["done"]) < least:
        assert time.monotonic() < until, done
        time.sleep(0.05)
    return done


@pytest.mark.slow
def test_a_job_that_kills_the_service_is_given_up_in_the_end(tmp_path):
    path = write_tiff(tmp_path / "large.tif", np.kron(SCENE, np.ones((6, 4, 1), np.uint8)))
    state, seconds = tmp_path / "state", 30.0
    with Process(state, seconds) as running:
        job_id = running.client.send(path).job(["red things"]).id
        _wait_for_running(running.client, job_id)
    for _ in range(2):
        with Process(state, seconds) as running:
            _wait_for_running(running.client, job_id)
    with Process(state, seconds) as running, pytest.raises(ServiceError, match="ended 3 times"):
        running.client.job(job_id).wait()


def _wait_for_running(watched: Client, job_id: str) -> None:
    """Wait until a job is at work."""
    until = time.monotonic() + 60
    while watched.job(job_id).state != "running":
        assert time.monotonic() < until
        time.sleep(0.02)
