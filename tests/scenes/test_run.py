from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from rs2sam.errors import BusyError, InvalidImageError, InvalidInputError
from rs2sam.processing import FirstPass
from rs2sam.processing_config import Calibration
from rs2sam.raster import ReadOptions, read_scene
from rs2sam.raster.source import open_source
from rs2sam.scenes.outputs import OutputOptions
from rs2sam.scenes.run import SceneRequest, plan_tiles, run_scene, with_model_options
from rs2sam.views import MinArea, SceneOptions, segment_scene
from rs2sam.views.streaming import answer_tiles, read_tiles
from tests.make_rasters import RedSegmenter, RedView, damaged_tiff, objects, paint, write_tiff
from tests.raster.test_opening import missing_half
from tests.raster.test_place import RPCS


def blobs(height=300, width=410, seed=3):
    """(H, W) bool: rectangles of any size, many of them across tiles."""
    random_state = np.random.default_rng(seed)
    mask = np.zeros((height, width), dtype=bool)
    for _ in range(25):
        row, col = random_state.integers(0, height), random_state.integers(0, width)
        size = random_state.integers(2, 60, size=2)
        mask[row : row + size[0], col : col + size[1]] ^= True
    return mask


class FieldSegmenter(RedSegmenter):
    """Shows the red band as probability, shifted by the sentence's length: values that blending changes."""

    calibration = Calibration((0.5, 1.0), (0.2, 0.6))

    def _segment(self, view, sentence):
        self.num_views += 1
        base = view[..., 0].astype(np.float32) / 255
        edge = np.linspace(0, 0.3, view.shape[1], dtype=np.float32)
        return RedView(np.clip(base + edge * (len(sentence) % 3), 0, 1), float(base.max()), 0.5)


def noise(height=260, width=330, seed=0):
    smooth = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (17, 21, 3), dtype=np.uint8))
    return np.asarray(smooth.resize((width, height), Image.Resampling.BICUBIC))


def run(path, folder, segmenter=None, *, sentences=("red",), reading=None, answers=None, outputs=None, **options):
    request = SceneRequest(
        str(path),
        tuple(sentences),
        folder,
        reading=reading or ReadOptions(),
        options=SceneOptions(**options),
        outputs=OutputOptions(**(outputs or {})),
        model="red",
    )
    return run_scene(request, segmenter or RedSegmenter(), answers=answers)


def mask_of(folder, stem="a", kind="mask"):
    with rasterio.open(folder / f"{stem}_{kind}.tif") as dataset:
        return dataset.read()


# --- equal to the same scene in memory -------------------------------------------------------------------------------


@pytest.mark.parametrize("sentences", [["a"], ["a", "bb", "ccc"]])
@pytest.mark.parametrize("options", [{}, {"tile": 50, "overlap": 20, "batch_size": 5}, {"min_area": MinArea(300)}])
def test_masks_are_those_of_the_scene_in_memory(tmp_path, sentences, options):
    path = write_tiff(tmp_path / "a.tif", noise())
    report = run(path, tmp_path / "out", FieldSegmenter(), sentences=sentences, **options)
    expected = segment_scene(FieldSegmenter(), read_scene(path), sentences, SceneOptions(**options))
    for band, result, found in zip(mask_of(tmp_path / "out"), expected, report["sentences"], strict=True):
        assert result.mask.any()
        np.testing.assert_array_equal(band, result.mask)
        assert found["pixels"] == result.mask.sum()
        assert found["polygons"] == len(result.regions)
        assert found["views"] == result.num_views
        assert found["area_m2"] == pytest.approx(result.area_m2, rel=1e-6)
        assert (found["presence"], found["score"]) == pytest.approx((result.presence, result.score), abs=1e-4)
        mean = np.average([r.mean_probability for r in result.regions], weights=[r.num_pixels for r in result.regions])
        assert found["mean_probability"] == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("batch_size", [1, 7])
@pytest.mark.parametrize(("profile", "name"), [({"blockysize": 1}, "strips"), ({"tiled": True}, "tiles")])
def test_neither_batches_nor_the_files_layout_change_the_result(tmp_path, batch_size, profile, name):
    sizes = {"blockxsize": 64, "blockysize": 64} if name == "tiles" else {}
    path = write_tiff(tmp_path / "a.tif", paint(blobs()), **{**profile, **sizes})
    run(path, tmp_path / "out", batch_size=batch_size)
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], blobs())


def test_a_scene_of_up_to_twice_the_models_side_stays_one_view(tmp_path):
    segmenter = RedSegmenter(image_size=64)
    report = run(write_tiff(tmp_path / "a.tif", paint(blobs(128, 100))), tmp_path / "out", segmenter)
    assert (segmenter.num_views, segmenter.largest) == (1, 128)
    assert report["tiles"] == {"read": 1, "skipped_empty": 0, "skipped_first_pass": 0, "run": 1}
    assert report["options"]["tile"] is None


