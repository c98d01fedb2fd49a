"""The page's own regions and those of the package are the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from shapely.geometry import mapping

from rs2sam.datasets.readers.run_lengths import decode_runs
from rs2sam.processing_config import Calibration
from rs2sam.vector.vectorize import pixel_regions
from tests.serve.page.conftest import Page

pytestmark = pytest.mark.browser


def in_page(page: Page, body: str, *values: Any) -> Any:
    """What an expression is where `regions` is the module."""
    return page.driver.execute_async_script(
        f"const done = arguments[arguments.length - 1], given = [...arguments];"
        f"import('/page/regions.js').then((regions) => done({body}))",
        *values,
    )


FIND = "regions.findRegions(Uint8Array.from(given[0]), ...given.slice(1, 4), given[4] && Uint8Array.from(given[4]))"
EDGES = "({runs}) => { const lines = []; regions.eachEdge(runs, (...line) => lines.push(line)); return lines; }"


@pytest.mark.parametrize("threshold", [60, 128, 200])
def test_regions_of_noise_are_those_of_the_package(page: Page, threshold: int) -> None:
    values = np.random.default_rng(threshold).integers(0, 256, (41, 37)).astype(np.uint8)
    expected = pixel_regions(values >= threshold, (values + np.float32(0.5)) / 256, None)

    found = in_page(
        page,
        f"{FIND}.map(({{runs, area, confidence, box}}) => ({{runs: [...runs], area, confidence, box}}))",
        values.ravel().tolist(), 37, 41, threshold, None,
    )  # fmt: skip

    assert [region["area"] for region in found] == sorted((region.num_pixels for region in expected), reverse=True)
    drawn = np.zeros(values.shape, bool)
    for region in found:
        for row, start, end in np.reshape(region["runs"], (-1, 3)):
            drawn[row, start:end] = True
    np.testing.assert_array_equal(drawn, values >= threshold)
    assert sorted(tuple(region["box"]) for region in found) == sorted(region.outline.bounds for region in expected)
    assert sorted(round(region["confidence"], 4) for region in found) == sorted(
        round(float(region.mean_probability), 4) for region in expected
    )


def test_confidence_in_the_page_is_that_of_the_package(page: Page) -> None:
    said = Calibration((0.5, 0.75, 1.0), (0.1, 0.2, 0.8))
    for mean in (0.2, 0.5, 0.6, 0.75, 0.9, 1.0):
        found = in_page(page, "regions.shareOf(given[0], given[1])", asdict(said), mean)
        assert found == pytest.approx(said.share_of(mean))
        assert in_page(page, "regions.shareOf(null, given[0])", mean) == mean


def test_polygons_of_the_service_cover_the_pixels_they_were_made_of(page: Page) -> None:
    mask = np.random.default_rng(3).random((30, 34)) < 0.6
    covered = np.zeros(mask.shape, int)
    for region in pixel_regions(mask, mask.astype(np.float32), None):
        rings = mapping(region.outline)["coordinates"]
        runs = in_page(page, "[...regions.runsOfPolygon(given[0], 34, 30)]", rings)
        for row, start, end in np.reshape(runs, (-1, 3)):
            covered[row, start:end] += 1
    np.testing.assert_array_equal(covered, mask)


def test_run_lengths_are_those_of_coco(page: Page) -> None:
    values = np.where(np.random.default_rng(4).random((23, 19)) < 0.4, 255, 0).astype(np.uint8)
    rle = in_page(page, f"regions.cocoCounts({FIND}, 19, 23)", values.ravel().tolist(), 19, 23, 128, None)
    np.testing.assert_array_equal(decode_runs(rle), values > 0)


def test_the_border_is_every_edge_between_inside_and_outside_once(page: Page) -> None:
    mask = np.random.default_rng(5).random((21, 17)) < 0.5
    lines = in_page(page, f"{FIND}.map({EDGES})", (mask * np.uint8(255)).ravel().tolist(), 17, 21, 128, None)
    framed = np.pad(mask, 1)
    num_edges = int((framed[1:] != framed[:-1]).sum() + (framed[:, 1:] != framed[:, :-1]).sum())
    lengths = [abs(x1 - x0) + abs(y1 - y0) for region in lines for x0, y0, x1, y1 in region]
    assert sum(lengths) == num_edges


def test_what_was_erased_stays_away_when_the_threshold_moves(page: Page) -> None:
    values = np.zeros((12, 12), np.uint8)
    values[2:8, 2:8] = 200
    values[2:9, 2:8] = np.maximum(values[2:9, 2:8], 90)  # a rim at a lower threshold
    values[2:3, 8:12] = 90
    erased = (values >= 128).ravel().tolist()
    found = in_page(page, f"{FIND}.length", values.ravel().tolist(), 12, 12, 60, erased)
    assert found == 0  # most of the region was removed, so its rim does not come back
    values[9:12, :] = 90
    left = in_page(page, f"{FIND}.map(({{area}}) => area)", values.ravel().tolist(), 12, 12, 60, erased)
    assert left == [46]  # a much larger one loses the removed pixels alone
