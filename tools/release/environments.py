"""Empty environments in which a release is tried: made, filled, and run without anything of the source tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = ROOT / "constraints.txt"


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Run a command without this process's Python paths, and give what it says.

    Raises:
        SystemExit: it failed; with its last lines.
    """
    print(f"$ {' '.join(str(word) for word in command)}", flush=True)
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=env, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise SystemExit(f"{tail}\nexit code {done.returncode}: {' '.join(str(word) for word in command)}")
    return done.stdout


def make_environment(folder: Path, python: Path | str = sys.executable) -> Path:
    """An empty environment in a new folder; the path of its interpreter."""
    if folder.exists():
        shutil.rmtree(folder)
    run([python, "-m", "venv", folder], cwd=ROOT)
    return folder / "bin" / "python"


def install(python: Path, *what: str | Path, constraints: Path | None = CONSTRAINTS) -> None:
    """Install packages with the environment's own pip."""
    limits = [] if constraints is None else ["-c", constraints]
    run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *limits, *what], cwd=ROOT)


def package_version() -> str:
    """The version, from the one place where it stands."""
    text = (ROOT / "src" / "rs2sam" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.+)"', text, re.MULTILINE)
    if match is None:
        raise SystemExit("src/rs2sam/__init__.py has no __version__")
    return match[1]


def interpreters(minors: Sequence[int]) -> dict[int, Path]:
    """Interpreters of Python 3 on this machine by their minor version: on the path, or where pyenv and uv keep them."""
    found = {}
    for minor in minors:
        named = shutil.which(f"python3.{minor}")
        kept = [Path.home() / ".pyenv" / "versions", Path.home() / ".local" / "share" / "uv" / "python"]
        others = [path for folder in kept for path in sorted(folder.glob(f"*3.{minor}.*/bin/python3"), reverse=True)]
        for path in [*([Path(named)] if named else []), *others]:
            # A name on the path may be a shim that starts nothing.
            code = "import sys, venv, ssl; print(sys.version_info[1])"
            done = subprocess.run([path, "-c", code], check=False, capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.strip() == str(minor):
                found[minor] = path
                break
    return found
