from __future__ import annotations

import os
import re
import socket

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioIOError

from rs2sam.errors import DataNotFoundError, InvalidImageError, InvalidInputError, UnreadableImageError
from rs2sam.raster import opening, read_scene
from rs2sam.raster.faults import fault, reason_of
from rs2sam.raster.scene import is_local, scene_stem
from rs2sam.raster.source import open_source
from rs2sam.raster.tiling import Window
from tests.make_rasters import NORTH_UP, SCENE, objects, paint, write_tiff
from tests.range_server import RangeServer

WIDE = paint(objects(64, 256))


def missing_half(folder):
    """A VRT of two sources side by side, as gdalbuildvrt writes it; the right one is not there."""
    write_tiff(folder / "left.tif", WIDE[:, :128])
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>'
        + "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename>'
            f"<SourceBand>{band}</SourceBand>"
            '<SourceProperties RasterXSize="128" RasterYSize="64" DataType="Byte" BlockXSize="128" BlockYSize="64"/>'
            f'<SrcRect xOff="0" yOff="0" xSize="128" ySize="64"/><DstRect xOff="{x}" yOff="0" xSize="128" ySize="64"/>'
            "</SimpleSource>"
            for name, x in (("left", 0), ("right", 128))
        )
        + "</VRTRasterBand>"
        for band, colour in ((1, "Red"), (2, "Green"), (3, "Blue"))
    )
    path = folder / "a.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="256" rasterYSize="64">'
        f"<GeoTransform>{','.join(map(str, NORTH_UP.to_gdal()))}</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def test_a_missing_source_is_told_however_often_it_is_read(tmp_path):
    """GDAL tells of it once a handle, and gives zeros from then on."""
    with open_source(missing_half(tmp_path)) as source:
        for _ in range(3):
            rgb, valid, lost = source.read_what_can_be(Window(0, 0, 64, 256))
            assert lost == (Window(0, 128, 64, 128),)
            assert not valid[:, 128:].any()
            np.testing.assert_array_equal(rgb[:, :128], WIDE[:, :128])
            with pytest.raises(InvalidImageError, match=r"right\.tif"):
                source.read(Window(5, 160, 10, 10))


def test_a_missing_source_is_told_while_another_vrt_is_open(tmp_path):
    """GDAL then remembers that it could not open the source, and gives zeros without a word."""
    (tmp_path / "other").mkdir()
    with open_source(missing_half(tmp_path / "other")) as other, open_source(missing_half(tmp_path)) as source:
        other.read(Window(0, 0, 64, 64))
        for _ in range(3):
            rgb, valid, lost = source.read_what_can_be(Window(0, 0, 64, 256))
            assert lost == (Window(0, 128, 64, 128),)
            assert not valid[:, 128:].any()
            np.testing.assert_array_equal(rgb[:, :128], WIDE[:, :128])


def test_a_missing_band_is_told_while_another_vrt_is_open(tmp_path):
    """Red, green and blue are files of their own, as `gdalbuildvrt -separate` puts them; one is not there."""
    (tmp_path / "other").mkdir()
    path = missing_half(tmp_path)
    for band, name in ((1, "red"), (2, "green")):
        write_tiff(tmp_path / f"{name}.tif", WIDE[..., band - 1 : band])
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">{name}.tif'
        '</SourceFilename><SourceBand>1</SourceBand><SourceProperties RasterXSize="256" RasterYSize="64" '
        'DataType="Byte" BlockXSize="256" BlockYSize="64"/></SimpleSource></VRTRasterBand>'
        for band, name in ((1, "red"), (2, "green"), (3, "blue"))
    )
    path.write_text(f'<VRTDataset rasterXSize="256" rasterYSize="64">{bands}</VRTDataset>')
    with open_source(missing_half(tmp_path / "other")) as other, open_source(path) as source:
        other.read(Window(0, 0, 64, 64))
        for _ in range(3):
            _, valid, lost = source.read_what_can_be(Window(0, 0, 64, 256))
            assert lost
            assert not valid.any()


