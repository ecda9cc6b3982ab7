# Everything runs in .venv, made from pyproject.toml and .ci/constraints.txt, without root. `make run` installs
# what running needs; targets that test or check add their tools to the same .venv. Each is done once.

VENV := .venv
BIN := $(VENV)/bin
# Stamps of finished installations: what running needs, and the tools on top.
RUNTIME := $(VENV)/.runtime
TOOLS := $(VENV)/.tools
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt
# The first of these that is Python 3.11 or newer makes .venv.
PYTHON ?= python3.11 python3 python3.12 python3.13
# Arguments for pytest, e.g. make test PYTEST_ARGS="-k log"; by default the tests run in two processes
PYTEST_ARGS ?= -n 2 --dist loadfile
# Which benches, e.g. make bench BENCH_ARGS=log
BENCH_ARGS ?=
# If set, a simulated plant raises alarms: make run DEMO=1
DEMO ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint format bench faults siege clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNTIME) ## Set up, start a real MongoDB and Tocsin on port 8080; Ctrl-C ends both
	@# The trap keeps this shell until Tocsin has ended; Ctrl-C may show as status 130.
	@trap : INT; $(BIN)/tocsin up $(if $(DEMO),--demo) || test $$? -eq 130

test: lint ## Set up, lint, run all tests but the long ones and the benches
	$(BIN)/python -m pytest -m "not bench and not long" $(PYTEST_ARGS)

lint: $(TOOLS) ## Check style, formatting, types and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TOOLS) ## Format the code and fix what ruff can
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(TOOLS) ## Run the benches: ratios to a floor measured in the same run
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

faults: $(TOOLS) ## Run all fault tests, each long one for TOCSIN_FAULT_SECONDS (180)
	$(BIN)/python -m pytest tests/faults -s

siege: $(TOOLS) ## Attack two servers under load, for TOCSIN_SIEGE_SECONDS (60)
	$(BIN)/python -m pytest tests/faults/test_siege.py -s

clean: ## Remove .venv and caches; the data in .tocsin stays
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find core adapters entrypoints tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Without ensurepip (on Debian in python3-venv), the system's pip installs pip into a .venv made without it.
$(RUNTIME): pyproject.toml .ci/constraints.txt
	@set -e; \
	python=; \
	for candidate in $(PYTHON); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Tocsin needs Python 3.11 or newer; none found among: $(PYTHON)." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "Setting up $(VENV) (once; about half a minute) ..."; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  rm -rf $(VENV); \
	  "$$python" -m venv $(VENV) >/dev/null 2>&1 \
	  || { "$$python" -m venv --clear --without-pip $(VENV) \
	       && "$$python" -m pip --python $(BIN)/python install --quiet pip; } \
	  || { rm -rf $(VENV); \
	       echo "$$python can make no virtual environment here: it lacks ensurepip, and pip 22.3 or newer." >&2; \
	       echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	fi; \
	$(INSTALL) --editable '.[embedded,redis]'; \
	touch $@

$(TOOLS): $(RUNTIME)
	@echo "Adding the tools for tests and checks to $(VENV) (once; about a minute) ..."
	@$(INSTALL) --editable '.[embedded,redis,dev]'
	@touch $@
