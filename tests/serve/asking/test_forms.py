from __future__ import annotations

import pytest

from rs2sam.serve.asking.forms import form_for
from rs2sam.serve.problems import ProblemError


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "answer"),
        ("", "answer"),
        ("*/*", "answer"),
        ("application/json", "answer"),
        ("image/png", "mask"),
        ('image/png; values="probability"', "probability"),
        ("image/png;values=mask", "mask"),
        ("IMAGE/TIFF", "geotiff"),
        ("application/geo+json;q=0.5, image/png;q=0.9", "mask"),
        ("*/*;q=0.9, application/geo+json", "geojson"),
        ("*/*, application/geo+json", "geojson"),
        ("text/html, application/vnd.coco.rle+json;q=0.1", "rle"),
        ("application/geopackage+sqlite3", "gpkg"),
        ("image/png;q=0, application/*", "answer"),
    ],
)
def test_the_form_that_is_liked_best_is_taken(accept, form):
    assert form_for(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "image/png;values=other", "image/png;q=x", ";;,,"])
def test_what_no_form_fits_is_not_acceptable(accept):
    with pytest.raises(ProblemError, match="Answers exist as"):
        form_for(accept)
