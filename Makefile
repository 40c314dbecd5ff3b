# From a fresh clone: `make demo`, `make test`. Each sets up .venv from the hash-pinned lock files by itself.
# PYTHON=python3.12 chooses another Python (3.11 to 3.14); QUIET= shows what is installed, and how long it takes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

comma := ,
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
ORACLE := .venv-oracle
PEERS := .venv-peers
TORCH := 2.13.0
QUIET := --quiet
BEGUN_MS := $(shell date +%s%3N)
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

# The system's certificates (the second name is that of older versions), and no Python but those that are here.
export UV_SYSTEM_CERTS := 1
export UV_NATIVE_TLS := 1
export UV_PYTHON_DOWNLOADS := never
# Compiled once here, rather than by each of the many processes that start.
export UV_COMPILE_BYTECODE := 1
# A proxy is never asked for what is on this machine.
export NO_PROXY := $(if $(NO_PROXY),$(NO_PROXY)$(comma),)localhost,127.0.0.1,::1
export no_proxy := $(NO_PROXY)

.PHONY: help demo up test check format lint types imports bench chaos oracle lock clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS=$$'\t' read -r name text; do \
		printf '  make %-8s %s\n' "$$name" "$$text"; done

# Where this make has set up the environment, the stamp is younger than the make is; the demo shows what that took.
demo: $(VENV)/run.stamp ## Train on the handwritten digits through the HTTP API, then stop everything
	@setup_ms=$$(($$(date -r $< +%s%3N) - $(BEGUN_MS))); \
	if ((setup_ms > 0)); then export DELTAQ_SETUP_S=$${setup_ms}e-3; fi; \
	exec $(BIN)/deltaq demo

up: $(VENV)/run.stamp ## Start the service and keep it up; Ctrl-C stops it
	@exec $(BIN)/deltaq up

test: $(VENV)/dev.stamp ## The whole test suite, on real parts that it starts itself
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadscope --no-loadscope-reorder

check: $(VENV)/dev.stamp ## What CI runs: format, lint, types, import directions, tests
	$(BIN)/ruff format --check .
	$(MAKE) lint types imports test

format: $(VENV)/dev.stamp ## Bring every file into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/dev.stamp ## Ruff's rules
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp ## The strict type checker
	$(BIN)/mypy

imports: $(VENV)/dev.stamp ## The directions in which the rooms may import
	$(BIN)/lint-imports

bench: $(VENV)/dev.stamp $(PEERS)/stamp ## The benchmarks beside their peers; writes docs/performance.md
	$(BIN)/python -m benchmarks.performance --peer-python $(PEERS)/bin/python --write docs/performance.md

chaos: $(VENV)/dev.stamp ## The long kill storm
	$(BIN)/python -m pytest -m chaos --timeout=3600 --numprocesses=2 --dist=loadscope --no-loadscope-reorder --durations=20

oracle: $(ORACLE)/stamp ## Live comparison with PyTorch and scikit-learn, in an environment of its own
	$(ORACLE)/bin/python -m pytest -m oracle

lock: $(UV) ## Resolve the lock files anew; UPGRADE=1 takes the newest versions
	$(COMPILE) --group build pyproject.toml --output-file requirements.lock
	$(COMPILE) --group build --group dev --constraints requirements.lock pyproject.toml --output-file requirements-dev.lock
	$(COMPILE) --group pyproject.toml:peers --constraints requirements.lock --output-file requirements-peers.lock
	echo uv | $(COMPILE) --no-annotate - --output-file requirements-uv.lock

clean: ## Remove the environments and what tools have cached
	rm -rf $(VENV) $(ORACLE) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV): requirements-uv.lock .ci/environment
	@.ci/environment $(VENV)
	@touch $(UV) --no-dereference

$(VENV)/run.stamp: $(UV) requirements.lock pyproject.toml deltaq/__init__.py
	@$(UV) pip install --python $(BIN)/python $(QUIET) --require-hashes -r requirements.lock
	@$(UV) pip install --python $(BIN)/python $(QUIET) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.lock
	@$(UV) pip install --python $(BIN)/python $(QUIET) --require-hashes -r requirements-dev.lock
	@touch $@

# PyTorch stays out of the locks: its newest builds bring gigabytes of GPU packages.
$(ORACLE)/stamp: $(UV) requirements-dev.lock pyproject.toml deltaq/__init__.py
	@$(UV) venv --quiet --clear --seed --python $(BIN)/python $(ORACLE)
	@$(UV) pip install --python $(ORACLE)/bin/python --quiet --require-hashes -r requirements-dev.lock
	@$(UV) pip install --python $(ORACLE)/bin/python --quiet --no-deps --no-build-isolation --editable .
	@$(ORACLE)/bin/python -m pip install --quiet torch==$(TORCH)
	@touch $@

# H2O-3 needs Java, and is left out where there is none.
$(PEERS)/stamp: $(UV) requirements-peers.lock
	@$(UV) venv --quiet --clear --seed --python $(BIN)/python $(PEERS)
	@$(UV) pip install --python $(PEERS)/bin/python --quiet --require-hashes -r requirements-peers.lock
	@$(PEERS)/bin/python -m pip install --quiet torch==$(TORCH)
	@touch $@
