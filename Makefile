# The commands of the project. Everything installs into .venv; nothing else on the machine is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/.tools
SANDBOX := $(VENV)/.sandbox
KERNELS := $(wildcard src/downstage/*/_kernel*.px*)
# Files of tests side by side, one a processor and in the order of their names: what takes longest begins first.
# One more than there are processors: servers that begin and leases that run out are waited for.
SIDE_BY_SIDE = --numprocesses $$($(BIN)/python -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))') --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-spark4 lint check bench chaos chaos-copy chaos-runs format wheel clean

## demo: refresh a staging account from production on this machine, end to end, and prove it
demo: $(SANDBOX)
	$(BIN)/downstage demo

## test: every test
test: $(TOOLS)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

## test-spark4: the Spark tests on the newest Spark 4 and this machine's JDK 17; the log is committed (CI: Spark 3.5 alone)
test-spark4: $(BIN)/python
	$(BIN)/python -m tests.spark4 --venv $(VENV)/spark4 --log bench/results/spark4.md

## lint: format, types, architecture
lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## check: what every commit must pass: lint and unit tests
check: lint
	$(BIN)/python -m pytest -q -m "not integration and not e2e" $(SIDE_BY_SIDE)

## chaos: both of the next two; their logs are committed
chaos: chaos-copy chaos-runs

## chaos-copy: kill -9 at fifty seeded moments of a copy (CI does ten)
chaos-copy: $(TOOLS)
	$(BIN)/python -m tests.faults.chaos --moments 50 --log bench/results/chaos.md

## chaos-runs: kill -9 six times in every step of whole refreshes in the sandbox, resumed each time (CI does ten)
chaos-runs: $(TOOLS)
	$(BIN)/python -m tests.chaos.runs --each 6 --log bench/results/chaos-runs.md

## bench: the figures in bench/results, beside their peers; best on an idle machine (bench/README.md)
bench: $(TOOLS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python bench/masking.py -o .downstage-bench.json
	$(BIN)/python bench/table.py .downstage-bench.json
	rm .downstage-bench.json
	$(BIN)/python bench/copy_loop.py
	$(BIN)/python bench/copy_loop.py --mix dense --out bench/results/copy_dense.json
	$(BIN)/python bench/copy_scale.py
	$(BIN)/python bench/copy_local.py
	$(BIN)/python bench/spark.py
	$(BIN)/python bench/s3_sync.py

## format: put the code into the house's shape
format: $(TOOLS)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## wheel: what is published
wheel: $(TOOLS)
	rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist

clean:
	rm -rf $(VENV) dist .downstage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Downstage needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(SANDBOX): $(BIN)/python pyproject.toml $(KERNELS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox]'
	touch $@

$(TOOLS): $(BIN)/python pyproject.toml $(KERNELS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox,dev]'
	touch $@ $(SANDBOX)