def test_a_block_that_is_lost_is_read_once(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        opening, "_opened", lambda *args, _of=opening._opened, **how: opened.append(1) or _of(*args, **how)
    )
    with open_source(missing_half(tmp_path)) as source:
        before = len(opened)
        for row in range(0, 64, 8):
            assert source.read_what_can_be(Window(row, 100, 8, 56))[2] == (Window(0, 128, 64, 128),)
    assert len(opened) - before <= 2  # the whole window and its piece


def test_black_pixels_of_a_vrt_are_no_missing_source(tmp_path):
    path = missing_half(tmp_path)
    write_tiff(tmp_path / "left.tif", np.zeros_like(WIDE[:, :128]))
    write_tiff(tmp_path / "right.tif", WIDE[:, 128:])
    with open_source(path) as source:
        rgb, valid, lost = source.read_what_can_be(Window(0, 0, 64, 256))
    assert lost == ()
    assert valid.all()
    np.testing.assert_array_equal(rgb[:, 128:], WIDE[:, 128:])


def test_a_missing_source_is_a_hole_in_a_scene_read_whole(tmp_path):
    scene = read_scene(missing_half(tmp_path))
    np.testing.assert_array_equal(scene.rgb[:, :128], WIDE[:, :128])
    assert scene.valid[:, :128].all()
    assert not scene.rgb[:, 128:].any()
    assert not scene.valid[:, 128:].any()
    assert scene.warnings[-1] == "1 blocks of it cannot be read and have no data in the results"


def test_a_scene_of_which_nothing_can_be_read_is_an_error(tmp_path):
    path = missing_half(tmp_path)
    (tmp_path / "left.tif").unlink()
    with pytest.raises(UnreadableImageError, match="its pixels cannot"):
        read_scene(path)


def test_a_vrt_that_filters_by_no_kernel_is_refused(tmp_path):
    """GDAL ends the process over it."""
    path = missing_half(tmp_path)
    path.write_text(path.read_text().replace("SimpleSource", "KernelFilteredSource"))
    with pytest.raises(InvalidImageError, match="needs a kernel"):
        read_scene(path)


@pytest.mark.parametrize("side", ["xSize", "ySize"])
def test_a_vrt_that_shows_less_than_nothing_of_a_source_is_refused(tmp_path, side):
    """GDAL gives memory that nobody has set."""
    path = missing_half(tmp_path)
    text, count = re.subn(rf'(<SrcRect[^>]*{side}=)"[^"]*"', r'\1"-1"', path.read_text())
    assert count
    path.write_text(text)
    with pytest.raises(InvalidImageError, match="has a size above 0"):
        read_scene(path)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_vrt_inside_of_a_vrt_is_looked_into(tmp_path, depth):
    inner = missing_half(tmp_path)
    faulty, count = re.subn(r'(<SrcRect[^>]*xSize=)"[^"]*"', r'\1"-1"', inner.read_text())
    assert count
    inner.rename(tmp_path / "0 & 1.vrt").write_text(faulty)
    for number in range(depth):
        source = "0 &amp; 1" if number == 0 else str(number)
        (tmp_path / f"{number + 1}.vrt").write_text(
            '<VRTDataset rasterXSize="256" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{source}.vrt</SourceFilename>'
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
    with pytest.raises(InvalidImageError, match=r"has a size above 0, but one of .*0 & 1.vrt"):
        read_scene(tmp_path / f"{depth}.vrt")


def test_vrts_that_show_each_other_end_in_one_error(tmp_path):
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.vrt").write_text(
            '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{other}.vrt</SourceFilename>'
            "</SimpleSource></VRTRasterBand></VRTDataset>"
        )
    with pytest.raises(UnreadableImageError):
        read_scene(tmp_path / "a.vrt")


@pytest.mark.timeout(60)
def test_a_grid_of_text_that_ends_too_early_is_refused(tmp_path):
    """GDAL would look for every missing row by way of all rows above it, twice as long for each."""
    path = tmp_path / "a.asc"
    lines = ["ncols 2", "nrows 600", "xllcorner 0", "yllcorner 0", "cellsize 1"]
    path.write_text("\n".join(lines + ["1 2"] * 600))
    assert read_scene(path).size_hw == (600, 2)
    path.write_text("\n".join(lines + ["1 2"] * 30))
    with pytest.raises(UnreadableImageError, match="damaged or cut short"):
        read_scene(path)


