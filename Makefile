# Every target makes its own environment when there is none, and redoes only what changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# the version of a Python that is new enough, else nothing
usable = $(shell $(1) -c 'import sys; sys.version_info < (3, 11) or print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
HAVE := $(call usable,$(BIN)/python)
# who names no Python keeps the environment that there is; who names one gets its version
WANTED := $(if $(filter file,$(origin PYTHON)),$(or $(HAVE),$(call usable,$(PYTHON))),$(call usable,$(PYTHON)))
READY := $(VENV)/.ready-$(WANTED)
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
	@echo "make notebooks  write the .ipynb files from their .py sources, executing what changed for their plain editions"
	@echo "make address URL=https://github.com/OWNER/REPO   set the repository's address everywhere"
	@echo "make clean      remove what was built (the environment stays)"

$(READY): requirements.txt pyproject.toml
	@test "$(WANTED)" || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1): Python 3.11 or later is needed, as in: make book PYTHON=python3.12" >&2; exit 1; }
	@test "$(HAVE)" = "$(WANTED)" && $(BIN)/python -m pip -V >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the packages into $(VENV): some minutes the first time"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: $(READY)
	@$(BIN)/python book/build.py

test: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(PYTEST)

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(PYTEST) tests dlcore --ignore=tests/test_book.py --ignore=tests/test_notebooks.py --ignore=tests/test_colab.py --ignore=tests/browser

bench: $(READY)
	@$(BIN)/python benchmarks/page.py $(if $(ONLY),--only $(ONLY))

notebooks: $(READY)
	@for source in notebooks/*.py; do $(BIN)/jupytext --quiet --to ipynb --update $$source; done
	@$(BIN)/python book/build.py --notebooks

address: $(READY)
	@$(BIN)/python book/address.py --set $(URL)
	@$(MAKE) --no-print-directory notebooks

clean:
	rm -rf _build .pytest_cache .ruff_cache dlcore.egg-info