def test_tiles_without_data_are_read_but_not_asked_about(tmp_path):
    valid = np.zeros((300, 410), dtype=bool)
    valid[90:130, 20:60] = True
    segmenter = RedSegmenter()
    report = run(write_tiff(tmp_path / "a.tif", paint(blobs()), mask=valid), tmp_path / "out", segmenter)
    tiles = report["tiles"]
    assert tiles["run"] == segmenter.num_views <= 6
    assert tiles["skipped_empty"] == tiles["read"] - tiles["run"] > 30
    assert tiles["skipped_first_pass"] == 0
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], np.where(valid, blobs(), 255))
    assert report["source"]["valid_pixels"] == valid.sum()


def test_a_scene_without_data_finds_nothing(tmp_path, caplog):
    black = np.zeros((300, 410, 3), dtype=np.uint8)
    report = run(write_tiff(tmp_path / "a.tif", black, nodata=0), tmp_path / "out")
    assert report["tiles"]["run"] == 0
    assert report["source"]["stretch"]["limits"] == []
    assert report["sentences"][0]["found"] is False
    assert (mask_of(tmp_path / "out") == 255).all()
    assert "no valid pixel" in caplog.text


def test_results_of_one_sentence_do_not_depend_on_the_others(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise())
    run(path, tmp_path / "one", FieldSegmenter(), sentences=["bb"])
    run(path, tmp_path / "many", FieldSegmenter(), sentences=["a", "bb", "a"])
    np.testing.assert_array_equal(mask_of(tmp_path / "one")[0], mask_of(tmp_path / "many")[1])


def test_a_float_scene_is_stretched_alike_everywhere(tmp_path):
    values = noise().astype(np.float32) * 3 - 100
    values[40:60, 100:180] = np.nan
    path = write_tiff(tmp_path / "a.tif", values)
    run(path, tmp_path / "out", FieldSegmenter(), sentences=["a"])
    scene = read_scene(path)
    (expected,) = segment_scene(FieldSegmenter(), scene, ["a"])
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], np.where(scene.valid, expected.mask, 255))
    assert (~scene.valid).sum() == 20 * 80


def test_a_large_turned_photo_is_segmented_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(paint(blobs())).save(tmp_path / "a.png", exif=exif)
    run(tmp_path / "a.png", tmp_path / "out")
    mask = np.asarray(Image.open(tmp_path / "out/a_mask.png")) > 0
    np.testing.assert_array_equal(mask, np.rot90(blobs(), -1))


def test_an_open_source_gives_the_masks_of_the_scene_in_memory(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise())
    with open_source(path) as source:
        (streamed,) = segment_scene(FieldSegmenter(), source, ["bb"], SceneOptions(keep_probability=True))
    (whole,) = segment_scene(FieldSegmenter(), read_scene(path), ["bb"], SceneOptions(keep_probability=True))
    np.testing.assert_array_equal(streamed.probability, whole.probability)
    np.testing.assert_array_equal(streamed.mask, whole.mask)


