"""The ledger's page and its data: every claim once, with links that lead somewhere, as a table without scripts."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import pytest

from dlcore import claims, studies
from dlcore.claims import pages

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import ledger  # noqa: E402

URL = "https://github.com/someone/else"


@pytest.fixture(scope="module")
def rows():
    """The shipped ledger, evaluated once."""
    return claims.shipped()


@pytest.fixture(scope="module")
def data(rows):
    """The ledger as data."""
    return ledger.data(rows, URL)


def test_every_claim_has_a_figure_that_is_drawn_and_every_pattern_a_claim(rows):
    drawn = {
        n
        for p in (ROOT / "dlcore" / "studies").glob("*/figures/*.py")
        for n in re.findall(r'name="([a-z-]+)"', p.read_text("utf8"))
    }
    used = {ledger.figure(c) for c in rows}
    assert used <= drawn
    assert used == {name for study in studies.STUDIES for name in studies.part(study, "figures").CLAIMS.values()}
    with pytest.raises(LookupError, match="'no-such-claim' has no figure"):
        ledger.figure(dataclasses.replace(rows[0], id="no-such-claim"))


def test_the_figure_is_one_of_the_claims_chapter(rows):
    """The functions that draw a figure are called by the chapter's notebook."""
    for c in rows:
        name = ledger.figure(c)
        source = next(
            p.read_text("utf8")
            for p in (ROOT / "dlcore" / "studies").glob("*/figures/*.py")
            if f'name="{name}"' in p.read_text("utf8")
        )
        makers = re.findall(r"^def (\w+)\(", source, re.M)
        notebook = (ROOT / "notebooks" / f"{ledger.chapter(c.chapter)}.py").read_text("utf8")
        assert any(f"figures.{maker}(" in notebook for maker in makers), (c.id, name)


def test_links_into_the_repository_lead_to_files(data):
    for row in data:
        for link in (row["links"]["study"], *row["links"].get("records", ())):
            path, line = re.fullmatch(rf"{URL}/(?:blob|tree)/main/([^#]*)(?:#L(\d+))?", link).groups()
            assert (ROOT / path).exists(), path
            if line:
                assert f'"{row["id"]}"' in (ROOT / path).read_text("utf8").splitlines()[int(line) - 1]
    assert sum("#L" in row["links"]["study"] for row in data) > 50
    files = [row["links"]["records"] for row in data if "records" in row["links"]]
    assert sum(all(link.endswith(".jsonl") for link in links) for links in files) > 0.8 * len(files)
    assert {"figure", "study"} <= set.intersection(*(set(row["links"]) for row in data))


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the history")
def test_the_region_links_to_the_commit_that_fixed_it(data):
    found = [row["links"]["region"].rpartition("/")[2] for row in data if "region" in row["links"]]
    assert len(found) > 100
    assert all(re.fullmatch("[0-9a-f]{40}", commit) for commit in found)


def test_without_an_address_only_the_books_own_links_are_left(rows):
    found = ledger.data(rows, None)
    assert all(set(row["links"]) == {"figure"} for row in found)
    page = ledger.page(rows, None)
    assert "github.com" not in page
    # what they would lead to is named
    assert page.count("<small>dlcore/studies/") == len(rows)
    assert page.count("<small>dlcore/records/") > len(rows)
    assert page.count("<small>commit/") == sum("region" in row["sources"] for row in found)


def test_the_page_holds_every_claim_once_and_says_how_many_of_each(rows, data):
    page = ledger.page(rows, URL)
    assert re.findall(r"<tr id='([\w-]+)'", page) == [c.id for c in rows]
    assert page.count("<tbody>") == len(claims.STUDIES)
    for verdict, n in pages.counts(rows).items():
        assert f">{verdict} ({n})</option>" in page
    for name in ledger.SCALES:
        assert sum(row["scale"] == name for row in data) > 0
    json.dumps(data, allow_nan=False)


def test_what_a_person_wrote_is_escaped():
    claim = claims.Claim("rrm-bound", 1, "a <b> & 'c'", "r", "s", (0, 1), None)
    page = ledger.page([claim], None)
    assert "a &lt;b&gt; &amp; &#x27;c&#x27;" in page
