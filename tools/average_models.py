"""Average the weights of models that were trained one from the other.

    python tools/average_models.py runs/a/model runs/b/model -o runs/average

Of two states of one training the mean is often the better model, since each has left the middle of the valley in a
direction of its own. Everything but the weights is copied from the first folder.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from rs2sam.models.weights.writing import follow_umask

WEIGHTS = "model.safetensors"


def average(folders: Sequence[Path], target: Path) -> None:
    """Write the mean of the models in `folders`; they must have the same tensors."""
    models = [load_file(folder / WEIGHTS) for folder in folders]
    shapes = [{name: tensor.shape for name, tensor in model.items()} for model in models]
    if any(other != shapes[0] for other in shapes):
        raise SystemExit("The models must have tensors of the same names and shapes. Give states of one training.")
    mean = {
        name: torch.stack([model[name].double() for model in models]).mean(0).to(first.dtype)
        for name, first in models[0].items()
    }
    shutil.copytree(folders[0], target)
    save_file(mean, target / WEIGHTS, metadata={"format": "pt"})
    follow_umask(target)


def main() -> None:
    """Reads the folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder that does not exist yet")
    arguments = parser.parse_args()
    average(arguments.models, arguments.out)


if __name__ == "__main__":
    main()
