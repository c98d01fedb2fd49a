"""Put trained weights into the package: norms folded, half precision, both ONNX graphs beside them.

    python tools/compact/ship_compact.py runs/compact-512/model src/rs2sam/weights/compact

The target keeps its model card and its `preprocessor_config.json` (classes, least presence, calibration): those values
are chosen for the weights, and `benchmarks.accuracy.calibration` finds the last of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch

from rs2sam.export.onnx_export import export_onnx
from rs2sam.models.weights.loading import load_encode_once
from rs2sam.processing import Processor

FILES = ("config.json", "model.safetensors", "image.onnx", "sentence.onnx")


def ship(source: Path, target: Path) -> None:
    """Writes the model's files into `target`; nothing there changes before all are made and the graphs equal torch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = load_encode_once(source, torch.float32)
        if not model.config.folded:
            model.fold()
        model.half().save_pretrained(folder)
        Processor.from_folder(target).save(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config.pop("_name_or_path", None)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        export_onnx(folder)
        for file in FILES:
            shutil.move(folder / file, target / file)


def main() -> None:
    """Reads the two folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="model folder of a run, of a model that encodes an image once")
    parser.add_argument("target", type=Path, help="model folder whose weights and graphs are replaced")
    arguments = parser.parse_args()
    ship(arguments.source, arguments.target)


if __name__ == "__main__":
    main()
