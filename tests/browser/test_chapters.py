"""A chapter as a reader goes through it: short, folded, with words that set figures and views that can be linked to."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = [f"notebooks/{path.stem}.html" for path in sorted((ROOT / "notebooks").glob("[1-4]_*.py"))]
DRIVEN = [*CHAPTERS, "notebooks/6_synthesis.html"]


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_at_most_nine_thousand_pixels_high(visit, name):
    page = visit(name, draw=False)
    for chart in page.locator(".dl-chart:visible").all():
        chart.scroll_into_view_if_needed()
        chart.evaluate(
            "async (e) => { while (e.dataset.ready !== '1') await new Promise((r) => setTimeout(r, 50)); await e.dlDone(); }"
        )
    assert page.evaluate("document.documentElement.scrollHeight") <= 9000
    # the answer and its figure stand on the first screens
    assert page.locator(".dl-chart").first.evaluate("e => e.getBoundingClientRect().top + scrollY") < 1000


@pytest.mark.parametrize("name", CHAPTERS)
def test_details_open_by_keyboard_for_a_link_and_on_paper(visit, name):
    page = visit(name, draw=False)
    folds = page.locator("details.dl-fold")
    assert folds.count() >= 5
    assert page.locator("details.dl-fold[open]").count() == 0
    folds.first.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert folds.first.get_attribute("open") is not None
    last = folds.last.locator("..")
    page.goto(f"{page.url.split('#')[0]}#{last.get_attribute('id')}")
    page.wait_for_function(
        "document.querySelectorAll('details.dl-fold')[document.querySelectorAll('details.dl-fold').length - 1].open"
    )
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.dl-fold:not([open])").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("details.dl-fold:not([open])").count() == folds.count() - 2


STATE = """(root) => [...root.querySelectorAll(".dl-control")].filter((e) => e.checkVisibility()).map((e) =>
  e.querySelector("output, select") ? e.querySelector("output, select").textContent && (e.querySelector("output")?.textContent ??
  e.querySelector("select").selectedOptions[0].textContent) : e.querySelector(":checked").parentElement.textContent)"""


@pytest.mark.parametrize("name", DRIVEN)
def test_words_set_figures_by_keyboard_and_by_address(visit, name):
    """Each link that names choices: pressed, the figure shows them; its address, opened afresh, shows them too."""
    page = visit(name, draw=False)
    links = page.locator("a.dl-drive[href*='?']")
    assert links.count() >= 3 or name == CHAPTERS[-1]
    for i in range(links.count()):
        link = links.nth(i)
        href = link.get_attribute("href")
        figure = page.locator(href.partition("?")[0])
        link.focus()
        page.keyboard.press("Enter")
        assert page.evaluate("decodeURIComponent(location.hash)") == page.evaluate("decodeURIComponent", href)
        shown = figure.evaluate(STATE)
        other = visit(f"{name}{href}", draw=False)
        assert other.locator(href.partition("?")[0]).evaluate(STATE) == shown
        other.wait_for_function(f"document.querySelector('{href.partition('?')[0]}').dataset.ready === '1'")
        assert other.locator(href.partition("?")[0]).is_visible()
        other.context.close()


def test_a_choice_is_in_the_address_and_the_view_can_be_taken_away(visit):
    page = visit(CHAPTERS[2])
    chart = page.locator("#fig-spectrum")
    slider = chart.locator("input[type=range]").first
    slider.focus()
    page.keyboard.press("End")
    page.wait_for_function("location.hash.startsWith('#fig-spectrum?')")
    text = slider.get_attribute("aria-valuetext")
    for words, ending, begins in (("SVG", "svg", b"<svg "), ("PNG", "png", b"\x89PNG"), ("Rows", "csv", None)):
        with page.expect_download() as download:
            chart.locator(".dl-rows a", has_text=words).first.click()
        assert download.value.suggested_filename == f"spectrum.{ending}"
        data = Path(download.value.path()).read_bytes()
        assert begins is None or data.startswith(begins)
        if ending == "svg":
            title = chart.locator(".dl-title").text_content()
            assert " ".join(title.split()[:4]).encode() in data
            assert not re.search(rb"var\(|currentColor", data)
    chart.get_by_role("button", name="Code").click()
    assert (
        "figures.spectrum("
        in chart.locator("xpath=ancestor::div[contains(concat(' ', @class, ' '), ' cell ')][1]")
        .locator("pre")
        .first.inner_text()
    )
    assert text == slider.get_attribute("aria-valuetext")


def test_a_colour_scale_is_in_the_file(visit):
    page = visit(CHAPTERS[1])
    chart = page.locator(".dl-chart:has(linearGradient)").first
    with page.expect_download() as download:
        chart.locator(".dl-rows a", has_text="SVG").first.evaluate("a => a.click()")
    data = Path(download.value.path()).read_text("utf8")
    used = re.findall(r"url\(([^)]*)\)", data)
    assert used
    assert all(f'id="{name.removeprefix("#")}"' in data for name in used)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_number_shows_its_interval_on_hover_and_focus(visit, name):
    page = visit(name, draw=False)
    number = page.locator(".dl-number:visible").first
    more = number.locator(".dl-more")
    assert re.fullmatch(r" \(.* to .*, \d+ runs\)| \(.* to .*\)| \(one run\)", more.text_content())
    assert more.bounding_box()["width"] < 2
    number.focus()
    assert more.bounding_box()["width"] > 40
    # two digits, and no interval stands open in the running text
    text = "".join(
        page.locator("article p:visible, article li:visible").evaluate_all(
            "all => all.map((e) => { const c = e.cloneNode(true); c.querySelectorAll('.dl-more').forEach((m) => m.remove()); return c.textContent; })"
        )
    )
    assert not re.search(r"\[-?[\d.]+, -?[\d.]+\]", text)


def test_a_term_and_a_citation_explain_themselves_to_the_keyboard(visit):
    page = visit(CHAPTERS[2])
    for link in ("a[data-meaning]", "a[href*='bibliography.html#'][title]"):
        one = page.locator(f"article {link}").first
        one.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")  # as a reader comes to it
        shown = one.evaluate("e => getComputedStyle(e, '::after').content")
        wanted = one.get_attribute("data-meaning") or one.get_attribute("title")
        assert len(wanted) > 20
        assert wanted[:20] in shown


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_reader_sees_the_data(visit, name):
    page = visit(name, draw=False)
    pictures = page.locator("#look-at-the-data img, #look-at-the-data .dl-gallery svg")
    table = page.locator("#look-at-the-data table")
    assert pictures.count() >= 8 or table.count() == 1
    for i in range(pictures.count()):
        assert (pictures.nth(i).get_attribute("alt") or pictures.nth(i).get_attribute("aria-label")).strip()


def test_a_chapter_read_to_its_end_is_marked(visit):
    page = visit(CHAPTERS[0], draw=False)
    assert page.locator(".bd-sidebar-primary .dl-read").count() == 0
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_selector(".bd-sidebar-primary .dl-read", state="attached")
    assert CHAPTERS[0] in page.evaluate("JSON.parse(localStorage.getItem('dl-read'))")


def test_a_part_read_to_its_end_is_ticked_in_the_margin(visit):
    """The margin's contents are the chapter's checklist."""
    page = visit(CHAPTERS[0], draw=False)
    link = page.locator(".bd-sidebar-secondary a[href='#the-claim']")
    assert link.locator(".dl-read").count() == 0
    page.locator("#the-claim > :last-child").scroll_into_view_if_needed()
    link.locator(".dl-read").wait_for()
    assert page.locator(".bd-sidebar-secondary a[href='#exercises'] .dl-read").count() == 0
