"""Fetch what the page of `rs2sam serve` uses of others into the package: `python tools/vendor_page.py`.

Needs npm. The files are part of the repository, so that installing and using the page needs neither npm nor network;
this is run to move to another version. What npm delivers is compared with the checksum below before a file is replaced.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "src" / "rs2sam" / "serve" / "page" / "vendor"
PACKAGE = "maplibre-gl"
VERSION = "6.17.0"
SHA512 = "2chIZwpLGenoUQOcnm9Pk4SLbA8ppNFq8jlpXiq9vcYm3Y1wJ3fc82FL0GLwBaPYJCLzPv/mC46KEupVov75rQ=="
FILES = {
    "package/dist/maplibre-gl.mjs": "maplibre-gl.mjs",
    "package/dist/maplibre-gl-worker.mjs": "maplibre-gl-worker.mjs",
    "package/dist/maplibre-gl.css": "maplibre-gl.css",
    "package/LICENSE.txt": "maplibre-gl-LICENSE.txt",
}


def main() -> None:
    """Replace the files of the folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        archive = Path(folder) / f"{PACKAGE}-{VERSION}.tgz"
        found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if found != SHA512:
            raise SystemExit(f"{archive.name} must have the SHA-512 {SHA512}, but has {found}. Check the version.")
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as members:
            for name, written in FILES.items():
                member = members.extractfile(name)
                if member is None:
                    raise SystemExit(f"{archive.name} has no {name}. Check the version.")
                # Source maps are not shipped, so nothing should ask for them.
                text = member.read().decode("utf-8").split("\n//# sourceMappingURL=")[0]
                (FOLDER / written).write_text(text, encoding="utf-8")
    total = sum((FOLDER / name).stat().st_size for name in FILES.values())
    print(f"{PACKAGE} {VERSION}: {len(FILES)} files, {total / 1e6:.1f} MB in {FOLDER}")


if __name__ == "__main__":
    main()
