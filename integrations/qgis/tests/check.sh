#!/usr/bin/env bash
# The plugin in a real QGIS: the zip is installed into a profile of its own, its algorithms run on real GeoTIFFs, and the
# dock is used in QGIS's window.
#   check.sh RS2SAM DATA OUT      RS2SAM: the program, DATA: shared imagery, OUT: gets screenshots and logs
# QGIS is taken from apt where it is missing and that is allowed; otherwise this says so and ends with 0.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$here/../../.."
program="$1" data="$2" out="$3"

if ! command -v qgis_process.bin >/dev/null || ! command -v xvfb-run >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "skipped: QGIS and Xvfb are not here, and apt-get is not at hand. Install the packages qgis, python3-qgis, xvfb."
        exit 0
    fi
    apt-get update -qq || true
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qgis python3-qgis xvfb >/dev/null; then
        echo "skipped: apt-get cannot install QGIS here."
        exit 0
    fi
fi
if [ ! -d "$data/geotiff" ]; then
    echo "skipped: there is no imagery at $data/geotiff. Name the folder: make test-qgis DATA=DIR"
    exit 0
fi

mkdir -p "$out"
out="$(cd "$out" && pwd)"
profiles="$(mktemp -d)"
trap 'if [ -n "${server:-}" ]; then kill "$server"; wait "$server" || true; fi; rm -rf "$profiles"' EXIT
plugins="$profiles/profiles/default/python/plugins"
mkdir -p "$plugins"
# As the plugin manager does it.
/usr/bin/python3 - "$(/usr/bin/python3 "$root/tools/qgis_zip.py" "$out")" "$plugins" <<'PYTHON'
import sys, zipfile
zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])
PYTHON
mkdir -p "$profiles/profiles/default/QGIS"
cat > "$profiles/profiles/default/QGIS/QGIS3.ini" <<INI
[PythonPlugins]
rs2sam_qgis=true

[rs2sam]
program=$program
INI

# Nothing of another environment may reach QGIS's Python.
unset PYTHONPATH PYTHONHOME
export QGIS_CUSTOM_CONFIG_PATH="$profiles" QGIS_PLUGINS="$plugins" RS2SAM="$program" RS2SAM_DATA="$data" OUT="$out"
export XDG_RUNTIME_DIR="$profiles/runtime" XDG_CONFIG_HOME="$profiles/config" GDAL_PAM_ENABLED=NO
mkdir -m 700 "$XDG_RUNTIME_DIR"
if "$program" serve --help >/dev/null 2>&1; then
    port="$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
    "$program" serve --port "$port" --data "$profiles/served" > "$out/serve.log" 2>&1 &
    server=$!
    export RS2SAM_SERVER="http://127.0.0.1:$port"
    /usr/bin/python3 - "$RS2SAM_SERVER/readyz" <<'PYTHON'
import sys, time, urllib.request
for _ in range(120):
    try:
        urllib.request.urlopen(sys.argv[1])
        break
    except OSError:
        time.sleep(0.5)
else:
    sys.exit("the server does not start")
PYTHON
else
    echo "this rs2sam has no server (rs2sam[serve]): what is asked over it is not tested"
fi
if [ -z "${DOCK_ONLY:-}" ]; then
    QT_QPA_PLATFORM=offscreen /usr/bin/python3 -W ignore -X faulthandler -m unittest discover -v -s "$here" -p "test_*.py" ${TEST_ONLY:+-k "$TEST_ONLY"}
fi
timeout --foreground 300 xvfb-run -a -s "-screen 0 1400x900x24" qgis.bin --profiles-path "$profiles" --noversioncheck --nologo \
    --code "$here/dock_in_qgis.py" > "$out/dock.log" 2>&1 || { cat "$out/dock.log"; exit 1; }
grep "^dock:" "$out/dock.log"
