"""Put trained weights into the package: half precision, ONNX graph beside them.

    python tools/ship_compact.py runs/compact-512/model src/rs2sam/weights/compact

The model card `README.md` of the target stays as it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch

from rs2sam.export.onnx_export import export_onnx
from rs2sam.models import RS2SamModel
from rs2sam.processing import Processor

FILES = ("config.json", "model.safetensors", "model.onnx")


def ship(source: Path, target: Path) -> None:
    """Writes the model's files into `target`, all or none of them changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        RS2SamModel.from_pretrained(source, dtype=torch.float16).save_pretrained(folder)
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
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    ship(arguments.source, arguments.target)


if __name__ == "__main__":
    main()
