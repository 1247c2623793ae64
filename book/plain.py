"""The plain edition of a chapter, for Jupyter and Colab: standard Markdown, the recorded numbers in their sentences.

Theorems and exercises become block quotes, solutions fold, citations and references become links, code that a reader
need not see folds away. It has no outputs.
"""

from __future__ import annotations

import base64
import copy
import functools
import mimetypes
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).with_name("_ext")))

from chapters import target as address_of

FENCE = re.compile(r"^:::\{([\w:]+)\} *([^\n]*)\n((?::\w+:[^\n]*\n)*)(.*?)^:::$", re.S | re.M)
DRIVE = re.compile(r"\{drive\}`([^`<]+?)\s+<([\w-]+)(?::\s+([^`]+))?>`")
ROLE = re.compile(r"\{([a-z:]+)\}`([^`]+)`")
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.S)
PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:|data:)([^)\s]+)\)")
LABORATORY = re.compile(r"^:::\{laboratory\} *\w+\n:::$", re.M)
RUNS = "In {page} this experiment runs by itself, without a kernel."
MYST = re.compile(r":::|\{[a-z:]+\}`|^\([\w-]+\)=$|^%", re.M)  # what no cell of a plain edition may hold
HEAD = """> This is the edition of {chapter} to run and to change. The numbers in its sentences are those of
> the recorded runs, which come with the package; what your own run finds is printed below its cells. Cells that only
> draw or print are folded."""


def editions(
    chapters: Mapping[str, tuple[Any, Any]], root: Path, site: str, bibliography: Iterable[Path]
) -> dict[str, Any]:
    """Returns the plain edition of each chapter.

    Args:
        chapters: name -> the notebook, and its executed copy, which holds the numbers.
        root: the folder of the repository. site: the address of the book, with a slash at the end, or
            "" where it is published nowhere: what would lead there is then plain text.
    Raises: ValueError for a number, source, reference or directive that cannot be written in plain Markdown.
    """
    sources = _sources(bibliography, site)
    titles = {f"/notebooks/{name}": _title(book.cells[0].source) for name, (book, _) in chapters.items()}
    for page in sorted((root / "book").glob("*.md")):
        text = page.read_text("utf8")
        titles |= {f"/book/{page.stem}": _title(text)}
        titles |= {f"#{label}": f"/book/{page.stem}" for label in re.findall(r"^\(([\w-]+)\)=$", text, re.M)}
    for book, _ in chapters.values():
        for kind, name, options, _ in FENCE.findall("\n".join(c.source for c in book.cells)):
            if label := re.search(r":label: (\S+)", options):
                titles[f"#{label[1]}"] = _named(kind, name)
    return {
        name: _edition(
            book,
            _values(done),
            functools.partial(_role, sources, titles, site),
            root,
            site and f"{site}notebooks/{name}.html",
        )
        for name, (book, done) in chapters.items()
    }


def _edition(book: Any, values: Mapping[str, Any], role: Any, root: Path, page: str) -> Any:
    plain = copy.deepcopy(book)
    plain.metadata.pop("jupytext", None)  # no pair: an edit here must not reach the source
    for i, cell in enumerate(plain.cells):
        cell.id = f"cell-{i}"
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            cell.source = LABORATORY.sub(RUNS.format(page=_link("the book's page", page)), cell.source)
            cell.source = FENCE.sub(_block, cell.source)
            cell.source = DRIVE.sub(lambda m: _driven(m, page), cell.source)
            cell.source = ROLE.sub(lambda m: role(values, m[1], m[2]), cell.source)
            cell.source = PICTURE.sub(lambda m: f"![{m[1]}]({_inline(root / 'notebooks' / m[2])})", cell.source)
            if left := MYST.search(cell.source):
                raise ValueError(f"{cell.source[left.start() :].splitlines()[0]!r} has no plain Markdown")
        else:
            cell.outputs, cell.execution_count = [], None
            if tags & {"hide-input", "remove-cell"}:
                cell.metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
                cell.source = f"# @title {_folded(cell.source)}\n{cell.source}"
    first = plain.cells[0]
    title, _, rest = first.source.partition("\n")
    first.source = f"{title}\n\n{HEAD.format(chapter=_link('the chapter', page))}\n{rest}"
    return plain