@pytest.mark.parametrize("dtype", ["complex_int16", "complex64", "complex128"])
def test_complex_pixels_of_any_kind_are_refused_in_one_line(tmp_path, dtype):
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", dtype=dtype, count=1, height=8, width=9, transform=NORTH_UP
    ) as dataset:
        dataset.write(np.zeros((1, 8, 9), np.complex64))
    with pytest.raises(InvalidImageError, match=f"real numbers, but those of .* are {dtype}"):
        read_scene(tmp_path / "a.tif")


def test_parts_of_containers_are_left_to_gdal(tmp_path):
    path = write_tiff(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_scene(f"GTIFF_DIR:1:{path}").rgb, SCENE)
    with pytest.raises(InvalidImageError, match="cannot be opened as an image"):
        read_scene(f"GTIFF_DIR:7:{path}")


@pytest.mark.parametrize(
    ("source", "local", "stem"),
    [
        ("a/b.tif", True, "b"),
        ("netcdf:/data/a.nc:Band1", False, "a_Band1"),
        ("GTIFF_DIR:2:/data/a.tif", False, "a_2"),
        ('HDF5:"a.h5"://group/data', False, "a_group_data"),
        ("SENTINEL2_L2A:/data/MTD.xml:10m:EPSG_32632", False, "MTD_10m_EPSG_32632"),
        ("https://host/b.tif?sig=1", False, "b"),
        ("C:/data/b.tif", True, "b"),
        ("/vsizip/a.zip/b.tif", False, "b"),
    ],
)
def test_names_of_parts_are_told_from_paths(source, local, stem):
    assert is_local(source) == local
    assert scene_stem(source) == stem


def test_a_file_with_the_name_of_a_part_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiff(tmp_path / "at:12:00.tif")
    assert is_local("at:12:00.tif")
    assert read_scene("at:12:00.tif").size_hw == (64, 96)


def test_pipes_and_devices_are_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InvalidImageError, match="is a pipe, which may never end"):
        read_scene(tmp_path / "a.tif")
    with pytest.raises(InvalidImageError, match="is a device"):
        read_scene("/dev/zero")
    with socket.socket(socket.AF_UNIX) as door:
        monkeypatch.chdir(tmp_path)
        door.bind("s.tif")
        with pytest.raises(InvalidImageError, match="is a socket"):
            read_scene("s.tif")


@pytest.mark.parametrize("name", ["a" * 400 + ".tif", "no/such.tif"])
def test_names_of_nothing_are_not_there(name):
    with pytest.raises(DataNotFoundError, match="not there"):
        read_scene(name)


@pytest.mark.parametrize("name", ["a\udce9.tif", "a\0.tif"])
def test_names_that_no_result_could_hold_are_refused(name):
    with pytest.raises(InvalidInputError, match="name of an image must"):
        read_scene(name)


def test_a_block_that_does_not_fit_in_memory_is_refused_at_once(tmp_path, monkeypatch):
    path = write_tiff(tmp_path / "a.tif")
    monkeypatch.setattr("rs2sam.raster.opening.MOST_BLOCK_BYTES", 1000)
    with pytest.raises(InvalidImageError, match=r"block of an image must fit in memory.*TILED=YES"):
        read_scene(path)


def test_a_header_that_cannot_be_understood_is_one_line(tmp_path, monkeypatch):
    """Broken tags end in exceptions of any kind."""
    path = write_tiff(tmp_path / "a.tif")
    monkeypatch.setattr("rs2sam.raster.source.place_of", lambda _: b"\xff".decode())
    with pytest.raises(InvalidImageError, match=r"header cannot be understood \('utf-8' codec"):
        read_scene(path)


