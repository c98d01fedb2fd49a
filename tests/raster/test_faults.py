"""Cut files of formats that GDAL reads beyond their end."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rasterio.shutil import copy

from rs2sam.errors import InvalidImageError
from rs2sam.raster import read_scene
from tests.make_rasters import SCENE, write_tiff

NOISE = np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8)
NOISE[:, 20:] = 7  # runs beside what has none


def tga(folder: Path, mode: str, **how: str) -> Path:
    path = folder / "a.tga"
    Image.fromarray(NOISE).convert(mode).save(path, **how)
    return path


def copied(folder: Path, driver: str, num_bands: int) -> Path:
    path = folder / f"a.{driver.lower()}"
    copy(write_tiff(folder / "source.tif", SCENE[..., :num_bands]), path, driver=driver)
    return path


MADE = {
    "TGA": lambda folder: tga(folder, "RGB"),
    "grey TGA": lambda folder: tga(folder, "L"),
    "TGA with a palette": lambda folder: tga(folder, "P"),
    "TGA of runs": lambda folder: tga(folder, "RGB", compression="tga_rle"),
    "TGA of runs with a palette": lambda folder: tga(folder, "P", compression="tga_rle"),
    "PCIDSK": lambda folder: copied(folder, "PCIDSK", 3),
    "PCRaster": lambda folder: copied(folder, "PCRaster", 1),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_whole_file_is_read_and_a_cut_one_refused(kind: str, tmp_path: Path) -> None:
    path = MADE[kind](tmp_path)
    assert read_scene(path, quiet=True).rgb.any()
    content = path.read_bytes()
    end = content.rfind(b"\0\0\0\0\0\0\0\0TRUEVISION-XFILE.\0")  # a footer, which may be lost
    pixels = content if end < 0 else content[:end]
    path.write_bytes(pixels)
    assert read_scene(path, quiet=True).rgb.any()
    # What stands behind the pixels of a PCIDSK file may be lost, too.
    last = len(pixels) // 2 if kind == "PCIDSK" else len(pixels) - 1
    for kept in (last, last * 9 // 10, last // 2):
        path.write_bytes(pixels[:kept])
        with pytest.raises(InvalidImageError, match=r"damaged or cut short|cannot be opened"):
            read_scene(path)


def test_a_tga_whose_header_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tga"
    path.write_bytes(struct.pack("<BBBHHBHHHHBB", 0, 0, 3, 0, 0, 0, 0, 0, 64, 64, 8, 0) + bytes(64 * 64 - 10))
    with pytest.raises(InvalidImageError, match="its pixels end 10 bytes too early"):
        read_scene(path)


@pytest.mark.parametrize("packet", [b"\x05" + bytes(range(1, 19)), b"\x85" + bytes([9, 8, 7])], ids=["raw", "run"])
def test_a_packet_of_a_tga_may_go_on_over_the_end_of_a_row(tmp_path: Path, packet: bytes) -> None:
    """As writers of TGA 1.0 have it: one packet of 6 pixels for 3 x 2."""
    path = tmp_path / "a.tga"
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 3, 2, 24, 0x20)
    path.write_bytes(header + packet)
    rgb = read_scene(path).rgb
    pixels = np.frombuffer(packet[1:], np.uint8).reshape(-1, 3)[:, ::-1]
    np.testing.assert_array_equal(rgb.reshape(-1, 3), np.broadcast_to(pixels, (6, 3)))
    path.write_bytes(header + packet[:-1])
    with pytest.raises(InvalidImageError, match=r"damaged or cut short|cannot be opened"):
        read_scene(path)
