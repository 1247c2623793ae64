"""What a chapter's text can do: words that set figures, numbers with intervals, pictures of data; API, status, 404."""

import dataclasses
import importlib
import inspect
import io
import json
import re
import sys
import typing
from pathlib import Path

import altair as alt
import nbformat
import numpy as np
import pandas as pd
import pytest

import dlcore
from dlcore.charts import page
from dlcore.charts.pictures import Picture, gallery, png
from dlcore.claims import Claim, Measured
from dlcore.config import Options

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "_ext")]

import api  # noqa: E402
import chapters  # noqa: E402
import contents  # noqa: E402
import dlbook  # noqa: E402
import pdf  # noqa: E402
import status  # noqa: E402

CHART = """<script type="application/vnd.dlcore.chart+json">{"name": "a", "controls":
[{"column": "noise", "options": [0.1, 0.4], "shown": ["10 %", "40 %"]}]}</script>"""


@pytest.mark.parametrize(
    ("link", "wrong"),
    [
        ("#fig-a?noise=0.4", None),
        ("#fig-a?noise=40%20%25", None),
        ("#fig-a", None),
        ("#fig-a?noise=0.5", "no choice noise = '0.5': ['0.1', '0.4', '10 %', '40 %']"),
        ("#fig-a?rate=0.4", "no choice rate = '0.4': ['noise']"),
        ("#fig-b", "there is no figure 'b': a"),
    ],
)
def test_words_that_set_nothing_fail_the_build(link, wrong):
    body = f'{CHART}<a class="dl-drive" href="{link}">words</a>'
    if wrong is None:
        return chapters.checked(body, "page")
    with pytest.raises(ValueError, match=re.escape(wrong)):
        chapters.checked(body, "page")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("40 (33 to 47, 3 runs)", "40"),
        ("-0.002 (-0.014 to 0.004, 50 runs)", "-0.002"),
        ("0.97 (one run)", "0.97"),
        ("no run", None),
        ("12 reproduced, 3 undecided", None),
    ],
)
def test_an_interval_steps_back_behind_its_number(text, shown):
    span = f'<span class="pasted-text">{text}</span>'
    found = chapters.NUMBER.search(span)
    assert (found and found[3]) == shown


def _prose(path):
    """Returns the text of a chapter that a reader meets: no code, no headings, no words that set a figure."""
    cells = path.read_text("utf8").split("# %%")
    text = "\n".join(c.partition("\n")[2] for c in cells if c.partition("\n")[0].strip() == "[markdown]")
    text = re.sub(r"```.*?```|\{drive\}`[^`]*`|^# (?:#|:label:)[^\n]*$", "", text, flags=re.S | re.M)
    return re.sub(r"\n# ?", "\n", text)


