"""How good a model is on samples: one loop, two protocols, two reference lines, a report folder, a comparison.

- `published`: prediction and target at the model's S x S, the target resized *nearest*; IoU 0 where the union is empty.
- `native`: at the image's own size; an empty prediction on an empty target counts 1.

The reference lines say what a figure is worth: `everything` marks the whole image, `class_only` perfectly marks every
object of the named class and ignores the rest of the sentence.

Files, each knowing only those above it:

    results.py     what is kept of a sample, and the metric rows
    running.py     the loop: samples in, results out
    processes.py   one process or several
    run_folder.py  finished samples on disk, for a run that was killed
    analysis.py    groups, histogram, curves, calibration
    published.py   rows of published tables
    gallery.py     pictures of the best, the median and the worst
    summary.py     all of that as the content of report.json
    markdown.py    report.md
    charts.py      SVG
    page.py        report.html
    campaign.py    `rs2sam evaluate`
    comparing.py   `rs2sam compare`
"""

from __future__ import annotations

from rs2sam.evaluation.results import EvaluationReport, SampleResult
from rs2sam.evaluation.running import evaluate

__all__ = ["EvaluationReport", "SampleResult", "evaluate"]
