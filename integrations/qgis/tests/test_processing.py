"""The algorithms, run by QGIS on real rasters; what they give is opened and compared with the rasters and masks."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from in_qgis import DATA
from osgeo import gdal, ogr
from qgis import processing
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from rs2sam_qgis.settings import Settings

NAIP = DATA / "naip" / "palm_springs_2020_2.tif"
TWO = "the swimming pools\nthe buildings"


def burnt(layer: QgsVectorLayer, sentence_id: int, mask: str) -> np.ndarray:
    """The polygons of one sentence as pixels of a mask's grid."""
    grid = gdal.Open(mask)
    target = gdal.GetDriverByName("MEM").Create("", grid.RasterXSize, grid.RasterYSize, 1)
    target.SetGeoTransform(grid.GetGeoTransform())
    shapes = ogr.GetDriverByName("Memory").CreateDataSource("")
    found = shapes.CreateLayer("found")
    for feature in layer.getFeatures():
        if feature["sentence_id"] == sentence_id:
            shape = ogr.Feature(found.GetLayerDefn())
            shape.SetGeometry(ogr.CreateGeometryFromWkb(bytes(feature.geometry().asWkb())))
            found.CreateFeature(shape)
    gdal.RasterizeLayer(target, [1], found, burn_values=[1])
    return target.ReadAsArray() == 1


class Feedback(QgsProcessingFeedback):
    """Keeps the errors that QGIS would show."""

    def __init__(self) -> None:
        super().__init__(False)
        self.errors: list[str] = []

    def reportError(self, error: str, fatalError: bool = False) -> None:
        self.errors.append(error)


class Case(unittest.TestCase):
    """A folder for a test."""

    def setUp(self) -> None:
        self.feedback = Feedback()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def segment(self, raster: Path | QgsRasterLayer, sentences: str, **others: object) -> dict:
        """Run with outputs in the folder."""
        return processing.run(
            "rs2sam:segment",
            {
                "INPUT": str(raster) if isinstance(raster, Path) else raster,
                "SENTENCES": sentences,
                "POLYGONS": str(self.folder / "found.gpkg"),
                "MASK": str(self.folder / "mask.tif"),
                "FOLDER": str(self.folder / "all"),
                **others,
            },
            feedback=self.feedback,
        )

    def assert_refused(self, said: str, raster: Path, sentences: str, **others: object) -> None:
        """It is an error that says so, and nothing is written."""
        with self.assertRaises(QgsProcessingException) as raised:
            self.segment(raster, sentences, **others)
        self.assertRegex("\n".join([str(raised.exception), *self.feedback.errors]), said)
        self.assertEqual([path for path in self.folder.rglob("*") if path.is_file()], [])

    def assert_polygons_are_the_mask(self, outputs: dict) -> QgsVectorLayer:
        layer = QgsVectorLayer(outputs["POLYGONS"])
        self.assertTrue(layer.isValid())
        masks = gdal.Open(outputs["MASK"])
        for number in range(1, masks.RasterCount + 1):
            found = masks.GetRasterBand(number).ReadAsArray() == 1
            np.testing.assert_array_equal(burnt(layer, number, outputs["MASK"]), found)
        return layer


