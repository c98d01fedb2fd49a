"""Known vulnerabilities of the pinned versions, by pip-audit in an environment of its own: `make audit`.

Exit code 1 where there is one. Where the advisory service is out of reach, a line says so, and nothing has failed: what
nobody can look up is no finding.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from environments import install, make_environment
from lowest import pins, requirements

_OUT_OF_REACH = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|Max retries|Name or service|HTTPError"
)

NOTHING = "the advisory service cannot be reached from here: nothing was audited"


def main() -> None:
    """Audit the pins of the base install and of `rs2sam[all]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    python = make_environment(folder / "environment")
    install(python, "pip-audit", constraints=None)
    direct = {name for name, _ in requirements(["all"])}
    (folder / "audit.json").unlink(missing_ok=True)
    listed = folder / "requirements.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in pins().items() if name in direct))
    report = folder / "audit.json"
    command = [python, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "-r", listed]
    done = subprocess.run([*command, "-f", "json", "-o", report], check=False, capture_output=True, text=True)
    if done.returncode and not report.is_file():
        if not _OUT_OF_REACH.search(done.stderr):
            raise SystemExit(done.stderr)
        print(NOTHING)
        return
    packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    # A mirror of packages alone knows no advisories, and answers as if it had never heard of a package.
    looked_up = [package for package in packages if "skip_reason" not in package]
    if not looked_up:
        print(NOTHING)
        return
    found = [(package, flaw) for package in looked_up for flaw in package["vulns"]]
    for package, flaw in found:
        mended = ", ".join(flaw["fix_versions"]) or "none"
        print(f"{package['name']} {package['version']}: {flaw['id']}, mended in {mended}")
    print(f"{len(looked_up)} of {len(packages)} packages were looked up, {len(found)} known vulnerabilities")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
