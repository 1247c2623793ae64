"""Builds the book: papermill executes the notebooks into a staging tree, Jupyter Book renders it.

python book/build.py [--clean]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"
STAGE = BUILD / "stage"
HTML = BUILD / "html"
sys.path.insert(0, str(Path(__file__).parent))

import address  # noqa: E402

from dlcore import claims  # noqa: E402


def digest(*paths: Path) -> str:
    """Returns a hash of files' names and contents; folders count with all their files."""
    found = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                found.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return found.hexdigest()


def stage() -> None:
    """Copies pages and configuration into the staging tree, and drops what is gone from the sources."""
    STAGE.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(STAGE / "book", ignore_errors=True)
    shutil.copytree(ROOT / "book", STAGE / "book", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "_toc.yml", STAGE / "_toc.yml")
    ledger = STAGE / "book" / "claims.md"
    text = ledger.read_text("utf8").replace("<!-- ledger -->", claims.ledger_html())
    ledger.write_text(text.replace("<!-- multiplicity -->", claims.multiplicity_statement()), "utf8")
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
    url = address.address()
    config["repository"] = {"url": url, "branch": "main", "path_to_book": ""}
    config["html"]["baseurl"] = config["sphinx"]["config"]["ogp_site_url"] = address.site(url)
    (STAGE / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), "utf8")


def notebooks() -> list[Path]:
    """Returns the sources of the notebooks."""
    return sorted((ROOT / "notebooks").glob("*.py"))


def execute() -> None:
    """Executes every notebook whose source, package or records have changed since its last execution."""
    from dlcore import notebook

    os.environ["DLCORE_BOOK"] = "1"
    os.environ.setdefault("DLCORE_RECORDS", str(BUILD / "records"))
    folder = STAGE / "notebooks"
    folder.mkdir(exist_ok=True)
    names = {source.stem for source in notebooks()}
    for old in folder.glob("*.ipynb"):
        if old.stem not in names:
            old.unlink()
    for source in notebooks():
        key = digest(source, ROOT / "dlcore", ROOT / "requirements.txt")
        target, stamp = folder / f"{source.stem}.ipynb", BUILD / "executed" / source.stem
        if target.exists() and stamp.exists() and stamp.read_text() == key:
            print(f"{source.name}: unchanged")
            continue
        start = time.perf_counter()
        notebook.execute(source, target, cwd=ROOT)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(key)
        print(f"{source.name}: executed in {time.perf_counter() - start:.0f} s", flush=True)


def render() -> int:
    """Runs Jupyter Book on the staging tree; any warning is an error. Returns its exit status."""
    static = digest(ROOT / "book" / "_static", ROOT / "book" / "_ext", ROOT / "_config.yml", ROOT / "_toc.yml")
    stamp = BUILD / "static"
    # Sphinx does not copy changed scripts and styles when no page changed
    fresh = [] if stamp.exists() and stamp.read_text() == static else ["--all"]
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(STAGE),
        "--path-output",
        str(ROOT),
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    status = subprocess.call([*command, "--warningiserror", "--keep-going", "--nitpick", *fresh], env=env, cwd=BUILD)
    # a page with a warning is kept in Sphinx's cache, and would be silent the next time
    stamp.unlink(missing_ok=True)
    if status == 0:
        stamp.write_text(static)
        for source in (ROOT / "notebooks").glob("*.ipynb"):
            # the page's download button must give the clean notebook: the book's charts need the book's scripts
            shutil.copyfile(source, HTML / "_sources" / "notebooks" / source.name)
    return status


def main() -> int:
    """Builds everything that changed; prints where the site is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", action="store_true", help="start from nothing")
    if parser.parse_args().clean:
        shutil.rmtree(BUILD, ignore_errors=True)
    start = time.perf_counter()
    stage()
    execute()
    if status := render():
        print("the book was not built: see the warnings above", file=sys.stderr)
        return status
    print(f"\nThe book is ready after {time.perf_counter() - start:.0f} s. Open {HTML / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
