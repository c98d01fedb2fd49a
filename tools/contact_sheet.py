"""Draw a sheet of what the model is trained on: varied crops of annotated imagery, with target and sentence.

    python tools/contact_sheet.py ../shared/data sheet.png --source nwpu_vhr10 --kind relation --count 24

For data sets as they lie on disk there is `rs2sam data show`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from rs2sam.datasets.checks.sheet import TARGET_COLOUR, Tile, draw_sheet
from rs2sam.datasets.english.expressions import KIND_WEIGHTS, KINDS
from rs2sam.datasets.mixing.mixture import ReferringMixture, of_split
from rs2sam.datasets.readers.sources import READERS


def training(arguments: argparse.Namespace) -> Iterator[Tile]:
    """Yield samples of the training mixture."""
    names = [arguments.source] if arguments.source else list(READERS)
    sources = of_split({name: READERS[name](arguments.root / name) for name in names}, "train")
    kinds = {arguments.kind: 1.0} if arguments.kind else KIND_WEIGHTS
    mixture = ReferringMixture(sources, dict.fromkeys(sources, 1.0), 320, arguments.seed, kind_weights=kinds)
    for index in range(arguments.count):
        sample = mixture.sample(index)
        note = "" if sample.mask.any() else "nothing is meant"
        caption = f"{sample.kind} · {sample.category}"
        yield Tile(sample.rgb, [(sample.mask, TARGET_COLOUR)], sample.sentence, caption, note)


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--source", choices=READERS)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--side", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw_sheet(training(arguments), arguments.side, arguments.columns).save(arguments.output)


if __name__ == "__main__":
    main()
