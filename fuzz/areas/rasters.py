"""Rasters with odd tags: TIFF, VRT, plain pictures, text grids, and files beside them."""

from __future__ import annotations

import io
import random
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC

from fuzz.mutations import NUMBERS, TEXTS, mutate_bytes, mutate_text, written

DTYPES = ("uint8", "uint8", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "complex64",
          "complex_int16", "uint64", "int64")  # fmt: skip
CRSS = (None, "EPSG:32631", "EPSG:4326", "EPSG:3857", "EPSG:4978", "EPSG:5773", "EPSG:2056", "EPSG:3031",
        'LOCAL_CS["site",UNIT["metre",1]]', "+proj=longlat +R=1737400", "+proj=geos +h=35785831 +lon_0=0")  # fmt: skip
COMPRESSIONS = ("none", "none", "deflate", "lzw", "packbits", "jpeg", "zstd", "lzma", "webp", "lerc")
_FACTORS = (0.0, 1e-320, 1e-12, 1e-9, 1e-5, 0.5, 1.0, 300.0, 1e8, 1e300, float("inf"), float("nan"))


def pixels(rng: random.Random, height: int, width: int, count: int, dtype: str) -> NDArray[Any]:
    """(bands, H, W) values: red rectangles on green, in part of odd values."""
    found = np.zeros((height, width), bool)
    for _ in range(rng.randint(0, 4)):
        row, col = rng.randrange(height), rng.randrange(width)
        found[row : row + rng.randint(1, 30), col : col + rng.randint(1, 30)] = True
    rgb = np.where(found[..., None], np.uint8((220, 30, 30)), np.uint8((40, 120, 50)))
    bands = np.stack([rgb[..., band % 3] for band in range(count)])
    kind = np.dtype("complex64" if dtype == "complex_int16" else dtype)
    with np.errstate(all="ignore"):
        values = (bands * rng.choice((1, 1, 1, 0.004, 100, 1e30))).astype(kind)
        if rng.random() < 0.3:
            spots = np.random.default_rng(rng.randrange(2**32)).random(values.shape) < rng.choice((0.01, 0.5, 1.0))
            values[spots] = np.array(rng.choice(NUMBERS), np.float64).astype(kind)
    return values


def transform(rng: random.Random) -> Affine:
    """A transform, in part one that places nothing."""
    if rng.random() < 0.6:
        return rng.choice((Affine(0.6, 0, 5e5, 0, -0.6, 4.4e6), Affine(1e-5, 0, -121.85, 0, -1e-5, 39.76)))
    return Affine(*(rng.choice((-1, 1)) * rng.choice(_FACTORS) for _ in range(6)))


def write_tiff(rng: random.Random, path: Path) -> None:
    """A TIFF of a random kind; of a plainer kind where the library refuses to write the one that was drawn."""
    height, width = (rng.choice((1, 2, 17, 40, 64, 70, 150)) for _ in range(2))
    dtype, count = rng.choice(DTYPES), rng.choice((1, 1, 2, 3, 3, 3, 4, 4, 5, 9))
    profile: dict[str, Any] = {"driver": "GTiff", "height": height, "width": width, "count": count, "dtype": dtype}
    profile["compress"] = rng.choice(COMPRESSIONS)
    if rng.random() < 0.4:
        profile.update(tiled=True, blockxsize=16 * rng.randint(1, 4), blockysize=16 * rng.randint(1, 4))
    if rng.random() < 0.4:
        profile["interleave"] = rng.choice(("pixel", "band"))
    if rng.random() < 0.4:
        profile["nodata"] = rng.choice((0, 255, -9999, 30, *NUMBERS))
    if rng.random() < 0.2:
        profile.update(rng.choice(({"nbits": rng.randint(1, 16)}, {"photometric": rng.choice(("cmyk", "ycbcr", "lab"))},
                                   {"alpha": "yes"}, {"sparse_ok": True}, {"bigtiff": "yes"}, {"endianness": "big"},
                                   {"photometric": "miniswhite"}, {"predictor": 3}, {"predictor": 2})))  # fmt: skip
    if rng.random() < 0.7:
        profile.update(crs=rng.choice(CRSS), transform=transform(rng))
    elif rng.random() < 0.5:
        profile.update(crs=rng.choice(CRSS), gcps=_points(rng))
    try:
        _write(rng, path, profile)
    except Exception:  # whatever does not go together
        path.unlink(missing_ok=True)
        plain = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint8"}
        _write(random.Random(0), path, plain)


