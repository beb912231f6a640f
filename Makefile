# `make demo` and `make test` need nothing but Python 3.11, pip and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin
LOCK := requirements/lock.txt requirements/lock-nodeps.txt
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-denoise demo-hnas test test-cuda coverage matrix tables soak docs lint format clean fuzz bench mutation

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/'

venv: $(STAMP)  ## create .venv with the exact packages of requirements/lock.txt

$(STAMP): $(LOCK) pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { \
	  echo "mmsrnas needs Python 3.11 or 3.12 to create .venv; '$(PYTHON)' is not." >&2; \
	  echo "Install one, and name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r requirements/lock.txt
	$(BIN)/python -m pip install --no-deps -r requirements/lock-nodeps.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	touch $@

demo: venv  ## search, derive, train and test a network on real photographs
	$(BIN)/python tools/demo.py

demo-denoise: venv  ## the same for a denoiser
	$(BIN)/python tools/demo_denoise.py

demo-hnas: venv  ## search by reinforcement learning, beside random search
	$(BIN)/python tools/demo_hnas.py

test: lint  ## formatting, lint and all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-cuda: venv  ## the tests that mean something on a GPU, on that GPU
	TEST_DEVICE=cuda $(BIN)/python -m pytest -n 4 --dist loadfile

fuzz: venv  ## 100,000 mutations of genotypes, and as many of annotation files
	FUZZ=20000 $(BIN)/python -m pytest tests/test_genotypes/test_fuzz.py  # of each of five methods
	FUZZ=100000 $(BIN)/python -m pytest tests/test_datasets/test_fuzz.py

soak: venv  ## 100 kills of every strategy: each run must end with the bits of the whole one
	$(BIN)/python benchmarks/kill_campaign.py --kills 100

mutation: venv  ## how many of 100 small changes of the code its tests find
	$(BIN)/python benchmarks/mutation.py --count 100

bench: venv  ## costs of the search steps against their references; fails where a count has changed
	$(BIN)/python benchmarks/bench.py $(BENCH)

coverage: venv  ## share of the lines that the tests run; fails below 92 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist loadfile
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --fail-under=92

matrix:  ## the environments of docs/get-started.md: builds each one, runs a search in it
	$(PYTHON) tests/environments/matrix.py

tables: venv  ## write the tables of configs/*/README.md from the metafile.yml beside them
	$(BIN)/python tools/misc/make_tables.py

docs: venv  ## the pages as a site in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: venv  ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

format: venv  ## format the code
	$(BIN)/ruff format .

clean:  ## remove .venv and everything that was built
	rm -rf .venv build dist mmsrnas.egg-info mmsrnas/.mim .pytest_cache .ruff_cache
