# Every target makes its own environment when there is none, and redoes only what changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# workers of the tests, each with one thread
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: book test check bench notebooks address clean help

help:
	@echo "make book       set up, execute the notebooks, build the site, say where it is"
	@echo "make test       lint, unit tests, doctests, notebooks, book and the page in Chromium"
	@echo "make check      lint and the fast tests only"
	@echo "make bench      speed and memory against peers, into book/benchmarks.md: 15 to 40 minutes of a quiet machine"
	@echo "make bench ONLY=training   one benchmark, printed"
	@echo "make notebooks  write the .ipynb files from their .py sources"
	@echo "make address URL=https://github.com/NAME/REPO   write the repository's address into every source"
	@echo "make clean      remove what was built (the environment stays)"

$(VENV)/.ready: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the packages into $(VENV): some minutes the first time"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: $(VENV)/.ready
	@$(BIN)/python book/build.py

test: $(VENV)/.ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(PYTEST)

check: $(VENV)/.ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(PYTEST) tests dlcore --ignore=tests/test_book.py --ignore=tests/test_notebooks.py --ignore=tests/test_colab.py --ignore=tests/browser

bench: $(VENV)/.ready
	@$(BIN)/python benchmarks/page.py $(if $(ONLY),--only $(ONLY))

notebooks: $(VENV)/.ready
	@for source in notebooks/*.py; do $(BIN)/jupytext --quiet --to ipynb --update $$source; done

address: $(VENV)/.ready
	@$(BIN)/python book/address.py --set $(URL)
	@$(MAKE) --no-print-directory notebooks

clean:
	rm -rf _build .pytest_cache .ruff_cache dlcore.egg-info
