from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from rs2sam.errors import InvalidInputError
from rs2sam.raster import ReadOptions, read_scene
from rs2sam.raster.bands import pixel_type
from rs2sam.raster.validity import Validity
from tests.make_rasters import GREEN, NORTH_UP, SCENE, write_tiff

R, G, B, A = ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha


def infrared_as_alpha(path):
    """Water, the left third, has 0 in a fourth band that is tagged as alpha."""
    fourth = np.full((*SCENE.shape[:2], 1), 90, np.uint8)
    fourth[:, :32] = 0
    return write_tiff(path, np.concatenate([SCENE, fourth], axis=2), colorinterp=(R, G, B, A))


def test_what_alpha_takes_away_is_said_and_can_be_left(tmp_path, caplog):
    path = infrared_as_alpha(tmp_path / "a.tif")
    scene = read_scene(path)
    assert not scene.valid[:, :32].any()
    (line,) = scene.warnings
    assert "alpha takes away 33% of its pixels" in line
    assert "--alpha ignore" in line
    assert sum(line in record.getMessage() for record in caplog.records) == 1
    whole = read_scene(path, ReadOptions(alpha="ignore"))
    assert whole.valid.all()
    assert whole.warnings == ()
    np.testing.assert_array_equal(whole.rgb, SCENE)


def test_alpha_that_takes_away_little_needs_no_word(tmp_path):
    rgba = np.concatenate([SCENE, np.full((*SCENE.shape[:2], 1), 255, np.uint8)], axis=2)
    rgba[0, 0, 3] = 0
    scene = read_scene(write_tiff(tmp_path / "a.tif", rgba, colorinterp=(R, G, B, A)))
    assert not scene.valid[0, 0]
    assert scene.warnings == ()


def test_a_lossy_collar_is_said_and_goes_by_its_tolerance(tmp_path):
    values = SCENE.copy()
    values[:, :16] = 0
    path = write_tiff(tmp_path / "a.tif", values, nodata=0, compress="jpeg", photometric="ycbcr")
    plain = read_scene(path)
    assert any("lossy" in line and "--nodata-tolerance" in line for line in plain.warnings)
    tolerant = read_scene(path, ReadOptions(nodata_tolerance=30))
    assert not tolerant.valid[:, :8].any()
    assert tolerant.valid[:, 24:].all()
    assert tolerant.warnings == ()


def test_tolerance_goes_with_a_nodata_of_ones_own(tmp_path):
    values = np.broadcast_to(np.uint8(GREEN), (64, 96, 3)).copy()
    values[:10] = 3
    scene = read_scene(write_tiff(tmp_path / "a.tif", values), ReadOptions(nodata=0, nodata_tolerance=3))
    assert not scene.valid[:10].any()
    assert scene.valid[10:].all()
    assert read_scene(tmp_path / "a.tif", ReadOptions(nodata=0, nodata_tolerance=2.5)).valid.all()


@pytest.mark.parametrize("options", [{"nodata_tolerance": -1.0}, {"nodata_tolerance": np.inf}, {"alpha": "perhaps"}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        ReadOptions(**options)


class Counted:
    """A dataset that counts how often each of its attributes is asked for."""

    def __init__(self, dataset):
        self._dataset = dataset
        self.asked = Counter()

    def __getattr__(self, name):
        self.asked[name] += 1
        return getattr(self._dataset, name)


def test_what_is_said_of_all_bands_is_asked_for_once_however_many_there_are(tmp_path):
    path = tmp_path / "a.tif"
    shape = {"width": 2, "height": 2, "count": 65_000, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", interleave="pixel", sparse_ok=True, transform=NORTH_UP, **shape):
        pass
    with rasterio.open(path) as dataset:
        counted = Counted(dataset)
        assert Validity.of(counted, (1, 2, 3), None, 0.0, "use") == Validity()
        assert pixel_type(counted, (1, 2, 3)) == np.uint8
        assert counted.asked == {"mask_flag_enums": 1, "nodatavals": 1, "dtypes": 1}


def test_blocks_that_a_sparse_file_does_not_hold_are_ground_unless_they_are_named(tmp_path):
    values = SCENE.copy()
    values[:, :32] = 0
    layout = {"tiled": True, "blockxsize": 32, "blockysize": 32, "sparse_ok": True}
    dense, sparse = write_tiff(tmp_path / "dense.tif", values), tmp_path / "sparse.tif"
    shape = {"width": 96, "height": 64, "count": 3, "dtype": "uint8"}
    with rasterio.open(sparse, "w", driver="GTiff", transform=NORTH_UP, **shape, **layout) as dataset:
        dataset.write(values[:, 32:].transpose(2, 0, 1), window=Window(32, 0, 64, 64))
    assert sparse.stat().st_size < dense.stat().st_size
    for options in (ReadOptions(), ReadOptions(nodata=0)):
        one, other = read_scene(dense, options), read_scene(sparse, options)
        np.testing.assert_array_equal(one.rgb, other.rgb)
        np.testing.assert_array_equal(one.valid, other.valid)
        assert other.valid[:, :32].all() == (options.nodata is None)
