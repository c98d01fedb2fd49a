"""The dock in QGIS's window, run by `qgis --code`: a question, what the map shows of it, the slider, errors, stopping.

Ends QGIS with 0 where everything was as it should be; screenshots go to $OUT.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator

from qgis import processing
from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.utils import iface, plugins

DATA, OUT = os.environ["RS2SAM_DATA"], os.environ["OUT"]
_STEP_MS = 200
_LONGEST_SECONDS = 120


def expect(condition: bool, what: str) -> None:
    """Say what was as it should be; end where it is not."""
    print(f"dock: {'ok' if condition else 'NOT'} {what}", flush=True)
    if not condition:
        raise AssertionError(what)


def shot(name: str) -> None:
    iface.mainWindow().grab().save(os.path.join(OUT, f"{name}.png"))


def found_layers() -> list[QgsVectorLayer]:
    return [layer for layer in QgsProject.instance().mapLayers().values() if isinstance(layer, QgsVectorLayer)]


def steps() -> Iterator[Callable[[], bool]]:
    """What is done, each followed by what is waited for."""
    from rs2sam_qgis.settings import Settings

    Settings(program=os.environ["RS2SAM"]).save()
    dock = plugins["rs2sam_qgis"]._dock

    def is_idle() -> bool:
        return dock._task is None

    def after(seconds: float) -> Callable[[], bool]:
        end = time.monotonic() + seconds
        return lambda: time.monotonic() > end

    dock.show_settings()
    dock.show()
    raster = QgsRasterLayer(os.path.join(DATA, "geotiff/naip/palm_springs_2020_2.tif"), "palm springs")
    QgsProject.instance().addMapLayer(raster)
    iface.mapCanvas().setExtent(raster.extent())
    yield after(2)

    given = {"INPUT": raster, "SENTENCES": "the swimming pools\nthe buildings", "THRESHOLD": 0.5}
    outputs = {"POLYGONS": "TEMPORARY_OUTPUT", "CLASSES": "TEMPORARY_OUTPUT"}
    processing.runAndLoadResults("rs2sam:segment", {**given, **outputs})
    yield lambda: bool(found_layers())
    (loaded,) = found_layers()
    expect(len(loaded.renderer().categories()) == 2, "what an algorithm finds is loaded with a category a sentence")
    expect(loaded.name() == "the swimming pools, the buildings", "and named after what was asked")
    classes = next(each for each in QgsProject.instance().mapLayers().values() if each.name() == "Class map")
    expect([each.label for each in classes.renderer().classes()] == given["SENTENCES"].splitlines(), "so is its map")
    yield after(2)
    shot("processing")
    QgsProject.instance().removeMapLayers([loaded.id(), classes.id()])

    dock._sentence.setText("the swimming pools; the buildings")
    dock.ask()
    expect(dock._go.text() == "Stop", "while it asks, the button stops it")
    yield is_idle
    (layer,) = found_layers()
    expect(layer.crs() == raster.crs(), "what is found has the raster's CRS")
    expect(raster.extent().buffered(1e-6).contains(layer.extent()), "and lies on it")
    whole = layer.featureCount()
    expect(whole > 10, f"{whole} regions are found")
    expect(len(layer.renderer().categories()) == 2, "each sentence has its category")
    iface.layerTreeView().expandAll()
    yield after(3)
    shot("dock")

    dock._confidence.setValue(90)
    kept = layer.featureCount()
    expect(0 < kept < whole, f"the slider keeps {kept} of them")
    expect(all(each["mean_probability"] >= 0.9 for each in layer.getFeatures()), "those that are surer")
    dock._confidence.setValue(50)
    expect(layer.featureCount() == whole, "and gives them back")

    extent = raster.extent()
    extent.scale(0.5)
    iface.mapCanvas().setExtent(extent)
    yield after(2)
    shown = iface.mapCanvas().extent()
    dock._only_visible.setChecked(True)
    dock._sentence.setText("the buildings")
    dock.ask()
    yield is_idle
    part = next(each for each in found_layers() if each.id() != layer.id())
    expect(shown.buffered(0.6).contains(part.extent()), "only what the map shows is asked about")
    yield after(2)
    shot("dock_part")

    dock._sentence.setText("the trees")
    dock.ask()
    yield after(0.5)
    begun = time.monotonic()
    dock.stop()
    yield is_idle
    expect(time.monotonic() - begun < 10, "it can be stopped")
    expect(len(found_layers()) == 2, "and leaves nothing then")

    dock._sentence.setText("")
    dock.ask()
    yield after(1)
    expect("no sentence" in iface.messageBar().currentItem().text(), "a mistake is said in the message bar")
    Settings(program="no-such-program").save()
    dock._sentence.setText("the trees")
    dock.ask()
    yield is_idle
    expect("no-such-program" in iface.messageBar().currentItem().text(), "so is a program that is not there")
    yield after(1)
    shot("dock_error")
    iface.messageBar().clearWidgets()

    if "RS2SAM_SERVER" not in os.environ:
        print("dock: no server, what is asked while one types is left out", flush=True)
        return
    Settings(through_server=True, server=os.environ["RS2SAM_SERVER"]).save()
    dock.show_settings()
    QgsProject.instance().removeMapLayers([each.id() for each in found_layers()])
    iface.mapCanvas().setExtent(raster.extent())
    dock._only_visible.setChecked(False)
    dock._as_typed.setChecked(True)
    dock._sentence.setFocus()
    dock._sentence.setText("")
    for letter in "the swimming pools":
        QTest.keyClicks(dock._sentence, letter)
    expect(not found_layers(), "nothing is asked before one pauses")
    yield lambda: bool(found_layers()) and is_idle()
    (live,) = found_layers()
    expect(live.featureCount() == 14, "over the server the same regions are found while one types")
    expect(live.crs() == raster.crs() and raster.extent().buffered(1e-6).contains(live.extent()), "in the same place")
    yield after(2)
    shot("dock_live")
    dock._sentence.setText("")
    QTest.keyClicks(dock._sentence, "the largest swimming pool")
    begun = time.monotonic()
    yield lambda: live.name() == "the largest swimming pool" and is_idle()
    print(f"dock: the answer came {time.monotonic() - begun:.1f} s after the last letter", flush=True)
    expect(found_layers() == [live] and live.featureCount() == 1, "the next answer takes the place of the last")
    QTest.keyClick(dock._sentence, Qt.Key.Key_Return)
    yield is_idle
    QTest.keyClicks(dock._sentence, "s")
    yield lambda: len(found_layers()) == 2 and is_idle()
    expect(live.name() == "the largest swimming pool", "Enter keeps an answer")
    yield after(2)
    shot("dock_kept")


def run() -> None:
    """Go through the steps, with QGIS's own events in between."""
    going = steps()
    waited_for: Callable[[], bool] = lambda: True  # noqa: E731
    since = time.monotonic()

    def step() -> None:
        nonlocal waited_for, since
        try:
            if not waited_for():
                if time.monotonic() - since > _LONGEST_SECONDS:
                    raise TimeoutError("QGIS did not get there")
            else:
                waited_for, since = next(going), time.monotonic()
        except StopIteration:
            end(0)
        except Exception:
            traceback.print_exc()
            shot("dock_failed")
            end(1)

    timer = QTimer(iface.mainWindow())
    timer.timeout.connect(step)
    timer.start(_STEP_MS)


def end(code: int) -> None:
    """End QGIS at once: a window that asks whether to save would wait for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


run()
