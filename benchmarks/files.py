"""Where the scripts of this folder write what they read, and the model that ships."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
COMPACT = ROOT / "src" / "rs2sam" / "weights" / "compact"


def write_json(values: Any, path: Path) -> None:
    """Write plain values so that a kill leaves the former file or this one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".draft-{path.name}")
    draft.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(draft, path)
