# Every target sets up what it needs: a virtual environment in .venv, pinned by constraints.txt and
# reused until pyproject.toml or constraints.txt change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Processes that run the tests; each takes up to 2 GB. `make test WORKERS=4` on a larger machine, 0 for a debugger.
WORKERS ?= 2

.PHONY: help setup demo test check browser slim validity soak bench clean

help:
	@echo "make demo      the whole protocol on the embedded answerer, and where its report is"
	@echo "make test      run the tests"
	@echo "make check     ruff and mypy"
	@echo "make browser   try pages in a headless Chromium, where there is one"
	@echo "make slim      build, and try what is shipped in fresh environments: the base alone, from git, without links"
	@echo "make validity  the long simulations of what a certificate promises"
	@echo "make soak      an hour of hostile files and kills; goes on where it was stopped"
	@echo "make bench     the benchmarks, each ending with one JSON line"
	@echo "make clean     remove the virtual environment and caches"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) -V 2>&1): use make PYTHON=python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY)
	@rm -rf .demo
	$(BIN)/earmark run examples/demo.toml --out .demo
	@echo "open the report in a browser: file://$(CURDIR)/.demo/report.html"
	@echo "to type earmark yourself: . $(BIN)/activate"

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

browser: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	$(BIN)/python -m pytest -q -m browser tests/report/browser

slim: $(READY)
	$(BIN)/python tests/house/slim.py

validity: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) -m validity
	$(BIN)/python tests/validity/table.py > .validity.md && mv .validity.md docs/validity.md

soak: $(READY)
	$(BIN)/python tests/reliability/soak.py
	$(BIN)/python -m pytest -q -m soak tests

bench: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@set -e; for script in benchmarks/start.py benchmarks/bootstrap.py benchmarks/certify.py benchmarks/scale.py benchmarks/growth.py benchmarks/corpus.py benchmarks/edge.py benchmarks/compressors.py benchmarks/tokens.py benchmarks/inside.py benchmarks/selectors_quality.py benchmarks/scheduler.py benchmarks/verdict.py benchmarks/workers.py benchmarks/scheduler_soak.py benchmarks/server.py; do $(BIN)/python $$script; done

clean:
	rm -rf $(VENV) .demo .soak .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info src/*.egg-info build