CHAPTERS = sorted((ROOT / "notebooks").glob("[1-4]_*.py"))
# names that a chapter uses as if everybody knew them; where one of them comes first, it explains itself
NAMES = (
    *("SimCLR", "VICReg", "MNIST-1D", "2L2L", "BatchNorm", "Zipf's law", "Holm's correction", "linear CKA"),
    *("ridge", "ogistic regression", "random ReLU", "elasticity", "bootstrap"),
)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem[0])
def test_a_name_explains_itself_where_it_comes_first(path):
    prose = _prose(path)
    explained = re.sub(r"\{term\}`[^`]*`", lambda m: " " * len(m[0]), prose)
    late = []
    for name in NAMES:
        first, bare = prose.find(name), explained.find(name)
        if 0 <= bare == first:
            late.append(f"{name}: {prose[first - 30 : first + 30]!r}")
    assert not late


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem[0])
def test_numbers_in_prose_have_two_digits(path):
    """Also in the folded parts; sizes are whole numbers, formulas and code are as exact as they must be."""
    bare = re.sub(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`|`[^`]*`", "", _prose(path))
    decimals = re.findall(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)", bare)
    assert [d for d in decimals if len(d.replace(".", "").lstrip("0")) > 2] == []
    formats = re.findall(r"\{glue:text\}`[^`:]+:([^`]*)`", _prose(path))
    assert set(formats) <= {".2g", ".2f", ".0%", ".1%", ".0f", ",.0f"}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem[0])
def test_the_answer_is_three_points_and_the_counts_of_verdicts(path):
    answer = re.search(r":::\{admonition\} The answer\n(.*?)\n:::", _prose(path), re.S)[1]
    assert len(re.findall(r"^- \*\*\{glue:text\}", answer, re.M)) == 3 == len(re.findall("^- ", answer, re.M))
    assert re.search(r"ledger <claims>`, by \{term\}`verdict`: \{glue:text\}`\w+/verdicts`\.$", answer, re.S)


def test_a_quoted_number_says_of_how_many_runs():
    def quoted(*measured):
        return Claim("", 1, "", "", "", (0, 1), Measured(*measured)).quoted

    assert quoted(0.1168, 0.0832, 0.1504, 5) == "0.12 (0.08 to 0.15, 5 runs)"
    assert quoted(0.97, float("nan"), float("nan"), 1) == "0.97 (one run)"
    assert quoted(12.3, 12.3, 12.3, 53) == "12"


def test_a_png_is_what_another_reader_sees():
    from PIL import Image

    image = np.random.default_rng(0).random((1, 5, 7))
    image.flat[[0, 1]] = 0, 1
    with Image.open(io.BytesIO(png(image))) as read:
        assert np.array_equal(np.asarray(read), np.round(255 * image[0]))
    for bad in (np.zeros((2, 3, 3)), np.full((2, 2), np.nan), np.zeros(0)):
        with pytest.raises(ValueError, match="a grey image"):
            png(bad)


def test_a_gallery_says_what_it_shows():
    found = gallery({"Row": [Picture(np.eye(3), "a <3>", True), Picture(np.array([0.0, 2.0, 1.0]), "signal")]})
    assert found.count("a &lt;3&gt;") == 2  # for the eye and for a screen reader
    assert "<figcaption class=dl-wrong>" in found
    assert 'points="0.0,56.0 50.0,4.0 100.0,30.0"' in found


CONTRACT = [
    *(
        "confusion",
        "confusion_from_counts",
        "apply_probabilities",
        "instance_probabilities",
        "replace_words",
        "misalign",
    ),
    *(
        "probe_rationality",
        "gap_intervals",
        "train_test_tv",
        "agreement_gap",
        "matrix",
        "SimilarityMatrix",
        "stage_names",
    ),
    *(
        "activations",
        "random_bottom",
        "report",
        "report_joint",
        "LawReport",
        "fit_joint",
        "JointFit",
        "compute_optimal",
    ),
    *("compare_laws", "equivalence", "paired_equivalence", "shared_exponent", "dataset", "architecture", "study"),
    *("plugins", "sweep", "Sweep", "load", "columns", "export"),
    "flip_labels",
    "apply_confusion",
    "gaps",
    "deviation_complexity",
    "prediction_complexity",
    "memorization_bound",
    "joint_density",
    "total_variation",
    "feature_calibration",
    "agreement",
    "knn_flip_rate",
    "linear_cka",
    "rbf_cka",
    "svcca",
    "pwcca",
    "procrustes",
    "rsa",
    "mutual_knn",
    "MinibatchCKA",
    "fit",
    "marginal_value",
    "effective_data",
    "mean_interval",
    "cca",
    "panel",
    *(name for names in dlcore._PUBLIC.values() for name in names),
]


def _documented():
    """Returns what the API page documents, by its full name."""
    module, last, found = "", "", {}
    for line in (ROOT / "book" / "api.md").read_text("utf8").splitlines():
        kind, _, name = line.removeprefix(".. ").partition(":: ")
        if kind == "currentmodule":
            module = name
        elif kind in ("autofunction", "autoclass"):
            last = name if name.startswith("dlcore.") else f"{module}.{name}"
            assert last not in found
            place, _, own = last.rpartition(".")
            found[last] = getattr(importlib.import_module(place), own)
        elif line.startswith("   :members: "):
            members = line.removeprefix("   :members: ").split(", ")
            found |= {f"{last}.{member}": getattr(found[last], member) for member in members}
    return found


DOCUMENTED = _documented()


def test_the_api_page_has_the_public_contract():
    assert set(CONTRACT) <= {name.rpartition(".")[2] for name in DOCUMENTED}


# what a function is about, not how it does it
SUBJECTS = {
    "sweep": "grid",
    "penalty_curve": "stages",
    "connectivity": "stages",
    "matrix": "layers",
    "stitch": "top_stage",
    "RecordStore": "path",
    "floor": "noise",
    "panel": "store",
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_options_are_given_by_name(name):
    thing = DOCUMENTED[name]
    made = dataclasses.is_dataclass(thing) and not issubclass(thing, Options)  # a result, which nobody makes
    if made or name.endswith(("Noise", "Transduction", "Shape")):  # named by their parts
        return
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.default is not parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert SUBJECTS.get(name.rpartition(".")[2]) == parameter.name


def _classes(hint):
    parts = [_classes(part) for part in typing.get_args(hint)]
    return {hint}.union(*parts) if isinstance(hint, type) else set().union(*parts)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_api_page_has_the_classes_of_its_signatures(name):
    thing = DOCUMENTED[name]
    call = thing.__init__ if isinstance(thing, type) else inspect.unwrap(thing)
    hints = typing.get_type_hints(call, {"pd": pd, "alt": alt, **vars(sys.modules[thing.__module__])})
    named = set().union(*map(_classes, hints.values()))
    there = {value for value in DOCUMENTED.values() if isinstance(value, type)}
    assert {one.__name__ for one in named - there if one.__module__.startswith("dlcore")} == set()


def test_a_docstring_of_the_house_becomes_fields():
    doc = [
        "Sums.",
        "",
        "Shapes: x (n,).",
        "Args:",
        "    x: numbers, |x| < 1",
        "        or `None`.",
        "",
        ">>> f(1)",
        "1",
    ]
    text = "\n".join(api.lines(doc))
    assert ":Shapes: x (n,)." in text
    assert "  - ``x``: numbers, \\|x\\| < 1" in text
    assert text.endswith("\n>>> f(1)\n1")


def test_the_status_page_counts_every_shipped_record():
    text = status.page({"1_chapter": 12.4, "2_chapter": None})
    runs = status.recorded()
    assert {"preset", "dataset", "device", "first", "last"} <= set(runs)
    assert (pd.to_datetime(runs["last"]) >= pd.to_datetime(runs["first"])).all()
    assert f"{runs.runs.sum():,} recorded runs" in text
    assert "<td>12 s</td>" in text
    assert "<td>not known</td>" in text
    assert "Python" in dict(status.versions())


def test_the_pdf_has_every_page_of_the_contents():
    assert pdf.pages()[0] == "book/index"
    assert {"notebooks/1_rationality", "notebooks/6_synthesis", "book/api"} <= set(pdf.pages())


@pytest.mark.parametrize("name", ["404", "root"])
def test_the_pages_outside_the_book_are_whole(name):
    """They are written by hand: a language, a main part, a description, and a way into the book."""
    text = (ROOT / "book" / f"{name}.html").read_text("utf8")
    for part in ('<html lang="en">', "<main>", '<meta name="description"', 'href="book/index.html"'):
        assert text.count(part) == 1, part


def test_pages_that_sphinx_makes_have_a_description_and_a_list_has_items():
    assert 'content="Search. Four findings' in dlbook.described("<title>Search - The book</title>")
    kept = '<title>A</title><meta name="description" content="own" />'
    assert dlbook.described(kept) == kept
    assert dlbook.described('<div role="list"><div role="doc-biblioentry">') == '<div role="list"><div role="listitem">'


def test_the_list_of_figures_has_each_figure_with_its_finding():
    note = {"name": "a", "title": "It rises <at once>"}
    chart = f'<script type="{page.SPEC}">{json.dumps(note)}</script>'
    cells = [nbformat.v4.new_markdown_cell("# A chapter\n\nText"), nbformat.v4.new_code_cell("x")]
    cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/html": chart})]
    books = {"1_one": nbformat.v4.new_notebook(cells=cells), "2_two": nbformat.v4.new_notebook(cells=cells[:1])}
    found = contents.figures(books)
    assert "<a href='../notebooks/1_one.html#fig-a'>It rises &lt;at once&gt;</a>" in found
    assert found.count("A chapter") == 1  # a notebook without figures has no part