class TestSegment(Case):
    def test_polygons_lie_where_the_mask_says_and_the_mask_where_the_raster_lies(self) -> None:
        outputs = self.segment(NAIP, TWO)
        layer = self.assert_polygons_are_the_mask(outputs)
        report = json.loads((self.folder / "all" / "palm_springs_2020_2_result.json").read_text())
        self.assertEqual(report["source"]["path"], str(NAIP))  # as it stands: nothing was copied
        counts = [found["polygons"] for found in report["sentences"]]
        self.assertGreater(min(counts), 5)
        self.assertEqual(layer.featureCount(), sum(counts))
        self.assertEqual(outputs["REGIONS"], sum(counts))
        self.assertEqual(layer.crs().authid(), "EPSG:26911")
        raster, mask = QgsRasterLayer(str(NAIP)), QgsRasterLayer(outputs["MASK"])
        self.assertEqual(mask.crs(), raster.crs())
        self.assertEqual(mask.extent(), raster.extent())
        # 0.6 m pixels in UTM: within the scale of the projection, 0.1 %.
        for feature in layer.getFeatures():
            self.assertAlmostEqual(feature["area_m2"] / feature.geometry().area(), 1, delta=2e-3)
            self.assertAlmostEqual(feature["area_px"] * 0.36 / feature.geometry().area(), 1, delta=1e-6)

    def test_rasters_of_every_kind_of_place(self) -> None:
        for name, crs in (
            ("landsat_utm18n.tif", "EPSG:32618"),
            ("odd/rio-tiler__cog_rgb_mask.tif", None),
            ("odd/rio-tiler__inverted_lat.tif", "EPSG:4326"),  # south up
            ("odd/rasterio__RGBA.uint16.tif", None),
            ("odd/rio-cogeo__image_webp.tif", "EPSG:3857"),
        ):
            with self.subTest(name):
                outputs = self.segment(DATA / name, "the water\nthe roads\nthe vegetation", THRESHOLD=0.3)
                layer = self.assert_polygons_are_the_mask(outputs)
                raster = QgsRasterLayer(str(DATA / name))
                self.assertEqual(layer.crs(), raster.crs())
                if crs:
                    self.assertEqual(layer.crs().authid(), crs)
                if layer.featureCount():
                    self.assertTrue(raster.extent().buffered(1e-6).contains(layer.extent()))

    def test_an_extent_is_a_window_of_whole_pixels(self) -> None:
        # Two pixels and a bit from the edges: 545215.2 and 3741721.2 are the upper left corner, pixels have 0.6 m.
        outputs = self.segment(NAIP, "the swimming pools", EXTENT="545216.5,545300.0,3741640.0,3741719.5 [EPSG:26911]")
        self.assert_polygons_are_the_mask(outputs)
        mask = gdal.Open(outputs["MASK"])
        left, _, _, top, _, _ = mask.GetGeoTransform()
        self.assertAlmostEqual(left, 545215.2 + 2 * 0.6, places=6)
        self.assertAlmostEqual(top, 3741721.2 - 2 * 0.6, places=6)
        self.assertEqual((mask.RasterXSize, mask.RasterYSize), (140, 134))
        # The same window of the raster, read by GDAL.
        self.assertIn("palm_springs_2020_2", os.listdir(self.folder / "all")[0])

    def test_an_extent_beside_the_raster_is_an_error(self) -> None:
        self.assert_refused("beside the layer", NAIP, "the cars", EXTENT="0,1,0,1 [EPSG:26911]")

    def test_the_crs_that_the_user_gave_a_layer_counts(self) -> None:
        bare = str(self.folder / "bare.tif")
        copy = gdal.GetDriverByName("GTiff").CreateCopy(bare, gdal.Open(str(NAIP)))
        copy.SetProjection("")
        del copy  # which writes it
        self.assertFalse(QgsRasterLayer(bare).crs().isValid())
        layer = QgsRasterLayer(bare)
        layer.setCrs(QgsCoordinateReferenceSystem("EPSG:26911"))
        outputs = self.segment(layer, "the swimming pools")
        found = self.assert_polygons_are_the_mask(outputs)
        self.assertEqual(found.crs().authid(), "EPSG:26911")
        self.assertGreater(min(feature["area_m2"] for feature in found.getFeatures()), 0)

    def test_nothing_found_is_a_layer_without_rows(self) -> None:
        outputs = self.segment(NAIP, "the swimming pools", MIN_AREA="100000m2")
        layer = QgsVectorLayer(outputs["POLYGONS"])
        self.assertTrue(layer.isValid())
        self.assertEqual((layer.featureCount(), outputs["REGIONS"]), (0, 0))
        self.assertIn("nothing found", outputs["SUMMARY"])
        self.assertIn("mean_probability", layer.fields().names())

    def test_options_reach_rs2sam(self) -> None:
        outputs = self.segment(NAIP, "the swimming pools", MIN_AREA="20m2", EXTRA="--mirror", TILE=600)
        layer = QgsVectorLayer(outputs["POLYGONS"])
        self.assertGreater(layer.featureCount(), 2)
        self.assertGreaterEqual(min(feature["area_m2"] for feature in layer.getFeatures()), 20)

    def test_results_load_with_a_category_a_sentence(self) -> None:
        context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
        context.setProject(QgsProject.instance())
        outputs = processing.run(
            "rs2sam:segment",
            {"INPUT": str(NAIP), "SENTENCES": TWO, "POLYGONS": "TEMPORARY_OUTPUT", "CLASSES": "TEMPORARY_OUTPUT"},
            context=context,
            feedback=feedback,
            is_child_algorithm=True,
        )
        from rs2sam_qgis.styling import Styler

        layer = context.takeResultLayer(outputs["POLYGONS"])
        Styler("polygons", TWO.splitlines()).postProcessLayer(layer, context, feedback)
        categories = layer.renderer().categories()
        self.assertEqual([category.value() for category in categories], TWO.splitlines())
        self.assertNotEqual(categories[0].symbol().color(), categories[1].symbol().color())
        classes = QgsRasterLayer(outputs["CLASSES"])
        Styler("classes", TWO.splitlines()).postProcessLayer(classes, context, feedback)
        self.assertEqual([each.value for each in classes.renderer().classes()], [1, 2])


