"""The landing page: its figure from the records, its cards by the ledger, its commands as they can be run."""

import html
import itertools
import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from dlcore import claims, studies
from dlcore.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

import landing  # noqa: E402


@pytest.fixture(scope="module")
def rows():
    """The shipped ledger, evaluated once."""
    return claims.shipped()


@pytest.fixture(scope="module")
def page(rows):
    """The page's HTML."""
    return landing.page(rows, "https://github.com/someone/else")


@pytest.fixture(scope="module")
def table():
    """What the figure shows."""
    return landing.noise_table()


def test_shares_are_shares_and_those_of_the_chapter(table):
    """The chapter's memorization gap says the same: what is known of unflipped points minus what is known of flipped ones."""
    assert len(table) >= 9
    assert table.to_numpy().min() >= 0
    assert table.to_numpy().max() <= 1
    for name in ("end", "probe"):
        assert (table[f"{name}_taught"] + table[f"{name}_true"] <= 1 + 1e-6).all()
    # a network that fits every label repeats every wrong one
    assert table.end_taught.min() > 0.99
    assert (table.probe_taught < table.end_taught / 3).all()


def test_the_share_that_was_taught_is_recovered_from_the_accuracies():
    """Counted directly on labels made here: 10,000 points, a third flipped, some of the flipped repeated."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 10, 10_000)
    flipped = rng.random(10_000) < 1 / 3
    noisy = np.where(flipped, (true + rng.integers(1, 10, 10_000)) % 10, true)
    repeats = rng.random(10_000) < 0.2
    predicted = np.where(flipped & repeats, noisy, np.where(rng.random(10_000) < 0.9, true, (true + 1) % 10))
    rate, on_noisy = flipped.mean(), (predicted == noisy).mean()
    right = (predicted == true).mean() - rate * (predicted == true)[flipped].mean()
    assert (on_noisy - right) / rate == pytest.approx((predicted == noisy)[flipped].mean())


def test_the_figure_the_sentence_and_the_data_agree(page):
    states = json.loads(re.search(r"<script type='application/json'>(.*?)</script>", page)[1])
    at = int(re.search(r"value='(\d+)' aria", page)[1])
    assert states[at]["noise"] == round(100 * landing.START)
    for key, number in re.findall(r"data-of='(\w+)'>(\d+)<", page):
        assert states[at][key] == int(number)
    for name in ("end", "probe"):
        squares = re.search(rf"data-name='{name}'>.*?</div>", page)[0]
        assert squares.count("<i ") == 100
        assert squares.count("'taught'") == states[at][f"{name}_taught"]
        assert all(s[f"{name}_taught"] + s[f"{name}_true"] <= 100 for s in states)


@pytest.mark.parametrize("number", landing.CARDS)
def test_a_card_says_what_the_ledger_says(number, rows):
    known = {c.id: c for c in rows}
    held, failed = known[landing.CARDS[number].held[1]], known[landing.CARDS[number].failed[1]]
    assert (held.chapter, failed.chapter) == (number, number)
    assert held.verdict in ("reproduced", "identity"), held.ours
    assert failed.verdict == "not reproduced", failed.ours


def test_small_pictures_stay_in_their_frame_and_labels_apart():
    found = landing.pictures()
    assert set(found) == set(claims.STUDIES)
    for svg in found.values():
        width, height = (float(v) for v in re.search(r"viewBox='0 0 (\S+) (\S+)'", svg).groups())
        for x, y in re.findall(r"([\d.-]+),([\d.-]+)", " ".join(re.findall(r"points='([^']+)'", svg))):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
        labels = [
            (float(x), float(y), text) for x, y, text in re.findall(r"<text [^>]*x='(\S+)' y='(\S+)'>([^<]+)<", svg)
        ]
        heights = sorted(y for _, y, _ in labels)
        assert all(b - a >= 14.9 for a, b in itertools.pairwise(heights))
        assert all(x + 7.2 * len(text) <= width and 10 <= y <= height for x, y, text in labels)


def test_every_verdict_counts_and_leads_to_its_rows(page, rows):
    parts = re.findall(r"#chapter=(\d)&amp;verdict=([\w+]+)' [^>]*>(\d+)</a>", page)
    for chapter, verdict, n in parts:
        own = [
            c
            for c in rows
            if c.chapter == int(chapter) and c.verdict == verdict.replace("+", " ") and c.kind != "exploratory"
        ]
        assert len(own) == int(n)
    assert sum(int(n) for _, _, n in parts) == sum(c.kind != "exploratory" for c in rows)


def test_the_commands_can_be_run(page, capsys):
    run, sweep = (shlex.split(html.unescape(c)) for c in re.findall(r"<pre[^>]*>(.*?)</pre>", page))
    assert run[:4] == ["python", "-m", "dlcore", "run"]
    studies.study(run[4]).Config.from_parameters(dataset="digits", noise=0.4)
    assert sweep[:4] == ["python", "-m", "dlcore", "sweep"]
    assert main([*sweep[3:], "--dry-run"]) == 0
    assert "15 cells" in capsys.readouterr().out


def test_without_a_repository_nothing_leads_to_colab(rows):
    assert "colab.research" not in landing.ways(None)
