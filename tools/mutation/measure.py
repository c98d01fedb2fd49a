"""Do the tests notice when the code is changed? `make mutation`; writes benchmarks/results/mutation.json.

A seeded sample of mutants of metrics, losses, tiling and language, each against the tests of its own area. Those that
no test can tell from the code, with the reason, are in `equivalent.json`. Fails where fewer than `LEAST` of the others
are killed. `--area` tries one area alone, `--place FILE:LINE` what is changed there, and both write nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mutants import Mutant, sample
from trials import SURVIVED, Area, outcomes

ROOT = Path(__file__).resolve().parents[2]
SEED = 1
LEAST = 0.85
"""Of the mutants that are not equivalent."""

_TRANSFORMERS = ("transformers.models.sam2.modeling_sam2", "transformers.modeling_utils", "transformers.trainer")
AREAS = {
    "metrics": Area(
        ("src/rs2sam/metrics.py", "src/rs2sam/evaluation/analysis.py"),
        ("tests/test_metrics.py", "tests/evaluation/test_analysis.py"),
        number=60,
    ),
    "losses": Area(
        ("src/rs2sam/training/objective/losses.py", "src/rs2sam/training/objective/encode_once_losses.py"),
        ("tests/training/objective/test_losses.py", "tests/training/objective/test_encode_once_losses.py"),
        number=80,
        loaded=("torch", *_TRANSFORMERS),
    ),
    "tiling": Area(("src/rs2sam/raster/tiling.py",), ("tests/raster/test_tiling.py",), number=60),
    "language": Area(
        tuple(sorted(str(path.relative_to(ROOT)) for path in (ROOT / "src/rs2sam/language").glob("[!_]*.py"))),
        ("tests/language",),
        number=100,
        loaded=("PIL.Image",),
    ),
}


def equivalent_ones() -> dict[tuple[str, str, str], str]:
    """Why no test can notice a change: by file, the line before and the line after."""
    listed = json.loads(Path(__file__).with_name("equivalent.json").read_text(encoding="utf-8"))
    return {(one["file"], one["was"], one["now"]): one["why"] for one in listed}


def try_area(name: str, area: Area, mutants: Sequence[Mutant], num_places: int) -> dict[str, Any]:
    """Try the mutants of an area; its counts and what survived."""
    started = time.perf_counter()
    reasons = equivalent_ones()
    counts: Counter[str] = Counter()
    survivors, equivalent, used = [], [], 0.0
    found = outcomes(ROOT, area, [(one.place.file, one.source) for one in mutants])
    for number, (mutant, (outcome, seconds)) in enumerate(zip(mutants, found, strict=True), 1):
        used += seconds
        told: dict[str, Any] = {
            "file": mutant.place.file,
            "line": mutant.place.line,
            "operator": mutant.operator.partition("/")[2],
            "was": mutant.was,
            "now": mutant.now,
        }
        why = reasons.get((mutant.place.file, mutant.was, mutant.now))
        if outcome == SURVIVED and why is not None:
            outcome = "equivalent"
            equivalent.append({**told, "why": why})
        elif outcome == SURVIVED:
            survivors.append(told)
        counts[outcome] += 1
        print(f"{name} {number}/{len(mutants)}: {outcome} {told['file']}:{told['line']} {told['operator']}", flush=True)
        if outcome == SURVIVED:
            print(f"  - {mutant.was}\n  + {mutant.now}", flush=True)
    killed = len(mutants) - len(survivors) - len(equivalent)
    return {
        "files": list(area.files),
        "tests": list(area.tests),
        "places": num_places,
        "sampled": len(mutants),
        "killed": killed,
        "killed_by_time_limit": counts["endless"],
        "survived": len(survivors),
        "equivalent": len(equivalent),
        "killed_share": round(killed / (len(mutants) - len(equivalent)), 4),
        "processor_seconds": round(used),
        "seconds": round(time.perf_counter() - started),
        "survivors": survivors,
        "equivalent_ones": equivalent,
    }


def main() -> None:
    """Try all areas and write what became of the mutants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="JSON file of the results.")
    parser.add_argument("--seed", type=int, default=SEED, help="Of the sample.")
    parser.add_argument("--area", choices=AREAS, help="This one alone; nothing is written.")
    parser.add_argument("--place", help="FILE:LINE, all that is changed there; nothing is written.")
    arguments = parser.parse_args()
    results = {}
    for name, area in AREAS.items():
        if arguments.area not in (None, name):
            continue
        number = area.number if arguments.place is None else sys.maxsize
        mutants, num_places = sample(ROOT, area.files, number, arguments.seed)
        if arguments.place is not None:
            file, _, line = arguments.place.rpartition(":")
            mutants = [one for one in mutants if (one.place.file, str(one.place.line)) == (file, line)]
            if not mutants:
                continue
        area.load()
        results[name] = try_area(name, area, mutants, num_places)
    sampled, killed, equivalent = (
        sum(one[key] for one in results.values()) for key in ("sampled", "killed", "equivalent")
    )
    share = killed / (sampled - equivalent)
    print(f"{killed} of {sampled} mutants killed, {equivalent} equivalent: {100 * share:.1f} % of those that can be")
    if arguments.area is None and arguments.place is None:
        told = {
            "tool": f"operators of cosmic-ray {version('cosmic-ray')}, tools/mutation",
            "seed": arguments.seed,
            "least_share": LEAST,
            "sampled": sampled,
            "killed": killed,
            "equivalent": equivalent,
            "killed_share": round(share, 4),
            "areas": results,
        }
        arguments.out.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit(0 if share >= LEAST else 1)


if __name__ == "__main__":
    main()
