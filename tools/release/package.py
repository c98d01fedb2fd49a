"""Build the source archive and the wheel, check them, and run what they install: `make package`.

Each is installed into an empty environment outside of the source tree and has to find the storage tanks of the demo
scene. What passes lies in the folder afterwards; what does not leaves it as it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path

from environments import ROOT, install, make_environment, package_version, run

# Of the repository, what a source archive does without.
_NOT_IN_SDIST = (".ci/", ".gitignore", ".dockerignore")

_LOOK = """
import json, pathlib, sys
import rasterio, rs2sam
with rasterio.open("out/scene_mask.tif") as mask:
    found = int((mask.read(1) == 1).sum())
    print(json.dumps({"pixels": found, "crs": str(mask.crs), "package": str(pathlib.Path(rs2sam.__file__).parent)}))
"""


def build(folder: Path) -> tuple[Path, Path]:
    """Source archive and wheel, the wheel made of the archive alone."""
    run([sys.executable, "-m", "build", "--outdir", folder, ROOT], cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def check(sdist: Path, wheel: Path) -> None:
    """Look into both without installing them.

    Raises:
        SystemExit: a file is missing or too many, or the metadata are wrong.
    """
    run([sys.executable, "-m", "twine", "check", "--strict", sdist, wheel], cwd=sdist.parent)
    # W002, files twice: the licence of what is vendored lies beside it and among the licences.
    run([sys.executable, "-m", "check_wheel_contents", "--ignore", "W002", wheel], cwd=sdist.parent)
    version = package_version()
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("rs2sam/")}
        metadata = Parser().parsestr(archive.read(f"rs2sam-{version}.dist-info/METADATA").decode())
    source = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "rs2sam").rglob("*") if path.is_file()}
    wanted = {name for name in source if "__pycache__" not in name}
    _equal("the wheel", names, wanted)
    if metadata["Version"] != version:
        raise SystemExit(f"the wheel says version {metadata['Version']}, the source {version}")
    if not (ROOT / ".git").exists():
        print("no repository: the files of the source archive are not compared")
        return
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    tracked = run(["git", "ls-files", "-z"], cwd=ROOT).split("\0")
    _lacks("the source archive", held, {name for name in tracked if name and not name.startswith(_NOT_IN_SDIST)})


def _equal(what: str, held: set[str], wanted: set[str]) -> None:
    _lacks(what, held, wanted)
    if held - wanted:
        raise SystemExit(f"{what} holds {', '.join(sorted(held - wanted)[:10])}, which the source does not")


def _lacks(what: str, held: set[str], wanted: set[str]) -> None:
    if wanted - held:
        raise SystemExit(f"{what} lacks {', '.join(sorted(wanted - held)[:10])}")


def try_it(python: Path, folder: Path) -> None:
    """Run the installed command as a user would, in a new folder.

    Raises:
        SystemExit: it fails, is of another version or place, or finds nothing.
    """
    folder.mkdir()
    command = python.parent / "rs2sam"
    run([python, "-m", "pip", "check", "--disable-pip-version-check"], cwd=folder)
    said = run([command, "--version"], cwd=folder).strip()
    if said != f"rs2sam, version {package_version()}":
        raise SystemExit(f"`rs2sam --version` says {said!r}")
    if "compact" not in run([command, "models"], cwd=folder):
        raise SystemExit("`rs2sam models` does not list the model that ships")
    run([command, "demo-scene", "scene.tif"], cwd=folder)
    run([command, "segment", "scene.tif", "the storage tanks", "-o", "out", "--threads", "1"], cwd=folder)
    seen = json.loads(run([python, "-c", _LOOK], cwd=folder))
    told = json.loads((folder / "out" / "scene_result.json").read_text())["sentences"][0]
    if not told["pixels"] or told["pixels"] != seen["pixels"] or not told["polygons"] or seen["crs"] == "None":
        raise SystemExit(f"the result is not what it should be: told {told}, seen {seen}")
    if not Path(seen["package"]).is_relative_to(python.parents[1]):
        raise SystemExit(f"the package that ran lies in {seen['package']}, outside of the environment")
    print(f"found {seen['pixels']} pixels of tanks in {told['polygons']} polygons")


def main() -> None:
    """Build, check, install, run; keep what passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="Where sdist and wheel go.")
    folder = parser.parse_args().folder.resolve()
    with tempfile.TemporaryDirectory(prefix="rs2sam-package-") as place:
        built, environment = Path(place) / "built", Path(place) / "environment"
        built.mkdir()
        sdist, wheel = build(built)
        check(sdist, wheel)
        python = make_environment(environment)
        install(python, wheel)
        try_it(python, Path(place) / "of-wheel")
        # What both need stays; that the archive asks for no more and no less is part of what pip checks.
        run([python, "-m", "pip", "uninstall", "-q", "-y", "rs2sam"], cwd=environment)
        if subprocess.run([python, "-c", "import rs2sam"], cwd=environment, capture_output=True).returncode == 0:
            raise SystemExit("rs2sam is still there after it was uninstalled")
        install(python, sdist)
        try_it(python, Path(place) / "of-sdist")
        folder.mkdir(parents=True, exist_ok=True)
        for path in (sdist, wheel):
            shutil.copy2(path, folder / path.name)
            print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, checked, installed and run")


if __name__ == "__main__":
    main()
