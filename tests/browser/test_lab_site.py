"""The experiments on the finished site: absent until a reader comes near, then at work, in a chapter's own colours."""

import pytest
from axe_playwright_python.sync_playwright import Axe

DISTRIBUTIONAL = "notebooks/3_distributional_generalization.html"
PAGES = {
    "notebooks/1_rationality.html": 1,
    "notebooks/2_stitching.html": 1,
    DISTRIBUTIONAL: 1,
    "notebooks/4_data_scaling.html": 1,
    "notebooks/5_lab.html": 5,
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_no_experiment_before_a_reader_comes(visit, name):
    page = visit(name, draw=False)
    asked = page.evaluate(
        "performance.getEntriesByType('resource').map((r) => r.name).filter((n) => n.includes('/_static/lab/'))"
    )
    assert not [url for url in asked if "/banks/" in url]
    if name != "notebooks/5_lab.html":  # whose first experiment is near its top
        assert {url.rpartition("/")[2] for url in asked} <= {"load.js", "lab.css"}
    assert page.locator(".dl-lab").count() == PAGES[name]
    assert page.locator(".dl-lab .dl-lab-title").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chapters_experiment_runs_among_its_recorded_runs(visit, scheme):
    page = visit(DISTRIBUTIONAL, scheme=scheme, draw=False)
    part = page.locator(".dl-lab")
    part.scroll_into_view_if_needed()
    part.locator(".dl-lab-run").first.click()
    page.wait_for_function("document.querySelector('.dl-lab').dataset.moved", timeout=60_000)
    assert "yours lies inside" in part.locator(".dl-lab-says").inner_text()
    assert part.locator("path.role-chosen.band").evaluate("(e) => getComputedStyle(e).fill") == "rgb(193, 37, 145)"
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    options = {"preload": False, "runOnly": ["wcag2a", "wcag2aa"]}
    found = Axe().run(page, context=".dl-lab", options=options).response["violations"]
    assert not found, [(v["id"], [n["html"][:120] for n in v["nodes"][:2]]) for v in found]


def test_the_laboratory_holds_every_experiment_once(visit):
    page = visit("notebooks/5_lab.html", draw=False)
    for part in page.locator(".dl-lab").all():
        part.scroll_into_view_if_needed()
        part.locator(".dl-lab-run").first.wait_for()
    # each has its own buttons, once
    assert page.locator(".dl-lab[data-lab=samplers] .dl-lab-run").count() == 2
    assert page.locator(".dl-lab[data-lab=yours] .dl-lab-run").count() == 1
