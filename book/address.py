"""The repository's address is known in pyproject.toml alone; this writes it into the files that must repeat it.

python book/address.py                 check that every copy agrees
python book/address.py --set URL       change it everywhere
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# text that Colab, a reader of the README and a citation tool need to see literally
COPIES = ("README.md", "CITATION.cff", "notebooks/*.py", "notebooks/*.ipynb", "book/*.md")
_ANY = re.compile(r"https://github\.com/[\w.-]+/[\w-]+(?=[\s\"'/@)>.]|$)")
_COLAB = re.compile(r"(?<=colab\.research\.google\.com/github/)[\w.-]+/[\w.-]+(?=/blob)")
# addresses of other projects that the text may name
_OTHERS = ("https://github.com/google-research/", "https://github.com/greydanus/")


def address() -> str:
    """Returns the repository's address without a trailing slash or .git."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    return project["urls"]["Repository"].rstrip("/").removesuffix(".git")


def site(url: str) -> str:
    """Returns where GitHub Pages would publish the repository's site."""
    owner, name = url.split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


def files() -> list[Path]:
    """Returns the files that repeat the address."""
    return [path for pattern in COPIES for path in sorted(ROOT.glob(pattern))]


def rewritten(text: str, url: str) -> str:
    """Returns the text with every copy of the address replaced."""
    text = _ANY.sub(lambda m: m[0] if m[0].startswith(_OTHERS) else url, text)
    return _COLAB.sub("/".join(url.split("/")[-2:]), text)


def main() -> int:
    """Checks or sets the address; the exit status is 1 when a copy differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", metavar="URL")
    given = parser.parse_args().set
    if given:
        if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w-]+", given):
            parser.error(f"{given!r} is not of the form https://github.com/OWNER/REPO")
        project = ROOT / "pyproject.toml"
        project.write_text(project.read_text("utf8").replace(address(), given), "utf8")
    wrong = []
    for path in files():
        text = path.read_text("utf8")
        if (new := rewritten(text, address())) != text:
            wrong.append(str(path.relative_to(ROOT)))
            if given:
                path.write_text(new, "utf8")
    if wrong:
        print(("rewritten: " if given else "another address in: ") + ", ".join(wrong))
    return int(bool(wrong) and not given)


if __name__ == "__main__":
    sys.exit(main())
