"""What strangers may try with an image file: nothing but the file itself is ever read. docs/serve.md has the table."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image

from tests.make_rasters import SCENE, write_tiff
from tests.serve.live import client, send

SECRET = "secret.tif"


@pytest.fixture
def secret(tmp_path):
    """A file of this machine that nobody sends."""
    return write_tiff(tmp_path / SECRET)


def vrt(path):
    return f"""<VRTDataset rasterXSize="96" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename relativeToVRT="0">{path}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
</VRTDataset>"""


def wms(_):
    return """<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/${z}/${x}/${y}.png</ServerUrl></Service>
<DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>1</UpperLeftY><LowerRightX>1</LowerRightX><LowerRightY>0</LowerRightY>
<TileLevel>1</TileLevel></DataWindow><Projection>EPSG:3857</Projection><BandsCount>3</BandsCount></GDAL_WMS>"""


def raw(_):
    return "ENVI\nsamples = 96\nlines = 64\nbands = 1\ndata type = 1\nheader offset = 0\n"


def tile_index(path):
    return f"<GDALTileIndexDataset><IndexDataset>{path}</IndexDataset></GDALTileIndexDataset>"


def zipped(path):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.write(path, "a.tif")
    return written.getvalue()


def database(path):
    return b"SQLite format 3\0" + bytes(200)


def text_behind_a_png(path):
    return b"\x89PNG\r\n\x1a\n" + vrt(path).encode()


def text_behind_a_tiff(path):
    return b"II*\0" + vrt(path).encode()


def postscript(_):
    return b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n<<>>\nendobj\n"


def pickled(_):
    return b"\x80\x04cposix\nsystem\n"


CONTENTS = [vrt, wms, raw, tile_index, zipped, database, text_behind_a_png, text_behind_a_tiff, postscript, pickled]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.vrt"])
@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.__name__)
def test_a_file_that_names_other_files_is_refused(shared, secret, content, name):
    made = content(secret)
    answer = shared.post("/v1/images", files={"file": (name, made.encode() if isinstance(made, str) else made)})
    image = shared.get(f"/v1/images/{answer.json()['id']}?wait=20").json()
    assert (image["state"], image["error"]["type"]) == ("failed", "/problems/invalid-image")
    assert SECRET not in image["error"]["detail"]
    assert str(shared.service.settings.data) not in image["error"]["detail"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with client(tmp_path_factory.mktemp("state")) as opened:
        yield opened


def header_only(width, height):
    """A PNG that claims to be large."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_what_claims_to_be_enormous_is_refused_by_its_header(tmp_path, shared):
    (tmp_path / "a.png").write_bytes(header_only(65_000, 65_000))
    with rasterio.open(
        tmp_path / "sparse.tif", "w", driver="GTiff", width=90_000, height=90_000, count=1, dtype="uint8",
        transform=rasterio.Affine(2, 0, 0, 0, -2, 0), tiled=True, SPARSE_OK=True, crs="EPSG:3857",
    ):  # fmt: skip
        pass
    with rasterio.open(
        tmp_path / "block.tif", "w", driver="GTiff", width=30_000, height=30_000, count=3, dtype="uint8",
        transform=rasterio.Affine(2, 0, 0, 0, -2, 0), tiled=True, SPARSE_OK=True, crs="EPSG:3857",
        blockxsize=16_384, blockysize=16_384, compress="deflate", interleave="pixel",
    ):  # fmt: skip
        pass
    # A PNG without a picture is none; what is whole is too large.
    expected = {"a.png": {413, 422}, "sparse.tif": {413}, "block.tif": {413}}
    for name, statuses in expected.items():
        assert (tmp_path / name).stat().st_size < 5_000_000
        image = send(shared, tmp_path / name)
        assert (image["state"], image["error"]["status"] in statuses) == ("failed", True), image["error"]


