"""`report.html`: one file, no scripts, nothing loaded from anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from rs2sam.evaluation.analysis import NOTHING_MEANT
from rs2sam.evaluation.charts import Axis, Bars, Line, chart, count_axis, unit_axis
from rs2sam.evaluation.gallery import FOUND_COLOUR, MISSED_COLOUR, TARGET_COLOUR, TOO_MUCH_COLOUR, Picture
from rs2sam.evaluation.markdown import (
    GROUP_NOTE,
    Summary,
    Table,
    calibration_lines,
    group_tables,
    main_table,
    published_note,
    subtitle,
    sweep_table,
    time_line,
    title,
)
from rs2sam.evaluation.results import UNKNOWN

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2328; background: #fff; max-width: 1180px; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d5dbdf; padding-bottom: .2rem; }
p.note { color: #556; } p.warn { background: #fff4d6; padding: .4rem .7rem; border-radius: 4px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #e6eaed; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: #556; font-weight: 600; }
tr.measured td { font-weight: 700; background: #eef5fb; } tr.reference td { color: #667; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(360px, 1fr)); gap: 1.2rem; }
figure { margin: 0; } figcaption { font-size: 13px; color: #445; overflow-wrap: anywhere; }
svg text { font: 12px system-ui, sans-serif; fill: #445; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(500px, 1fr)); gap: 1.2rem; }
.gallery img { width: 100%; height: auto; display: block; border-radius: 3px; }
.gallery b { color: #1c2328; }
.key span { display: inline-block; padding: 0 .5rem; border-radius: 3px; margin-right: .4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: 13px; overflow-wrap: anywhere; }
dt { color: #556; } dd { margin: 0; }
@media (max-width: 560px) { .gallery, .plots { grid-template-columns: 1fr; } }
"""