class TestErrors(Case):
    def test_what_rs2sam_says_is_what_qgis_shows(self) -> None:
        for others, said in (
            ({"MIN_AREA": "40 acres"}, "40 acres"),
            ({"EXTRA": "--no-such-option"}, "--no-such-option"),
            ({"MODEL": "no-such-model"}, "no-such-model"),
        ):
            with self.subTest(said):
                self.assert_refused(said, NAIP, "the cars", **others)

    def test_no_sentence_no_program_no_file(self) -> None:
        self.assert_refused("no sentence", NAIP, " \n ")
        self.assert_refused("no-such-file", DATA / "naip" / "no-such-file.tif", "the cars")
        for program, said in (("no-such-program", "no-such-program.*Settings > Options"), ("true", "without results")):
            with mock.patch.object(Settings, "load", lambda program=program: Settings(program=program)):
                self.assert_refused(said, NAIP, "the cars")

    def test_a_layer_that_is_no_file_is_refused_by_name(self) -> None:
        layer = QgsRasterLayer("type=xyz&url=file:///nowhere/{z}/{x}/{y}.png&zmin=0&zmax=2", "base map", "wms")
        self.assertTrue(layer.isValid())
        from rs2sam_qgis.imagery import imagery_of
        from rs2sam_qgis.running.errors import RunError

        with self.assertRaisesRegex(RunError, "base map is no file"):
            imagery_of(layer)

    def test_cancelling_ends_the_program(self) -> None:
        feedback = QgsProcessingFeedback()
        feedback.cancel()
        outputs = processing.run(
            "rs2sam:segment",
            {"INPUT": str(NAIP), "SENTENCES": "the cars", "POLYGONS": str(self.folder / "found.gpkg")},
            feedback=feedback,
        )
        self.assertEqual(outputs, {})
        self.assertEqual(list(self.folder.iterdir()), [])


class TestBatch(Case):
    def test_rasters_of_several_places_and_one_that_cannot_be_read(self) -> None:
        rasters = [str(path) for path in sorted((DATA / "naip").glob("palm_springs*.tif"))[:3]]
        broken = str(self.folder / "broken.tif")
        Path(broken).write_bytes(NAIP.read_bytes()[:3000])
        images = self.folder / "images"
        images.mkdir()
        for raster in [*rasters, broken]:
            (images / Path(raster).name).write_bytes(Path(raster).read_bytes())
        outputs = processing.run(
            "rs2sam:batch",
            {
                "IMAGES": str(images),
                "SENTENCES": TWO,
                "POLYGONS": str(self.folder / "all.gpkg"),
                "FOLDER": str(self.folder / "results"),
            },
        )
        layer = QgsVectorLayer(outputs["POLYGONS"])
        self.assertEqual((outputs["DONE"], outputs["FAILED"]), (3, 1))
        self.assertEqual(layer.featureCount(), outputs["REGIONS"])
        self.assertEqual(layer.crs().authid(), "EPSG:26911")
        for raster in rasters:
            extent = QgsRasterLayer(raster).extent()
            inside = [f for f in layer.getFeatures() if extent.buffered(1e-6).contains(f.geometry().boundingBox())]
            report = json.loads((self.folder / "results" / f"{Path(raster).stem}_result.json").read_text())
            self.assertEqual(len(inside), sum(found["polygons"] for found in report["sentences"]))

    def test_layers_are_taken_as_they_are(self) -> None:
        rasters = [str(path) for path in sorted((DATA / "naip").glob("chico*.tif"))[:2]]
        outputs = processing.run(
            "rs2sam:batch",
            {
                "LAYERS": rasters,
                "SENTENCES": "the buildings",
                "POLYGONS": str(self.folder / "all.gpkg"),
                "FOLDER": str(self.folder / "results"),
            },
        )
        self.assertEqual((outputs["DONE"], outputs["FAILED"]), (2, 0))
        self.assertEqual(QgsVectorLayer(outputs["POLYGONS"]).crs().authid(), "EPSG:26910")

    def test_layers_and_a_folder_at_once_are_refused(self) -> None:
        for given in ({}, {"LAYERS": [str(NAIP)], "IMAGES": str(self.folder)}):
            with self.assertRaisesRegex(QgsProcessingException, "not both"):
                processing.run(
                    "rs2sam:batch",
                    {
                        **given,
                        "SENTENCES": "the cars",
                        "POLYGONS": "TEMPORARY_OUTPUT",
                        "FOLDER": str(self.folder),
                    },
                )


