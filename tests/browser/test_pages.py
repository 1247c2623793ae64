"""The finished site as a reader meets it: keyboard, dark and light, desktop and phone, screen reader, no network."""

import base64
import json
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).resolve().parents[2]
RATIONALITY = "notebooks/1_rationality.html"
DISTRIBUTIONAL = "notebooks/3_distributional_generalization.html"
STITCHING = "notebooks/2_stitching.html"
SCALING = "notebooks/4_data_scaling.html"
LAB = "notebooks/5_lab.html"
CHAPTERS = {RATIONALITY: 5, STITCHING: 8, DISTRIBUTIONAL: 10, SCALING: 8, LAB: 4}  # page: its charts
PAGES = [
    "book/index.html",
    "book/claims.html",
    "book/data.html",
    "book/using.html",
    "book/own.html",
    "book/benchmarks.html",
    "book/bibliography.html",
]

# What the theme does, not we; each with its reason
THEME = {
    "scrollable-region-focusable": "code and tables scroll sideways inside their own box",
    "landmark-unique": "the theme has several unnamed navigation landmarks",
    "list": "docutils' bibliography lists",
    "dlitem": "docutils' bibliography lists",
    "aria-required-parent": "docutils' bibliography lists",
    "aria-required-children": "docutils' bibliography lists",
}


def _marks(chart):
    """Returns everything that a chart draws: paths, positions, colours and texts."""
    return chart.locator("svg").first.evaluate("e => e.innerHTML")


def _chart(page, title):
    return page.locator(".dl-chart", has=page.locator(f"a[download='{title}.csv']"))


@pytest.mark.parametrize("name", PAGES)
def test_plain_pages_load(visit, name):
    page = visit(name)
    assert page.title()
    assert page.locator("article h1").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chart_is_drawn_described_and_fits(visit, name, width, scheme):
    page = visit(name, width=width, scheme=scheme)
    charts = page.locator(".dl-chart")
    assert charts.count() == CHAPTERS[name]
    for i in range(charts.count()):
        chart = charts.nth(i)
        assert chart.get_attribute("data-ready") == "1", chart.inner_text()
        assert len(chart.get_attribute("aria-label")) > 60
        assert chart.locator("svg path, svg rect, svg text").count() > 10
        box = chart.locator("svg").first.bounding_box()
        assert box["width"] <= chart.bounding_box()["width"] + 1, f"chart {i} is wider than its column"
        rows = base64.b64decode(chart.locator(".dl-rows a").get_attribute("href").split(",", 1)[1]).decode()
        assert rows.count("\n") > 3
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.parametrize("name", [name for name in CHAPTERS if name != LAB])
def test_at_least_four_charts_answer(visit, name):
    page = visit(name)
    answering = page.locator(".dl-chart:has(input, select)")
    assert answering.count() >= 4


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "csv", "still"),
    [
        (DISTRIBUTIONAL, "spectrum", "knn-law"),
        (DISTRIBUTIONAL, "joint-density", "knn-law"),
        (DISTRIBUTIONAL, "tv-against-epsilon", "knn-law"),
        (RATIONALITY, "gap-decomposition", "table-procedure"),
        (RATIONALITY, "noise-sweep", "table-procedure"),
        (RATIONALITY, "leverage", "table-procedure"),
    ],
)
def test_the_noise_slider_by_keyboard_changes_the_marks(visit, name, csv, still, scheme, width):
    page = visit(name, width=width, scheme=scheme)
    chart, other = _chart(page, csv), _chart(page, still)
    before, untouched = _marks(chart), _marks(other)
    slider = chart.locator("input[type=range]").first
    slider.focus()
    value = slider.input_value()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert slider.input_value() != value
    assert _marks(chart) != before
    assert _marks(other) == untouched
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(300)
    assert _marks(chart) == before


@pytest.mark.parametrize(
    ("name", "csv", "what"),
    [
        (DISTRIBUTIONAL, "spectrum", "architecture"),
        (DISTRIBUTIONAL, "joint-density", "architecture"),
        (DISTRIBUTIONAL, "tv-against-epsilon", "architecture"),
        (DISTRIBUTIONAL, "tv-by-size", "architecture"),
        (DISTRIBUTIONAL, "agreement", "architecture"),
        (RATIONALITY, "gap-decomposition", "data"),
        (RATIONALITY, "noise-sweep", "method"),
        (RATIONALITY, "leverage", "method"),
        (RATIONALITY, "bound-by-size", "method"),
        (STITCHING, "stitching-penalty", "bottom"),
        (STITCHING, "stitching-penalty", "map"),
        (STITCHING, "stitching-path", "networks"),
        (STITCHING, "stitching-cka", "index"),
        (STITCHING, "stitching-similarity", "index"),
        (SCALING, "learning-curves", "law"),
        (SCALING, "learning-curves", "noise"),
        (SCALING, "exponents-constants", "law"),
        (SCALING, "size-by-size", "data"),
        (SCALING, "marginal-value", "quantity"),
        (SCALING, "published-points", "architecture"),
        (SCALING, "extrapolation", "setting"),
    ],
)
def test_every_choice_changes_the_marks(visit, name, csv, what):
    page = visit(name)
    chart = _chart(page, csv)
    menu = chart.locator(f"select[aria-label*={what}]")
    seen = set()
    options = menu.locator("option").all_inner_texts()
    assert len(options) >= 3
    for option in options:
        menu.select_option(label=option)
        page.wait_for_timeout(120)
        seen.add(_marks(chart))
    # a family without a run in the shown cell leaves all others dimmed, which is one picture for all such families
    assert len(seen) >= min(len(options), 4), f"{len(options)} choices, {len(seen)} different pictures"