def test_answers_may_come_from_elsewhere(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise())
    run(path, tmp_path / "here", FieldSegmenter())

    def elsewhere(task):
        with open_source(task.path, task.reading, task.info.limits) as source:
            tiles = read_tiles(source, task.grid, task.thumbnail, task.start)
            yield from answer_tiles(FieldSegmenter(), tiles, task.sentences, task.batch_size)

    facts = RedSegmenter()
    facts.calibration = FieldSegmenter.calibration
    run(path, tmp_path / "there", facts, answers=elsewhere)
    for name in ("a_mask.tif", "a_polygons.gpkg", "a_preview.png"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


# --- several sentences -----------------------------------------------------------------------------------------------


def test_words_that_compare_are_decided_for_the_scene(tmp_path):
    mask = np.zeros((300, 410), dtype=bool)
    mask[20:50, 20:40] = mask[200:250, 300:400] = mask[140:150, 250:260] = True
    path = write_tiff(tmp_path / "a.tif", paint(mask))
    sentences = ["the largest red roof", "the red roof at the upper left", "all red roofs"]
    report = run(path, tmp_path / "out", sentences=sentences)
    largest, upper, every = mask_of(tmp_path / "out")
    assert largest.sum() == 50 * 100
    assert largest[200:250, 300:400].all()
    assert upper.sum() == 30 * 20
    assert upper[20:50, 20:40].all()
    np.testing.assert_array_equal(every, mask)
    assert report["sentences"][0]["scope"]["claims"]
    assert report["sentences"][2]["scope"] is None
    report = run(path, tmp_path / "tiles", sentences=sentences, scope="tile")
    np.testing.assert_array_equal(mask_of(tmp_path / "tiles")[0], mask)


class TwoKinds(RedSegmenter):
    """Red with 0.9 for "red"; red and green with 0.6 for everything else."""

    def _segment(self, view, sentence):
        view_of_red = super()._segment(view, "red")
        if sentence == "red":
            return view_of_red
        return RedView(np.full(view.shape[:2], 0.6, dtype=np.float32), 0.9, 0.5)


def test_a_class_map_names_the_most_probable_sentence(tmp_path):
    valid = np.ones((300, 410), dtype=bool)
    valid[:, :20] = False
    path = write_tiff(tmp_path / "a.tif", paint(blobs()), mask=valid)
    report = run(path, tmp_path / "out", TwoKinds(), sentences=["ground", "red", "red"], outputs={"class_map": True})
    expected = np.where(blobs(), 2, 1)
    expected[:, :20] = 255
    np.testing.assert_array_equal(mask_of(tmp_path / "out", kind="classes")[0], expected)
    assert report["outputs"]["classes"] == "a_classes.tif"
    with rasterio.open(tmp_path / "out/a_classes.tif") as dataset:
        assert dataset.tags()["RS2SAM_CLASS_2"] == "red"


def test_masks_can_be_cloud_optimised(tmp_path):
    mask = blobs(900, 700)
    report = run(write_tiff(tmp_path / "a.tif", paint(mask)), tmp_path / "out", outputs={"cog": True})
    with rasterio.open(tmp_path / "out/a_mask.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1) == [2, 4]
        assert dataset.descriptions == ("red",)
        assert dataset.nodata == 255
        np.testing.assert_array_equal(dataset.read(1), mask)
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        report["outputs"][kind] for kind in ("mask", "polygons", "preview", "result")
    )


# --- ground resolution -----------------------------------------------------------------------------------------------


def test_a_coarser_ground_resolution_is_that_of_the_results(tmp_path):
    segmenter = RedSegmenter(image_size=64)
    fine = np.kron(blobs(150, 206), np.ones((2, 2), dtype=np.bool_))
    report = run(write_tiff(tmp_path / "a.tif", paint(fine)), tmp_path / "out", segmenter, gsd_m=1.2)
    assert report["options"]["tile"] == 64  # of 1.2 m, which are 128 px of 0.6 m
    assert segmenter.largest == 64
    assert report["source"]["pixel_size_m"] == pytest.approx([1.2, 1.2], rel=1e-3)
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], blobs(150, 206))


def test_a_finer_ground_resolution_makes_tiles_smaller_and_leaves_the_results_alone(tmp_path):
    segmenter = RedSegmenter(image_size=64)
    report = run(write_tiff(tmp_path / "a.tif", paint(blobs())), tmp_path / "out", segmenter, gsd_m=0.3)
    assert report["options"]["tile"] == segmenter.largest == 32
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], blobs())


def test_a_scene_smaller_than_a_tile_is_not_enlarged(tmp_path):
    segmenter = RedSegmenter(image_size=64)
    mask = blobs(50, 36)
    run(write_tiff(tmp_path / "a.tif", paint(mask.repeat(2, 0).repeat(2, 1))), tmp_path / "out", segmenter, gsd_m=1.2)
    assert (segmenter.num_views, segmenter.largest) == (1, 64)
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], mask)


def test_a_ground_resolution_needs_a_place(tmp_path):
    Image.fromarray(paint(blobs())).save(tmp_path / "a.png")
    with pytest.raises(InvalidInputError, match="CRS says where"):
        run(tmp_path / "a.png", tmp_path / "out", gsd_m=0.3)
    with pytest.raises(InvalidInputError, match="leave `tile` out"):
        SceneOptions(gsd_m=0.3, tile=100)


@pytest.mark.parametrize("gsd_m", [0, -1, np.inf, np.nan])
def test_a_ground_resolution_is_a_finite_length(gsd_m):
    with pytest.raises(InvalidInputError, match="finite"):
        SceneOptions(gsd_m=gsd_m)


@pytest.mark.parametrize("gsd_m", [300.0, 1e6, 1e200, 1e308])
def test_a_ground_resolution_coarser_than_the_image_is_refused(tmp_path, gsd_m):
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    with pytest.raises(InvalidInputError, match=r"246\.1 m long.*smaller one"):
        run(path, tmp_path / "out", gsd_m=gsd_m)
    with pytest.raises(InvalidInputError, match=r"246\.1 m long"):
        segment_scene(RedSegmenter(), read_scene(path), ["red"], SceneOptions(gsd_m=gsd_m))


