"""The ledger's page as a reader works with it: filters, counts, a head that stays, cards on a phone, no script at all."""

import json
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGE = "book/claims.html"
SHOWN = "[...document.querySelectorAll('.ledger tr[id]')].filter(r => r.checkVisibility()).map(r => r.id)"


def _choose(page, name, value):
    page.locator(f".ledger [name={name}]").select_option(value)


def _told(page):
    return page.locator(".ledger output").inner_text()


def test_every_choice_shows_as_many_rows_as_it_announces(visit):
    page = visit(PAGE)
    every = page.evaluate(SHOWN)
    assert len(every) > 100
    for name in ("chapter", "verdict", "scale", "kind", "timing"):
        options = page.locator(f".ledger [name={name}] option").evaluate_all("o => o.map(x => [x.value, x.text])")
        for value, text in options[1:]:
            _choose(page, name, value)
            n = int(text.rpartition("(")[2].rstrip(")"))
            assert n > 0
            assert len(page.evaluate(SHOWN)) == n, (name, value)
            assert _told(page).startswith(f"{n} of {len(every)} rows")
        _choose(page, name, "")
    assert page.evaluate(SHOWN) == every


def test_filters_combine_and_the_address_keeps_them(visit, site):
    page = visit(PAGE)
    _choose(page, "chapter", "3")
    _choose(page, "verdict", "not reproduced")
    page.locator(".ledger [name=words]").press_sequentially("fashion mlp")
    shown = page.evaluate(SHOWN)
    assert shown
    address = page.evaluate("location.hash")
    again = visit(f"{PAGE}{address}")
    assert again.evaluate(SHOWN) == shown
    assert again.locator(".ledger [name=words]").input_value() == "fashion mlp"
    again.locator(".ledger button[type=reset]").click()
    again.wait_for_function(f"({SHOWN}).length > 100")
    # a word that no row has: nothing is shown, and that is said
    again.locator(".ledger [name=words]").fill("zebra")
    assert again.evaluate(SHOWN) == []
    assert _told(again).startswith("0 of ")


def test_a_link_to_a_row_shows_the_row(visit):
    page = visit(f"{PAGE}#verdict=undecided")
    page.evaluate("location.hash = 'nn-is-a-sampler'")
    page.wait_for_function(f"({SHOWN}).length > 100")
    top = "document.getElementById('nn-is-a-sampler').getBoundingClientRect().top"
    page.wait_for_function(f"0 < {top} && {top} < 900")  # a busy machine scrolls late


def test_the_head_stays_below_the_bar(visit):
    page = visit(PAGE)
    page.evaluate("document.querySelector('.ledger tbody:nth-of-type(2)').scrollIntoView()")
    page.mouse.wheel(0, 2000)
    page.wait_for_timeout(300)
    head = page.locator(".ledger thead th").first.bounding_box()
    bar = page.locator(".bd-header-article").bounding_box()
    assert head["y"] == pytest.approx(bar["y"] + bar["height"], abs=2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_rows_are_cards_that_fit(visit, scheme):
    page = visit(PAGE, width=390, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    cells = page.locator("#cats-become-objects td")
    tops = [cells.nth(i).bounding_box()["y"] for i in range(cells.count())]
    assert tops == sorted(set(tops)), "one below the other"
    _choose(page, "verdict", "undecided")
    assert 0 < len(page.evaluate(SHOWN)) < 100


def test_without_scripts_it_is_a_plain_table(site, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{PAGE}")
    assert page.locator(".ledger tr[id]").count() > 100
    assert page.locator(".ledger tr[id]").first.is_visible()
    assert not page.locator(".ledger form").is_visible()
    context.close()


def test_it_works_from_a_file(site, chromium):
    page = chromium.new_page()
    problems = []
    page.on("pageerror", lambda e: problems.append(str(e)))
    page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    page.goto((SITE / PAGE).as_uri() + "#chapter=1&verdict=identity")
    every = page.locator(".ledger tr[id]").count()
    assert 0 < len(page.evaluate(SHOWN)) < every
    _choose(page, "verdict", "undecided")
    assert "verdict=undecided" in page.url
    page.close()
    assert not problems


def test_all_of_it_is_there_as_json(visit, site):
    page = visit(PAGE)
    link = page.locator(".ledger a[href='claims.json']")
    found = json.loads(page.request.get(f"{site}/book/{link.get_attribute('href')}").text())
    assert [row["id"] for row in found] == page.evaluate(SHOWN)
    assert {"verdict", "value", "low", "high", "runs", "accept", "scale", "kind", "links"} <= set(found[0])