def _driven(match: re.Match, page: str) -> str:
    """Returns words that set a figure on the page as a link to it; an answer that leads nowhere is left out."""
    return _link(match[1], page and page + address_of(match[2], match[3])) if page or match[1] != "Answer" else ""


def _folded(code: str) -> str:
    if "pip" in code:
        return "In Colab: install the package"
    return "Code of the chart" if re.search(r"^ *(display\()?(figures\.(?!\w+\.)|live\()", code, re.M) else "Code"


def _title(text: str) -> str:
    return re.search(r"^# (.+)$", text, re.M)[1]


def _named(kind: str, name: str) -> str:
    word = kind.removeprefix("prf:").capitalize()
    return f"{word} ({name.strip()})" if name.strip() else word


def _block(match: re.Match) -> str:
    kind, name, body = match[1], match[2].strip(), match[4].strip()
    if kind == "solution":
        return f"<details><summary>Solution</summary>\n\n{body}\n\n</details>"
    # Jupyter takes formulas out before it reads the quote: the mark of a second line would be part of the formula
    body = FORMULA.sub(lambda m: re.sub(r"\s*\n\s*", " ", m[0]), body)
    head = name if kind == "admonition" else f"{_named(kind, name)}."
    return "\n".join(f"> {line}".rstrip() for line in (f"**{head}**", "", *body.splitlines()))


def _role(
    sources: Mapping[str, tuple[str, str, str]],
    titles: Mapping[str, str],
    site: str,
    values: Mapping[str, Any],
    role: str,
    text: str,
) -> str:
    shown, target = m.groups() if (m := re.fullmatch(r"(.+?) <(.+)>", text, re.S)) else (None, text)
    try:
        if role == "glue:text":
            name, _, form = text.partition(":")
            return format(float(values[name]), form) if form else values[name].strip("'\"")
        if role in ("cite", "cite:p", "cite:t"):
            return _cited([sources[key.strip()] for key in text.split(",")], role == "cite:t")
        if role == "prf:ref":
            return titles[f"#{target}"]
        if role == "term":
            return _link(shown or target, site and f"{site}book/glossary.html#term-{target.replace(' ', '-')}")
        page = titles[f"#{target}"] if role == "ref" else f"/{'' if '/' in target else 'book/'}{target.lstrip('/')}"
        return _link(shown or titles[page], site and f"{site}{page.lstrip('/')}.html")
    except KeyError as missing:
        raise ValueError(f"{{{role}}}`{text}` leads to nothing: {missing}") from None


def _link(text: str, url: str) -> str:
    return f"[{text}]({url})" if url else text


def _cited(found: list[tuple[str, str, str]], in_text: bool) -> str:
    if in_text:
        return ", ".join(_link(f"{who} ({year})", url) for who, year, url in found)
    return "(" + "; ".join(_link(f"{who}, {year}", url) for who, year, url in found) + ")"


def _sources(files: Iterable[Path], site: str) -> dict[str, tuple[str, str, str]]:
    """Returns authors, year and address of every source; one that has no address leads to the book's bibliography."""
    from pybtex.database import parse_file
    from pybtex.richtext import Text

    found = {}
    for file in files:
        for key, entry in parse_file(str(file)).entries.items():
            last = [str(Text.from_latex(" ".join(p.prelast_names + p.last_names))) for p in entry.persons["author"]]
            who = last[0] + (" et al." if len(last) > 2 else f" and {last[1]}" if len(last) == 2 else "")
            about = entry.fields
            url = about.get("url") or (f"https://doi.org/{about['doi']}" if "doi" in about else "")
            url = url or (f"https://arxiv.org/abs/{about['eprint']}" if "eprint" in about else "")
            found[key] = who, about["year"], url or (site and f"{site}book/bibliography.html")
    return found


def _values(executed: Any) -> dict[str, str]:
    """Returns the glued values of an executed copy, as text."""
    kept = [o for cell in executed.cells for o in cell.get("outputs", []) if "scrapbook" in o.get("metadata", {})]
    return {
        o.metadata.scrapbook.name: next(text for kind, text in o.data.items() if kind.endswith("text/plain"))
        for o in kept
    }


def _inline(picture: Path) -> str:
    """Returns a picture as an address that holds it: a notebook is often opened alone."""
    kind = mimetypes.guess_type(picture.name)[0]
    return f"data:{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"
