# make demo: a warehouse from real studies.  make test: everything a merge needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint serve schedule-test bench-reader bench-incremental crash-test clean

help:
	@echo "make demo           build a warehouse from the studies that ship inside pydicom"
	@echo "make test           lint, types, import contracts, SQL lint, all tests"
	@echo "make serve          a local Prefect server and the nightly build of SOURCES into WAREHOUSE"
	@echo "make schedule-test  let a short schedule fire and look at the warehouse it built"
	@echo "make crash-test     kill builds at 60 moments and at every step; compare with clean builds"
	@echo "make bench-incremental  what a run costs after which nothing or little changed"
	@echo "make bench-reader   files a second: the reader, to Parquet, and a loop over pydicom"

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11, 3.12 or 3.13, or say which: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { echo "Python 3.11, 3.12 or 3.13 is needed; this is $$($(PYTHON) --version). Say which: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "this Python cannot make environments: install its venv package (Debian: python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m compileall -q $(VENV)/lib >/dev/null || true
	@touch $@

demo: $(INSTALLED)
	$(BIN)/dicomhouse demo

test: $(INSTALLED) lint
	$(BIN)/pytest

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 sql dbt

serve: $(INSTALLED)
	@test -n "$(SOURCES)" || { echo "say what to build: make serve SOURCES=/data/dicom WAREHOUSE=warehouse"; exit 2; }
	$(BIN)/python flows/serve.py $(SOURCES) --warehouse $(or $(WAREHOUSE),warehouse)

schedule-test: $(INSTALLED)
	$(BIN)/python -m pytest tests/test_flow.py -k schedule

crash-test: $(INSTALLED)
	$(BIN)/python tests/crash.py $(OPTIONS)

bench-incremental: $(INSTALLED)
	$(BIN)/python bench/incremental.py $(OPTIONS)

bench-reader: $(INSTALLED)
	$(BIN)/python bench/reader.py $(OPTIONS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
