"""Run `rs2sam segment` on real files as a user would, and read what it wrote with GIS readers.

    python tools/check_real_images.py ../shared/data out/real
    python tools/check_real_images.py ../shared/data out/real --model FOLDER

DATA is the folder of real imagery; OUT receives one folder per call, to look at. Prints a line per call; the exit code
is 1 if any failed. What is found is not judged here: whether it lies where the image says, is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import rasterio
import shapely
from numpy.typing import NDArray
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize
from rasterio.warp import transform as warp_points

TIMEOUT_S = 300
MASK_NODATA = 255


@dataclass(frozen=True)
class Case:
    """One call on one real file.

    Args:
        image: path below DATA.
        sentences: what to look for.
        options: further arguments of the command.
    """

    image: str
    sentences: tuple[str, ...]
    options: tuple[str, ...] = ()


CASES = (
    Case("geotiff/naip/chico_2020_2.tif", ("the swimming pools",)),
    Case("geotiff/naip/chico_2020_50.tif", ("the trees",)),
    Case("geotiff/naip/claremont_2020_18.tif", ("all buildings",), ("--min-area", "25m2")),
    Case("geotiff/naip/long_beach_2020_34.tif", ("all buildings", "the roads", "the largest building")),
    Case("geotiff/naip/palm_springs_2020_2.tif", ("the swimming pools",), ("--format", "geojson")),
    Case("geotiff/naip/riverside_2020_18.tif", ("the roads",), ("--tile", "128", "--overlap", "32")),
    Case("geotiff/naip/santa_monica_2020_50.tif", ("the vegetation",), ("--bands", "4,1,2")),
    Case("geotiff/landsat_utm18n.tif", ("the water",)),
    Case("geotiff/landsat_utm18n.tif", ("the land",), ("--format", "geojson", "--stretch", "percentile")),
    Case("nwpu_vhr10/images/001.jpg", ("all airplanes",)),
    Case("nwpu_vhr10/images/067.jpg", ("the storage tanks", "the storage tank in the upper left")),
    Case("nwpu_vhr10/images/081.jpg", ("the tennis courts",), ("--format", "geojson")),
    Case("dubai_landcover/images/tile1_image_part_001.jpg", ("the roads",)),
    Case("dubai_landcover/images/tile5_image_part_001.jpg", ("the water",)),
)


@dataclass(frozen=True)
class WrongCase:
    """One call that has to fail.

    Args:
        name: what is wrong.
        arguments: of `rs2sam segment`; `{out}` stands for the output folder.
        exit_code: that a user is promised.
        said: part of the message on stderr.
    """

    name: str
    arguments: tuple[str, ...]
    exit_code: int
    said: str


@dataclass(frozen=True)
class Output:
    """What a call left, opened again.

    Args:
        report: content of the result file.
        mask: (sentences, H, W) uint8.
        geometries: polygons as stored.
        columns: attribute name -> (n,) values.
    """

    report: dict[str, Any]
    mask: NDArray[np.uint8]
    geometries: NDArray[np.object_]
    columns: dict[str, NDArray[Any]]


def run_cli(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run the `rs2sam` of this interpreter's environment."""
    command = Path(sys.executable).parent / "rs2sam"  # not resolved: a virtual environment's python is a link
    if not command.exists():
        raise SystemExit(f"{command} is not there: install the package into this environment first.")
    return subprocess.run(
        [str(command), *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False, encoding="utf-8"
    )


def check_case(case: Case, data: Path, folder: Path, model: str) -> tuple[str, list[str]]:
    """Run one case; returns what to say about it and what is wrong."""
    image = data / case.image
    if not image.is_file():
        return "", [f"{image} is not there"]
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    done = run_cli(["segment", str(image), *case.sentences, "-o", str(folder), "--model", model, *case.options])
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        return "", [f"exit code {done.returncode}: {done.stderr.strip()}"]
    paths = {kind: next(iter(folder.glob(f"*_{kind}.*")), None) for kind in ("mask", "polygons", "preview", "result")}
    for kind in ("mask", "polygons", "preview", "result"):
        if paths[kind] is None:
            return "", [f"no {kind} was written"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(image) as source, rasterio.open(folder / f"{image.stem}_mask.tif") as mask:
            output = read_output(folder, image.stem, mask)
            problems = [
                *raster_problems(source, mask, output),
                *polygon_problems(case, source, output),
                *report_problems(case, source, output, image),
                *picture_problems(case, source, output, folder),
            ]
            place = source.crs.to_string() if source.crs else "no CRS"
            said = f"{source.width} x {source.height} px, {place}, {len(output.geometries)} polygons, {seconds:.1f} s"
    if done.stderr.strip() and "warning:" not in done.stderr:
        problems.append(f"stderr of a run without a terminal is not silent: {done.stderr.strip()[:200]}")
    return said, problems


def read_output(folder: Path, stem: str, mask: Any) -> Output:
    """Open what a call wrote."""
    report = json.loads((folder / f"{stem}_result.json").read_text(encoding="utf-8"))
    path = folder / report["outputs"]["polygons"]
    layers = [pyogrio.raw.read(path, layer=name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    columns = {name: np.zeros(0) for name in ("sentence_id", "area_m2", "area_px")}  # GeoJSON without rows has none
    for number, name in enumerate(layers[0][0]["fields"]):
        columns[name] = np.concatenate([values[number] for _, _, _, values in layers])
    shapes = shapely.from_wkb(np.concatenate([wkb for _, _, wkb, _ in layers]))
    return Output(report, mask.read(), shapes, columns)


def raster_problems(source: Any, mask: Any, output: Output) -> Iterator[str]:
    """The mask against its source: CRS, transform, size, nodata, values."""
    if mask.crs != source.crs:
        yield f"CRS of the mask is {mask.crs}, of the source {source.crs}"
    if mask.transform != source.transform:
        yield f"transform of the mask is {mask.transform[:6]}, of the source {source.transform[:6]}"
    if mask.shape != source.shape:
        yield f"the mask is {mask.shape}, the source {source.shape}"
        return
    if set(mask.dtypes) != {"uint8"} or mask.nodata != MASK_NODATA or mask.compression is None:
        yield f"the mask is {mask.dtypes}, nodata {mask.nodata}, compression {mask.compression}"
    invalid = source.dataset_mask() == 0
    for band in output.mask:
        if set(np.unique(band)) - {0, 1, MASK_NODATA}:
            yield f"the mask has values {np.unique(band)}"
        if not np.array_equal(band == MASK_NODATA, invalid):
            yield f"nodata covers {(band == MASK_NODATA).sum()} pixels, {invalid.sum()} are invalid in the source"


def polygon_problems(case: Case, source: Any, output: Output) -> Iterator[str]:
    """The polygons against the mask and the source's place."""
    is_geojson = "geojson" in case.options
    geometries = output.geometries
    info = pyogrio.read_info(Path(output.report["outputs"]["folder"]) / output.report["outputs"]["polygons"], layer=0)
    expected = "EPSG:4326" if is_geojson and source.crs else source.crs
    # GeoJSON has no way to say that coordinates are pixels, so readers assume longitude and latitude.
    if (source.crs or not is_geojson) and (info["crs"] or None) != (expected and str(expected)):
        yield f"CRS of the polygons is {info['crs']}, expected {expected}"
    if not shapely.is_valid(geometries).all() or shapely.is_empty(geometries).any():
        yield f"{(~shapely.is_valid(geometries)).sum()} invalid and {shapely.is_empty(geometries).sum()} empty polygons"
    if is_geojson and source.crs:
        geometries = shapely.transform(
            geometries, lambda xy: np.column_stack(warp_points("EPSG:4326", source.crs, xy[:, 0], xy[:, 1]))
        )
    pixel = max(abs(source.transform.a), abs(source.transform.e))
    corners = [source.transform * corner for corner in ((0, 0), (source.width, source.height))]
    frame = shapely.box(*np.min(corners, axis=0), *np.max(corners, axis=0)).buffer(0.01 * pixel)
    if not shapely.covers(frame, geometries).all():
        yield "polygons lie outside of the image"
    for number, band in enumerate(output.mask, start=1):
        own = geometries[output.columns["sentence_id"] == number]
        burnt = rasterize(own, band.shape, transform=source.transform) if len(own) else np.zeros_like(band)
        if not np.array_equal(burnt == 1, band == 1):
            yield f"polygons of sentence {number} differ from its mask in {((burnt == 1) != (band == 1)).sum()} pixels"
    areas, pixels = output.columns["area_m2"], output.columns["area_px"]
    if source.crs and len(areas) and not np.allclose(areas, pixels * pixel**2, rtol=0.02):
        yield "areas in square metres do not fit the pixels"
    if "--min-area" in case.options and len(areas) and areas.min() < 25:
        yield f"a region of {areas.min():g} m2 is below the least area"


def report_problems(case: Case, source: Any, output: Output, image: Path) -> Iterator[str]:
    """The result file against the other files."""
    told, found = output.report["source"], output.report["sentences"]
    if (told["height"], told["width"]) != source.shape or told["path"] != str(image):
        yield f"the result tells of {told['path']}, {told['width']} x {told['height']}"
    if told["crs"] != (source.crs.to_string() if source.crs else None):
        yield f"the result tells CRS {told['crs']}"
    if not np.allclose(told["transform"], source.transform[:6], rtol=0, atol=1e-9):
        yield f"the result tells transform {told['transform']}"
    if told["valid_pixels"] != int((source.dataset_mask() > 0).sum()):
        yield f"the result tells {told['valid_pixels']} valid pixels"
    if [entry["sentence"] for entry in found] != list(case.sentences):
        yield f"the result tells sentences {[entry['sentence'] for entry in found]}"
        return
    for number, (entry, band) in enumerate(zip(found, output.mask, strict=True), start=1):
        of_sentence = output.columns["sentence_id"] == number
        counts = (entry["pixels"], entry["polygons"], entry["found"])
        expected = (int((band == 1).sum()), int(of_sentence.sum()), bool(of_sentence.any()))
        if counts != expected:
            yield f"the result tells (pixels, polygons, found) {counts}, the files hold {expected}"
        if int(output.columns["area_px"][of_sentence].sum()) != entry["pixels"]:
            yield f"pixels of the polygons of sentence {number} do not add up"


def picture_problems(case: Case, source: Any, output: Output, folder: Path) -> Iterator[str]:
    """Preview, and the mask pictures of a photo."""
    with Image.open(folder / output.report["outputs"]["preview"]) as preview:
        preview.load()
        if min(preview.size) < 100:
            yield f"the preview has {preview.size} pixels"
    names = output.report["outputs"]["mask_png"]
    if len(names) != (0 if source.crs else len(case.sentences)):
        yield f"mask pictures are {names}"
        return
    for name, band in zip(names, output.mask, strict=bool(names)):
        if not np.array_equal(np.asarray(Image.open(folder / name)) == 255, band == 1):
            yield f"{name} differs from the mask GeoTIFF"


def wrong_cases(data: Path, scratch: Path, model: str) -> list[WrongCase]:
    """Calls that must fail; what they need is made in `scratch`."""
    good = data / CASES[0].image
    header, text = scratch / "header.tif", scratch / "text.tif"
    header.write_bytes(good.read_bytes()[:8])
    text.write_text("not an image")
    sentence, to, with_model = "the pool", ("-o", "{out}"), ("--model", model)
    return [
        WrongCase("missing file", (str(scratch / "none.tif"), sentence, *to, *with_model), 1, "is not there"),
        WrongCase("header alone", (str(header), sentence, *to, *with_model), 1, "cannot be opened"),
        WrongCase("text as an image", (str(text), sentence, *to, *with_model), 1, "cannot be opened"),
        WrongCase("empty sentence", (str(good), " ", *to, *with_model), 1, "must name what to find"),
        WrongCase("no sentence", (str(good), *to, *with_model), 2, "Missing argument"),
        WrongCase("missing band", (str(good), sentence, *to, *with_model, "--bands", "9,2,1"), 1, "Bands are counted"),
        WrongCase("unknown model", (str(good), sentence, *to, "--model", str(scratch / "no/model")), 1, "model"),
        WrongCase("no output folder", (str(good), sentence), 2, "--output"),
        WrongCase("unknown option", (str(good), sentence, *to, "--colour"), 2, "--colour"),
    ]


def check_wrong(case: WrongCase, scratch: Path) -> list[str]:
    """Run one wrong call; returns what is wrong about how it failed."""
    out = scratch / case.name.replace(" ", "_")
    done = run_cli(["segment", *(argument.replace("{out}", str(out)) for argument in case.arguments)])
    problems = []
    if done.returncode != case.exit_code:
        problems.append(f"exit code {done.returncode} instead of {case.exit_code}")
    if case.said not in done.stderr or "Traceback" in done.stderr:
        problems.append(f"stderr says {done.stderr.strip()!r}")
    if done.stdout:
        problems.append(f"stdout says {done.stdout!r}")
    left = [str(path.relative_to(out)) for path in out.rglob("*")] if out.exists() else []
    if left:
        problems.append(f"left behind: {', '.join(left)}")
    return problems


def check_damaged(data: Path, scratch: Path, model: str) -> list[str]:
    """A file that is cut short: what can be read is done, what is lost is nodata and named, the exit code says so."""
    good = data / CASES[0].image
    cut, out = scratch / "cut.tif", scratch / "cut"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size * 2 // 3])
    done = run_cli(["segment", str(cut), "the pool", "-o", str(out), "--model", model])
    problems = [] if done.returncode == 1 and "is damaged" in done.stderr else [f"{done.returncode}: {done.stderr}"]
    lost = json.loads((out / "cut_result.json").read_text(encoding="utf-8"))["lost"]
    with rasterio.open(out / "cut_mask.tif") as mask:
        share = float((mask.read(1) == 255).mean())
    return problems if lost and 0.1 < share < 0.9 else [*problems, f"lost {lost}, share without data {share:.2f}"]


def check_overwrite(data: Path, folder: Path, model: str) -> list[str]:
    """A second call on the first case's folder is refused and changes nothing."""
    case = CASES[0]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = run_cli(["segment", str(data / case.image), "the roads", "-o", str(folder), "--model", model])
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    problems = [] if done.returncode == 1 and "--overwrite" in done.stderr else [f"{done.returncode}: {done.stderr}"]
    return problems if before == after else [*problems, "files were changed"]


def main() -> None:
    """Run every case and say how many passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of real imagery")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--model", default="compact", help="name or folder of the model")
    arguments = parser.parse_args()
    failed = passed = 0

    def tell(name: str, said: str, problems: list[str]) -> None:
        nonlocal failed, passed
        failed, passed = failed + bool(problems), passed + (not problems)
        print(f"{'FAIL' if problems else 'ok  '}  {name}  {'; '.join(problems) or said}", flush=True)

    folders = [arguments.out / f"{number:02d}_{Path(case.image).stem}" for number, case in enumerate(CASES, start=1)]
    for case, folder in zip(CASES, folders, strict=True):
        tell(case.image, *check_case(case, arguments.data, folder, arguments.model))
    tell("results are not replaced unasked", "refused", check_overwrite(arguments.data, folders[0], arguments.model))
    with tempfile.TemporaryDirectory() as name:
        for wrong in wrong_cases(arguments.data, Path(name), arguments.model):
            tell(wrong.name, f"refused with exit code {wrong.exit_code}", check_wrong(wrong, Path(name)))
        tell("cut short", "the rest done, exit code 1", check_damaged(arguments.data, Path(name), arguments.model))
    print(f"{passed} passed, {failed} failed")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
