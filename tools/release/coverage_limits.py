"""Holds what the tests cover against its limits: `make coverage`. Names the files that lack most."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

LINES, BRANCHES = 90.0, 85.0
"""Least of src/rs2sam, in percent."""
SHOWN = 15


def main() -> None:
    """Read coverage.py's JSON report; exit code 1 below a limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="What `coverage json` wrote.")
    report = json.loads(parser.parse_args().report.read_text(encoding="utf-8"))
    missing = {
        name: (one["summary"]["missing_lines"], one["summary"]["missing_branches"])
        for name, one in report["files"].items()
    }
    for name, (lines, branches) in sorted(missing.items(), key=lambda one: -sum(one[1]))[:SHOWN]:
        print(f"{lines:5} lines {branches:4} branches not run: {name}")
    totals = report["totals"]
    shares = {
        "lines": (100 * totals["covered_lines"] / totals["num_statements"], LINES),
        "branches": (100 * totals["covered_branches"] / totals["num_branches"], BRANCHES),
    }
    for name, (share, least) in shares.items():
        print(f"{name}: {share:.2f} %, at least {least:.0f} %")
    sys.exit(0 if all(share >= least for share, least in shares.values()) else 1)


if __name__ == "__main__":
    main()
