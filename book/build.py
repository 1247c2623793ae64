"""Builds the book: papermill executes the notebooks, Jupyter Book renders them. What did not change is not made again.

python book/build.py [--clean]        make the site
python book/build.py --notebooks      write the chapters' plain editions, notebooks/plain, and no site

The site is made of the shipped records alone, and holds nothing that this build did not make or compare, by
content, with what an earlier one made.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import yaml
from filelock import FileLock, Timeout

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
STAGE = BUILD / "stage"
HTML = BUILD / "html"
RUNS = "runs.csv.gz"  # all shipped runs as a table
# what editors leave, and files that are just being written
_BACKUP = re.compile(r"\..*|.*~|#.*#|.*\.(sw[a-p]|bak|orig|tmp|pyc)|__pycache__")
sys.path.insert(0, str(Path(__file__).parent))

import address  # noqa: E402
import contents  # noqa: E402
import laboratory  # noqa: E402
import landing  # noqa: E402
import ledger  # noqa: E402
import plain  # noqa: E402
import status  # noqa: E402

from dlcore import notebook  # noqa: E402


def digest(path: Path) -> str:
    """Returns a hash of what a path means: Python without comments and layout, a folder's names, else the bytes."""
    if path.is_dir():
        found = json.dumps(sorted(p.name for p in path.iterdir() if not _BACKUP.fullmatch(p.name))).encode()
    elif not path.is_file():
        return "nothing"
    else:
        found = path.read_bytes()
        if path.suffix == ".py":
            with contextlib.suppress(SyntaxError):  # the notebook that imports it will say so
                found = ast.dump(ast.parse(found)).encode()
    return hashlib.sha256(found).hexdigest()


def tree(*folders: Path) -> dict[str, str]:
    """Returns the digests of all files in some folders, and of the folders in them, by path below ROOT."""
    found = {}
    for path in folders:
        for folder, names, files in os.walk(path):
            names[:] = [n for n in names if not _BACKUP.fullmatch(n)]
            here = Path(folder)
            for each in (here, *(here / f for f in files if not _BACKUP.fullmatch(f))):
                found[str(each.relative_to(ROOT))] = digest(each)
    return found


def one(found: Any) -> str:
    """Returns one hash of whatever JSON can hold."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def noted(path: Path) -> dict[str, Any]:
    """Returns what an earlier build wrote into a file, nothing where there is none or it is damaged."""
    try:
        found = json.loads(path.read_text("utf8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def note(path: Path, found: Mapping[str, Any]) -> None:
    """Writes what the next build is to know."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), "utf8")


def configuration(url: str | None) -> dict:
    """Returns the site's configuration for a repository; without one no button leads to issues or sources.

    To Colab none does where the committed notebooks, which it opens, have another address or none.
    """
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    if url:
        config["repository"] = {"url": url, "branch": "main", "path_to_book": ""}
        config["html"]["baseurl"] = config["sphinx"]["config"]["ogp_site_url"] = address.site(url)
    else:
        config["repository"] = {"url": ""}  # Jupyter Book's default is its own
        for button in ("issues", "repository", "edit_page"):
            config["html"][f"use_{button}_button"] = False
    if url is None or url != address.in_sources():
        del config["launch_buttons"]
    return config


def notebooks() -> list[Path]:
    """Returns the sources of the notebooks."""
    return sorted((ROOT / "notebooks").glob("*.py"))


