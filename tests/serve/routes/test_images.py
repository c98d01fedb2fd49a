from __future__ import annotations

import io

import numpy as np
import pytest
import rasterio
from PIL import Image

from rs2sam.raster import read_scene
from rs2sam.serve.settings import Example
from tests.make_rasters import RED, SCENE, objects, write_tiff
from tests.serve.live import client, send

PIECE = "application/offset+octet-stream"


def pixels(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.array(Image.open(io.BytesIO(answer.content)))


def test_an_image_says_where_it_lies(service, scene):
    image = send(service, scene)
    assert (image["state"], image["width"], image["height"], image["crs"]) == ("ready", 96, 64, "EPSG:26910")
    assert image["is_interactive"]
    west, south, east, north = image["bounds"]
    # 0.6 m a pixel at 39.8 degrees north: 57.6 m are 0.00067 degrees of longitude.
    assert (east - west) == pytest.approx(57.6 / (111_320 * np.cos(np.radians(39.76))), rel=0.02)
    assert (north - south) == pytest.approx(38.4 / 111_000, rel=0.05)
    assert image["corners"][0] == pytest.approx([west, north], abs=1e-5)


def test_a_picture_has_no_place_and_no_tiles(service, tmp_path):
    Image.fromarray(SCENE).save(tmp_path / "photo.png")
    image = send(service, tmp_path / "photo.png")
    assert (image["is_georeferenced"], image["corners"], image["links"]["tiles"]) == (False, None, None)
    answer = service.get(f"/v1/images/{image['id']}/tiles/1/0/0.png")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_the_preview_is_the_image_and_transparent_without_data(service, tmp_path):
    mask = np.ones((64, 96), bool)
    mask[:, :10] = False
    image = send(service, write_tiff(tmp_path / "scene.tif", mask=mask))
    shown = pixels(service.get(f"/v1/images/{image['id']}/preview.png"))
    np.testing.assert_array_equal(shown[:, 10:, :3], SCENE[:, 10:])
    np.testing.assert_array_equal(shown[..., 3], mask * 255)


def test_the_preview_of_a_large_image_is_read_small(tmp_path):
    rgb = np.kron(SCENE, np.ones((8, 8, 1), np.uint8))
    with client(tmp_path / "state", limits={"interactive_pixels": 1000}) as service:
        Image.fromarray(rgb).save(tmp_path / "photo.png")
        for path in (write_tiff(tmp_path / "placed.tif", rgb), tmp_path / "photo.png"):
            image = send(service, path)
            assert not image["is_interactive"]
            shown = pixels(service.get(f"/v1/images/{image['id']}/preview.png?max=96"))
            assert shown.shape == (64, 96, 3)  # all of it is valid
            difference = np.abs(shown[..., :3].astype(int) - SCENE).max(axis=2)
            assert np.mean(difference < 40) > 0.9


def test_the_preview_of_an_image_that_left_memory_is_made_of_the_pixels_that_were_kept(service, scene, monkeypatch):
    image = send(service, scene)
    service.service.library.cache.drop(image["id"])
    monkeypatch.setattr("rs2sam.serve.routes.images.preview_png", None)  # the file is not decoded again
    monkeypatch.setattr("rs2sam.serve.images.library.read_scene", None)
    shown = pixels(service.get(f"/v1/images/{image['id']}/preview.png?max=4096"))
    np.testing.assert_array_equal(shown, SCENE)


# rasterio 1.4 multiplies transforms as affine 3 no longer likes it.
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")
def test_a_tile_shows_the_ground_where_it_lies(service, scene):
    image = send(service, scene)
    found = service.get(image["links"]["tilejson"]).json()
    lon, lat = image["corners"][0]
    with rasterio.open(scene) as dataset:
        transform = dataset.transform
    # The middle of the large rectangle's left part, at column 25 and row 25.
    east, south = (np.array(image["corners"][1]) - image["corners"][0]), (np.array(image["corners"][3]) - [lon, lat])
    lon, lat = np.array([lon, lat]) + east * 25 / 96 + south * 25 / 64
    zoom = found["maxzoom"]
    x = (lon + 180) / 360 * 2**zoom
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**zoom
    tile = pixels(service.get(f"/v1/images/{image['id']}/tiles/{zoom}/{int(x)}/{int(y)}.png"))
    assert tuple(tile[int(y % 1 * 256), int(x % 1 * 256)]) == (*RED, 255)
    assert transform.a == 0.6
    far = pixels(service.get(f"/v1/images/{image['id']}/tiles/{zoom}/0/0.png"))
    assert not far.any()


def test_a_deep_image_is_shown_as_the_model_sees_it(service, tmp_path):
    deep = SCENE.astype(np.uint16) * 40
    image = send(service, write_tiff(tmp_path / "deep.tif", deep))
    shown = pixels(service.get(f"/v1/images/{image['id']}/preview.png"))
    service.service.library.cache.drop(image["id"])  # type: ignore[attr-defined]
    again = pixels(service.get(f"/v1/images/{image['id']}/preview.png"))
    np.testing.assert_array_equal(shown, again)
    assert set(map(tuple, shown[..., :3].reshape(-1, 3))) == {(255, 0, 0), (0, 255, 255)}


def test_an_upload_in_pieces_goes_on_where_it_broke(service, scene):
    content = scene.read_bytes()
    started = service.post("/v1/images", json={"upload": {"name": "my scene.tif", "size": len(content)}})
    address = f"{started.headers['location']}/content"
    assert started.json()["state"] == "uploading"
    half = len(content) // 2
    sent = service.patch(address, content=content[:half], headers={"Content-Type": PIECE, "Upload-Offset": "0"})
    assert sent.headers["upload-offset"] == str(half)
    wrong = service.patch(address, content=content, headers={"Content-Type": PIECE, "Upload-Offset": "0"})
    assert (wrong.status_code, wrong.headers["upload-offset"]) == (409, str(half))
    state = service.head(address)
    assert (state.headers["upload-offset"], state.headers["upload-length"]) == (str(half), str(len(content)))
    service.patch(address, content=content[half:], headers={"Content-Type": PIECE, "Upload-Offset": str(half)})
    image = service.get(f"{started.headers['location']}?wait=20").json()
    assert (image["state"], image["name"]) == ("ready", "my scene.tif")


def test_more_bytes_than_announced_are_refused_and_nothing_is_spoilt(service, scene):
    content = scene.read_bytes()
    started = service.post("/v1/images", json={"upload": {"name": "a.tif", "size": len(content)}})
    address = f"{started.headers['location']}/content"
    headers = {"Content-Type": PIECE, "Upload-Offset": "0"}
    assert service.patch(address, content=content + b"x", headers=headers).status_code == 413
    assert service.head(address).headers["upload-offset"] == "0"
    assert service.patch(address, content=content, headers=headers).json()["state"] in ("encoding", "ready")


def test_what_is_too_large_is_refused_before_it_is_kept(tmp_path, scene):
    with client(tmp_path / "state", limits={"upload_bytes": 1000, "chunk_bytes": 500, "pixels": 6000}) as service:
        announced = service.post("/v1/images", json={"upload": {"name": "a.tif", "size": 1001}})
        whole = service.post("/v1/images", files={"file": ("a.tif", b"x" * 200_000)})
        started = service.post("/v1/images", json={"upload": {"name": "a.tif", "size": 1000}})
        piece = service.patch(
            f"{started.headers['location']}/content",
            content=iter([b"x" * 300, b"x" * 300]),  # without a length that could be checked before
            headers={"Content-Type": PIECE, "Upload-Offset": "0"},
        )
        for answer in (announced, whole, piece):
            assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large"), answer.text
    with client(tmp_path / "state", limits={"pixels": 6000}) as service:
        image = send(service, scene)
        assert (image["state"], image["error"]["type"]) == ("failed", "/problems/too-large")


def test_an_example_and_an_image_below_the_root_are_taken_where_they_lie(tmp_path, scene):
    root = tmp_path / "root"
    (root / "2024").mkdir(parents=True)
    write_tiff(root / "2024" / "a.tif")
    examples = (Example("two", "Two rectangles", scene, ("red things",)),)
    with client(tmp_path / "state", root=root, examples=examples) as service:
        about = service.get("/v1/service").json()
        assert about["examples"] == [{"id": "two", "title": "Two rectangles", "sentences": ["red things"]}]
        for body in ({"example": "two"}, {"path": "2024/a.tif"}):
            answer = service.post("/v1/images", json=body)
            assert answer.status_code == 201, answer.text
            image = service.get(f"{answer.headers['location']}?wait=20").json()
            assert (image["state"], image["width"]) == ("ready", 96)
        assert service.post("/v1/images", json={"example": "three"}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"example": "a", "path": "b"}, {"other": 1}, [], "text", {"upload": {"name": "a", "size": 0}}, {"path": 3}],
)
def test_a_source_that_is_not_understood_is_a_problem(service, body):
    answer = service.post("/v1/images", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_an_image_is_gone_once_it_is_deleted(service, scene):
    image = send(service, scene)
    folder = service.service.library.folder / image["id"]  # type: ignore[attr-defined]
    assert folder.is_dir()
    assert service.delete(image["links"]["self"]).status_code == 204
    assert not folder.exists()
    assert service.get(image["links"]["self"]).status_code == 404
    assert service.delete(image["links"]["self"]).status_code == 404


def test_images_outlive_the_process_and_the_memory(tmp_path, scene):
    with client(tmp_path / "state") as service:
        image = send(service, scene)
    with client(tmp_path / "state") as service:
        address = image["links"]["segment"]
        found = service.post(address, json={"sentences": ["red things"]}).json()["results"][0]
        assert found["pixels"] == objects().sum()
        assert 'from="disk"} 1.0' in service.get("/metrics").text


def test_bands_and_stretch_are_read_as_asked(service, tmp_path):
    deep = np.dstack([SCENE[..., 2], SCENE[..., 1], SCENE[..., 0], SCENE[..., 0]]).astype(np.uint16)
    path = write_tiff(tmp_path / "deep.tif", deep)
    with path.open("rb") as file:
        fields = {"bands": "3,2,1", "stretch": "fixed:0,255"}
        sent = service.post("/v1/images", files={"file": ("deep.tif", file)}, data=fields)
    image = service.get(f"{sent.headers['location']}?wait=20").json()
    np.testing.assert_array_equal(pixels(service.get(image["links"]["preview"]))[..., :3], SCENE)
    service.service.library.cache.drop(image["id"])
    np.testing.assert_array_equal(pixels(service.get(image["links"]["preview"]))[..., :3], SCENE)
    found = service.post(image["links"]["segment"], json={"sentences": ["red"]}).json()["results"][0]
    assert found["pixels"] == objects().sum()
    wrong = {"bands": "3,2", "stretch": "often", "alpha": "maybe", "nodata": "much"}
    for name, value in wrong.items():
        files = {"file": ("a.tif", path.read_bytes())}
        assert service.post("/v1/images", files=files, data={name: value}).status_code == 422
    body = {"upload": {"name": "a", "size": 1}, "reading": {"bands": [1, 2]}}
    assert service.post("/v1/images", json=body).status_code == 422


def test_an_image_that_is_deleted_while_it_is_read_is_no_fault(service, scene, monkeypatch, caplog):
    library = service.service.library  # type: ignore[attr-defined]
    image = send(service, scene)

    def read_late(*what, **how):
        pixels = read_scene(*what, **how)
        library.delete(image["id"])
        return pixels

    monkeypatch.setattr("rs2sam.serve.images.library.read_scene", read_late)
    library._encode(image["id"])
    assert service.get(image["links"]["self"]).status_code == 404
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