def as_page(summary: Summary, galleries: Mapping[str, Sequence[Picture]]) -> str:
    """The content of `report.html`.

    Args:
        summary: the content of `report.json`.
        galleries: name -> pictures.
    """
    note = published_note(summary)
    parts = [
        f"<h1>{escape(title(summary))}</h1>",
        f'<p class="note">{_code(subtitle(summary))}</p>',
        _main_table(summary),
        *([f'<p class="warn">{_code(note)}</p>'] if note else []),
        _section("Plots", f'<div class="plots">{"".join(_plots(summary))}</div>', *_calibration_notes(summary)),
    ]
    parts += [_section(f"By {heading}", _table(table)) for heading, table in group_tables(summary)]
    parts.append(f'<p class="note">{escape(GROUP_NOTE)}</p>')
    if summary["threshold_sweep"]:
        parts.append(_section("Threshold", _table(sweep_table(summary["threshold_sweep"]))))
    for name, pictures in galleries.items():
        if pictures:
            parts.append(_section(_GALLERY_TITLES[name], _KEY, _gallery(pictures, summary["run"]["protocol"])))
    parts.append(_section("How this was made", f"<p>{escape(time_line(summary))}</p>", _details(summary)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # A sentence of a data set is text from elsewhere: nothing may be loaded or run, whatever it says.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(title(summary))}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


_GALLERY_TITLES = {"worst": "Worst", "median": "Around the median", "best": "Best"}


def _swatch(colour: tuple[int, int, int], words: str) -> str:
    """A word on its colour."""
    return f'<span style="background:rgb{colour}">{words}</span>'


_KEY = (
    '<p class="key">Image, target, answer: '
    + _swatch(TARGET_COLOUR, "target")
    + _swatch(FOUND_COLOUR, "found")
    + _swatch(TOO_MUCH_COLOUR, "too much")
    + _swatch(MISSED_COLOUR, "missed")
    + "</p>"
)


def _code(text: str) -> str:
    """Text with `names` in code type."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))


def _section(heading: str, *content: str) -> str:
    """A heading and what stands under it."""
    return f"<h2>{escape(heading)}</h2>\n" + "\n".join(content)


def _table(table: Table) -> str:
    """A table that scrolls inside a narrow window."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _main_table(summary: Summary) -> str:
    """The measured row, marked, beside reference lines and published rows."""
    text = _table(main_table(summary))
    text = text.replace("<tr><td>**", '<tr class="measured"><td>', 1).replace("** (measured)", " (measured)", 1)
    return text.replace("<tr><td>reference:", '<tr class="reference"><td>reference:')


def _plots(summary: Summary) -> list[str]:
    """Histogram, precision curve, sweep and reliability."""
    histogram, curve, sweep = (summary[name] for name in ("iou_histogram", "precision_curve", "threshold_sweep"))
    counts = tuple(float(count) for count in histogram["counts"])
    plots = [
        _figure(
            "IoU of the samples",
            chart(
                unit_axis("IoU"),
                count_axis("samples", max(counts)),
                [Bars(tuple(histogram["edges"]), counts)],
                "histogram of the IoU",
            ),
        ),
        _figure(
            "Share of samples with at least this IoU (Pr@X)",
            chart(
                unit_axis("X"),
                unit_axis("Pr@X"),
                [Line(tuple(zip(curve["thresholds"], curve["shares"], strict=True)))],
                "precision curve",
            ),
        ),
    ]
    if sweep:
        lines = [Line(tuple((row["threshold"], row[name]) for row in sweep), name, dots=True) for name in _SWEPT]
        plots.append(
            _figure("Another probability threshold", chart(_THRESHOLDS, unit_axis("IoU"), lines, "threshold sweep"))
        )
    names = (
        ("presence", "Presence against what is there", "predicted presence", "share with a target"),
        ("score", "Predicted against measured IoU", "predicted IoU", "mean IoU"),
    )
    return plots + [
        _figure(caption, _reliability(summary["calibration"][name]["bins"], x, y))
        for name, caption, x, y in names
        if summary["calibration"][name] is not None
    ]


_SWEPT = ("mIoU", "oIoU")
_THRESHOLDS = Axis("a pixel counts above this probability", 0, 1, tuple(k / 10 for k in range(11)))


def _reliability(bins: Sequence[Mapping[str, Any]], x_label: str, y_label: str) -> str:
    """Mean of what came true over mean of what was predicted."""
    points = tuple((one["predicted"], one["observed"]) for one in bins if one["n"])
    lines = [Line(points, dots=True), Line(((0, 0), (1, 1)), dashed=True)]
    return chart(unit_axis(x_label), unit_axis(y_label), lines, f"{y_label} over {x_label}, in bins of 0.1")


def _figure(caption: str, drawing: str) -> str:
    """A drawing and its caption."""
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def _calibration_notes(summary: Summary) -> list[str]:
    """Calibration in words."""
    return [f'<p class="note">{escape(line)}</p>' for line in calibration_lines(summary)]


def _gallery(pictures: Sequence[Picture], protocol: Any) -> str:
    """Pictures with sentence and IoU."""
    shown = []
    for picture in pictures:
        one = picture.result
        said = f"IoU {one.counts.iou(protocol):.3f}"
        said += "" if one.presence is None else f", presence {one.presence:.2f}"
        said += "" if one.score is None else f", predicted IoU {one.score:.2f}"
        about = ", ".join(dict.fromkeys(word for word in (one.kind, one.category) if word != UNKNOWN))
        words = " · ".join([said, *([NOTHING_MEANT] if one.is_empty else []), *([about] if about else []), one.id])
        shown.append(
            f'<figure><img src="{picture.data_url}" alt="{escape(one.sentence, quote=True)}">'
            f"<figcaption><b>“{escape(one.sentence)}”</b><br>{escape(words)}</figcaption></figure>"
        )
    return f'<div class="gallery">{"".join(shown)}</div>'


def _details(summary: Summary) -> str:
    """Run and settings, field by field."""
    fields = {**summary["run"], **summary["settings"]}
    rows = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            text = ", ".join(f"{key} {one}" for key, one in value.items())
        else:
            text = "-" if value is None else value if isinstance(value, str) else json.dumps(value)
        rows.append(f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(text)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"
