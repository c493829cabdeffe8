# First `make run`, then `make test`: each brings what it needs. Python 3.11 or later and git are enough
# (and apt on Debian, for the Chromium that the tests drive).

PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin
# Before anything imports torch: waiting threads sleep instead of spinning (encoder/__init__.py says why).
export OMP_WAIT_POLICY ?= passive

.PHONY: run test check bench clean

run: .venv/app
	$(BIN)/python -m streamlit run app.py --server.port $(PORT)

test: .venv/development .venv/browser
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/development .venv/browser
	-$(BIN)/python -m pip install --quiet -r tests/bench/requirements.txt
	$(BIN)/python -m tests.bench

clean:
	rm -rf .venv build

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Encoder Lens needs Python 3.11 or later; try make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

.venv/app: requirements.txt | .venv/python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/development: tests/requirements.txt .venv/app
	$(BIN)/python -m pip install --quiet -r tests/requirements.txt
	touch $@

# A Chromium: the one that is installed, or Playwright's own, or Debian's.
.venv/browser: .venv/development
	$(BIN)/python -m tests.browser
	touch $@
