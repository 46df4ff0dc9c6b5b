# make demo: a warehouse from real studies.  make test: everything a merge needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
INSTALLED := $(VENV)/.installed
# Else every start of a command would do it, where the environment says that nothing is kept.
BYTECODE := $(BIN)/python -m compileall -q src
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check
PROGRAMS := .venv-programs
SITE := .venv-docs
SUPPLY := .venv-supply

# Looked up when it is used: the SQL that is another than on main, since all of it takes most of a minute.
CHANGED_SQL = $(shell { git diff --name-only --diff-filter=d \
	"$$(git merge-base HEAD main || echo HEAD)" -- '*.sql'; \
	git ls-files --others --exclude-standard -- '*.sql'; } 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo check test lint lint-python lint-sql docs serve schedule-test diary crash-test soak-test fuzz fuzz-build
.PHONY: bench-build bench-reader bench-memory bench-models bench-incremental bench-objects bench-pixels vendor lock sbom audit clean

help:
	@echo "make demo           build a warehouse from the studies that ship inside pydicom"
	@echo "make check          within a minute: lint, types, import contracts, changed SQL, tests without a build"
	@echo "make test           lint, types, import contracts, SQL lint, all tests"
	@echo "make docs           build/site/html/index.html: the pages, the tutorial, a reference from the code"
	@echo "make serve          a local Prefect server and the nightly build of SOURCES into WAREHOUSE, or of dicomhouse.toml"
	@echo "make schedule-test  let a short schedule fire and look at the warehouse it built"
	@echo "make diary          seven nights of a served build, as its operator sees them: docs/diary.md"
	@echo "make crash-test     kill builds at 60 moments and at every step; compare with clean builds"
	@echo "make fuzz           20,000 broken headers through both readers; OPTIONS='--seed 7'"
	@echo "make fuzz-build     50 builds of 2,000 hostile files each; OPTIONS='--builds 5 --seed 7'"
	@echo "make soak-test      200 runs with arrivals, deletions, faults and kills: nothing grows"
	@echo "make bench-build    seconds and memory of whole builds beside pydicom's: OPTIONS='--images 1000000'"
	@echo "make bench-reader   files a second: the reader, to Parquet, pydicom, and its peers on PyPI"
	@echo "make bench-memory   what a worker's memory grows to: 20,000 files, and hostile ones"
	@echo "make bench-models   seconds and memory of the models: OPTIONS='--images 1000000'"
	@echo "make bench-objects  objects a second from a store that takes 20 ms to answer"
	@echo "make bench-pixels   how fast pixels are measured, beside the bare decoders and SimpleITK"
	@echo "make bench-incremental  what a run costs after which nothing or little changed"
	@echo "make vendor         take from npm the scripts that the report and its tests hold"
	@echo "make lock           pin anew what pyproject.toml asks for, by version and hash"
	@echo "make sbom           dist/sbom.cdx.json: what a run is made of (CycloneDX)"
	@echo "make audit          known vulnerabilities of what a run is made of; asks PyPI"

# What runs, by hash and nothing beyond; the package itself is built by a pinned backend.
$(RUNTIME): pyproject.toml requirements/runtime.txt requirements/build.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not here: install Python 3.11, 3.12 or 3.13, or say which: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { echo "Python 3.11, 3.12 or 3.13 is needed; this is $$($(PYTHON) --version). Say which: make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "this Python cannot make environments: install its venv package (Debian: python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --require-hashes --no-deps --requirement requirements/runtime.txt --requirement requirements/build.txt
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	$(BIN)/pip check >/dev/null
	$(BIN)/python -m compileall -q $(VENV)/lib >/dev/null || true
	$(BYTECODE)
	@touch $@

$(INSTALLED): $(RUNTIME) requirements/development.txt
	$(PIP_INSTALL) --require-hashes --no-deps --requirement requirements/development.txt
	$(BIN)/python -m compileall -q $(VENV)/lib >/dev/null || true
	@touch $@

demo: $(RUNTIME)
	$(BIN)/dicomhouse demo --flow

test: $(INSTALLED) $(PROGRAMS)/.installed $(SITE)/.installed lint
	$(BYTECODE)
	$(BIN)/pytest -n auto --dist loadscope --no-loadscope-reorder

check: lint-python
	$(if $(CHANGED_SQL),$(BIN)/sqlfluff lint --processes 2 $(CHANGED_SQL))
	$(BIN)/pytest -n auto --dist loadscope --no-loadscope-reorder -m 'not slow'

# Side by side, since the types take one core alone.
lint: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync lint-python lint-sql

lint-sql: $(INSTALLED)
	$(BIN)/sqlfluff lint --processes 2 sql dbt

lint-python: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED) $(SITE)/.installed
	$(BIN)/python docs/pages.py build/site/pages
	$(SITE)/bin/zensical build --strict

serve: $(RUNTIME)
	@test -n "$(SOURCES)" -o -f dicomhouse.toml || { echo "say what to build: make serve SOURCES=/data/dicom WAREHOUSE=warehouse, or dicomhouse init"; exit 2; }
	$(BIN)/dicomhouse serve $(SOURCES) $(if $(WAREHOUSE),--warehouse $(WAREHOUSE)) $(OPTIONS)

schedule-test: $(INSTALLED)
	$(BIN)/python -m pytest tests/runs/test_flow.py -k schedule

diary: $(INSTALLED)
	@PYTHONPATH=tests/lib:tests/crash $(BIN)/python tests/crash/diary.py

crash-test: $(INSTALLED)
	PYTHONPATH=tests/lib:tests/crash $(BIN)/python tests/crash/crash.py $(OPTIONS)

bench-build: $(INSTALLED)
	$(BYTECODE)
	$(BIN)/python bench/build.py $(OPTIONS)

bench-incremental: $(INSTALLED)
	$(BYTECODE)
	$(BIN)/python bench/incremental.py $(OPTIONS)

bench-objects: $(INSTALLED)
	$(BIN)/python bench/objects.py $(OPTIONS)

bench-pixels: $(INSTALLED)
	$(BIN)/python bench/pixels.py $(OPTIONS)

bench-reader: $(INSTALLED)
	@$(PIP_INSTALL) --require-hashes --no-deps --requirement requirements/peers.txt || echo "the peers could not be installed"
	$(BIN)/python bench/reader.py $(OPTIONS)

bench-memory: $(INSTALLED)
	$(BIN)/python bench/memory.py $(OPTIONS)

bench-models: $(INSTALLED)
	$(BIN)/python bench/models.py $(OPTIONS)

fuzz: $(INSTALLED)
	PYTHONPATH=tests/lib:tests/crash $(BIN)/python tests/lib/fuzz.py $(OPTIONS)

fuzz-build: $(INSTALLED)
	PYTHONPATH=tests/lib:tests/crash $(BIN)/python tests/crash/fuzz_builds.py $(OPTIONS)

soak-test: $(INSTALLED)
	PYTHONPATH=tests/lib:tests/crash $(BIN)/python tests/crash/soak.py $(OPTIONS)

# Programs beside ours, each lot with packages of its own.
.venv-%/.installed: requirements/%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $<
	@touch $@

COMPILE = $(SUPPLY)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header $(OPTIONS) --output-file

# OPTIONS='--upgrade' takes newer releases; without it only what pyproject.toml asks for changes.
vendor: $(RUNTIME)
	$(BIN)/python tests/lib/vendoring.py src/dicomhouse/report/vendor tests/vendor

lock: $(SUPPLY)/.installed
	$(COMPILE) requirements/development.txt --extra dev pyproject.toml
	$(COMPILE) requirements/runtime.txt --constraint requirements/development.txt pyproject.toml
	$(COMPILE) requirements/peers.txt --constraint requirements/development.txt --extra bench pyproject.toml
	$(COMPILE) requirements/build.txt --constraint requirements/development.txt --group build
	$(COMPILE) requirements/programs.txt --constraint requirements/development.txt --group programs
	$(COMPILE) requirements/docs.txt --group docs
	$(COMPILE) requirements/supply.txt --group supply

sbom: $(RUNTIME) $(SUPPLY)/.installed
	@mkdir -p dist
	$(SUPPLY)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.cdx.json $(BIN)/python

audit: $(SUPPLY)/.installed
	$(SUPPLY)/bin/pip-audit --strict --disable-pip --require-hashes --no-deps --requirement requirements/runtime.txt $(OPTIONS)

clean:
	rm -rf $(VENV) $(PROGRAMS) $(SITE) $(SUPPLY) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist
