# One front door. `make demo` and `make test` set up .venv by themselves on a fresh machine:
# Python 3.11 or newer with venv, and a package registry, is all they need.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
TESTS ?= tests

.PHONY: help demo test test-slow lint types docs bench clean

help:
	@echo "make demo       the whole job on bundled real data: how well a CLIP sees handwritten digits"
	@echo "make test       the tests (the slow ones apart)"
	@echo "make test-slow  the slow tests alone"
	@echo "make lint       format and lint, checked"
	@echo "make types      mypy, strict"
	@echo "make docs       the documentation: references written anew, pages into docs/_build"
	@echo "make bench      the benchmarks, side by side with the peers where those are installed"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "cliplab needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): constraints.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV). On Linux this downloads about 2.9 GB (PyTorch with its CUDA libraries) and takes 6.5 GB of disk; on macOS about 0.5 GB."
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(DEV_STAMP): constraints.txt pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV) with the development tools. On Linux this downloads about 2.9 GB (PyTorch with its CUDA libraries) and takes 6.5 GB of disk; on macOS about 0.5 GB."
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(RUN_STAMP)

demo: $(RUN_STAMP)
	$(BIN)/cliplab demo

test: $(DEV_STAMP)
	$(BIN)/python -m pytest $(TESTS) -m "not slow and not network and not gpu"

test-slow: $(DEV_STAMP)
	$(BIN)/python -m pytest $(TESTS) -m "slow and not network and not gpu"

lint: $(DEV_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DEV_STAMP)
	$(BIN)/mypy

docs: $(DEV_STAMP)
	$(BIN)/python docs/generate.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(DEV_STAMP)
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) docs/_build docs/notebooks build dist .pytest_cache .mypy_cache .ruff_cache
