"""Draw a sheet of samples to look at: image, target and sentence.

    python tools/contact_sheet.py ../shared/data sheet.png --source nwpu_vhr10 --kind relation --count 24
    python tools/contact_sheet.py ../shared/data sheet.png --evaluation test

Without `--evaluation` the samples are those of training: augmented crops.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rs2sam.datasets.base import Mask, Pixels
from rs2sam.datasets.expressions import KIND_WEIGHTS, KINDS
from rs2sam.datasets.mixture import ReferringMixture, evaluation_samples, of_split
from rs2sam.datasets.sources import READERS

TEXT_HEIGHT = 44
FONT = ImageFont.load_default(13)


def tile(rgb: Pixels, mask: Mask, title: str, side: int) -> Image.Image:
    """Draw one sample: the image left, the target over it right, the sentence below."""
    red = rgb.copy()
    red[mask] = (0.45 * rgb[mask] + 0.55 * np.array([255, 30, 30])).astype(np.uint8)
    canvas = Image.new("RGB", (2 * side, side + TEXT_HEIGHT), "white")
    canvas.paste(Image.fromarray(rgb).resize((side, side)), (0, 0))
    canvas.paste(Image.fromarray(red).resize((side, side)), (side, 0))
    text = "\n".join(textwrap.wrap(title, 2 * side // 7)[:3])
    ImageDraw.Draw(canvas).multiline_text((3, side + 1), text, fill="black", font=FONT, spacing=1)
    return canvas


def training(arguments: argparse.Namespace) -> Iterator[tuple[Pixels, Mask, str]]:
    """Yield samples of the training mixture."""
    names = [arguments.source] if arguments.source else list(READERS)
    sources = of_split({name: READERS[name](arguments.root / name) for name in names}, "train")
    kinds = {arguments.kind: 1.0} if arguments.kind else KIND_WEIGHTS
    mixture = ReferringMixture(sources, dict.fromkeys(sources, 1.0), 320, arguments.seed, kind_weights=kinds)
    for index in range(arguments.count):
        sample = mixture.sample(index)
        yield sample.rgb, sample.mask, f"{sample.kind} | {sample.sentence}"


def evaluation(arguments: argparse.Namespace) -> Iterator[tuple[Pixels, Mask, str]]:
    """Yield samples of the evaluation list."""
    names = [arguments.source] if arguments.source else list(READERS)
    sources = {name: READERS[name](arguments.root / name) for name in names}
    samples = evaluation_samples(sources, arguments.evaluation, arguments.seed)
    samples = [s for s in samples if arguments.kind in (None, s.kind)]
    for sample in samples[:: max(len(samples) // arguments.count, 1)][: arguments.count]:
        rgb = sample.pixels()
        yield rgb, sample.target((rgb.shape[0], rgb.shape[1])), f"{sample.kind} | {sample.sentence} | {sample.id}"


def main() -> None:
    """Parse the command line and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--source", choices=READERS)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--evaluation", choices=("val", "test"))
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--side", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    samples = (evaluation if arguments.evaluation else training)(arguments)
    tiles = [tile(rgb, mask, title, arguments.side) for rgb, mask, title in samples]
    width, height = 2 * arguments.side, arguments.side + TEXT_HEIGHT
    rows = -(-len(tiles) // arguments.columns)
    sheet = Image.new("RGB", (arguments.columns * width, rows * height), "white")
    for i, drawn in enumerate(tiles):
        sheet.paste(drawn, (i % arguments.columns * width, i // arguments.columns * height))
    sheet.save(arguments.output)


if __name__ == "__main__":
    main()