def test_reasons_are_one_line_of_bounded_length():
    assert reason_of(ValueError("two\nlines {x}")) == "two lines (x)"
    assert reason_of(KeyError()) == "KeyError"
    assert len(reason_of(ValueError("x" * 9999))) < 400
    assert "more memory" in str(fault("a.tif", MemoryError("9 GB"), "{reason}"))


# --- palettes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["UInt16", "UInt32", "Int32", "Byte"])
def test_a_palette_has_the_size_of_its_entries_whatever_the_type(tmp_path, dtype):
    values = np.array([[0, 1, 2, 3]], {"Byte": "u1", "UInt16": "u2", "UInt32": "u4", "Int32": "i4"}[dtype])
    if dtype != "Byte":
        values[0, 3] = 40000  # beyond the table
    write_tiff(tmp_path / "a.tif", values[..., None])
    colours = "".join(
        f'<Entry c1="{c[0]}" c2="{c[1]}" c3="{c[2]}" c4="255"/>' for c in ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    )
    (tmp_path / "a.vrt").write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="1"><VRTRasterBand dataType="{dtype}" band="1"><ColorInterp>Palette'
        f'</ColorInterp><ColorTable>{colours}</ColorTable><SimpleSource><SourceFilename relativeToVRT="1">a.tif'
        "</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    scene = read_scene(tmp_path / "a.vrt")
    assert scene.rgb[0].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0]]
    assert scene.valid[0].tolist() == [True, True, True, False]


def test_a_palette_of_floats_is_grey(tmp_path):
    write_tiff(tmp_path / "a.tif", np.array([[0, 1, 2, 3]], np.float32)[..., None])
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="1"><VRTRasterBand dataType="Float32" band="1"><ColorInterp>Palette'
        '</ColorInterp><ColorTable><Entry c1="9" c2="9" c3="9" c4="255"/></ColorTable><SimpleSource><SourceFilename '
        'relativeToVRT="1">a.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    scene = read_scene(tmp_path / "a.vrt")
    assert scene.rgb[0, :, 0].tolist() == [0, 83, 172, 255] or scene.rgb[0, 3].tolist() == [255, 255, 255]
    assert "palette" in scene.warnings[0]


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ("HTTP response code: 404", False),
        ("HTTP response code: 403", False),
        ("HTTP response code: 410", False),
        ("'/vsicurl/https://data.example/a' not recognized as being in a supported file format.", False),
        ("a.tif: Requested directory 9 not found.", False),
        ("Failed to parse NETCDF: prefix string into expected 2, 3 or 4 fields.", False),
        ("HTTP response code: 408", True),
        ("HTTP response code: 429", True),
        ("HTTP response code: 503", True),
        ("CURL error: Could not resolve host: data.example", True),
        ("TIFFReadEncodedTile() failed.", True),
    ],
)
def test_what_a_server_says_alike_whenever_it_is_asked_does_not_pass(said, passes):
    error = fault("https://data.example/a.tif", RasterioIOError(said), "cannot be opened ({reason}).")
    assert isinstance(error, UnreadableImageError) == passes
    assert said.rstrip(".") in str(error)


def test_a_broken_connection_passes_whatever_came_of_it():
    error = RasterioIOError("'/vsicurl/https://data.example/a' not recognized as being in a supported file format.")
    error.__cause__ = RasterioIOError("CURL error: Connection reset by peer")
    assert isinstance(fault("a", error, "{reason}"), UnreadableImageError)


@pytest.mark.parametrize(
    ("name", "passes"),
    [("{root}/gone.tif", False), ("GTIFF_DIR:9:/vsicurl/{url}", False), ("http://127.0.0.1:9/a.tif", True)],
)
def test_a_remote_name_that_is_not_there_does_not_pass_and_a_dead_server_may(tmp_path, name, passes):
    with RangeServer(write_tiff(tmp_path / "a.tif", SCENE)) as server:
        asked = name.format(root=server.url.rpartition("/")[0], url=server.url)
        with pytest.raises(InvalidImageError) as raised, open_source(asked):
            pass
    assert isinstance(raised.value, UnreadableImageError) == passes
