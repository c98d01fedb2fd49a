r"""Write a fixed list of held-out sentences, in wordings that the training grammar does not produce.

    python -m benchmarks.heldout.make ../shared/data benchmarks/heldout/sentences.jsonl
    python -m benchmarks.heldout.make ../shared/data benchmarks/heldout/analysts.jsonl --wording analysts \
        --seed 41 --per-kind 145

What is said comes from the annotation of the images that are in no training split (`val` and `test`), as in training;
how it is said comes from the nouns, clauses and frames of `frames` or `analysts`, none of which `english.phrasing`
knows. Half of the sentences keep a noun that training uses, so that unknown words and unknown frames are measured
apart. Images that look like a training image are left out. A list is made once and committed;
`benchmarks/accuracy/heldout.py` measures with it. The second list has other words, since the sentence reader was
developed against the first.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.heldout.analysts import AnalystWording
from benchmarks.heldout.frames import FrameWording
from benchmarks.heldout.wording import Wording
from rs2sam.datasets.base import AnnotatedImage
from rs2sam.datasets.english.expressions import KINDS, descriptions
from rs2sam.datasets.english.phrasing import Description
from rs2sam.datasets.readers.sources import READERS

WORDINGS: dict[str, type[Wording]] = {"frames": FrameWording, "analysts": AnalystWording}
SOURCES = ("nwpu_vhr10", "dubai_landcover", "swimming_pools", "openaerialmap_buildings", "roads")
"""Those that there were when the lists were made; a set that came later changes neither of them."""
HASH_SIDE, NEAR_BITS = 16, 24
MAX_CLASS_SHARE = 0.2  # of a kind's sentences, about one class of one source: half of the images show pools


def picture_hash(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Signs of the horizontal differences of a small grey version: (HASH_SIDE^2,) bool."""
    grey = np.asarray(Image.fromarray(rgb).convert("L").resize((HASH_SIDE + 1, HASH_SIDE)), dtype=np.int16)
    return (grey[:, 1:] > grey[:, :-1]).ravel()


def without_doubles(images: list[AnnotatedImage]) -> tuple[list[AnnotatedImage], int]:
    """The held-out images that look like no training image, in any quarter turn, and how many were left out."""
    trained = np.array([picture_hash(image.pixels()) for image in images if image.split == "train"])
    kept, dropped = [], 0
    for image in images:
        if image.split == "train":
            continue
        turned = [picture_hash(np.ascontiguousarray(np.rot90(image.pixels(), k))) for k in range(4)]
        nearest = min(int((trained != own).sum(axis=1).min()) for own in turned)
        if nearest > NEAR_BITS:
            kept.append(image)
        dropped += nearest <= NEAR_BITS
    return kept, dropped


def chosen(
    images: list[AnnotatedImage], per_kind: int, rng: np.random.Generator, wording: Wording
) -> list[dict[str, Any]]:
    """Up to `per_kind` sentences of each kind, spread over classes and images."""
    pools: dict[str, dict[tuple[str, str], list[tuple[AnnotatedImage, Description]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for image in images:
        pixels = image.pixels()
        for kind in KINDS:
            for description in descriptions(image, kind, pixels):
                pools[kind][image.source, description.category].append((image, description))
    rows = []
    for kind in KINDS:
        uses: Counter[str] = Counter()
        groups = {key: [members[i] for i in rng.permutation(len(members))] for key, members in pools[kind].items()}
        taken, left = 0, dict.fromkeys(groups, round(MAX_CLASS_SHARE * per_kind))
        while taken < per_kind and any(groups[key] and left[key] for key in groups):
            for key in sorted(groups):
                if groups[key] and left[key] and taken < per_kind:
                    left[key] -= 1
                    groups[key].sort(key=lambda entry: uses[entry[0].id], reverse=True)
                    image, description = groups[key].pop()
                    uses[image.id] += 1
                    taken += 1
                    rows.append(
                        {
                            "id": f"{kind}-{taken:03d}",
                            "source": image.source,
                            "image": image.id,
                            "sentence": wording.sentence(description),
                            "kind": kind,
                            "category": description.category,
                            "targets": None if kind == "absent" else list(description.targets),
                            "is_region": description.is_region,
                        }
                    )
    return rows


def main() -> None:
    """Parse the command line and write the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of annotated imagery")
    parser.add_argument("output", type=Path, help="JSON Lines file to write")
    parser.add_argument("--per-kind", type=int, default=140)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--wording", choices=WORDINGS, default="frames")
    arguments = parser.parse_args()
    kept: list[AnnotatedImage] = []
    for name in SOURCES:
        own, dropped = without_doubles(READERS[name](arguments.data / name))
        print(f"{name}: {len(own)} held-out images, {dropped} left out because they look like a training image")
        kept += own
    rng = np.random.default_rng(arguments.seed)
    rows = chosen(kept, arguments.per_kind, rng, WORDINGS[arguments.wording](rng))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    partial = arguments.output.with_suffix(".partial")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(arguments.output)
    kinds = Counter(row["kind"] for row in rows)
    print(f"{len(rows)} sentences on {len({(r['source'], r['image']) for r in rows})} images: {dict(kinds)}")


if __name__ == "__main__":
    main()
