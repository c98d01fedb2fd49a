from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

from rs2sam.cli import main
from rs2sam.client import Client, ServiceError
from rs2sam.errors import DataNotFoundError, InvalidInputError
from tests.make_rasters import SCENE, objects, write_tiff
from tests.serve.live import server


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with server(tmp_path_factory.mktemp("state")) as address:
        yield address


@pytest.fixture
def scene(tmp_path):
    return write_tiff(tmp_path / "my scene.tif", np.kron(SCENE, np.ones((3, 2, 1), np.uint8)))


def test_an_image_is_sent_asked_and_forgotten(url, scene):
    client = Client(url)
    sent = []
    image = client.send(scene, lambda done, total: sent.append((done, total)))
    assert image.size_hw == (192, 192)
    assert sent[-1] == (scene.stat().st_size,) * 2
    red, nothing = image.segment(["red things", "no things"], threshold=0.4)
    expected = np.kron(objects(), np.ones((3, 2), bool))
    np.testing.assert_array_equal(red.mask, expected)
    np.testing.assert_array_equal(red.values >= 128, expected)
    assert (len(red.regions), nothing.mask.any()) == (2, False)
    assert json.loads(image.segment_as("application/geo+json", ["red things"]))["type"] == "FeatureCollection"
    image.delete()
    with pytest.raises(ServiceError, match="no image") as refused:
        image.segment(["red things"])
    assert (refused.value.status, refused.value.kind) == (404, "not-found")


def test_a_job_is_watched_and_fetched(url, scene, tmp_path):
    job = Client(url).send(scene).job(["red things"], {"format": "geojson"})
    kinds = [kind for kind, _ in job.events()]
    assert (kinds[0], kinds[-1]) == ("state", "state")
    paths = job.wait().save(tmp_path / "out")
    assert {path.name for path in paths} >= {"my_scene_mask.tif", "my_scene_polygons.geojson"}
    assert not list((tmp_path / "out").glob(".*"))


def test_an_upload_goes_on_after_its_connection_broke(url, scene, monkeypatch):
    client, opened, failures = Client(url), Client._open, []

    def breaking(self, method, address, content=None, headers=None):
        if method == "PATCH" and len(failures) < 2:
            failures.append(address)
            if len(failures) == 1:
                opened(self, method, address, content[:100], headers).close()
            raise ServiceError("The connection broke.")
        return opened(self, method, address, content, headers)

    monkeypatch.setattr(Client, "_open", breaking)
    assert client.send(scene).body["state"] == "ready"
    assert len(failures) == 2


def test_what_is_wrong_is_one_line(url, tmp_path):
    with pytest.raises(DataNotFoundError, match="not there"):
        Client(url).send(tmp_path / "missing.tif")
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(ServiceError, match="by its content"):
        Client(url).send(tmp_path / "text.tif")
    with pytest.raises(ServiceError, match="cannot be reached"):
        Client("http://127.0.0.1:9").about()
    with pytest.raises(InvalidInputError, match="like http"):
        Client("localhost:8008")


def test_a_token_is_asked_for_and_shown(tmp_path, scene):
    token = "a-token-of-more-than-sixteen"
    with server(tmp_path / "state", token=token) as address:
        with pytest.raises(ServiceError, match="token"):
            Client(address).send(scene)
        with pytest.raises(ServiceError, match="does not take this token"):
            Client(address, "another-of-more-than-sixteen").send(scene)
        sent = Client(address, token).send(scene)
        assert sent.body["state"] == "ready"
        assert Client(address, token).image(sent.id).size_hw == sent.size_hw


def test_the_command_has_a_service_do_its_work(url, scene, tmp_path):
    words = ["segment", str(scene), "red things", "-o", str(tmp_path / "out"), "--server", url, "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["source"]["path"] == str(scene)
    with rasterio.open(tmp_path / "out" / report["outputs"]["mask"]) as dataset:
        np.testing.assert_array_equal(dataset.read(1) == 1, np.kron(objects(), np.ones((3, 2), bool)))
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert CliRunner().invoke(main, [*words, "--overwrite"]).exit_code == 0


def test_options_that_are_the_services_own_are_refused(url, scene, tmp_path):
    words = ["segment", str(scene), "red", "-o", str(tmp_path / "out"), "--server", url]
    for more in (["--threads", "2"], ["--memory", "1GB"], ["--format", "parquet"], ["--mirror"]):
        result = CliRunner().invoke(main, [*words, *more])
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
