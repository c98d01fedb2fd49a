"""Pack the QGIS plugin as QGIS's plugin manager takes it: `python tools/qgis_zip.py dist [--repository URL]`.

The version is the package's. plugins.qgis.org wants the address of the repository too, which the source does not know.
"""

from __future__ import annotations

import argparse
import configparser
import io
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "integrations" / "qgis" / "rs2sam_qgis"
_SUFFIXES = {".py", ".txt", ".svg"}
_DATE = (1980, 1, 1, 0, 0, 0)  # the same files give the same zip


def pack(folder: Path, repository: str | None = None) -> Path:
    """Write `rs2sam_qgis-VERSION.zip` into a folder."""
    source = ROOT / "src" / "rs2sam" / "__init__.py"
    match = re.search(r'^__version__ = "(.+)"', source.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise SystemExit(f"{source} has no version")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{PLUGIN.name}-{match[1]}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(PLUGIN.rglob("*")):
            if file.suffix in _SUFFIXES and file.name != "metadata.txt":
                _add(archive, str(file.relative_to(PLUGIN.parent)), file.read_bytes())
        for name, content in translations().items():
            _add(archive, f"{PLUGIN.name}/i18n/{name}", content)
        _add(archive, f"{PLUGIN.name}/metadata.txt", metadata(match[1], repository).encode())
        _add(archive, f"{PLUGIN.name}/LICENSE", (ROOT / "LICENSE").read_bytes())
    return path


def translations() -> dict[str, bytes]:
    """The compiled translations by name; none, with a word about it, where Qt's compiler is not at hand."""
    compiler = shutil.which("lrelease") or shutil.which("lrelease", path="/usr/lib/qt5/bin:/usr/lib/qt6/bin")
    if compiler is None:
        print("no lrelease (apt: qttools5-dev-tools): the plugin will speak English alone", file=sys.stderr)
        return {}
    compiled = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted((PLUGIN / "i18n").glob("*.ts")):
            target = Path(folder) / f"{source.stem}.qm"
            subprocess.run([compiler, "-silent", source, "-qm", target], check=True)
            compiled[target.name] = target.read_bytes()
    return compiled


def metadata(version: str, repository: str | None) -> str:
    """The plugin's description with what is known only now."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign] - keys keep their capitals
    parser.read(PLUGIN / "metadata.txt", encoding="utf-8")
    parser["general"]["version"] = version
    if repository:
        parser["general"].update(homepage=repository, repository=repository, tracker=f"{repository}/issues")
    text = io.StringIO()
    parser.write(text, space_around_delimiters=False)
    return text.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name.replace("\\", "/"), _DATE), content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repository", metavar="URL")
    arguments = parser.parse_args()
    print(pack(arguments.folder, arguments.repository))
