# make demo          a sentence on a georeferenced aerial scene, with the model that ships, offline
# make demo IMAGE=your.tif SENTENCE="the swimming pools"     the same on your own image
# make test          the tests (CPU, no network), in minutes together
# make test-slow     a minute each: a training killed at many moments, FSDP, Ray, exports
# make test-long     many minutes each, before a release: a training killed at every kind of moment, compiled models
# make coverage      how much of src/rs2sam the default tests run: report in out/coverage, fails below 90 % of lines, 85 % of branches
# make mutation      do the tests notice changes of metrics, losses, tiling and language? benchmarks/results/mutation.json
# make test-browser  the page of `rs2sam serve` in headless Chromium, in two minutes (apt: chromium chromium-driver)
# make test-api      the service's OpenAPI description, tried by Schemathesis with ids that are known
# make real-images   `rs2sam segment` on real files of $(DATA), outputs checked with GIS readers
# make fuzz          tries $(FUZZ_INPUTS) made-up inputs; FUZZ_AREA=images, FUZZ_SEED=2, FUZZ_CASE=4711 (that one again)
# make docs          the site of the docs into site/, strictly
# make qgis-zip      the QGIS plugin as its plugin manager takes it, in dist/
# make test-qgis     the plugin in a real QGIS on real files of $(DATA); takes QGIS from apt where it is missing (1.2 GB)
# make package       sdist and wheel into dist/: checked, installed into an empty environment and run
# make test-pythons  tests of the base install on each Python from 3.10 to 3.13 that is here; SELECTION="tests/raster"
# make test-lowest   the same with the lowest versions that pyproject.toml allows
# make licenses      docs/licenses.md; fails on a licence that is not allowed
# make audit         known vulnerabilities of what is installed, where the advisory service is reached
# make lint          formatter, linter, type checker

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
OUT    ?= out/demo
DATA   ?= ../shared/data
SENTENCE ?= the storage tanks

FUZZ_INPUTS ?= 20000
FUZZ_SEED   ?= 1

.PHONY: demo test test-slow test-long coverage mutation test-browser test-api real-images fuzz docs qgis-zip test-qgis package test-pythons test-lowest \
	licenses audit lint clean
.DELETE_ON_ERROR:

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# The stamps make a second run quick and rerun the installation when its inputs change.
$(VENV)/.base: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -q -c constraints.txt -e .
	touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) install -q -c constraints.txt "$$(grep -E '^torch==' constraints.txt)"
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.base
ifdef IMAGE
	$(BIN)/rs2sam segment "$(IMAGE)" "$(SENTENCE)" -o "$(OUT)" --overwrite
else
	mkdir -p "$(OUT)"
	$(BIN)/rs2sam demo-scene "$(OUT)/scene.tif" --overwrite
	$(BIN)/rs2sam segment "$(OUT)/scene.tif" "$(SENTENCE)" -o "$(OUT)" --overwrite
endif

# One process a core, at most four: each makes the models that its files share. One core: no further process.
WORKERS ?= $(shell $(PYTHON) -c 'import os; n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1; print(min(n, 4) if n > 1 else 0)')

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m "slow and not long" --timeout 900

test-long: $(VENV)/.dev
	$(BIN)/python -m pytest -m long --timeout 1800

coverage: $(VENV)/.dev
	rm -rf out/coverage
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet -d out/coverage/html
	$(BIN)/coverage json --quiet -o out/coverage/coverage.json
	$(BIN)/python tools/release/coverage_limits.py out/coverage/coverage.json

mutation: $(VENV)/.dev
	$(PIP) install -q -c constraints.txt -e '.[mutation]'
	OMP_NUM_THREADS=1 $(BIN)/python tools/mutation/measure.py benchmarks/results/mutation.json

# axe-core judges accessibility; without npm that test is skipped, and says so.
AXE := 4.14.1
out/axe-core/axe.min.js:
	mkdir -p $(@D)
	cd $(@D) && npm pack --silent axe-core@$(AXE) >/dev/null && tar xzf axe-core-$(AXE).tgz --strip-components 1 package/axe.min.js

test-browser: $(VENV)/.dev
	$(PIP) install -q -c constraints.txt -e '.[browser]'
	-command -v npm >/dev/null && $(MAKE) out/axe-core/axe.min.js
	$(BIN)/python -m pytest -m browser

test-api: $(VENV)/.dev
	$(PIP) install -q -c constraints.txt -e '.[api]'
	$(BIN)/python -m pytest -m slow tests/serve/test_description.py --timeout 900

real-images: $(VENV)/.dev
	$(BIN)/python tools/check_real_images.py "$(DATA)" out/real

fuzz: $(VENV)/.dev
	$(BIN)/python -m fuzz --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED) $(if $(FUZZ_AREA),--area $(FUZZ_AREA)) \
		$(if $(FUZZ_CASE),--case $(FUZZ_CASE) --keep out/fuzz)

$(VENV)/.docs: $(VENV)/.base
	$(PIP) install -q -c constraints.txt -e '.[docs]'
	touch $@

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict --quiet

qgis-zip:
	$(PYTHON) tools/qgis_zip.py dist $(if $(REPOSITORY),--repository "$(REPOSITORY)")

test-qgis: $(VENV)/.dev
	integrations/qgis/tests/check.sh "$(CURDIR)/$(BIN)/rs2sam" "$(DATA)" out/qgis

$(VENV)/.release: $(VENV)/.dev
	$(PIP) install -q -c constraints.txt -e '.[release]'
	touch $@

package: $(VENV)/.release
	$(BIN)/hadolint integrations/docker/Dockerfile
	$(BIN)/python -m pytest tests/test_recipes.py
	$(BIN)/python tools/release/package.py dist

test-pythons:
	$(PYTHON) tools/release/pythons.py out/pythons $(SELECTION)

test-lowest: $(VENV)/.dev
	$(BIN)/python tools/release/pythons.py out/pythons --lowest $(SELECTION)

licenses: $(VENV)/.release $(VENV)/.docs
	$(PIP) install -q -c constraints.txt -e '.[browser,api,mutation]'
	$(BIN)/python tools/release/licenses.py docs/licenses.md

audit: $(VENV)/.base
	$(BIN)/python tools/release/audit.py out/audit

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) out site build dist *.egg-info
