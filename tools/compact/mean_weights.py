"""Write the mean of the weights of two stages of one run of training, which often does better than either.

    python tools/compact/mean_weights.py runs/compact-words/model runs/compact-last/model out/mean

Norms must be folded in both or in neither; the processor is that of the first.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from rs2sam.models.weights.loading import load_encode_once
from rs2sam.processing import Processor


def main() -> None:
    """Reads two model folders, writes a third."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, help="model folder")
    parser.add_argument("second", type=Path, help="model folder of the same sizes")
    parser.add_argument("target", type=Path, help="model folder to write, in float32")
    arguments = parser.parse_args()
    model, other = (load_encode_once(folder, torch.float32) for folder in (arguments.first, arguments.second))
    if model.config.folded != other.config.folded:
        parser.error("the norms of one are folded: tools/compact/unfold_norms.py makes norms of them again")
    added = other.state_dict()
    mean = {name: (value + added[name]) / 2 for name, value in model.state_dict().items()}
    model.load_state_dict(mean)
    model.save_pretrained(arguments.target)
    Processor.from_folder(arguments.first).save(arguments.target)


if __name__ == "__main__":
    main()
