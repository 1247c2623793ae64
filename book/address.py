"""The repository's address: found where the book is built, and written into every source by one command.

python book/address.py                 print the address and where it comes from; fail when the sources disagree
python book/address.py --set URL       write it into every source that must repeat it
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from dlcore import machine

ROOT = Path(__file__).resolve().parents[1]
FORM = "https://github.com/OWNER/NAME"
# as git and people write it: by https or ssh, with a user, a port, www.
_GITHUB = re.compile(
    r"(?:(?:https?|ssh|git)://)?(?:[^@/\s]+@)?(?:www\.|ssh\.)?github\.com(?::\d+)?[/:]([\w.-]+)/([\w.-]+?)(?:\.git)?/?"
)


def parsed(text: str) -> str | None:
    """Returns the address of a repository on GitHub in its one form, None for anything else.

    >>> parsed("git@github.com:someone/book.git")
    'https://github.com/someone/book'
    """
    found = _GITHUB.fullmatch(text.strip())
    return f"https://github.com/{found[1]}/{found[2]}" if found else None


def in_sources(root: Path = ROOT) -> str | None:
    """Returns the address that pyproject.toml names."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf8"))["project"]
    return parsed(project.get("urls", {}).get("Repository", ""))


def found(root: Path = ROOT) -> tuple[str | None, str]:
    """Returns the address and where it was found: the GitHub workflow that runs, git's remote, or pyproject.toml.

    A fork that builds its own site so gets its own address, whatever the sources say.
    """
    if url := parsed(f"https://github.com/{os.environ.get('GITHUB_REPOSITORY')}"):
        return url, "GITHUB_REPOSITORY"
    # a folder that only lies inside somebody's repository has no remote of its own
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if url := parsed(machine.git(root, "config", "--get", "remote.origin.url")):
            return url, "git remote"
    return in_sources(root), "pyproject.toml"


def address(root: Path = ROOT) -> str | None:
    """Returns the repository's address without a slash at the end, None where there is none."""
    return found(root)[0]


def opened(root: Path = ROOT) -> str | None:
    """Returns the address where the committed notebooks have it too, else None.

    Colab opens what is committed: without an address that installs nothing, with another one another repository's package.
    """
    url = address(root)
    return url if url == in_sources(root) else None


def site(url: str) -> str:
    """Returns where GitHub Pages publishes the repository's site.

    >>> site("https://github.com/Someone/book"), site("https://github.com/someone/someone.github.io")
    ('https://someone.github.io/book/', 'https://someone.github.io/')
    """
    owner, name = url.split("/")[-2:]
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


_FIRST_CELL = re.compile(r'(REPOSITORY = \\?")([^"\\]*)')


def notebook(text: str, url: str | None) -> str:
    """Returns a notebook's text, .py or .ipynb, with the address that its first cell installs the package from.

    Links of a plain edition to the site of its former address lead to the new site.
    """
    if url and (before := _FIRST_CELL.search(text)) and before[2]:
        text = text.replace(site(before[2]), site(url))
    return _FIRST_CELL.sub(lambda m: m[1] + (url or ""), text)


def readme(text: str, url: str | None) -> str:
    """Returns the README with its line of links, which is empty without an address."""
    links = ""
    if url:
        name = "/".join(url.split("/")[-2:])
        colab = f"https://colab.research.google.com/github/{name}/blob/main/notebooks/plain/1_rationality.ipynb"
        links = f"**[Read the book]({site(url)})** · [Run chapter 1 in Colab]({colab}) · [Source]({url})\n"
    start, end = "<!-- links:start -->\n", "<!-- links:end -->"
    before, _, rest = text.partition(start)
    return before + start + links + end + rest.partition(end)[2]


def citation(text: str, url: str | None) -> str:
    """Returns CITATION.cff with the repository's address, or without the line."""
    text = re.sub(r'^(repository-code|url): ".*"\n', "", text, flags=re.M)
    lines = f'repository-code: "{url}"\nurl: "{site(url)}"\n' if url else ""
    return re.sub(r"^references:", lambda m: lines + m[0], text, count=1, flags=re.M)


def project(text: str, url: str | None) -> str:
    """Returns pyproject.toml with the links that the package index shows, or without them."""
    text = re.sub(r"^\[project\.urls\]\n(?:.+\n)*\n", "", text, flags=re.M)
    links = {"Documentation": url and site(url), "Repository": url, "Changelog": f"{url}/blob/main/CHANGELOG.md"}
    table = "[project.urls]\n" + "".join(f'{k} = "{v}"\n' for k, v in links.items()) + "\n" if url else ""
    return re.sub(r"^\[tool\.setuptools\]", lambda m: table + m[0], text, count=1, flags=re.M)


# the sources that must say it literally: to Colab, a reader, a citation tool, the package index
COPIES: dict[str, Callable[[str, str | None], str]] = {
    "pyproject.toml": project,
    "CITATION.cff": citation,
    "README.md": readme,
    "notebooks/*.py": notebook,
    "notebooks/*.ipynb": notebook,
    "notebooks/plain/*.ipynb": notebook,
}


def write(url: str | None, root: Path = ROOT, *, dry: bool = False) -> list[str]:
    """Writes the address into every source, or with `dry` only looks; returns the names of the files that differ."""
    from dlcore.cache import write_atomically

    changed = []
    for pattern, rewrite in COPIES.items():
        for path in sorted(root.glob(pattern)):
            text = path.read_text("utf8")
            if (new := rewrite(text, url)) != text:
                changed.append(str(path.relative_to(root)))
                if not dry:
                    write_atomically(path, new)
    return changed


def absolute(text: str, url: str) -> str:
    """Returns Markdown whose relative links and pictures lead to the repository, for a reader on the package index.

    >>> absolute("![a](book/a.svg), [b](CHANGELOG.md), [c](https://c.org)", "https://github.com/o/n")
    '![a](https://github.com/o/n/raw/main/book/a.svg), [b](https://github.com/o/n/blob/main/CHANGELOG.md), [c](https://c.org)'
    """
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:)", rf"\1{url}/raw/main/", text)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?!https?:|#)", rf"\1{url}/blob/main/", text)


def main() -> int:
    """Prints or sets the address; the exit status is 1 when a source has another one than pyproject.toml."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", metavar="URL", help=f"such as {FORM}")
    given = parser.parse_args().set
    if given is not None:
        if (url := parsed(given)) is None:
            parser.error(f"{given!r} is not the address of a repository on GitHub, such as {FORM}")
        print("written into: " + (", ".join(write(url)) or "nothing, all sources have it already"))
        return 0
    url, origin = found()
    print(f"{url} (from {origin})" if url else f"no address is known; set one: make address URL={FORM}")
    if wrong := write(in_sources(), dry=True):
        print(f"pyproject.toml has {in_sources() or 'no address'}, but not so: {', '.join(wrong)}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