def _points(rng: random.Random) -> list[GroundControlPoint]:
    """Ground control points, in part of no place."""
    return [
        GroundControlPoint(
            rng.uniform(0, 64), rng.uniform(0, 64), rng.choice((5e5, 5e5 + 60, *_FACTORS)), rng.uniform(0, 9)
        )
        for _ in range(rng.choice((1, 2, 3, 4, 12)))
    ]


def _write(rng: random.Random, path: Path, profile: dict[str, Any]) -> None:
    """Write a TIFF with what can lie in one besides pixels."""
    with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=rng.random() < 0.5):
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", **profile) as dataset:
            dtype = str(profile["dtype"])
            if rng.random() > 0.05:
                dataset.write(pixels(rng, profile["height"], profile["width"], profile["count"], dtype))
            if rng.random() < 0.3:
                dataset.colorinterp = [rng.choice(list(ColorInterp)) for _ in range(profile["count"])]
            if rng.random() < 0.1:
                dataset.write_colormap(1, {i: tuple(rng.randrange(256) for _ in range(4)) for i in range(256)})
            if rng.random() < 0.1:
                dataset.write_mask(np.random.default_rng(0).random((profile["height"], profile["width"])) < 0.7)
            if rng.random() < 0.1:
                dataset.update_tags(1, **{"a": rng.choice(TEXTS).replace("\0", "")}, ns=rng.choice(("", "RPC", "x")))
            if rng.random() < 0.1:
                dataset.scales, dataset.offsets = ((rng.choice(NUMBERS),) * profile["count"] for _ in range(2))
            if rng.random() < 0.1:
                dataset.rpcs = RPC(
                    1, 1, 1, 1, [1.0] * 20, [1.0] * 20, 1, rng.choice(_FACTORS), [1.0] * 20, [0.0] * 20, 1, 1
                )
        # Of other types and with odd nodata GDAL builds them for minutes.
        if rng.random() < 0.1 and dtype == "uint8" and "nodata" not in profile:
            with rasterio.open(path, "r+") as dataset:
                dataset.build_overviews([2, 4])


_TAGS = (
    254,
    256,
    258,
    259,
    262,
    277,
    278,
    320,
    322,
    339,
    33550,
    33922,
    34264,
    34735,
    34736,
    34737,
    42112,
    42113,
    50844,
)
"""Of sizes, types, compression, palettes, places, and of what GDAL adds."""


def mutate_tiff(rng: random.Random, content: bytes) -> bytes:
    """Change entries of a classic TIFF's directory: tag, type, count or value."""
    data = bytearray(content)
    if len(data) < 8 or data[:2] not in (b"II", b"MM") or data[2:4] in (b"\x2b\0", b"\0\x2b"):
        return mutate_bytes(rng, content)
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    if at + 2 > len(data):
        return mutate_bytes(rng, content)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    for _ in range(rng.randint(1, 3)):
        entry = at + 2 + 12 * rng.randrange(max(1, count))
        if entry + 12 > len(data):
            break
        kind = rng.randrange(6)
        odd = rng.choice(
            (0, 1, 2, 3, 7, 8, 16, 64, 255, 256, 1000, 65535, 10**6, 2**31 - 1, 2**32 - 1, rng.getrandbits(32))
        )
        if kind == 0:
            struct.pack_into(f"{order}H", data, entry, rng.choice(_TAGS))
        elif kind == 1:
            struct.pack_into(f"{order}H", data, entry + 2, rng.choice((0, 1, 2, 3, 4, 5, 7, 11, 12, 13, 16, 18, 99)))
        elif kind == 2:
            struct.pack_into(f"{order}I", data, entry + 4, odd)
        else:
            struct.pack_into(f"{order}I", data, entry + 8, odd)
    return bytes(data)


