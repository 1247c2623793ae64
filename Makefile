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
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=40 --ignore=tests/test_colab.py --ignore=tests/test_floors.py

.PHONY: book pdf lint test test-all check types test-colab test-floors links dist bench notebooks address lock clean help

help:
	@echo "make book       set up, execute the notebooks, build the site, say where it is"
	@echo "make pdf        the book, and a report of four pages, as _build/book.pdf and report.pdf; needs Chromium"
	@echo "make test       lint, unit tests, doctests, notebooks, book and the page in Chromium: every promise once"
	@echo "make test-all   the same with the slow tests, and with every one of the tables of which make test takes a fifth"
	@echo "make check      lint and the fast tests only"
	@echo "make lint       ruff and oxlint alone"
	@echo "make types      what pyright says of the public modules; installs it first, 280 MB with its Node"
	@echo "make test-colab the notebooks alone, with the packages that Colab has"
	@echo "make test-floors  the ledger alone, with the lowest versions that pyproject.toml allows and with the newest"
	@echo "make links      ask every address that the book names whether it is there"
	@echo "make dist       wheel, source distribution, site as a zip and as a PDF, checksums, into dist/"
	@echo "make bench      speed and memory against peers, into book/benchmarks.md: 15 to 40 minutes of a quiet machine"
	@echo "make bench ONLY=training   one benchmark, printed"
	@echo "make notebooks  write the .ipynb files from their .py sources, executing what changed for their plain editions"
	@echo "make address URL=https://github.com/NAME/REPO   write the repository's address into every source"
	@echo "make lock       write requirements.lock from requirements.txt, in an environment of its own"
	@echo "make clean      remove what was built (the environment stays)"

$(READY): requirements.txt requirements.lock pyproject.toml
	@test "$(WANTED)" || { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1): Python 3.11 or later is needed, as in: make book PYTHON=python3.12" >&2; exit 1; }
	@test "$(HAVE)" = "$(WANTED)" && $(BIN)/python -m pip -V >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the packages into $(VENV): some minutes the first time"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

book: $(READY)
	@$(BIN)/python book/build.py

pdf: book
	@$(BIN)/python book/pdf.py
	@$(BIN)/python book/reproducibility.py

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/oxlint --quiet book/_static

test: lint
	@$(PYTEST) --quick

test-all: lint
	@$(PYTEST)

check: lint
	@$(PYTEST) --quick tests dlcore --ignore=tests/test_book.py --ignore=tests/test_notebooks.py --ignore=tests/browser

# basedpyright is pyright that comes with all it runs on; pinned, because a newer one finds other things
types: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check basedpyright==1.40.2
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

test-colab: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_colab.py

# two more environments, each as large as the first where pip takes torch with its CUDA libraries: see book/using.md
test-floors: $(READY)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_floors.py

# lychee.toml says what is asked; what leads nowhere is listed in _build/broken-links.md
links: book
	@$(BIN)/lychee --format markdown --output _build/broken-links.md '_build/html/**/*.html' '*.md' || (cat _build/broken-links.md && false)

# TAG=v0.1.0 says which release it is to be, and fails for another version
dist: book
	@$(BIN)/python book/release.py $(if $(TAG),--tag '$(TAG)')

bench: $(READY)
	@$(BIN)/python benchmarks/page.py $(if $(ONLY),--only $(ONLY))

notebooks: $(READY)
	@for source in notebooks/*.py; do $(BIN)/jupytext --quiet --to ipynb --update $$source; done
	@$(BIN)/python book/build.py --notebooks

address: $(READY)
	@$(BIN)/python book/address.py --set $(URL)
	@$(MAKE) --no-print-directory notebooks

lock:
	rm -rf _build/lock
	@$(PYTHON) -m venv _build/lock
	@_build/lock/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@(head -n 1 requirements.lock; _build/lock/bin/python -m pip freeze --all | sed -e '/^pip==/d' -e 's/+cpu$$//' | LC_ALL=C sort -f) > _build/requirements.lock
	@mv _build/requirements.lock requirements.lock

clean:
	rm -rf _build dist .pytest_cache .ruff_cache dlcore.egg-info
