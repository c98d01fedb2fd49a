"""How equal the model is to the published one, stage by stage, on the reference numbers of the tiny model.

    python -m benchmarks.accuracy.parity [GOLDEN]      # default: RS2SAM_GOLDEN, else ../shared/golden

Relative L2 differences in float32, of every stage that tests/parity compares, of the loss and of every gradient.
Prints a table and writes benchmarks/results/parity.json.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.files import RESULTS, ROOT, write_json
from rs2sam.benchmarking.machine import describe_machine
from rs2sam.models.weights.key_map import KeyMap
from rs2sam.training.objective.losses import rs2sam_loss
from tests.parity.golden import SAMPLES, TOLERANCE, as_stored, compared_stages, inputs_of, load_tiny, loss_targets
from tests.parity.stages import relative_l2, run_stages


def stage_differences(golden: Path, goldens: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """Golden stage -> case -> relative L2 difference, the published attention to padding switched on."""
    model = load_tiny(golden, mask_fusion_padding=False)
    found: dict[str, dict[str, float]] = {}
    for case in SAMPLES:
        with torch.no_grad():
            stages = run_stages(model, inputs_of(goldens, case))
        for stage, expected, name in compared_stages(goldens, case):
            found.setdefault(name, {})[case] = relative_l2(as_stored(stages[stage], expected, name), expected)
    return found


def padding_differences(golden: Path, goldens: dict[str, Tensor]) -> dict[str, float]:
    """With masked padding: each sample of the padded batch against the same sample alone."""
    model = load_tiny(golden, mask_fusion_padding=True)
    with torch.no_grad():
        logits = model(**inputs_of(goldens, "pad2")).low_res_logits
    return {f"sample{i}": relative_l2(logits[i], goldens[f"single{i}.low_res_logits"][0]) for i in (0, 1)}


def loss_differences(golden: Path, goldens: dict[str, Tensor], case: str) -> dict[str, float]:
    """Loss terms, relative, and the worst gradient's length at the scale of that length.

    Gradients shorter than a thousandth of the longest are measured against that: key biases of a softmax have none but
    rounding.
    """
    reference = json.loads((golden / "tiny" / "loss_and_grads.json").read_text(encoding="utf-8"))[case]
    model = load_tiny(golden, mask_fusion_padding=False)
    loss = rs2sam_loss(model(**inputs_of(goldens, case)), loss_targets()[SAMPLES[case]])
    loss.total.backward()
    values, names = loss.values(), {"total": "total", "ce": "cross_entropy", "dice": "dice", "boundary": "boundary"}
    found = {own: abs(values[own] / reference[published] - 1) for published, own in names.items()}
    key_map = KeyMap(sum(model.config.trunk_blocks))
    lengths = {key_map.own(name): numbers[0] for name, numbers in reference["grad_l2_sum_first3"].items()}
    floor = 1e-3 * max(lengths.values())
    errors = [
        abs(float(parameter.grad.double().norm()) - lengths[name]) / max(lengths[name], floor)
        for name, parameter in model.named_parameters()
        if name in lengths and parameter.grad is not None
    ]
    return {**found, "gradients": max(errors), "gradients_compared": len(errors)}


def table(stages: dict[str, dict[str, float]]) -> str:
    """Stages by cases in Markdown."""
    lines = [f"| stage | {' | '.join(SAMPLES)} |", "|---|" + "---|" * len(SAMPLES)]
    for name, row in stages.items():
        cells = (f"{row[case]:.1e}" if case in row else "" for case in SAMPLES)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("RS2SAM_GOLDEN", str(ROOT / "../shared/golden"))
    parser.add_argument("golden", type=Path, nargs="?", default=Path(default))
    parser.add_argument("--out", type=Path, default=RESULTS / "parity.json")
    arguments = parser.parse_args()
    goldens = load_file(arguments.golden / "tiny" / "goldens.safetensors")
    stages = stage_differences(arguments.golden, goldens)
    worst = max((error, f"{case}.{name}") for name, row in stages.items() for case, error in row.items())
    results: dict[str, Any] = {
        "machine": describe_machine(),
        "tolerance": TOLERANCE,
        "worst": {"stage": worst[1], "relative_l2": worst[0]},
        "num_compared": sum(map(len, stages.values())),
        "stages": stages,
        "masked_padding": padding_differences(arguments.golden, goldens),
        "loss": {case: loss_differences(arguments.golden, goldens, case) for case in ("single1", "pad2")},
    }
    print(table(stages))
    print(f"worst of {results['num_compared']}: {worst[1]} {worst[0]:.1e}")
    print(json.dumps({name: results[name] for name in ("masked_padding", "loss")}, indent=2))
    write_json(results, arguments.out)
    raise SystemExit(worst[0] > TOLERANCE)


if __name__ == "__main__":
    main()
