# make demo   a real call on this machine, from nothing
# make test   every tier of tests
# make check  format, lint, types, generated files
# make chaos  kill everything, again and again, under real calls
# make bench  figures, each beside a named rival
# make help   all of them

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit check format generate bench chaos clean

help:
	@echo "make demo      set up everything and place a real call"
	@echo "make test      run every tier of tests (unit, sim, ari, sip)"
	@echo "make unit      run the quick tiers only (unit, sim)"
	@echo "make check     format, lint, types, drift of generated files"
	@echo "make format    format the code"
	@echo "make generate  write the generated files again (ARI types, schemas)"
	@echo "make bench     measure; writes bench/results.md"
	@echo "make chaos     real calls while everything is killed and stopped (5 min); CHAOS=... for options"
	@echo "make clean     remove the virtual environment and caches of this checkout"

setup: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "DCX needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || { echo "Making the virtual environment…"; $(PYTHON) -m venv $(VENV); } || \
	  { echo "No virtual environment could be made. On Debian: apt install python3-venv"; exit 1; }
	@echo "Installing Python packages…"
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1" || \
	  { echo "pip could not download. Check the network and pip's own configuration (pip config list)."; exit 1; }
	@$(BIN)/python -m pip install --quiet --group dev --editable . || \
	  { echo "The packages could not be installed. Check the network and run make setup again."; exit 1; }
	@touch $(STAMP)

demo: setup
	@$(BIN)/dcx demo

test: setup
	@$(BIN)/python -m dcx_asterisk fetch engine phones servers
	@$(BIN)/python tools/run_tests.py

unit: setup
	@$(BIN)/python -m pytest tests/unit tests/sim

check: setup
	@$(BIN)/ruff format --check --quiet . || { echo "Run make format."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python tools/generate_ari.py --check
	@$(BIN)/python tools/generate_schemas.py --check
	@echo "check: all good"

format: setup
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

generate: setup
	@$(BIN)/python tools/generate_ari.py
	@$(BIN)/python tools/generate_schemas.py
	@$(BIN)/ruff format --quiet dcx_ari/ari

bench: setup
	@$(BIN)/python -m dcx_asterisk fetch engine phones servers
	@$(BIN)/python -m bench

chaos: setup
	@$(BIN)/python -m dcx_asterisk fetch engine servers
	@$(BIN)/python -m chaos $(CHAOS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
