# Two commands do everything on a fresh machine that has Python 3.11 or newer:
#   make demo    sets up, then shows the main job on embedded defaults
#   make test    sets up, then runs all checks and tests
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help demo test check coverage constraints sbom audit-dependencies format clean

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:
	@sed -n 's/^#   //p' Makefile

# The environment without the development tools, which is what a user has.
.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fhirtwin needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	@echo "Setting up .venv ..." >&2
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null; }
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --upgrade pip
	@$(BIN)/python -m pip install -q -e .
	@touch $@

# What is there in C, too; without a compiler all works, and takes longer.
.venv/built: mappers/forms/_tracks.c .venv/ready
	@$(BIN)/python hatch_build.py >&2
	@touch $@

.venv/ready-dev: .venv/ready | .venv/built
	@$(BIN)/python -m pip install -q --group dev
	@touch $@

demo: .venv/ready .venv/built
	@$(BIN)/twin demo

check: .venv/ready-dev
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }

# The checks take one core; the other one meanwhile compiles what would else be compiled in each process.
test: .venv/ready-dev
	@$(BIN)/python -m tests.kernels & compiling=$$!; $(MAKE) check && wait $$compiling
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Which lines the tests do not reach: .cache/coverage/index.html. Looking on while they run makes them take 1.6 times as
# long, so that `make test` does without.
coverage: .venv/ready-dev
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --cov --cov-report=html:.cache/coverage --cov-fail-under=85

# Renew the pinned versions from what a fresh install of today gives.
constraints:
	@rm -rf .cache/fresh && $(PYTHON) -m venv .cache/fresh && .cache/fresh/bin/python -m pip install -q --upgrade pip
	@PIP_CONSTRAINT= .cache/fresh/bin/python -m pip install -q . hatchling --group dev
	@head -1 constraints.txt > .cache/pins && .cache/fresh/bin/python -m pip freeze --all --exclude fhirtwin | sort -f >> .cache/pins
	@mv .cache/pins constraints.txt && rm -rf .cache/fresh

# The bill of materials of a release (CycloneDX): what fhirtwin needs to run, with versions and licences.
sbom: .venv/ready-dev
	@mkdir -p dist && $(BIN)/python .ci/sbom.py dist/fhirtwin.cdx.json && echo "dist/fhirtwin.cdx.json" >&2

# Are there advisories against a pinned version? Needs pypi.org itself, or OSV; fails where it cannot ask (docs/security.md).
audit-dependencies: .venv/ready
	@[ -d .cache/audit ] || { $(PYTHON) -m venv .cache/audit && PIP_CONSTRAINT= .cache/audit/bin/python -m pip install -q pip-audit; }
	@PIP_CONSTRAINT= .cache/audit/bin/pip-audit --strict --progress-spinner off --disable-pip --no-deps -r constraints.txt

format: .venv/ready-dev
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

clean:
	@rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage*
