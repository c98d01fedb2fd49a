"""Names of what is taught as sailors, pilots, planners, farmers and estate agents say them: `trade_nouns.tsv`.

A model that met each thing by a few names finds nothing by the others. Kinds of a thing are among them ("catamaran"),
parts that stand for it from above ("rooftop"), and what describes it ("round metal container").
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rs2sam.datasets.english.nouns import Noun

_FILE = Path(__file__).with_name("trade_nouns.tsv")


@cache
def trade_nouns() -> dict[str, tuple[Noun, ...]]:
    """Category -> further names of it, all of one weight, which sum to 1."""
    rows = [line.split("\t") for line in _FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    pairs: dict[str, list[tuple[str, str]]] = {}
    for category, singular, plural in rows:
        pairs.setdefault(category, []).append((singular, plural))
    return {
        category: tuple(Noun(singular, plural, 1 / len(found)) for singular, plural in found)
        for category, found in pairs.items()
    }
