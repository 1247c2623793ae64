"""The plain edition of the chapters: no MyST, the same code, folded; what cannot be written plainly is an error."""

import re
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import plain  # noqa: E402

SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
MYST = (
    ":::",
    "{glue",
    "{cite",
    "{prf",
    "{ref",
    "{doc",
    "{eq",
    "{numref",
    "{term",
    ":label:",
    ":class:",
    "\n% ",
    "```{",
    "../",
)


@pytest.fixture(params=SOURCES, ids=lambda p: p.stem)
def both(request):
    """A chapter and its committed plain edition."""
    edition = ROOT / "notebooks" / "plain" / f"{request.param.stem}.ipynb"
    assert edition.exists(), "run: make notebooks"
    return jupytext.read(request.param), nbformat.read(edition, 4)


def test_there_is_one_for_each_chapter():
    assert [p.stem for p in sorted((ROOT / "notebooks" / "plain").glob("*"))] == [p.stem for p in SOURCES]


def test_no_myst_is_left(both):
    for cell in both[1].cells:
        if cell.cell_type == "markdown":
            found = [mark for mark in MYST if mark in cell.source]
            assert not found, f"{found} in:\n{cell.source}"
            assert not re.search(r"\{[a-z:]+\}`", cell.source)


def test_no_formula_in_a_quote_runs_over_two_lines(both):
    """Jupyter takes formulas out before it reads the quote, and would show the second line's mark."""
    for cell in both[1].cells:
        if cell.cell_type == "markdown":
            assert not [m for m in re.findall(r"\$\$.+?\$\$|\$[^$]+\$", cell.source, re.S) if "\n>" in m]


def test_the_code_is_the_chapters_own(both):
    source, edition = ([c for c in book.cells if c.cell_type == "code"] for book in both)
    assert [re.sub(r"\A# @title .*\n", "", c.source) for c in edition] == [c.source for c in source]
    assert [c.metadata.get("tags") for c in edition] == [c.metadata.get("tags") for c in source]
    nbformat.validate(both[1])


def test_what_a_reader_need_not_see_is_folded_and_the_rest_is_not(both):
    for cell in both[1].cells:
        hidden = bool({"hide-input", "remove-cell"} & set(cell.metadata.get("tags", [])))
        assert cell.source.startswith("# @title ") == hidden  # Colab
        assert (cell.metadata.get("cellView") == "form") == hidden
        assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == hidden  # Jupyter
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert "jupytext" not in both[1].metadata  # saving it must not change the source


def test_solutions_are_folded_theorems_are_quotes_and_nothing_is_lost(both):
    source, edition = ("\n\n".join(c.source for c in book.cells if c.cell_type == "markdown") for book in both)
    for name, mark in {
        "solution": r"<details><summary>Solution</summary>\n\n.*?\n\n</details>",
        "exercise": r"^> \*\*Exercise\.\*\*\n>\n> \S",
        "prf:theorem": r"^> \*\*Theorem \([^\n]+\)\.\*\*\n>\n> \S",
        "prf:proof": r"^> \*\*Proof\.\*\*\n>\n> \S",
        "prf:definition": r"^> \*\*Definition \([^\n]+\)\.\*\*\n>\n> \S",
        "admonition": r"^> \*\*(?:Before the results|The answer|In three lines|Chapter \d on one slide)\*\*\n>\n> \S",
    }.items():
        assert len(re.findall(mark, edition, re.S | re.M)) == source.count(f":::{{{name}}}"), name
    # every line of plain prose is there, letter by letter
    kept, prose = edition.replace("> ", ""), source.replace("> ", "")
    lines = [line for line in prose.splitlines() if line and not re.search(r"[`:!{}]|\]\(", line)]
    assert len(lines) > 10
    assert [line for line in lines if line not in kept] == []


