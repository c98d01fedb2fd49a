"""The lowest versions that pyproject.toml allows, as constraints for pip: `lowest.py [EXTRA ...]`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[(?P<extras>[^\]]*)\])?(?P<bounds>[^;]*)(;.*)?")
_LOWER = re.compile(r"(?:>=|==|~=)\s*([0-9][^,\s]*)")


def requirements(extras: Sequence[str] = (), project: Path = Path(__file__).parents[2]) -> Iterator[tuple[str, str]]:
    """Canonical name and bounds of all direct requirements of the base install and of extras, included ones too.

    Args:
        extras: names of extras.
        project: folder of pyproject.toml.

    Raises:
        SystemExit: there is no extra of a name.
    """
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pending = list(table["dependencies"])
    waiting = list(extras)
    seen: set[str] = set()
    while waiting or pending:
        if not pending:
            extra = waiting.pop()
            if extra not in table["optional-dependencies"]:
                raise SystemExit(f"pyproject.toml has no extra {extra!r}")
            pending += [] if extra in seen else table["optional-dependencies"][extra]
            seen.add(extra)
            continue
        match = _REQUIREMENT.fullmatch(pending.pop(0).strip())
        assert match is not None
        if match["name"] == table["name"]:
            waiting += match["extras"].split(",")
        else:
            yield canonical(match["name"]), match["bounds"].strip()


def canonical(name: str) -> str:
    """A package's name as all its spellings are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(constraints: Path = Path(__file__).parents[2] / "constraints.txt") -> dict[str, str]:
    """Versions of constraints.txt by canonical name."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    found = [line.partition(";")[0].strip().partition("==") for line in lines if line and not line.startswith("#")]
    return {canonical(name): version for name, _, version in found}


def lowest(extras: Sequence[str] = ()) -> dict[str, str]:
    """Lowest version by name; where a name has several bounds, the highest of them; none for what has no bound."""
    found: dict[str, str] = {}
    for name, bounds in requirements(extras):
        match = _LOWER.search(bounds)
        if match and (name not in found or _numbers(match[1]) > _numbers(found[name])):
            found[name] = match[1]
    return found


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


if __name__ == "__main__":
    for name, version in sorted(lowest(sys.argv[1:]).items()):
        print(f"{name}=={version}")