def test_the_coarsest_ground_resolution_makes_a_pixel_of_the_image(tmp_path):
    path = write_tiff(tmp_path / "a.tif", paint(np.ones((100, 100), dtype=bool)))
    report = run(path, tmp_path / "out", gsd_m=59.9)
    assert (report["source"]["height"], report["source"]["width"]) == (1, 1)
    assert report["sentences"][0]["pixels"] == 1


# --- what would fail after the work ----------------------------------------------------------------------------------

SITE = 'LOCAL_CS["a building site",UNIT["metre",1]]'


@pytest.mark.parametrize("options", [{"outputs": {"polygon_format": "geojson"}}, {"min_area": MinArea(3, "m2")}])
def test_what_needs_a_place_on_earth_is_refused_before_the_model_is_asked(tmp_path, options):
    segmenter = RedSegmenter()
    path = write_tiff(tmp_path / "a.tif", paint(blobs()), crs=SITE)
    with pytest.raises(InvalidInputError, match=r"building site|CRS says where"):
        run(path, tmp_path / "out", segmenter, **options)
    assert segmenter.num_views == 0
    request = SceneRequest(
        str(path),
        ("red",),
        tmp_path / "out",
        options=SceneOptions(min_area=options.get("min_area", MinArea(0))),
        outputs=OutputOptions(**options.get("outputs", {})),
    )
    with open_source(path) as source, pytest.raises(InvalidInputError, match=r"building site|CRS says where"):
        plan_tiles(request, source.info, segmenter.image_size)


