"""Pages of the docs site that are made of other files of the repository; loaded by mkdocs (`hooks` in mkdocs.yml).

README, DESIGN, CHANGELOG, CONTRIBUTING and model cards appear as they stand, with links that work on the site; the
results of benchmarks become tables. Links from pages to files that are no pages become their names.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"

# Page -> file of the repository.
TAKEN = {
    "index.md": "README.md",
    "design.md": "DESIGN.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "cards/compact.md": "src/rs2sam/weights/compact/README.md",
}

# Result -> what it answers, and how it is made.
BENCHMARKS = {
    "parity": ("Equal to the published model?", "python -m benchmarks.accuracy.parity"),
    "heldout": (
        "`compact` on sentences of one author about images that it never saw",
        "python -m benchmarks.accuracy.heldout",
    ),
    "heldout-analysts": ("`compact` on sentences in other wordings", "python -m benchmarks.accuracy.heldout"),
    "compact-heldout": ("`compact` on sentences made by rules", "python -m benchmarks.accuracy.rule_made"),
    "scope": ("What deciding words that compare for the whole scene gains", "python -m benchmarks.accuracy.scope"),
    "ablation": ("The paper's ablations", "python -m benchmarks.accuracy.ablation"),
    "segment": ("Time and memory of `rs2sam segment`", "python -m benchmarks.speed.segment"),
    "scenes": ("Scenes of any size: time and memory", "python -m benchmarks.scale.scenes"),
    "first_pass": ("What the first pass saves and loses", "python -m benchmarks.scale.first_pass"),
    "batch": ("Many scenes on Ray", "python -m benchmarks.scale.batch"),
    "benchmark": ("`compact` on two cores, step by step", "rs2sam benchmark compact"),
    "large_cpu": ("`large` on two cores", "rs2sam benchmark large"),
    "training_memory": ("Which card training `large` needs", "python -m benchmarks.speed.training_memory"),
    "growth": ("How time grows with the model", "python -m benchmarks.speed.growth"),
    "load": ("Loading a model", "python -m benchmarks.speed.load"),
    "train_step": ("A step of training", "python -m benchmarks.speed.train_step"),
    "data_loading": ("Reading training data", "python -m benchmarks.speed.data_loading"),
}
_MOST_ROWS = 100
_MOST_COLUMNS = 12
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the pictures that pages show from elsewhere."""
    for page, source in TAKEN.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)))
    files.append(File.generated(config, "benchmarks.md", content=benchmarks_page()))
    for name in BENCHMARKS:
        # Reached from the page above; the menu would be long.
        path, inclusion = f"benchmarks/{name}.md", InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, path, content=benchmark_page(name), inclusion=inclusion))
    for picture in sorted(RESULTS.glob("*.png")):
        files.append(File.generated(config, f"benchmarks/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links between files of the repository at the pages of the site."""
    known = {file.src_uri for file in files}
    source = TAKEN.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def turned(match: re.Match[str]) -> str:
        target, _, anchor = match[3].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        there = _page_of(path)
        if there not in known:
            return match[0] if path.startswith("docs/") else f"`{path}`"
        here = posixpath.relpath(there, posixpath.dirname(page.file.src_uri) or ".")
        return f"{match[1]}[{match[2]}]({here}{'#' + anchor if anchor else ''})"

    return _LINK.sub(turned, markdown)


def _page_of(path: str) -> str:
    """The page of a file of the repository."""
    for page, source in TAKEN.items():
        if path == source:
            return page
    for folder, place in (("docs/", ""), ("benchmarks/results/", "benchmarks/")):
        if path.startswith(folder):
            return place + path[len(folder) :]
    return path


def benchmarks_page() -> str:
    """What was measured, a line each."""
    lines = [
        "# Benchmarks",
        "",
        "What was measured, from the files in `benchmarks/results`, which hold more than these tables, such as every",
        "sample. Figures of time are of the machine that each page names.",
        "",
        "| question | made with |",
        "|---|---|",
        *(f"| [{question}](benchmarks/{name}.md) | `{command}` |" for name, (question, command) in BENCHMARKS.items()),
    ]
    return "\n".join(lines) + "\n"


def benchmark_page(name: str) -> str:
    """One result, with how it was made and on which machine."""
    question, command = BENCHMARKS[name]
    values = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    lines = [f"# {question}", "", f"Made with `{command}`; all of it is in `benchmarks/results/{name}.json`."]
    for key in [key for key in values if key.startswith("machine")]:
        lines += ["", machine(values.pop(key))]
    lines.append("")
    if (RESULTS / f"{name}.png").is_file():
        lines += [f"![{question}]({name}.png)", ""]
    return "\n".join(lines + described(values, 2)) + "\n"


def machine(values: dict[str, Any]) -> str:
    """What a result was measured on, in a line."""
    known = [str(values[key]) for key in ("cpu", "gpu", "system") if values.get(key)]
    known += [f"{values[key]} {unit}" for key, unit in (("cores", "cores"), ("memory_gib", "GiB")) if key in values]
    versions = ", ".join(f"{name} {version}" for name, version in (values.get("libraries") or {}).items())
    return f"{values.get('date', '')}: {', '.join(known)}; Python {values.get('python', '')}, {versions}."


def described(values: dict[str, Any], level: int) -> list[str]:
    """Numbers as a table, tables as tables, groups as sections; long lists are left to the file."""
    plain = {key: value for key, value in values.items() if _is_plain(value)}
    lines = _table([{"": key, " ": value} for key, value in plain.items()]) if plain else []
    records = {key: value for key, value in values.items() if _is_record(value)}
    if len(records) > 1:
        lines += _table([{"": key, **record} for key, record in records.items()])
    for key, value in values.items():
        if len(records) > 1 and key in records:
            continue
        rows = _rows_of(value)
        if rows:
            lines += [f"**{_words(key)}**", "", *_table(rows)]
        elif isinstance(value, dict) and value and not _is_plain(value) and level <= 4:
            inner = described(value, level + 1)
            lines += [f"{'#' * level} {_words(key)}", "", *inner] if inner else []
    return lines


def _rows_of(value: object) -> list[dict[str, Any]]:
    """Rows of a table, where a value is one: a list of records, or records by name."""
    if isinstance(value, dict) and len(value) > 1 and all(isinstance(each, dict) for each in value.values()):
        rows = [{"": name, **each} for name, each in value.items()]
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        rows = list(value)
    else:
        return []
    rows = [{key: each for key, each in _flat(row).items() if _is_plain(each)} for row in rows]
    return rows if len(rows) <= _MOST_ROWS and all(len(row) > 1 for row in rows) else []


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the values of its groups beside its own."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        flat |= value if isinstance(value, dict) else {key: value}
    return flat


def _is_record(value: object) -> bool:
    """Whether a value is a row of a table."""
    return isinstance(value, dict) and 1 < len(value) <= _MOST_COLUMNS and all(map(_is_plain, value.values()))


def _is_plain(value: object) -> bool:
    """Whether a value has its place in a cell."""
    if isinstance(value, list):
        return len(value) <= 4 and all(isinstance(each, str | int | float) for each in value)
    return value is None or isinstance(value, str | int | float)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))[:_MOST_COLUMNS]
    lines = [f"| {' | '.join(_words(column) for column in columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows]
    return [*lines, ""]


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    return str(value).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _words(key: str) -> str:
    return key.replace("_", " ")