class Page:
    """The executed copy of a notebook, and the note of what it was made of."""

    def __init__(self, source: Path) -> None:
        self.source, self.book = source, notebook.read(source)
        self.copy = BUILD / "executed" / f"{source.stem}.ipynb"
        self.failed = self.copy.with_name(f"{source.stem}.failed.ipynb")
        self.note = self.copy.with_suffix(".json")
        self.error = ""

    def _code(self, book: Any) -> list[Any]:
        return [cell for cell in book.cells if cell.cell_type == "code"]

    def _key(self) -> str:
        cells = [(cell.source, cell.metadata.get("tags")) for cell in self._code(self.book)]
        return one([cells, digest(ROOT / "requirements.txt"), sys.version, digest(Path(notebook.__file__))])

    def current(self, package: Mapping[str, str]) -> bool:
        """Whether the copy is intact and its code, modules and data are what they were; its text may have changed."""
        about = noted(self.note)
        return (
            about.get("key") == self._key()
            and about.get("copy") == digest(self.copy)
            and all(value == (package.get(path) or digest(ROOT / path)) for path, value in about["inputs"].items())
        )

    def execute(self, package: Mapping[str, str]) -> None:
        """Executes the notebook with a record store and a cache of its own; an error is kept as text."""
        own, trace = BUILD / "local" / self.source.stem, BUILD / "executed" / f"{self.source.stem}.trace"
        shutil.rmtree(own, ignore_errors=True)
        self.note.unlink(missing_ok=True)
        self.failed.unlink(missing_ok=True)
        env = {"DLCORE_BOOK": "1", "DLCORE_RECORDS": str(own / "records"), "XDG_CACHE_HOME": str(own / "cache")}
        env |= {"DLCORE_TRACE": str(trace), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        first, start = Path(__file__).with_name("traced.py"), time.perf_counter()
        try:
            notebook.execute(self.source, self.copy, cwd=ROOT, env=env, first=first)
        except Exception as error:  # the other pages are still made
            self.error = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().splitlines()[-1]
            self.copy.unlink(missing_ok=True)
            return
        outside = (str(BUILD), str(ROOT / ".venv"), str(ROOT / ".git"))
        paths = [p for p in json.loads(trace.read_text("utf8")) if Path(p).is_relative_to(ROOT)]
        paths = [str(Path(p).relative_to(ROOT)) for p in paths if not p.startswith(outside) and "__pycache__" not in p]
        inputs = {path: package.get(path) or digest(ROOT / path) for path in paths}
        took = time.perf_counter() - start
        note(self.note, {"key": self._key(), "copy": digest(self.copy), "inputs": inputs, "seconds": took})

    def staged(self) -> Any:
        """Returns the notebook as the page shows it: today's text, the copy's outputs, and the error if there was one."""
        for i, cell in enumerate(self.book.cells):
            cell.id = f"cell-{i}"  # not by chance: an unchanged page is to be unchanged to the letter
        made = self.copy if not self.error else self.failed
        if made.exists():
            for cell, done in zip(self._code(self.book), self._code(notebook.read(made)), strict=True):
                cell.outputs, cell.execution_count = done.outputs, done.execution_count
        if self.error:
            self.book.cells[0].source += (
                "\n\n:::{error}\nThis page is incomplete: its notebook failed when the book was built.\n\n"
                f"`{self.error.replace('`', chr(39))}`\n:::"
            )
        return self.book


def execute(package: Mapping[str, str]) -> list[Page]:
    """Returns the pages of the notebooks; those are executed whose code, modules, records or copy have changed."""

    def make(page: Page) -> None:
        start = time.perf_counter()
        page.execute(package)
        end = f"failed: {page.error}" if page.error else f"executed in {time.perf_counter() - start:.0f} s"
        print(f"{page.source.name}: {end}", flush=True)

    pages = [Page(source) for source in notebooks()]
    changed = [page for page in pages if not page.current(package)]
    for page in pages:
        if page not in changed:
            print(f"{page.source.name}: unchanged")
    # a core each: most of a page is one thread's work
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        list(pool.map(make, changed))
    return pages


def editions(pages: list[Page], url: str | None) -> dict[str, str]:
    """Returns the text of each chapter's plain edition in a repository, for the download, Colab and Jupyter."""
    chapters = {page.source.stem: (page.book, notebook.read(page.copy)) for page in pages}
    found = plain.editions(chapters, ROOT, address.site(url) if url else "", [ROOT / "book" / "references.bib"])
    return {name: address.notebook(nbformat.writes(book, indent=1) + "\n", url) for name, book in found.items()}


def evaluated(package: Mapping[str, str]) -> dict[str, Any]:
    """Returns what the ledger's page shows of the claims, and the laboratory's banks, kept until the package changes."""
    url, opened = address.address(), address.opened()
    kept, key = (
        BUILD / "ledger.json",
        one([package, url, opened, *(digest(Path(module.__file__)) for module in (laboratory, landing, ledger))]),
    )
    found = noted(kept)
    if found.get("key") != key or found.get("runs") != digest(BUILD / RUNS):
        from dlcore import claims, records, studies

        records.export(BUILD / RUNS, studies.STUDIES, store=records.RecordStore(records.PACKAGED, packaged=False))
        rows = claims.shipped()
        found = {"key": key, "ledger": ledger.page(rows, url), "multiplicity": claims.multiplicity_statement(rows)}
        found["runs"] = digest(BUILD / RUNS)
        found["landing"] = landing.page(rows, opened)
        found["banks"] = laboratory.banks()
        found["sceptics"] = claims.sceptics_html(rows)
        found["json"] = json.dumps(ledger.data(rows, url), indent=1)
        note(kept, found)
    return found


def stage(pages: list[Page], found: Mapping[str, Any]) -> None:
    """Makes the staging tree: pages, notebooks, configuration. Files that are as before keep their time."""
    new = STAGE.with_name("stage.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(ROOT / "book", new / "book", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    shutil.copy2(ROOT / "_toc.yml", new / "_toc.yml")
    took = {page.source.stem: noted(page.note).get("seconds") for page in pages}
    changes = (ROOT / "CHANGELOG.md").read_text("utf8").partition("\n")[2]
    books = {page.source.stem: page.staged() for page in pages}
    marks = {**found, "status": status.page(took), "changes": changes, "figures": contents.figures(books)}
    for path in sorted((new / "book").glob("*.md")):
        text = path.read_text("utf8")
        path.write_text(re.sub(r"<!-- (\w+) -->", lambda m: marks.get(m[1], m[0]), text), "utf8")
    # the 404 is served for any missing address, at any depth: its links begin at the site's own
    url = address.address()
    for name, target in (("404", "404"), ("root", "index")):
        text = (ROOT / "book" / f"{name}.html").read_text("utf8")
        (new / f"{target}.html").write_text(text.replace("{site}", address.site(url) if url else "./"), "utf8")
    (new / "book" / "claims.json").write_text(found["json"], "utf8")
    shutil.copyfile(BUILD / RUNS, new / "book" / RUNS)
    laboratory.write(new / "book" / "_static" / "lab", found["banks"])
    config = configuration(url)
    (new / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), "utf8")
    (new / "notebooks").mkdir()
    for name, book in books.items():
        text = address.notebook(json.dumps(book), url)
        (new / "notebooks" / f"{name}.ipynb").write_text(text, "utf8")
    for file in new.rglob("*"):
        old = STAGE / file.relative_to(new)
        if file.is_file() and old.is_file() and old.read_bytes() == file.read_bytes():
            shutil.copystat(old, file)
    shutil.rmtree(STAGE, ignore_errors=True)
    new.replace(STAGE)


def render(downloads: Mapping[str, str] | None) -> int:
    """Runs Jupyter Book on the staging tree unless the site is what it would make; any warning is an error.

    Args:
        downloads: what the download buttons give, by chapter; None when a page has failed and the site is not whole.
    """
    kept = BUILD / "site.json"
    before, wanted = (
        noted(kept),
        tree(STAGE) | {f"download/{name}": one(text) for name, text in (downloads or {}).items()},
    )
    shared = {p: d for p, d in wanted.items() if "/_static/" in p or "/_ext/" in p or p.endswith(".yml")}
    intact = before.get("site") == one(tree(HTML))
    if intact and before.get("wanted", {}) == wanted:
        print("the site: unchanged")
        return 0
    kept.unlink(missing_ok=True)
    fresh = []
    # Sphinx does not copy changed scripts when no page changed, and leaves the pages of sources that are gone
    if not intact or before.get("shared") != shared or before.get("wanted", {}).keys() != wanted.keys():
        shutil.rmtree(HTML, ignore_errors=True)
        fresh = ["--all"]
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(STAGE), "--path-output", str(ROOT)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    status = subprocess.call([*command, "--warningiserror", "--keep-going", "--nitpick", *fresh], env=env, cwd=BUILD)
    # a page with a warning is kept in Sphinx's cache, and would be silent the next time: no note, all is made again
    if status == 0:
        for name in ("claims.json", RUNS):
            shutil.copyfile(STAGE / "book" / name, HTML / "book" / name)
    if status == 0 and downloads is not None:
        for name, text in downloads.items():
            (HTML / "_sources" / "notebooks" / f"{name}.ipynb").write_text(text, "utf8")
        note(kept, {"wanted": wanted, "shared": shared, "site": one(tree(HTML))})
    return status


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Waits until no other build is at work in this folder."""
    BUILD.mkdir(exist_ok=True)
    lock = FileLock(BUILD / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("another build is at work in this folder: waiting for it", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def main() -> int:
    """Builds everything that changed; prints where the site is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean", action="store_true", help="start from nothing")
    parser.add_argument("--notebooks", action="store_true", help="write the plain editions into notebooks/plain")
    given = parser.parse_args()
    start = time.perf_counter()
    # a reader's own records, data and settings have no place in the book
    for name in [n for n in os.environ if n.startswith("DLCORE_")]:
        del os.environ[name]
    with alone():
        if given.clean:
            for path in BUILD.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.name == "lock" or path.unlink()
        package = tree(ROOT / "dlcore")
        pages = execute(package)
        failed = [page.source.name for page in pages if page.error]
        # what is committed has the sources' address, and is the same in every clone; what is published has its own
        url = address.in_sources() if given.notebooks else address.address()
        downloads = None if failed else editions(pages, url)
        if given.notebooks:
            status = int(bool(failed))
            for name, text in (downloads or {}).items():
                (ROOT / "notebooks" / "plain" / f"{name}.ipynb").write_text(text, "utf8")
        else:
            stage(pages, evaluated(package))
            status = render(downloads)
    if failed:
        print(f"failed: {', '.join(failed)}; the executed copies are in _build/executed", file=sys.stderr)
        return 1
    if status:
        print("the book was not built: see the warnings above", file=sys.stderr)
        return status
    if not given.notebooks:
        if url and not address.opened():
            print(
                f"No button leads to Colab: the committed notebooks do not have {url}. For one: make address URL={url}"
            )
        print(f"\nThe book is ready after {time.perf_counter() - start:.0f} s. Open {HTML / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
