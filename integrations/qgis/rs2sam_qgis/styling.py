"""How results look: a colour a sentence, more solid where the model is surer."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsPalettedRasterRenderer,
    QgsProcessingLayerPostProcessorInterface,
    QgsProperty,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsSymbol,
    QgsSymbolLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from .translation import tr

# Okabe and Ito's colours, told apart by most colour-blind eyes; black is left out, as it vanishes on imagery.
_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")
_OUTLINE_MM = 0.5
# Of the fill, in percent: at a confidence of one half (nothing below is found) and of one.
_LEAST_SOLID, _MOST_SOLID = 15, 65


def colour_of(number: int) -> QColor:
    """The colour of the sentence of a number from 0."""
    return QColor(_COLOURS[number % len(_COLOURS)])


def style_polygons(layer: QgsVectorLayer, sentences: Sequence[str], first_colour: int = 0) -> None:
    """Give each sentence its category, whether anything was found for it or not."""
    categories = [
        QgsRendererCategory(sentence, _symbol(colour_of(number)), sentence)
        for number, sentence in enumerate(sentences, first_colour)
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer("sentence", categories))
    layer.setMapTipTemplate(
        '<b>[% "sentence" %]</b><br>'
        + tr("confidence")
        + ' [% round("mean_probability", 2) %]<br>[% if("area_m2" is null, format_number("area_px", 0) || \' px\', '
        "format_number(\"area_m2\", 1) || ' m²') %]"
    )
    layer.setDisplayExpression('"sentence" || \' \' || round("mean_probability", 2)')
    layer.triggerRepaint()


def _symbol(colour: QColor) -> QgsSymbol:
    """An outline in full colour around a fill whose solidity is the confidence."""
    symbol = QgsFillSymbol.createSimple({"outline_width": str(_OUTLINE_MM), "joinstyle": "miter"})
    fill = symbol.symbolLayer(0)
    fill.setStrokeColor(colour)
    fill.setFillColor(QColor(colour.red(), colour.green(), colour.blue(), round(2.55 * _MOST_SOLID)))
    solidity = f'scale_linear("mean_probability", 0.5, 1, {_LEAST_SOLID}, {_MOST_SOLID})'
    rgb = f"{colour.red()},{colour.green()},{colour.blue()}"
    fill.setDataDefinedProperty(
        QgsSymbolLayer.PropertyFillColor,
        QgsProperty.fromExpression(f"set_color_part('{rgb}', 'alpha', round(2.55 * ({solidity})))"),
    )
    return symbol


def style_mask(layer: QgsRasterLayer, sentences: Sequence[str]) -> None:
    """Show the first band's found pixels in their sentence's colour, and nothing else."""
    _show_classes(layer, [QgsPalettedRasterRenderer.Class(1, colour_of(0), sentences[0])])


def style_classes(layer: QgsRasterLayer, sentences: Sequence[str]) -> None:
    """Show every sentence's pixels in its colour."""
    _show_classes(
        layer,
        [
            QgsPalettedRasterRenderer.Class(number + 1, colour_of(number), sentence)
            for number, sentence in enumerate(sentences)
        ],
    )


def _show_classes(layer: QgsRasterLayer, classes: list[QgsPalettedRasterRenderer.Class]) -> None:
    layer.setRenderer(QgsPalettedRasterRenderer(layer.dataProvider(), 1, classes))
    layer.setOpacity(0.6)
    layer.triggerRepaint()


_STYLES = {"polygons": style_polygons, "mask": style_mask, "classes": style_classes}


class Styler(QgsProcessingLayerPostProcessorInterface):
    """Styles a layer when Processing has loaded it.

    Args:
        kind: `polygons`, `mask` or `classes`.
        sentences: that were asked.
    """

    def __init__(self, kind: str, sentences: Sequence[str]) -> None:
        super().__init__()
        self._style = _STYLES[kind]
        self._sentences = list(sentences)

    def postProcessLayer(self, layer, context, feedback) -> None:  # noqa: N802, ANN001 - QGIS calls it
        """Style the layer; called by QGIS in the main thread."""
        self._style(layer, self._sentences)