def test_neighbours_of_an_image_are_not_looked_at(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    write_tiff(root / "a.tif")
    other = np.zeros((64, 96, 3), np.uint8)
    write_tiff(root / "elsewhere.tif", other)
    # Overviews, a mask and statistics that are not the image's own; each of them may name further files.
    (root / "a.tif.ovr").write_text(vrt(root / "elsewhere.tif"))
    (root / "a.tif.msk").write_bytes((root / "elsewhere.tif").read_bytes())
    (root / "a.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:3857</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform></PAMDataset>"
    )
    (root / "a.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    Image.fromarray(SCENE).save(root / "p.png")
    (root / "p.png.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:3857</SRS><GeoTransform>0,1,0,0,0,-1</GeoTransform></PAMDataset>"
    )
    (root / "p.pgw").write_text("1\n0\n0\n-1\n0\n0\n")
    with client(tmp_path / "state", root=root) as service:
        for name, crs in (("a.tif", "EPSG:26910"), ("p.png", None)):
            answer = service.post("/v1/images", json={"path": name})
            image = service.get(f"{answer.headers['location']}?wait=20").json()
            assert (image["state"], image["crs"]) == ("ready", crs)
            shown = np.array(Image.open(io.BytesIO(service.get(image["links"]["preview"]).content)))
            np.testing.assert_array_equal(shown[..., :3], SCENE)
            assert shown.shape[2] == 3 or shown[..., 3].all()


PATHS = {
    "../secret.tif": 403,
    "a/../../secret.tif": 403,
    "/etc/passwd": 403,
    "link.tif": 404,
    "folder/secret.tif": 404,
    "/vsicurl/http://127.0.0.1:9/a.tif": 403,
    "vsizip/a.zip/a.tif": 404,
    "http://127.0.0.1:9/a.tif": 403,
    "GTIFF_DIR:1:a.tif": 404,
    "a\0.tif": 403,
    "": 403,
    ".": 403,
    "a//b.tif": 403,
    "..\\secret.tif": 403,
    "pipe.tif": 403,
    "inner": 404,
    "missing.tif": 404,
    "names.vrt": 422,
}


def test_a_path_leads_to_regular_files_below_the_root_alone(tmp_path, secret):
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "link.tif").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    (root / "names.vrt").write_text(vrt(secret))
    os.mkfifo(root / "pipe.tif")
    with client(tmp_path / "state", root=root) as service:
        answers = {path: service.post("/v1/images", json={"path": path}) for path in PATHS}
    assert {path: answer.status_code for path, answer in answers.items()} == PATHS
    said = {answer.json()["detail"].replace(repr(path), "") for path, answer in answers.items() if PATHS[path] == 404}
    assert len(said) == 1, said  # whether something lies there is not told
    assert not [answer.text for answer in answers.values() if str(tmp_path) in answer.text]


def test_without_a_root_no_path_is_taken(shared):
    answer = shared.post("/v1/images", json={"path": "a.tif"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden")


@pytest.mark.parametrize(
    "name", ["../../evil.tif", "..\\..\\evil.tif", "/etc/evil.tif", 'a\nb"c;.tif', "\u202etif.exe", "x" * 300, ".."]
)
def test_names_lead_nowhere(shared, scene, name):
    image = send(shared, scene, name)
    assert image["state"] == "ready"
    assert not set("/\\\n") & set(image["name"])
    folder = shared.service.library.folder / image["id"]
    assert {path.parent for path in folder.rglob("*")} == {folder}
    layers = [{"sentence": "red", "rle": {"size": [64, 96], "counts": [64 * 96]}}]
    header = shared.post(image["links"]["export"], json={"format": "png", "layers": layers}).headers[
        "content-disposition"
    ]
    assert header.startswith('attachment; filename="')
    assert header.count('"') == 2


def test_an_image_of_which_nothing_can_be_read_is_refused(shared, scene, tmp_path):
    (tmp_path / "cut.tif").write_bytes(scene.read_bytes()[:100])
    image = send(shared, tmp_path / "cut.tif")
    assert (image["state"], image["error"]["type"]) == ("failed", "/problems/invalid-image")
    assert "cut.tif" in image["error"]["detail"]
    assert str(shared.service.settings.data) not in image["error"]["detail"]


def test_an_image_cut_short_has_no_data_where_it_ends(shared, scene, tmp_path):
    content = scene.read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    image = send(shared, tmp_path / "cut.tif")
    assert image["state"] == "ready"
    assert any("cannot be read" in line or "could not be read" in line for line in image["warnings"])