def test_names_and_sentences_that_are_not_utf8_are_refused_at_once(tmp_path):
    name = b"b\xe9ta.tif".decode(errors="surrogateescape")
    for request in (
        SceneRequest(name, ("red",), tmp_path / "out"),
        SceneRequest("a.tif", ("red",), tmp_path / name),
        SceneRequest("a.tif", (name,), tmp_path / "out"),
    ):
        with pytest.raises(InvalidInputError, match=r"UTF-8.*b\\udce9ta"):
            request.check()
    with pytest.raises(InvalidInputError, match="UTF-8"):
        read_scene(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_an_error_of_ours_wherever_it_is_noticed(tmp_path, monkeypatch):
    def full(*_arguments):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("rs2sam.vector.region_store.RegionStore.add", full)
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    with pytest.raises(InvalidInputError, match=r"disk is full.*free space"):
        run(path, tmp_path / "out")
    assert os.listdir(tmp_path) == ["a.tif"]


# --- damage ----------------------------------------------------------------------------------------------------------


DAMAGED = (slice(128, 192), slice(192, 256))
"""The block of `damaged_scene` that cannot be decoded."""


def damaged_scene(folder):
    return damaged_tiff(folder / "a.tif", noise(256, 384), row=2, col=3)


def test_a_corrupt_block_is_left_out_and_reported(tmp_path):
    path, block = damaged_scene(tmp_path), DAMAGED
    report = run(path, tmp_path / "out", FieldSegmenter())
    assert report["lost"] == [[128, 192, 64, 64]]
    (mask,) = mask_of(tmp_path / "out")
    assert (mask[block] == 255).all()
    assert report["source"]["valid_pixels"] == 256 * 384 - 64 * 64
    outside = np.ones(mask.shape, dtype=bool)
    outside[block] = False
    assert (mask[outside] < 255).all()
    assert (mask[outside] == 1).any()


def test_a_missing_source_has_no_data_in_the_results_and_is_reported(tmp_path):
    path = missing_half(tmp_path)
    report = run(path, tmp_path / "out", RedSegmenter(image_size=32), tile=32)
    assert report["lost"] == [[0, 128, 64, 128]]
    mask = mask_of(tmp_path / "out")[0]
    assert (mask[:, 128:] == 255).all()
    np.testing.assert_array_equal(mask[:, :128], objects(64, 128))
    assert report["source"]["valid_pixels"] == 64 * 128
    assert report["sentences"][0]["pixels"] == int(objects().sum())


# --- what is doubtful is said ----------------------------------------------------------------------------------------


def strict(text):
    """JSON as readers of other languages take it."""

    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("nodata", [-np.inf, np.inf, np.nan])
def test_a_result_is_json_whatever_the_file_says(tmp_path, nodata):
    path = write_tiff(tmp_path / "a.tif", paint(objects()).astype(np.float32), nodata=nodata)
    report = run(path, tmp_path / "out")
    assert strict((tmp_path / "out" / "a_result.json").read_text()) == report
    assert report["source"]["nodata"] == str(nodata)


def test_what_was_doubtful_stands_in_the_result_and_is_said_once(tmp_path, caplog):
    path = write_tiff(tmp_path / "a.tif", transform=Affine(0.6, 0, np.inf, 0, -0.6, 4e6))
    report = run(path, tmp_path / "out")
    (line,) = report["warnings"]
    assert "transform places no pixels" in line
    assert sum(line in record.getMessage() for record in caplog.records) == 1
    assert strict((tmp_path / "out" / "a_result.json").read_text())["source"]["transform"] == [1, 0, 0, 0, 1, 0]
    assert report["source"]["crs"] is None


@pytest.mark.parametrize("polygon_format", ["gpkg", "geojson"])
@pytest.mark.parametrize("cog", [False, True])
def test_rational_polynomials_are_carried_into_masks_and_polygons_are_in_pixels(tmp_path, polygon_format, cog):
    path = write_tiff(tmp_path / "a.tif", transform=None, crs=None, rpcs=RPCS)
    report = run(path, tmp_path / "out", outputs={"polygon_format": polygon_format, "cog": cog})
    assert "RPCs" in report["warnings"][0]
    assert report["source"]["has_rpcs"]
    assert report["sentences"][0]["polygons"] == 2
    with rasterio.open(tmp_path / "out" / "a_mask.tif") as mask:
        with rasterio.open(path) as image:
            assert mask.rpcs == image.rpcs
        assert mask.crs is None


def test_a_scene_is_refused_for_its_memory_before_a_pixel_is_read(tmp_path, monkeypatch):
    path = write_tiff(tmp_path / "a.tif", np.zeros((64, 96, 3), np.float32))
    monkeypatch.setattr("rs2sam.raster.opening.Handle.read", lambda *_, **__: pytest.fail("a pixel was read"))
    with pytest.raises(InvalidInputError, match="this scene needs"):
        run(path, tmp_path / "out", memory=1_000_000)


def test_a_header_that_claims_more_than_can_be_asked_is_refused_at_once(tmp_path):
    (tmp_path / "a.vrt").write_text(
        '<VRTDataset rasterXSize="1" rasterYSize="2147483647"><VRTRasterBand dataType="Float32" band="1"/></VRTDataset>'
    )
    with pytest.raises(InvalidInputError, match="up to 1,000,000 tiles"):
        run(tmp_path / "a.vrt", tmp_path / "out")


def test_lost_windows_are_in_pixels_of_the_results_at_a_coarser_resolution_too(tmp_path):
    path, block = damaged_scene(tmp_path), DAMAGED
    report = run(path, tmp_path / "out", FieldSegmenter(), gsd_m=1.2)
    (mask,) = mask_of(tmp_path / "out")
    assert mask.shape == (128, 192)
    assert [64, 96, 32, 32] in report["lost"]
    assert (mask[tuple(slice(part.start // 2, part.stop // 2) for part in block)] == 255).all()
    told = np.zeros(mask.shape, dtype=bool)
    for row, col, height, width in report["lost"]:
        told[row : row + height, col : col + width] = True
    assert (mask[~told] < 255).all()


def test_a_picture_that_ends_too_early_is_refused_whole(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidImageError, match="damaged or cut short"):
        run(tmp_path / "a.png", tmp_path / "out")
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == []


def test_an_error_of_the_model_leaves_nothing_behind(tmp_path):
    class Failing(RedSegmenter):
        def segment_views(self, pairs, batch_size=1):
            if self.num_views > 10:
                raise InvalidInputError("the model is tired")
            return super().segment_views(pairs, batch_size)

    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    with pytest.raises(InvalidInputError, match="tired"):
        run(path, tmp_path / "out", Failing())
    assert os.listdir(tmp_path) == ["a.tif"]


# --- resuming --------------------------------------------------------------------------------------------------------


@contextmanager
def running(image, out, *, seconds=0.0):
    command = [sys.executable, "-m", "tests.scenes.killable_scene", str(image), str(out), str(seconds), "resume"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process


def finish(image, out):
    """Run to the end; returns the number of views asked about."""
    with running(image, out) as process:
        said = process.stdout.read().split()
    assert process.returncode == 0
    return int(said[-1]) if said else 0


def contents(folder):
    """Bytes of the results; what `result.json` says of time is left out."""
    found = {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}
    report = json.loads(found.pop("a_result.json"))
    del report["seconds"], report["outputs"]["folder"]
    for sentence in report["sentences"]:
        del sentence["seconds"]
    return {**found, "a_result.json": report}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bytes(tmp_path, seed):
    path = write_tiff(tmp_path / "a.tif", paint(blobs(seed=seed)))
    whole_views = finish(path, tmp_path / "whole")
    chance = random.Random(seed)
    asked = []
    for _ in range(3):
        with running(path, tmp_path / "out", seconds=0.01) as process:
            lines = [process.stdout.readline() for _ in range(chance.randint(4, 12))]
            process.send_signal(signal.SIGKILL)
        asked.append(int(lines[-1]))
        names = os.listdir(tmp_path / "out")
        assert [name for name in names if not name.startswith(".")] == []
    asked.append(finish(path, tmp_path / "out"))
    # What was saved is not asked again: of each killed run at most the batches on their way.
    assert whole_views <= sum(asked) <= whole_views + 3 * 14
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert finish(path, tmp_path / "out") == 0


def test_a_run_killed_while_it_writes_its_results_ends_with_the_same_bytes(tmp_path):
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    finish(path, tmp_path / "whole")
    for name in ("a_mask.tif", "a_preview.png"):
        with running(path, tmp_path / "out") as process:
            while process.poll() is None and not list((tmp_path / "out").glob(f".rs2sam-a-*/{name}")):
                time.sleep(0.001)
            process.kill()
    finish(path, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_options_start_anew_and_remove_what_was_left(tmp_path, monkeypatch):
    monkeypatch.setattr("rs2sam.scenes.scanning._SAVE_EVERY_S", 0.0)
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))

    class Stopped(RedSegmenter):
        def segment_views(self, pairs, batch_size=1):
            if self.num_views > 10:
                raise KeyboardInterrupt
            return super().segment_views(pairs, batch_size)

    for threshold in (0.5, 0.6):
        with pytest.raises(KeyboardInterrupt):
            run(path, tmp_path / "out", Stopped(), outputs={"resume": True}, threshold=threshold)
        assert len(os.listdir(tmp_path / "out")) == 1
    segmenter = RedSegmenter()
    run(path, tmp_path / "out", segmenter, outputs={"resume": True}, threshold=0.7)
    assert segmenter.num_views == run(path, tmp_path / "count")["tiles"]["run"]
    assert len(os.listdir(tmp_path / "out")) == 4


def test_another_image_of_the_same_name_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("rs2sam.scenes.scanning._SAVE_EVERY_S", 0.0)
    path = write_tiff(tmp_path / "a.tif", noise())

    class Stopped(FieldSegmenter):
        def segment_views(self, pairs, batch_size=1):
            if self.num_views > 3:
                raise KeyboardInterrupt
            return super().segment_views(pairs, batch_size)

    how = {"tile": 80, "overlap": 30, "outputs": {"resume": True}}
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path / "out", Stopped(), **how)
    write_tiff(path, noise()[::-1].copy())
    other, fresh = FieldSegmenter(), FieldSegmenter()
    run(path, tmp_path / "out", other, **how)
    run(path, tmp_path / "fresh", fresh, **how)
    assert other.num_views == fresh.num_views
    assert (tmp_path / "out/a_mask.tif").read_bytes() == (tmp_path / "fresh/a_mask.tif").read_bytes()


def test_a_resumable_run_that_the_model_refuses_leaves_nothing_behind(tmp_path):
    class Refusing(RedSegmenter):
        def segment_views(self, pairs, batch_size=1):
            raise InvalidInputError("a sentence must name something")

    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    with pytest.raises(InvalidInputError, match="must name something"):
        run(path, tmp_path / "out", Refusing(), outputs={"resume": True})
    assert os.listdir(tmp_path) == ["a.tif"]


@pytest.mark.parametrize(
    "damage",
    [{"sentences": 5}, {"sentences": [{"found": True}]}, {"lost": None}, {"tiles": []}, {"outputs": {}}],
)
def test_a_damaged_report_is_not_taken_for_a_finished_run(tmp_path, damage):
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    report = run(path, tmp_path / "out", outputs={"resume": True})
    file = tmp_path / "out/a_result.json"
    file.write_text(json.dumps(report | damage))
    with pytest.raises(InvalidInputError, match=r"already holds results.*--overwrite"):
        run(path, tmp_path / "out", outputs={"resume": True})
    again = run(path, tmp_path / "out", outputs={"resume": True, "overwrite": True})
    assert again["sentences"][0]["pixels"] == report["sentences"][0]["pixels"]


def test_a_finished_run_of_which_a_file_is_gone_is_not_taken_for_whole(tmp_path):
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    run(path, tmp_path / "out", outputs={"resume": True})
    (tmp_path / "out/a_mask.tif").unlink()
    with pytest.raises(InvalidInputError, match=r"already holds results.*--overwrite"):
        run(path, tmp_path / "out", outputs={"resume": True})


def test_results_of_another_run_are_not_taken_for_ones_own(tmp_path):
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    run(path, tmp_path / "out", outputs={"resume": True})
    with pytest.raises(InvalidInputError, match="--overwrite"):
        run(path, tmp_path / "out", outputs={"resume": True}, threshold=0.7)


# --- first pass ------------------------------------------------------------------------------------------------------

HALF = FirstPass(tiles=2, threshold=0.5, recall_loss=0.01, skipped=0.3)
PREFERRED = replace(HALF, is_default=True)


def corners():
    """(300, 410) bool: something at the upper left, across tiles in the middle, and at the lower right."""
    mask = np.zeros((300, 410), dtype=bool)
    mask[5:15, 5:25] = mask[120:180, 200:260] = mask[290:298, 400:408] = True
    return mask


def test_a_first_pass_asks_only_about_tiles_that_show_something_from_afar(tmp_path):
    path = write_tiff(tmp_path / "a.tif", paint(corners()))
    segmenter, every = RedSegmenter(), RedSegmenter()
    report = run(path, tmp_path / "out", segmenter, exhaustive=False, first_pass=HALF)
    exhaustive = run(path, tmp_path / "all", every, exhaustive=True, first_pass=HALF)
    np.testing.assert_array_equal(mask_of(tmp_path / "out")[0], corners())
    np.testing.assert_array_equal(mask_of(tmp_path / "all")[0], corners())
    # 64 px tiles that overlap by 16: 6 x 9 of them, so 3 x 5 coarse views.
    tiles = report["tiles"]
    assert tiles["read"] == 54
    assert tiles["run"] == segmenter.num_views - 15 < 20
    assert tiles == {**tiles, "skipped_empty": 0, "skipped_first_pass": 54 - tiles["run"]}
    assert exhaustive["tiles"] == {"read": 54, "skipped_empty": 0, "skipped_first_pass": 0, "run": 54}
    assert every.num_views == 54
    assert report["options"]["first_pass"]["threshold"] == 0.5
    assert exhaustive["options"]["first_pass"] is None
    assert report["seconds"]["first_pass"] > 0


def test_tiles_without_data_are_told_from_tiles_that_the_first_pass_skips(tmp_path):
    valid = np.ones((300, 410), dtype=bool)
    valid[:, 200:] = False
    path = write_tiff(tmp_path / "a.tif", paint(corners()), mask=valid)
    tiles = run(path, tmp_path / "out", exhaustive=False, first_pass=HALF)["tiles"]
    assert tiles["skipped_empty"] == 24  # columns 5 to 8 begin at 216, 259, ... of 6 rows
    assert tiles["run"] + tiles["skipped_first_pass"] == 30
    assert mask_of(tmp_path / "out")[0][:, :200].sum() == 200


@pytest.mark.parametrize(("batch_size", "sentences"), [(1, ["no", "red"]), (7, ["red", "no", "red"])])
def test_a_first_pass_depends_on_neither_batches_nor_other_sentences(tmp_path, batch_size, sentences):
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    options = {"exhaustive": False, "first_pass": HALF}
    alone = run(path, tmp_path / "alone", sentences=["red"], **options)
    many = run(path, tmp_path / "many", sentences=sentences, batch_size=batch_size, **options)
    at = sentences.index("red")
    np.testing.assert_array_equal(mask_of(tmp_path / "many")[at], mask_of(tmp_path / "alone")[0])
    assert many["sentences"][at]["views"] == alone["sentences"][0]["views"]
    assert many["sentences"][sentences.index("no")]["views"] == 0


@pytest.mark.parametrize(
    ("measured", "exhaustive", "used"),
    [
        (None, None, None),
        (HALF, None, None),
        (HALF, False, HALF),
        (PREFERRED, None, PREFERRED),
        (PREFERRED, True, None),
    ],
)
def test_the_model_decides_whether_tiles_are_skipped(tmp_path, measured, exhaustive, used):
    model = RedSegmenter()
    model.first_pass = measured
    request = SceneRequest("a.tif", ("red",), tmp_path, options=SceneOptions(exhaustive=exhaustive))
    options = with_model_options(request, model).options
    assert (options.first_pass, options.exhaustive) == (used, used is None)


@pytest.mark.parametrize(("asked", "used"), [(None, 4), (7, 7)])
def test_the_model_decides_how_many_views_it_reads_at_once(tmp_path, asked, used):
    request = SceneRequest("a.tif", ("red",), tmp_path, options=SceneOptions(batch_size=asked))
    assert with_model_options(request, RedSegmenter()).options.batch_size == used


def test_tiles_are_not_skipped_at_a_threshold_that_nobody_measured(tmp_path):
    path = write_tiff(tmp_path / "a.tif", paint(corners()))
    with pytest.raises(InvalidInputError, match=r"'red' has none.*--exhaustive"):
        run(path, tmp_path / "no", exhaustive=False)
    assert not (tmp_path / "no").exists() or os.listdir(tmp_path / "no") == []


def test_a_scene_of_one_view_has_no_first_pass(tmp_path):
    segmenter = RedSegmenter(image_size=64)
    path = write_tiff(tmp_path / "a.tif", paint(blobs(128, 100)))
    report = run(path, tmp_path / "out", segmenter, exhaustive=False, first_pass=HALF)
    assert segmenter.num_views == 1
    assert report["options"]["first_pass"] is None


def test_a_run_with_a_first_pass_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr("rs2sam.scenes.scanning._SAVE_EVERY_S", 0.0)
    path = write_tiff(tmp_path / "a.tif", paint(blobs()))
    options = {"exhaustive": False, "first_pass": HALF, "batch_size": 2, "outputs": {"resume": True}}
    whole = RedSegmenter()
    run(path, tmp_path / "whole", whole, **options)

    @dataclass
    class Stopped(RedSegmenter):
        most: int = 0

        def segment_views(self, pairs, batch_size=1):
            if self.num_views > self.most:
                raise KeyboardInterrupt
            return super().segment_views(pairs, batch_size)

    for most in (3, 20):
        with pytest.raises(KeyboardInterrupt):
            run(path, tmp_path / "out", Stopped(most=most), **options)
    rest = RedSegmenter()
    run(path, tmp_path / "out", rest, **options)
    assert rest.num_views < whole.num_views
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


# --- what an interrupted run left, damaged ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A scene, the folder of a run on it that was interrupted half-way, and the mask of one that was not."""
    folder = tmp_path_factory.mktemp("interrupted")
    path = write_tiff(folder / "a.tif", noise())
    run(path, folder / "whole", FieldSegmenter(), sentences=["a", "bb"], tile=80, overlap=30)

    class Stopped(FieldSegmenter):
        def segment_views(self, pairs, batch_size=1):
            if self.num_views > 22:
                raise KeyboardInterrupt
            return super().segment_views(pairs, batch_size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rs2sam.scenes.scanning._SAVE_EVERY_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            run(path, folder / "out", Stopped(), sentences=["a", "bb"], tile=80, overlap=30, outputs={"resume": True})
    return path, folder / "out", mask_of(folder / "whole")


def test_a_resumed_run_with_flipped_bits_is_an_error_or_the_same(tmp_path, interrupted):
    path, left, expected = interrupted
    (hidden,) = left.iterdir()
    files = [file.name for file in sorted(hidden.iterdir()) if file.stat().st_size]
    assert {"pixels.blocks", "preview.blocks", "state.npz"} < set(files)
    assert any(name.startswith("carry-") for name in files)
    random_state, refused = random.Random(0), dict.fromkeys(files, 0)
    for number in range(5 * len(files)):
        name = files[number % len(files)]
        out = shutil.copytree(left, tmp_path / f"out{number}")
        file = out / hidden.name / name
        content = bytearray(file.read_bytes())
        content[random_state.randrange(len(content))] ^= 1 << random_state.randrange(8)
        file.write_bytes(content)
        try:
            run(path, out, FieldSegmenter(), sentences=["a", "bb"], tile=80, overlap=30, outputs={"resume": True})
        except InvalidInputError as error:
            refused[name] += "must be whole to be continued" in str(error)
        else:
            np.testing.assert_array_equal(mask_of(out), expected)
    assert all(refused.values()), refused


def test_a_resumed_run_with_a_shorter_file_is_refused(tmp_path, interrupted):
    path, left, _ = interrupted
    for name in ("pixels.blocks", "preview.blocks"):
        out = shutil.copytree(left, tmp_path / name)
        (file,) = out.rglob(name)
        file.write_bytes(file.read_bytes()[:-3])
        with pytest.raises(InvalidInputError, match="must be whole to be continued"):
            run(path, out, FieldSegmenter(), sentences=["a", "bb"], tile=80, overlap=30, outputs={"resume": True})


def test_of_two_runs_into_one_folder_the_second_is_refused_and_nothing_is_replaced(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise())
    seen = []

    class Watched(FieldSegmenter):
        def segment_views(self, pairs, batch_size=1):
            if not seen:
                for sentence in ("a", "other"):
                    with pytest.raises(BusyError, match="Another run is at work") as caught:
                        run(path, tmp_path / "out", FieldSegmenter(), sentences=[sentence])
                    seen.append(caught.value)
            return super().segment_views(pairs, batch_size)

    run(path, tmp_path / "out", Watched(), sentences=["a"])
    assert len(seen) == 2
    assert json.loads((tmp_path / "out" / "a_result.json").read_text())["sentences"][0]["sentence"] == "a"


def test_results_that_appear_while_a_run_is_prepared_are_not_replaced(tmp_path):
    path = write_tiff(tmp_path / "a.tif", noise())

    class Late(FieldSegmenter):
        @property
        def min_presence(self):
            if not (tmp_path / "out").exists():
                run(path, tmp_path / "out", FieldSegmenter(), sentences=["first"])
            return 0.0

    with pytest.raises(InvalidInputError, match="already holds results"):
        run(path, tmp_path / "out", Late(), sentences=["second"], min_presence=None)
    assert json.loads((tmp_path / "out" / "a_result.json").read_text())["sentences"][0]["sentence"] == "first"
