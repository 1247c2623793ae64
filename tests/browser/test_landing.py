"""The landing page as a newcomer meets it: the slider, the sentence that follows it, links, weight."""

import pytest
from axe_playwright_python.sync_playwright import Axe

PAGE = "book/index.html"


def _taught(page, name):
    return page.locator(f".try figure[data-name={name}] i.taught").count()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_slider_moves_squares_and_sentence_by_keyboard(visit, width):
    page = visit(PAGE, width=width)
    slider, says = page.locator(".try input"), page.locator(".says")
    first = (says.inner_text(), _taught(page, "probe"))
    slider.focus()
    for key in ("End", "Home"):
        page.keyboard.press(key)
        rate = slider.get_attribute("aria-valuetext")
        assert says.inner_text().startswith(f"With {rate} wrong labels")
        assert f"repeats {_taught(page, 'probe')}," in says.inner_text()
        assert f"repeats {_taught(page, 'end')} of 100" in says.inner_text()
        assert (says.inner_text(), _taught(page, "probe")) != first
    assert page.locator(".try figure i").count() == 200
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_without_scripts_the_figure_shows_its_first_state(site, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{PAGE}")
    assert not page.locator(".try .slide").is_visible()
    assert f"repeats {_taught(page, 'probe')}," in page.locator(".says").inner_text()
    context.close()


def test_a_verdict_leads_to_its_rows(visit):
    page = visit(PAGE)
    part = page.locator(".verdicts .parts a").nth(1)
    n = int(part.inner_text())
    part.click()
    page.wait_for_function("document.querySelector('.ledger form:not([hidden])')")
    assert page.locator(".ledger output").inner_text().startswith(f"{n} of ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_in_the_way_of_a_screen_reader(visit, scheme, width):
    page = visit(PAGE, width=width, scheme=scheme)
    found = (
        Axe()
        .run(page, context=".landing", options={"preload": False, "runOnly": ["wcag2a", "wcag2aa"]})
        .response["violations"]
    )
    assert not found, [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found]


def test_a_first_visit_is_light(visit, site):
    """Everything that the page asks for, before compression."""
    page = visit(PAGE)
    asked = page.evaluate("performance.getEntriesByType('resource').map(r => r.name)")
    sizes = {url: len(page.request.get(url).body()) for url in {f"{site}/{PAGE}", *asked}}
    assert sum(sizes.values()) < 400_000, sorted(((n, url) for url, n in sizes.items()), reverse=True)[:10]