class TestCommandLineOfQgis(Case):
    def test_qgis_process_runs_it(self) -> None:
        target = self.folder / "found.gpkg"
        answer = subprocess.run(
            [
                "qgis_process.bin",
                "--json",
                "run",
                "rs2sam:segment",
                f"--INPUT={NAIP}",
                "--SENTENCES=the swimming pools",
                f"--POLYGONS={target}",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(answer.returncode, 0, answer.stderr)
        results = json.loads(answer.stdout)["results"]
        self.assertEqual(QgsVectorLayer(str(target)).featureCount(), results["REGIONS"])
        self.assertGreater(results["REGIONS"], 5)


class TestRefine(Case):
    def test_a_higher_threshold_keeps_a_part_of_the_same_pixels(self) -> None:
        if subprocess.run([os.environ["RS2SAM"], "refine", "--help"], capture_output=True).returncode:
            self.skipTest("this rs2sam has no `refine`")
        before = self.segment(NAIP, TWO, KEEP_PROBABILITIES=True)
        after = processing.run(
            "rs2sam:refine",
            {
                "RESULT": str(self.folder / "all" / "palm_springs_2020_2_result.json"),
                "SENTENCES": "the buildings",
                "THRESHOLD": 0.8,
                "POLYGONS": str(self.folder / "refined.gpkg"),
                "MASK": str(self.folder / "refined.tif"),
                "FOLDER": str(self.folder / "refined"),
            },
            feedback=self.feedback,
        )
        layer = self.assert_polygons_are_the_mask(after)
        self.assertEqual(layer.crs().authid(), "EPSG:26911")
        strict = gdal.Open(after["MASK"]).ReadAsArray() == 1
        loose = gdal.Open(before["MASK"]).ReadAsArray()[1] == 1
        self.assertTrue(strict.any())
        self.assertFalse((strict & ~loose).any())
        self.assertLess(strict.sum(), loose.sum())

    def test_the_folder_of_the_result_itself_is_refused(self) -> None:
        result = self.folder / "a_result.json"
        result.write_text("{}")
        with self.assertRaisesRegex(QgsProcessingException, "Choose another"):
            processing.run(
                "rs2sam:refine",
                {"RESULT": str(result), "POLYGONS": "TEMPORARY_OUTPUT", "FOLDER": str(self.folder)},
            )


@unittest.skipUnless(os.environ.get("RS2SAM_SERVER"), "no server")
class TestServer(Case):
    def setUp(self) -> None:
        super().setUp()
        self.settings = Settings(through_server=True, server=os.environ["RS2SAM_SERVER"])

    def test_a_job_gives_what_the_program_gives(self) -> None:
        here = self.segment(NAIP, TWO)
        with mock.patch.object(Settings, "load", lambda: self.settings):
            there = self.segment(
                NAIP, TWO, POLYGONS=str(self.folder / "there.gpkg"), MASK=str(self.folder / "there.tif"), FOLDER=None
            )
        self.assert_polygons_are_the_mask(there)
        self.assertEqual(there["SUMMARY"], here["SUMMARY"])
        np.testing.assert_array_equal(gdal.Open(there["MASK"]).ReadAsArray(), gdal.Open(here["MASK"]).ReadAsArray())
        self.assertEqual(QgsRasterLayer(there["MASK"]).extent(), QgsRasterLayer(str(NAIP)).extent())

    def test_an_answer_at_once_lies_where_the_programs_does(self) -> None:
        from qgis.core import QgsRectangle
        from rs2sam_qgis.found import found_in_answer, read_polygons
        from rs2sam_qgis.imagery import imagery_of
        from rs2sam_qgis.runner import client_of
        from rs2sam_qgis.running.commands import Options

        window = QgsRectangle(545216.5, 3741600.0, 545340.0, 3741719.5)
        for extent in (None, window):
            with self.subTest(extent):
                imagery = imagery_of(QgsRasterLayer(str(NAIP)), extent)
                client = client_of(self.settings)
                file = imagery.file(str(self.folder), whole=True)
                image = client.image(file, lambda percent: None, lambda: False)
                self.assertTrue(image["is_interactive"])
                found = found_in_answer(client.answer(image["id"], TWO.splitlines(), Options()), imagery)
                given = {} if extent is None else {"EXTENT": "545216.5,545340.0,3741600.0,3741719.5 [EPSG:26911]"}
                outputs = self.segment(NAIP, TWO, **given)
                crs, _, features = read_polygons(outputs["POLYGONS"])
                self.assertEqual(found.crs, crs)
                self.assertGreater(len(features), 5)

                def shapes(of: list) -> list[tuple]:
                    return sorted(
                        (each["sentence_id"], each["area_px"], each.geometry().boundingBox().toString(3)) for each in of
                    )

                self.assertEqual(shapes(found.features), shapes(features))

    def test_what_the_server_does_not_take_is_said_before_anything_is_sent(self) -> None:
        with mock.patch.object(Settings, "load", lambda: self.settings):
            self.assert_refused("bands.*command line", NAIP, "the cars", BANDS="3,2,1")

    def test_no_server(self) -> None:
        with mock.patch.object(Settings, "load", lambda: Settings(through_server=True, server="http://127.0.0.1:9")):
            self.assert_refused("No rs2sam server answers", NAIP, "the cars")
