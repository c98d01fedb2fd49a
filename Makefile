# make demo          a sentence on a georeferenced aerial scene, with the model that ships, offline
# make demo IMAGE=your.tif SENTENCE="the storage tanks"      the same on your own image
# make test          the tests (CPU, no network), in minutes together
# make test-slow     minutes each: a training killed at every kind of moment, FSDP, Ray, exports
# make real-images   `rs2sam segment` on real files of $(DATA), outputs checked with GIS readers
# make lint          formatter, linter, type checker

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
OUT    ?= out/demo
DATA   ?= ../shared/data
SENTENCE ?= the water

.PHONY: demo test test-slow real-images lint clean
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

test: $(VENV)/.dev
	$(BIN)/python -m pytest

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow --timeout 900

real-images: $(VENV)/.dev
	$(BIN)/python tools/check_real_images.py "$(DATA)" out/real

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) out build dist *.egg-info
