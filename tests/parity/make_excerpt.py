"""Write `tests/fixtures/parity_excerpt.npz`: what every stage of a tiny model makes, for where the goldens are missing.

Run it as `python -m tests.parity.make_excerpt` from the repository's root. It first checks the code against the goldens
(environment variable RS2SAM_GOLDEN, default ../shared/golden) and writes nothing if they differ, so the excerpt always
stands for a version of the code that equals the published model.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from rs2sam.training.objective.losses import rs2sam_loss
from tests.parity import reproducible
from tests.parity.golden import SAMPLES, TOLERANCE, as_stored, compared_stages, inputs_of, load_tiny
from tests.parity.stages import relative_l2, run_stages

EXCERPT = Path(__file__).resolve().parent.parent / "fixtures" / "parity_excerpt.npz"
KEPT_VALUES = 256
"""At most so many evenly spaced values of every stage are kept, and its length."""


def summary(value: Tensor) -> NDArray[np.float32]:
    """Evenly spaced values of a tensor, its length in front."""
    flat = value.detach().flatten()
    step = -(-flat.numel() // KEPT_VALUES)
    return torch.cat([flat.double().norm().float()[None], flat[::step]]).numpy()


def measure() -> dict[str, NDArray[np.float32]]:
    """Every stage with published and with masked padding, and the length of every gradient of the published loss."""
    measured = {}
    for padding in (False, True):
        model = reproducible.build(mask_fusion_padding=padding)
        stages = run_stages(model, reproducible.inputs())
        prefix = "masked" if padding else "published"
        measured.update({f"{prefix}.{name}": summary(value) for name, value in stages.items()})
        if not padding:
            rs2sam_loss(model(**reproducible.inputs()), reproducible.target()).total.backward()
            lengths = [
                float(p.grad.norm()) if p.grad is not None else -1.0 for _, p in sorted(model.named_parameters())
            ]
            measured["gradient_lengths"] = np.asarray(lengths, dtype=np.float32)
    return measured


def check_against_goldens(golden_dir: Path) -> None:
    """Raise if any stage differs from the published model."""
    goldens = load_file(golden_dir / "tiny" / "goldens.safetensors")
    model = load_tiny(golden_dir, mask_fusion_padding=False)
    for case in SAMPLES:
        with torch.no_grad():
            stages = run_stages(model, inputs_of(goldens, case))
        for stage, expected, name in compared_stages(goldens, case):
            error = relative_l2(as_stored(stages[stage], expected, name), expected)
            if error > TOLERANCE:
                raise SystemExit(f"{case}.{name} differs from the published model by {error:.1e}; nothing written.")


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    check_against_goldens(Path(os.environ.get("RS2SAM_GOLDEN", root / "../shared/golden")))
    EXCERPT.parent.mkdir(exist_ok=True)
    np.savez_compressed(EXCERPT, **measure())
