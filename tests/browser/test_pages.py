"""The finished site as a reader meets it: keyboard, dark and light, desktop and phone, screen reader, no network."""

import gzip
import json
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book"))

import address  # noqa: E402
import build  # noqa: E402

SITE = ROOT / "_build" / "html"
RATIONALITY = "notebooks/1_rationality.html"
DISTRIBUTIONAL = "notebooks/3_distributional_generalization.html"
STITCHING = "notebooks/2_stitching.html"
SCALING = "notebooks/4_data_scaling.html"
LAB = "notebooks/5_lab.html"
SYNTHESIS = "notebooks/6_synthesis.html"
FINDINGS = (RATIONALITY, STITCHING, DISTRIBUTIONAL, SCALING)
CHAPTERS = {RATIONALITY: 5, STITCHING: 7, DISTRIBUTIONAL: 10, SCALING: 8, LAB: 4, SYNTHESIS: 3}  # page: its charts
PAGES = [
    "book/index.html",
    "book/claims.html",
    "book/data.html",
    "book/using.html",
    "book/own.html",
    "book/new.html",
    "book/api.html",
    "book/glossary.html",
    "book/figures.html",
    "book/changes.html",
    "book/status.html",
    "book/benchmarks.html",
    "book/bibliography.html",
]

# What the theme does, not we; each with its reason
THEME = {
    "scrollable-region-focusable": "code and tables scroll sideways inside their own box",
    "landmark-unique": "the theme has several unnamed navigation landmarks",
}


def _marks(chart):
    """Returns everything that a chart draws: paths, positions, colours and texts, in an order that says nothing.

    Vega appends rows and ticks that come back: what is drawn counts, not its order in the file.
    """
    return chart.locator("svg").first.evaluate(
        "e => [...e.querySelectorAll('path, text, line, rect')].map((m) => m.outerHTML).sort().join('\\n')"
    )


def _drawn(page, title):
    """Draws one chart of a page, as a reader who comes to it does, and returns it."""
    chart = page.locator(f"#fig-{title}")
    chart.evaluate("e => dlReveal(e)")
    chart.scroll_into_view_if_needed()
    page.wait_for_function("id => document.getElementById(id).dataset.ready", arg=f"fig-{title}")
    return chart


