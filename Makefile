# Everything runs from .venv, made from requirements.lock; nothing is installed outside this folder.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SCALE ?= 1

export DBT_SEND_ANONYMOUS_USAGE_STATS := false

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-packages lint format holidays docs dictionary evaluate bench bench-peers crash chaos histories interleavings selections clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@echo "making $(VENV) and installing the locked requirements (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . --config-settings editable_mode=compat
	@touch $@

setup: $(STAMP) ## Make .venv with everything in it

demo: $(STAMP) ## Start the databases, fill the source, load, build, test, report
	@$(BIN)/haven up
	@$(BIN)/haven demo init --scale $(SCALE)
	@$(BIN)/haven run

test: $(STAMP) ## Run all tests, with the real dbt packages where they can be had and with the offline subset
	@$(BIN)/haven deps
	@$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=85

lint: $(STAMP) ## Check style and types: ruff, mypy, sqlfluff
	@.ci/lint

format: $(STAMP) ## Format Python and SQL
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	@eval "$$($(BIN)/haven env)" && $(BIN)/sqlfluff fix models macros snapshots tests analyses

holidays: $(STAMP) ## Make the seed of holidays again from the library, for the years of dim_dates
	@$(BIN)/python .ci/make_holidays.py

docs: $(STAMP) ## Write the dbt docs, the DAG and the reports to target/reports
	@$(BIN)/haven report

dictionary: $(STAMP) ## Write docs/warehouse.md and docs/erd.md again from the models
	@export HAVEN_TARGET=local; eval "$$($(BIN)/haven env)" && $(BIN)/dbt parse --quiet && $(BIN)/python .ci/make_docs.py

evaluate: $(STAMP) ## Check the rules of dbt-project-evaluator (PACKAGE=folder with that package, unpacked)
	@.ci/evaluate "$(PACKAGE)"

bench: $(STAMP) ## Measure, and render the tables of docs/performance.md (ROWS, RUNS, ONLY choose less)
	@$(BIN)/python -m benchmarks

bench-peers: $(STAMP) ## Install the other loaders that `make bench` compares with, each apart
	@$(BIN)/python -m benchmarks.peers

crash: $(STAMP) ## Kill loads and servers at every point and at random, and check that nothing is lost (TRIALS=120 SEED=…)
	@PYTHONPATH=tests/runner $(BIN)/python -m crash

chaos: $(STAMP) ## Kill whole runs at random moments: nothing is left over, the next run puts all right (TRIALS=60 SEED=…)
	@PYTHONPATH=tests/runner $(BIN)/python -m chaos

histories: $(STAMP) ## Let random histories of changes, loads and builds happen; compare with full refreshes (HISTORIES=200 SEED=…)
	@PYTHONPATH=tests/runner $(BIN)/python -m histories

selections: $(STAMP) ## Build every model alone in a copy of the demo's warehouse, beside foreign views on everything (MODELS="a b")
	@eval "$$($(BIN)/haven env)" && PYTHONPATH=tests/runner $(BIN)/python -m selections $(MODELS)

interleavings: $(STAMP) ## Let writers commit around and inside loads at random; compare raw with the source (HISTORIES=500 SEED=…)
	@PYTHONPATH=tests/runner $(BIN)/python -m interleaving

clean: ## Stop and remove the embedded databases and all that was made here
	@if [ -x $(BIN)/haven ]; then $(BIN)/haven down --delete; fi
	@rm -rf $(VENV) target logs dbt_packages package-lock.yml .mypy_cache .ruff_cache .pytest_cache benchmarks/.peers
