"""Makes what a release consists of, in dist/: the wheel, the source distribution, the built site as a zip, the book as a PDF, checksums.

python book/release.py [--tag v0.1.0]

The packages are built from the files that git does not ignore, with the repository's address written into them, so that the page of
the package index has links that lead somewhere. `make dist` builds the book first.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILD, DIST = ROOT / "_build", ROOT / "dist"
sys.path.insert(0, str(Path(__file__).parent))

import address  # noqa: E402
import pdf  # noqa: E402
import reproducibility  # noqa: E402

from dlcore import __version__, machine  # noqa: E402


def copy(target: Path) -> None:
    """Copies the files that .gitignore does not name; an unpacked source distribution, which is no repository, has them too.

    What the user ignores everywhere, as many do with *.zip, is copied all the same.
    """
    with tempfile.TemporaryDirectory() as empty:
        # a repository without a file, as git takes it: `git init` would bring the user's templates
        own = Path(empty) / ".git"
        for folder in ("objects", "refs"):
            (own / folder).mkdir(parents=True)
        (own / "HEAD").write_text("ref: refs/heads/main\n")
        where = (f"--git-dir={own}", f"--work-tree={ROOT}", "-C", str(ROOT), "-c", f"core.excludesFile={os.devnull}")
        listed = machine.git(Path(empty), *where, "ls-files", "-z", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # a link to a folder is not
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def export(target: Path, url: str | None) -> Path:
    """Copies the sources into an empty folder and writes the address for the package index; returns the folder."""
    shutil.rmtree(target, ignore_errors=True)
    copy(target)
    address.write(url, target)
    if url:
        readme = target / "README.md"
        readme.write_text(address.absolute(readme.read_text("utf8"), url), "utf8")
    return target


def packages(source: Path, target: Path) -> None:
    """Builds the source distribution of a folder, and from it the wheel."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(target), str(source)], check=True)


def site(html: Path, target: Path) -> None:
    """Zips a built site under one folder; equal sites give equal zips."""
    folder = target.stem
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(p for p in html.rglob("*") if p.is_file() and p.name != ".buildinfo"):
            entry = zipfile.ZipInfo(f"{folder}/{path.relative_to(html).as_posix()}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def checksums(folder: Path) -> None:
    """Writes SHA256SUMS of a folder's files, in the form that `sha256sum --check` reads."""
    files = sorted(p for p in folder.iterdir() if p.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in files]
    (folder / "SHA256SUMS").write_text("".join(lines), "utf8")


def notes(changelog: str, version: str) -> str:
    """Returns what the changelog says of a version. Raises: ValueError where it says nothing, or gives no date."""
    found = re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)\n(.*?)(?=^## |\Z)", changelog, re.S | re.M)
    if found is None or not found[1].strip():
        raise ValueError(f"CHANGELOG.md has no section '## {version} (YYYY-MM-DD)' with text")
    return found[1].strip() + "\n"


def main() -> int:
    """Makes everything again and lists it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="fail when this is not the version with a v before it; write the release's notes")
    tag = parser.parse_args().tag
    if tag:
        if tag != f"v{__version__}":
            parser.error(f"the tag is {tag}, the version in dlcore/__init__.py is {__version__}")
        BUILD.mkdir(exist_ok=True)
        text = notes((ROOT / "CHANGELOG.md").read_text("utf8"), __version__)
        (BUILD / "release-notes.md").write_text(text, "utf8")
    html = BUILD / "html"
    if not (html / "index.html").exists():
        print(f"no site in {html}: run make book", file=sys.stderr)
        return 1
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    # archives then carry the commit's time, and are the same on every machine
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        os.environ.setdefault("SOURCE_DATE_EPOCH", machine.git(ROOT, "log", "-1", "--format=%ct").strip())
    try:
        pdf.write(DIST / f"dlcore-{__version__}-book.pdf")
        reproducibility.write(DIST / f"dlcore-{__version__}-report.pdf")
    except FileNotFoundError as error:
        print(f"no PDF: {error}", file=sys.stderr)
        if tag:  # a release is whole, or is none
            return 1
    packages(export(BUILD / "source", address.address()), DIST)
    site(html, DIST / f"dlcore-{__version__}-site.zip")
    checksums(DIST)
    for path in sorted(DIST.iterdir()):
        print(f"{path.stat().st_size / 1e6:8.2f} MB  {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