@pytest.mark.parametrize(
    ("name", "csv", "least", "data"),
    [
        (DISTRIBUTIONAL, "spectrum", 20, None),
        (RATIONALITY, "leverage", 20, None),
        (RATIONALITY, "gap-decomposition", 2, "MNIST-1D (ours)"),
        (RATIONALITY, "gap-decomposition", 2, "CIFAR-10, ResNet-18 (ours)"),
        (RATIONALITY, "noise-sweep", 4, "CIFAR-10, ResNet-18 (ours)"),
        (RATIONALITY, "noise-sweep", 4, "CIFAR-10 (published)"),
    ],
)
def test_the_slider_draws_something_at_every_step(visit, name, csv, least, data):
    """A float compared with == would leave holes, and so would a rate that the chosen data do not have."""
    page = visit(name)
    chart = _chart(page, csv)
    if data is not None:
        chart.locator("select[aria-label*=data]").select_option(label=data)
    slider = chart.locator("input[type=range]").first
    low, high, step = (float(slider.get_attribute(a)) for a in ("min", "max", "step"))
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(round((high - low) / step) + 1):
        page.wait_for_timeout(120)
        assert chart.locator("svg g.mark-symbol path").count() >= least
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize(
    ("name", "csv"),
    [
        *((DISTRIBUTIONAL, csv) for csv in ("spectrum", "agreement")),
        *((RATIONALITY, csv) for csv in ("gap-decomposition", "noise-sweep", "leverage")),
    ],
)
def test_controls_have_names_and_room(visit, name, csv):
    page = visit(name)
    controls = _chart(page, csv).locator("input, select")
    for i in range(controls.count()):
        assert controls.nth(i).get_attribute("aria-label")
        assert controls.nth(i).bounding_box()["height"] >= 24


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [*CHAPTERS, "book/claims.html"])
def test_axe_finds_nothing(visit, name, scheme):
    page = visit(name, scheme=scheme)
    page.wait_for_timeout(300)
    # preloading makes axe itself fetch style sheets, from wrong places
    options = {
        "preload": False,
        "runOnly": ["wcag2a", "wcag2aa"],
        "rules": {rule: {"enabled": False} for rule in THEME},
    }
    inside = ".dl-chart, .dl-table" if page.locator(".dl-chart, .dl-table").count() else "article"
    found = Axe().run(page, context=inside, options=options).response["violations"]
    assert not found, [(v["id"], [n["html"][:120] for n in v["nodes"][:2]]) for v in found]


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_page_shows_no_dead_widget(visit, name):
    page = visit(name)
    assert page.locator(".jupyter-widgets, .widget-slider").count() == 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_numbers_in_sentences_come_from_the_records(visit, name):
    """A glue that was not filled would show its name or nothing."""
    page = visit(name)
    text = page.locator("article").inner_text()
    assert "glue:" not in text
    if name != LAB:
        # a NumPy scalar with a format is left out without a word
        wanted = (ROOT / name).with_suffix(".py").read_text("utf8").count("{glue:text}")
        found = page.locator(".pasted-text").all_text_contents()
        assert len(found) == wanted > 0
        assert all(t.strip() for t in found)
    assert "nan" not in text.lower().split()


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_download_is_the_committed_plain_edition_with_the_pages_numbers(visit, name):
    """Of the very same build: its numbers are those that the page shows, in their order."""
    committed = ROOT / "notebooks" / "plain" / f"{Path(name).stem}.ipynb"
    copy = ROOT / "_build" / "html" / "_sources" / "notebooks" / committed.name
    assert copy.read_text("utf8") == committed.read_text("utf8"), "run: make notebooks"
    text = "\n".join(c["source"] for c in json.loads(copy.read_text("utf8"))["cells"] if c["cell_type"] == "markdown")
    page, place = visit(name), 0
    for value in page.locator(".pasted-text").all_text_contents():
        place = text.index(value, place) + len(value)
    launch = page.locator("a[href*='colab.research.google.com']").first.get_attribute("href")
    assert launch.endswith(f"/blob/main/notebooks/plain/{committed.name}")