@pytest.mark.parametrize("name", PAGES)
def test_plain_pages_load(visit, name):
    page = visit(name)
    assert page.title()
    assert page.locator("article h1").count() == 1


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (640, "dark"),
        pytest.param(1280, "light", marks=pytest.mark.slow),  # at these widths test_charts looks into every state
        pytest.param(390, "light", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chart_is_drawn_described_and_fits(visit, name, width, scheme):
    """640 px is a desk's window at 200 %."""
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
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.parametrize("name", FINDINGS)
def test_at_least_four_charts_answer(visit, name):
    page = visit(name, draw=False)
    answering = page.locator(".dl-chart:has(input, select)")
    assert answering.count() >= 4


@pytest.mark.table
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
    page = visit(name, width=width, scheme=scheme, draw=False)
    other, chart = _drawn(page, still), _drawn(page, csv)
    before, untouched = _marks(chart), _marks(other)
    slider = chart.locator("input[type=range]").first
    slider.focus()
    value = slider.input_value()
    page.keyboard.press("ArrowRight")
    chart.evaluate("e => e.dlDone()")
    assert slider.input_value() != value
    assert _marks(chart) != before
    assert _marks(other) == untouched
    page.keyboard.press("ArrowLeft")
    chart.evaluate("e => e.dlDone()")
    assert _marks(chart) == before


@pytest.mark.table
@pytest.mark.parametrize(
    ("name", "csv", "what"),
    [
        (DISTRIBUTIONAL, "spectrum", "architecture"),
        (DISTRIBUTIONAL, "joint-density", "architecture"),
        (DISTRIBUTIONAL, "tv-against-epsilon", "architecture"),
        (DISTRIBUTIONAL, "tv-by-size", "architecture"),
        (DISTRIBUTIONAL, "agreement", "architecture"),
        (RATIONALITY, "gap-decomposition", "data"),
        (RATIONALITY, "noise-sweep", "probe on"),
        (RATIONALITY, "leverage", "method"),
        (RATIONALITY, "bound-by-size", "method"),
        (STITCHING, "stitching-penalty", "bottom"),
        (STITCHING, "stitching-penalty", "map"),
        (STITCHING, "stitching-path", "networks"),
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
    page = visit(name, draw=False)
    chart = _drawn(page, csv)
    menu = chart.locator(f"select[aria-label*='{what}']")
    seen = set()
    options = menu.locator("option").all_inner_texts()
    assert len(options) >= 3
    for option in options:
        menu.select_option(label=option)
        chart.evaluate("e => e.dlDone()")
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
    page = visit(name, draw=False)
    chart = _drawn(page, csv)
    if data is not None:
        chart.locator("select[aria-label*=data]").select_option(label=data)
    slider = chart.locator("input[type=range]").first
    steps = int(slider.get_attribute("max")) + 1
    slider.focus()
    page.keyboard.press("Home")
    seen = set()
    for _ in range(steps):
        chart.evaluate("e => e.dlDone()")
        assert chart.locator("svg g.mark-symbol path").count() >= least
        seen.add(slider.get_attribute("aria-valuetext"))
        page.keyboard.press("ArrowRight")
    assert len(seen) == steps
    assert all(text.endswith(" %") for text in seen)


@pytest.mark.parametrize(
    ("name", "csv"),
    [
        *((DISTRIBUTIONAL, csv) for csv in ("spectrum", "agreement")),
        *((RATIONALITY, csv) for csv in ("gap-decomposition", "noise-sweep", "leverage")),
    ],
)
def test_controls_have_names_and_room(visit, name, csv):
    controls = _drawn(visit(name, draw=False), csv).locator("input, select")
    for i in range(controls.count()):
        name = "e => e.getAttribute('aria-label') || [...(e.labels || [])].map((l) => l.textContent).join(' ')"
        assert controls.nth(i).evaluate(name).strip()
        # a finger hits a radio button by its label
        target = "e => Math.max(...[e, ...(e.labels || [])].map((m) => m.getBoundingClientRect().height))"
        assert controls.nth(i).evaluate(target) >= 24


@pytest.mark.parametrize("name", [*CHAPTERS, "book/claims.html", "book/bibliography.html", "book/figures.html"])
def test_axe_finds_nothing(visit, name):
    """All rules in light; in dark, where nothing but colours is another, that of contrast."""
    page = visit(name)
    inside = ".dl-chart, .dl-table" if page.locator(".dl-chart, .dl-table").count() else "article"
    rules = {"light": ["wcag2a", "wcag2aa"], "dark": ["color-contrast"]}
    for scheme, only in rules.items():
        page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
        page.wait_for_timeout(300)
        # preloading makes axe itself fetch style sheets, from wrong places
        options = {"preload": False, "runOnly": only}
        if scheme == "light":
            options["rules"] = {rule: {"enabled": False} for rule in THEME}
        found = Axe().run(page, context=inside, options=options).response["violations"]
        assert not found, (scheme, [(v["id"], [n["html"][:120] for n in v["nodes"][:2]]) for v in found])


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_page_shows_no_dead_widget(visit, name):
    page = visit(name, draw=False)
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


@pytest.fixture(scope="module")
def editions(site):
    """The plain editions by the build's executed copies, as a repository commits them and as its site gives them."""
    pages = [build.Page(source) for source in build.notebooks()]
    return {url: build.editions(pages, url) for url in {address.in_sources(), address.address()}}


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_download_is_the_committed_plain_edition_with_the_pages_numbers(visit, name, editions):
    """Of the very same build: its numbers are those that the page shows, in their order."""
    committed = ROOT / "notebooks" / "plain" / f"{Path(name).stem}.ipynb"
    copy = ROOT / "_build" / "html" / "_sources" / "notebooks" / committed.name
    assert committed.read_text("utf8") == editions[address.in_sources()][committed.stem], "run: make notebooks"
    assert copy.read_text("utf8") == editions[address.address()][committed.stem]
    text = "\n".join(
        "".join(c["source"]) for c in json.loads(copy.read_text("utf8"))["cells"] if c["cell_type"] == "markdown"
    )
    page, place = visit(name, draw=False), 0
    for value in page.locator(".pasted-text").all_text_contents():
        place = text.index(value, place) + len(value)
    # Colab opens what is committed, which must have the site's address
    launch = page.locator("a[href*='colab.research.google.com']")
    assert launch.count() == bool(address.opened())
    for button in launch.all():
        assert button.get_attribute("href").endswith(f"/blob/main/notebooks/plain/{committed.name}")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_light_and_draws_what_is_in_view(visit, name):
    """Rows come once, in one script; what is far below waits until the reader comes near."""
    page = visit(name, draw=False)
    page.wait_for_timeout(300)
    file = ROOT / "_build" / "html" / name
    rows = file.parents[1] / "_static" / "charts" / f"{file.parent.name}-{file.stem}.js"
    assert len(gzip.compress(file.read_bytes())) < 60_000
    assert file.stat().st_size + rows.stat().st_size < 400_000
    assert len(gzip.compress(file.read_bytes())) + len(gzip.compress(rows.read_bytes())) < 110_000
    drawn = page.locator(".dl-chart[data-ready='1']").count()
    assert drawn < CHAPTERS[name]
    last = page.locator(".dl-chart").last
    last.evaluate("e => dlReveal(e)")
    last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('.dl-chart')].at(-1).dataset.ready === '1'")


def test_the_first_page_is_light(chromium, site):
    page = chromium.new_context().new_page()
    sizes = []
    page.on("response", lambda r: sizes.append(len(r.body())))
    page.goto(f"{site}/book/index.html", wait_until="networkidle")
    page.context.close()
    assert sum(sizes) < 400_000


@pytest.mark.parametrize("name", [RATIONALITY, "book/index.html"])
def test_the_tab_key_stops_where_something_can_be_done(visit, name):
    page = visit(name)
    page.wait_for_load_state("load")
    assert page.locator("mjx-container[tabindex='0']").count() == 0
    assert page.get_by_role("button", name="Search", exact=True).locator("visible=true").count() <= 1
    names = page.locator(".toggle-button").evaluate_all("all => all.map((b) => b.getAttribute('aria-label'))")
    assert len(set(names)) == len(names)
    assert all(n.startswith("Show or hide: ") for n in names)


def test_a_chapter_and_the_search_work_from_a_folder_of_files(visit):
    """As from the release's zip: every chart, and the whole index, without a server."""
    root = SITE.as_uri()
    page = visit(RATIONALITY, root=root)
    assert page.locator(".dl-chart[data-ready='1']").count() == CHAPTERS[RATIONALITY]
    page = visit("search.html?q=stitching", root=root)
    found = page.locator("ul.search a")
    found.first.wait_for()
    assert any(STITCHING in link.get_attribute("href") for link in found.all())


def test_a_reader_who_asks_for_it_sees_no_motion(visit):
    moving = """() => [document.documentElement, ...document.querySelectorAll("*")].filter((e) => {
      const s = getComputedStyle(e);
      return s.animationName !== "none" || s.scrollBehavior === "smooth" || s.transitionDuration.split(",").some((t) => parseFloat(t) > 0);
    }).length"""
    assert visit(RATIONALITY, draw=False).evaluate(moving) > 0
    assert visit(RATIONALITY, draw=False, reduced="reduce").evaluate(moving) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_reader_sees_where_the_keyboard_is(visit, scheme):
    """Every stop of the tab key in the text has an outline that is wide enough and not of the background's colour."""
    page = visit(RATIONALITY, scheme=scheme)
    stops = 0
    page.locator("article h1 a").first.focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen = page.evaluate("""() => {
          const e = document.activeElement, s = getComputedStyle(e);
          return e.closest("article") && [e.outerHTML.slice(0, 120), s.outlineStyle, parseFloat(s.outlineWidth), s.outlineColor !== getComputedStyle(document.body).backgroundColor];
        }""")
        if seen:
            stops += 1
            assert seen[1] != "none", seen
            assert seen[2] >= 2, seen
            assert seen[3], seen
    assert stops > 15


FAINT = """() => {
  const rgb = (c) => (c.match(/[\\d.]+/g) || []).slice(0, 4).map(Number);
  const lum = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const back = lum(rgb(getComputedStyle(document.body).backgroundColor)), found = new Set();
  for (const e of document.querySelectorAll(".dl-chart svg :is(.role-mark, .role-legend-symbol) path")) {
    const style = getComputedStyle(e), opacity = Number(e.getAttribute("opacity") ?? 1) * Number(e.getAttribute("fill-opacity") ?? 1);
    if (opacity < .9 || e.closest(".mark-rect, .mark-area, .mark-group > path")) continue;
    for (const c of [style.fill, style.stroke]) {
      if (!c.startsWith("rgb") || rgb(c)[3] === 0) continue;
      const one = lum(rgb(c)), ratio = (Math.max(one, back) + .05) / (Math.min(one, back) + .05);
      if (ratio < 3) found.add(`${e.closest(".dl-chart").dataset.name}: ${c} ${ratio.toFixed(2)}`);
    }
  }
  return [...found];
}"""


@pytest.mark.parametrize("name", CHAPTERS)
def test_marks_can_be_seen_on_the_page(visit, name):
    """Every filled mark and line of every chart against the page's background, as the browser computes both."""
    page = visit(name)
    for scheme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{scheme}'")
        faint = page.evaluate(FAINT)
        assert not faint, (scheme, faint)
