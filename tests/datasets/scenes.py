"""Annotated images made of rectangles, for the tests of datasets."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from rs2sam.datasets.base import AnnotatedImage, Instance

SIDE = 100


def rectangle(category, x, y, w, h, side=SIDE, **attributes):
    mask = np.zeros((side, side), dtype=bool)
    mask[y : y + h, x : x + w] = True
    return Instance.from_mask(category, mask, attributes)


def scene(instances, regions=None, exhaustive=None, side=SIDE, image=None):
    categories = {i.category for i in instances} | set(regions or {})
    return AnnotatedImage(
        image=np.full((side, side, 3), 90, dtype=np.uint8) if image is None else image,
        size_hw=(side, side),
        instances=tuple(instances),
        regions=regions or {},
        exhaustive_categories=frozenset(categories if exhaustive is None else exhaustive),
        id="scene",
        source="test",
    )


@st.composite
def scenes(draw):
    """Up to 7 rectangles of up to two categories, a region now and then, and some certainly absent categories."""
    boxes = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["airplane", "ship"]),
                st.integers(0, 90),
                st.integers(0, 90),
                st.integers(4, 40),
                st.integers(4, 40),
                st.sampled_from(["white", "red", "blue", "grey", None]),
            ),
            max_size=7,
        )
    )
    instances = [
        rectangle(category, x, y, min(w, SIDE - x), min(h, SIDE - y), colour=colour)
        for category, x, y, w, h, colour in boxes
    ]
    regions = {}
    if draw(st.booleans()):
        water = np.zeros((SIDE, SIDE), dtype=bool)
        water[:, draw(st.integers(50, 99)) :] = True
        regions["water"] = water
    return scene(instances, regions, exhaustive={"airplane", "ship", "water", "bridge"})