def chapter(text, **glued):
    """A chapter of one cell of text, and its executed copy."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# Title\n\n{text}")])
    code = nbformat.v4.new_code_cell()
    for name, value in glued.items():
        output = nbformat.v4.new_output("display_data", {"application/papermill.record/text/plain": repr(value)})
        output.metadata["scrapbook"] = {"name": name, "mime_prefix": "application/papermill.record/"}
        code.outputs.append(output)
    return book, nbformat.v4.new_notebook(cells=[code])


def edition(text, **glued):
    """The text of its plain edition, without the note under the title."""
    found = plain.editions(
        {"9_x": chapter(text, **glued)}, ROOT, "https://x.org/y/", [ROOT / "book" / "references.bib"]
    )
    head, _, rest = found["9_x"].cells[0].source.partition("are folded.\n\n")
    assert head.startswith("# Title\n\n> This is the edition of [the chapter](https://x.org/y/notebooks/9_x.html)")
    return rest


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{glue:text}`a:.1%` of", "42.0% of"),
        ("{glue:text}`a`", "0.42"),
        ("{glue:text}`b`", "0.3 [0.2, 0.4]"),
        ("{glue:text}`c:.2f`", "inf"),
        (
            "{cite}`bansal2022data,cover1967nearest`",
            "([Bansal et al., 2022](https://arxiv.org/abs/2202.01994); [Cover and Hart, 1967](https://x.org/y/book/bibliography.html))",
        ),
        (
            "{drive}`at 40 %\nnoise <a-b: noise=0.4>`.",
            "[at 40 %\nnoise](https://x.org/y/notebooks/9_x.html#fig-a-b?noise=0.4).",
        ),
        ("{drive}`Answer <a-b>`", "[Answer](https://x.org/y/notebooks/9_x.html#fig-a-b)"),
        ("{term}`floors <known floor>`", "[floors](https://x.org/y/book/glossary.html#term-known-floor)"),
        ("{cite:t}`bansal2022data`", "[Bansal et al. (2022)](https://arxiv.org/abs/2202.01994)"),
        ("{ref}`The data page <data>`", "[The data page](https://x.org/y/book/data.html)"),
        ("{ref}`own-law`", "[Bring your own](https://x.org/y/book/own.html)"),
        ("{doc}`/book/own`", "[Bring your own](https://x.org/y/book/own.html)"),
        ("{doc}`this one </notebooks/9_x>`", "[this one](https://x.org/y/notebooks/9_x.html)"),
        (
            ":::{prf:theorem} Big\n:label: t\nA\n\n$$b$$\n:::\n{prf:ref}`t`",
            "> **Theorem (Big).**\n>\n> A\n>\n> $$b$$\nTheorem (Big)",
        ),
        (
            ":::{solution} e\n:class: dropdown\nIt is {glue:text}`a:.2f`.\n:::",
            "<details><summary>Solution</summary>\n\nIt is 0.42.\n\n</details>",
        ),
        (
            ":::{exercise}\nIs $a\n  = b$ and\n\n$$c\n  \\le d$$\n:::",
            "> **Exercise.**\n>\n> Is $a = b$ and\n>\n> $$c \\le d$$",
        ),
        (":::{exercise}\n:label: e\nDo.\n:::", "> **Exercise.**\n>\n> Do."),
    ],
)
def test_each_construct(text, wanted):
    assert edition(text, a=0.42, b="0.3 [0.2, 0.4]", c=float("inf")) == wanted


def test_a_picture_travels_with_the_notebook():
    assert edition("![A scheme](../book/_static/stitching.svg)").startswith("![A scheme](data:image/svg+xml;base64,PH")


def test_without_an_address_words_stay_and_answers_go():
    found = plain.editions({"9_x": chapter("{drive}`far <a-b>`, {drive}`Answer <a-b>`")}, ROOT, "", [])
    assert found["9_x"].cells[0].source.endswith("\n\nfar, ")


@pytest.mark.parametrize(
    "text",
    [
        "{glue:text}`nothing`",
        "{cite}`nobody1900`",
        "{prf:ref}`nowhere`",
        "{ref}`nowhere`",
        "{doc}`/book/nowhere`",
        "{numref}`x`",
        "::::{note}\nx\n::::",
        "(label)=\ntext",
        "% a comment",
        ":::{unknown\n:::",
    ],
)
def test_what_has_no_plain_form_is_an_error(text):
    with pytest.raises((ValueError, FileNotFoundError)):
        edition(text)
