"""`rs2sam demo-scene`: a georeferenced aerial scene that the project draws itself, to try the other commands on."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from rs2sam.cli.shell.completing import OUTPUT_FILE
from rs2sam.datasets.staging import check_file_free, staged_file
from rs2sam.datasets.synthetic.showcase import GSD_M, showcase

CRS = "EPSG:32632"
ORIGIN_XY = (691_200.0, 5_334_900.0)
"""Upper left corner [m] in UTM zone 32 N. The place is invented; the coordinates are only plausible."""


@click.command("demo-scene")
@click.argument("path", metavar="OUT.tif", type=OUTPUT_FILE)
@click.option(
    "--seed", type=click.IntRange(min=0), default=7, show_default=True, help="Vary paints, trees and traffic."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT.tif if it exists.")
def demo_scene(path: Path, seed: int, overwrite: bool) -> None:
    """Draw a georeferenced aerial scene to try rs2sam on.

    1024 x 768 pixels of 0.5 m: storage tanks, ships, a bridge, houses, pools, courts, a car park, fields. Nothing in
    it is real, and nothing is downloaded.
    """
    write_demo_scene(path, seed, overwrite=overwrite)
    click.echo(f"{path}  {CRS}, {GSD_M} m/px", err=True)


def write_demo_scene(path: Path, seed: int = 7, *, overwrite: bool = False) -> None:
    """Draw the scene and write it as a compressed RGB GeoTIFF.

    Args:
        path: file to write; its folder is made when missing.
        seed: another seed varies details, not the composition.
        overwrite: whether an existing file may be replaced.

    Raises:
        InvalidInputError: when the file exists and may not be replaced, or cannot be written.
    """
    import rasterio

    check_file_free(path, overwrite=overwrite)
    pixels = np.moveaxis(showcase(seed).pixels(), 2, 0)
    profile = {
        "driver": "GTiff", "count": 3, "height": pixels.shape[1], "width": pixels.shape[2], "dtype": "uint8",
        "crs": CRS, "transform": rasterio.Affine(GSD_M, 0.0, ORIGIN_XY[0], 0.0, -GSD_M, ORIGIN_XY[1]),
        "photometric": "RGB", "compress": "deflate", "predictor": 2, "tiled": True,
        "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with staged_file(path, overwrite=overwrite) as partial, rasterio.open(partial, "w", **profile) as file:
        file.write(pixels)
        file.update_tags(TIFFTAG_IMAGEDESCRIPTION=f"Synthetic scene, seed {seed}; the place does not exist.")
