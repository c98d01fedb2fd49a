from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from rs2sam.evaluation.charts import Bars, Line, chart, count_axis, unit_axis

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*parts, y=None):
    return ElementTree.fromstring(chart(unit_axis("x < 1 & more"), y or unit_axis("y"), parts, "a title"))


def test_a_chart_is_one_svg_element_with_a_title_and_labels():
    svg = drawn(Line(((0, 0), (1, 1)), "a line"))
    assert svg.tag == f"{SVG}svg"
    assert svg.find(f"{SVG}title").text == "a title"
    assert {"x < 1 & more", "y", "a line"} <= {text.text for text in svg.iter(f"{SVG}text")}


def test_bars_stand_on_the_axis_with_heights_in_proportion():
    bars = [rect.attrib for rect in drawn(Bars((0, 0.5, 1), (1, 2)), y=count_axis("n", 2)).iter(f"{SVG}rect")]
    low, high = (float(bar["height"]) for bar in bars)
    assert high == pytest.approx(2 * low, abs=0.2)
    bottoms = [float(bar["y"]) + float(bar["height"]) for bar in bars]
    assert bottoms[0] == pytest.approx(bottoms[1], abs=0.2)


def test_dots_rise_with_their_values():
    dots = [circle.attrib for circle in drawn(Line(((0, 0.2), (0.5, 0.8)), dots=True)).iter(f"{SVG}circle")]
    assert float(dots[0]["cx"]) < float(dots[1]["cx"])
    assert float(dots[0]["cy"]) > float(dots[1]["cy"])


def test_a_line_without_points_is_nothing():
    assert len(list(drawn(Line(())).iter(f"{SVG}path"))) == len(list(drawn().iter(f"{SVG}path")))


@pytest.mark.parametrize(
    ("most", "high"), [(0, 5), (5, 5), (6, 10), (24, 25), (26, 50), (99, 100), (1741, 2500), (3481, 5000)]
)
def test_axis_of_counts_ends_at_a_round_number(most, high):
    axis = count_axis("n", most)
    assert axis.high == high
    assert axis.ticks == tuple(high / 5 * k for k in range(6))
    assert all(float(f"{tick:.0f}") == tick for tick in axis.ticks)
