"""Run the tests that a base install can in environments of their own: `make test-pythons`, `make test-lowest`.

With `--lowest` on one Python, with the lowest versions that pyproject.toml allows; else on each Python that is here.
Only what an extra brings is left out (`pytest --installed`); FlatGeobuf's reader is installed, with which polygons are
compared.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from environments import CONSTRAINTS, ROOT, install, interpreters, make_environment
from lowest import lowest

SUPPORTED = (10, 11, 12, 13)
LOWEST_ON = (10, 11, 12)
"""Pythons for which the lowest versions have wheels, the first that is here is taken."""
EXTRAS = ("vector",)


def try_python(path: Path, folder: Path, constraints: Path, selection: list[str]) -> tuple[bool, str]:
    """Make an environment, install, run the tests; whether they passed, and their last line."""
    python = make_environment(folder, path)
    install(python, f"{ROOT}[{','.join(EXTRAS)}]", constraints=constraints)
    install(python, "pytest", "pytest-timeout", "hypothesis")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, "-m", "pytest", "--installed", "-p", "no:cacheprovider", *selection]
    running = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    last = ""
    for line in running.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    return running.wait() == 0, last


def main() -> None:
    """Try what is here, say what is not, and fail if one failed or none was there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="Where the environments go.")
    parser.add_argument("--lowest", action="store_true", help="One Python, the lowest versions.")
    arguments, selection = parser.parse_known_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    here = interpreters(LOWEST_ON if arguments.lowest else SUPPORTED)
    if not here:
        raise SystemExit(f"none of Python {', '.join(f'3.{minor}' for minor in SUPPORTED)} is here")
    outcomes = {}
    if arguments.lowest:
        minor = min(here)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("".join(f"{name}=={version}\n" for name, version in lowest(EXTRAS).items()))
            file.flush()
            outcomes[minor] = try_python(here[minor], folder / "lowest", Path(file.name), selection)
    else:
        for minor, path in here.items():
            outcomes[minor] = try_python(path, folder / f"3.{minor}", CONSTRAINTS, selection)
    print()
    for minor in SUPPORTED:
        if minor in outcomes:
            passed, last = outcomes[minor]
            print(f"Python 3.{minor}: {'passed' if passed else 'FAILED'}: {last}")
        elif not arguments.lowest:
            print(f"Python 3.{minor}: not on this machine")
    sys.exit(0 if all(passed for passed, _ in outcomes.values()) else 1)


if __name__ == "__main__":
    main()
