"""`python -m fuzz`: see `make fuzz`.

    python -m fuzz --inputs 20000 --seed 1
    python -m fuzz --area images --inputs 500
    python -m fuzz --area images --case 4711 --keep out/fuzz      one case again; what it made up stays in the folder

Exit code 1 where there is a finding.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from fuzz.supervising import Ending, Tally, models_folder, run_area
from rs2sam.errors import is_installed

SHARES = {
    "images": 28, "sentences": 17, "data": 17, "models": 12, "arguments": 14, "results": 7, "requests": 5,
}  # fmt: skip
"""Parts of all inputs, in per cent."""
NEEDED = {"requests": ("fastapi", "uvicorn", "multipart", "prometheus_client", "rio_tiler", "httpx2")}
"""Libraries that an area needs beyond the others: those of the extra `serve`, and what its test client is made of."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases that were asked for, and print what became of them."""
    parser = argparse.ArgumentParser(prog="fuzz", description="Seeded fuzzing of rs2sam.")
    parser.add_argument("--inputs", type=int, default=20_000, help="cases in all areas together [default: 20000]")
    parser.add_argument("--seed", default="1", help="of all cases [default: 1]")
    parser.add_argument("--area", choices=SHARES, help="only this one")
    parser.add_argument("--first", type=int, default=0, help="number of the first case [default: 0]")
    parser.add_argument("--case", type=int, help="run this case of --area again")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave what the last case made up in this folder")
    parser.add_argument("--refusals", action="store_true", help="list the kinds of refusals too")
    asked = parser.parse_args(arguments)
    if asked.case is not None and asked.area is None:
        parser.error("--case needs --area")
    areas = [asked.area] if asked.area else list(SHARES)
    for area in [one for one in areas if _lacking(one)]:
        left_out = f"{area} needs {', '.join(_lacking(area))}: pip install 'rs2sam[serve]' httpx2"
        if asked.area:
            parser.error(left_out)
        _say(f"left out: {left_out}")
        areas.remove(area)
    tallies: dict[str, Tally] = {}
    start = time.monotonic()
    with models_folder(with_torch="models" in areas) as models:
        for area in areas:
            numbers = _numbers(asked, area)
            with tqdm(total=len(numbers), desc=area, unit="case", disable=None) as bar:
                tell = partial(_tell, area, bar, every=asked.case is not None)
                tallies[area] = run_area(area, numbers, asked.seed, models, tell, asked.keep)
            if tallies[area].counts.total() < len(numbers):  # Ctrl-C
                break
    _say(*_table(tallies, asked.seed, time.monotonic() - start))
    if asked.refusals:
        for area, tally in tallies.items():
            _say(*(f"{count:6} {area}: {text}" for text, count in tally.refusals.most_common(60)))
    return int(any(tally.findings for tally in tallies.values()))


def _lacking(area: str) -> list[str]:
    """What is not installed of the libraries that an area needs."""
    return [name for name in NEEDED.get(area, ()) if not is_installed(name)]


def _numbers(asked: argparse.Namespace, area: str) -> Sequence[int]:
    """The numbers of the cases of an area."""
    if asked.case is not None:
        return [asked.case]
    count = asked.inputs if asked.area else max(1, asked.inputs * SHARES[area] // 100)
    return range(asked.first, asked.first + count)


def _tell(area: str, bar: tqdm[object], ending: Ending, *, every: bool) -> None:
    """Say at once what went wrong, or how every case ended."""
    bar.update()
    if every or ending.kind in ("finding", "broken"):
        _say(f"--- {ending.kind}: {area} {ending.number}", ending.said.rstrip())


def _table(tallies: dict[str, Tally], seed: str, seconds: float) -> Iterator[str]:
    """Counts per area, and the findings by likeness."""
    yield f"{'area':<12}{'inputs':>8}{'results':>9}{'refusals':>10}{'findings':>10}"
    rows = {**tallies, "all": _sum(tallies.values())}
    for area, tally in rows.items():
        counts = tally.counts
        row = (counts.total(), counts["result"], counts["refusal"], counts["finding"] + counts["broken"])
        yield f"{area:<12}{row[0]:>8,}{row[1]:>9,}{row[2]:>10,}{row[3]:>10,}"
    yield f"seed {seed}, {seconds:.0f} s"
    for area, tally in tallies.items():
        alike: dict[str, list[int]] = {}
        for ending in tally.findings:
            alike.setdefault(ending.likeness, []).append(ending.number)
        for likeness, numbers in sorted(alike.items(), key=lambda item: -len(item[1])):
            yield f"{len(numbers):>6} x {area} {', '.join(map(str, numbers[:5]))}: {likeness}"


def _sum(tallies: Iterable[Tally]) -> Tally:
    """All areas together."""
    return Tally(sum((tally.counts for tally in tallies), Counter[str]()))


def _say(*lines: str) -> None:
    """Write lines to stdout at once."""
    sys.stdout.writelines(f"{line}\n".encode("utf-8", "backslashreplace").decode() for line in lines)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