def picture(rng: random.Random) -> tuple[str, bytes]:
    """Suffix and content of a plain picture of any mode."""
    mode = rng.choice(("RGB", "RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "I;16", "I", "F", "LAB", "HSV", "YCbCr"))
    suffix = rng.choice(("png", "png", "jpg", "webp", "gif", "bmp", "tif", "ppm", "tga", "jp2"))
    size = rng.choice((1, 5, 40, 64)), rng.choice((1, 5, 40, 64, 200))
    base = Image.fromarray(pixels(rng, size[1], size[0], 3, "uint8").transpose(1, 2, 0).astype(np.uint8))
    how: dict[str, Any] = {}
    if rng.random() < 0.2:
        exif = Image.Exif()
        exif[0x0112] = rng.choice((0, 2, 3, 5, 6, 7, 8, 9, 65535))
        how["exif"] = exif
    if rng.random() < 0.1:
        how["transparency"] = rng.choice((0, 1, 255, b"\0\1\2", (0, 0, 0)))
    if rng.random() < 0.1:
        how.update(
            rng.choice(
                ({"compression": "tiff_lzw"}, {"progressive": True}, {"icc_profile": b"x" * 40}, {"dpi": (0, 0)})
            )
        )
    stream = io.BytesIO()
    try:
        image = base.convert("L").convert("I;16") if mode == "I;16" else base.convert(mode)
        image.save(stream, {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(suffix, suffix), **how)
    except Exception:  # whatever does not go together
        stream, suffix = io.BytesIO(), "png"
        base.save(stream, "PNG")
    return suffix, stream.getvalue()


def write_vrt(rng: random.Random, folder: Path) -> Path:
    """A VRT over a TIFF of which some parts are odd."""
    write_tiff(rng, folder / "source.tif")
    if rng.random() < 0.15:
        (folder / "source.tif").unlink()
    odd = ("64", "40", "100", "1", "0", "-1", "1e3", "2147483648", "100000")
    side = [rng.choice(odd) if rng.random() < 0.3 else "64" for _ in range(8)]
    srs = rng.choice(("EPSG:32631", "EPSG:4326", 'PROJCS["x"', "nonsense", "", "EPSG:999999"))
    geo = ", ".join(repr(value) for value in transform(rng)[:6]) if rng.random() < 0.8 else rng.choice(TEXTS)
    source = rng.choice(
        ("source.tif",) * 6 + ("missing.tif", "odd.vrt", "", "/dev/zero", "source.tif\0x", "GTIFF_DIR:1:source.tif")
    )
    band_type = rng.choice(("Byte", "Byte", "UInt16", "Int16", "Float32", "CInt16", "CFloat32", "Int64", "Nonsense"))
    kind = rng.choice(("SimpleSource", "SimpleSource", "ComplexSource", "KernelFilteredSource", "ArraySource"))
    derived = ' subClass="VRTDerivedRasterBand"' if rng.random() < 0.1 else ""
    function = (
        f"<PixelFunctionType>{rng.choice(('sum', 'mul', 'nonsense', 'sqrt'))}</PixelFunctionType>" if derived else ""
    )
    nodata = f"<NoDataValue>{rng.choice(NUMBERS)}</NoDataValue>" if rng.random() < 0.4 else ""
    colour = (
        f"<ColorInterp>{rng.choice(('Red', 'Alpha', 'Palette', 'Undefined', 'x'))}</ColorInterp>"
        if rng.random() < 0.3
        else ""
    )
    one = (
        f'<{kind}><SourceFilename relativeToVRT="1">{source}</SourceFilename><SourceBand>{{}}</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{side[2]}" ySize="{side[3]}"/>'
        f'<DstRect xOff="{rng.choice((0, 0, 30, -30, "nan"))}" yOff="0" xSize="{side[4]}" ySize="{side[5]}"/></{kind}>'
    )
    bands = "".join(
        f'<VRTRasterBand dataType="{band_type}" band="{number}"{derived}>{function}{nodata}{colour}'
        f"{one.format(rng.choice((number, 1, 99)) if rng.random() < 0.1 else 1)}</VRTRasterBand>"
        for number in range(1, 1 + rng.choice((0, 1, 3, 3, 3, 4)))
    )
    text = (
        f'<VRTDataset rasterXSize="{side[0]}" rasterYSize="{side[1]}"><SRS>{srs}</SRS>'
        f"<GeoTransform>{geo}</GeoTransform>{bands}</VRTDataset>"
    )
    if rng.random() < 0.2:
        text = mutate_text(
            rng, text, ("<", ">", '"', "</VRTDataset>", "&amp;", "<VRTRasterBand>", "<GCPList>", "9" * 40)
        )
    path = folder / "odd.vrt"
    path.write_bytes(written(text))
    return path


def write_grid(rng: random.Random, folder: Path) -> Path:
    """A grid in text: few lines that say what follows, in part wrongly."""
    side = rng.choice((3, 20))
    said = {"ncols": side, "nrows": side, "xllcorner": 5e5, "yllcorner": 0, "cellsize": 0.6, "NODATA_value": -9999}
    for name in list(said):
        if rng.random() < 0.15:
            said[name] = rng.choice(NUMBERS)
        if rng.random() < 0.05:
            del said[name]
    rows = [" ".join(str(rng.choice((1, 2, 100, -9999, 0.5))) for _ in range(side)) for _ in range(side)]
    text = "\n".join([*(f"{name} {value}" for name, value in said.items()), *rows])
    path = folder / "grid.asc"
    path.write_bytes(written(mutate_text(rng, text) if rng.random() < 0.2 else text))
    return path


def write_beside(rng: random.Random, path: Path) -> None:
    """A file that GDAL reads along with another: world file, projection, metadata, mask, overviews."""
    kind = rng.choice((".tfw", ".wld", ".prj", ".aux.xml", ".msk", ".ovr", ".RPB"))
    place = path.with_suffix(kind) if kind in (".tfw", ".wld", ".prj", ".RPB") else Path(f"{path}{kind}")
    if kind in (".msk", ".ovr"):
        write_tiff(rng, place)
        place.write_bytes(mutate_tiff(rng, place.read_bytes()))
    elif kind == ".aux.xml":
        colours = rng.choice(("", "<ColorTable><Entry c1='-5' /></ColorTable>", "<Metadata domain='RPC'/>"))
        srs, band = rng.choice(("EPSG:32631", "nonsense", "EPSG:4978")), rng.choice(("Alpha", "Palette", "Red"))
        numbers = ", ".join(map(repr, transform(rng)[:6]))
        text = (
            f"<PAMDataset><SRS>{srs}</SRS><GeoTransform>{numbers}</GeoTransform><PAMRasterBand band='1'><NoDataValue>"
            f"{rng.choice(NUMBERS)}</NoDataValue><ColorInterp>{band}</ColorInterp>{colours}</PAMRasterBand></PAMDataset>"
        )
        place.write_bytes(written(text))
    elif kind == ".prj":
        place.write_bytes(written(rng.choice(('PROJCS["x"', "EPSG:4326", *TEXTS))))
    else:
        place.write_bytes(written("\n".join(str(rng.choice(_FACTORS)) for _ in range(rng.choice((0, 5, 6, 6))))))
