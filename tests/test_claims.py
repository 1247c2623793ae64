"""The ledger: verdicts follow from intervals, every claim is measured by code, and the pages repeat the ledger."""

import math
import re
from pathlib import Path

import pandas as pd
import pytest

from dlcore import claims
from dlcore.claims import measures

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def ledger():
    """The shipped ledger, evaluated once."""
    return claims.evaluate()


def _claim(low, high, accept=(0.2, 0.4), value=None):
    value = (low + high) / 2 if value is None else value
    return claims.Claim("x", 3, "c", "r", "s", accept, claims.Measured(value, low, high, 5))


def test_verdicts():
    assert _claim(0.25, 0.35).verdict == "reproduced"
    assert _claim(0.15, 0.35).verdict == "partly reproduced"
    assert _claim(0.45, 0.55).verdict == "not reproduced"
    assert _claim(math.nan, math.nan, value=0.3).verdict == "partly reproduced"
    assert _claim(math.nan, math.nan, value=0.5).verdict == "not reproduced"
    assert claims.Claim("x", 3, "c", "r", "s", (0, 1), None).verdict == "not tested at this scale"


def test_runs_of_which_none_meets_the_condition_are_not_no_runs():
    values, none = pd.Series([0.2, 0.4, 0.9]), pd.Series([False] * 3)
    some = measures.mean_where(values, pd.Series([True, True, False]))
    assert (some.value, some.runs) == (pytest.approx(0.3), 2)
    assert measures.mean_where(values[:0], none[:0]) is None
    claim = claims.Claim("x", 2, "c", "r", "s", (0, 1), measures.mean_where(values, none))
    assert claim.ours == "3 runs, none meets the condition"
    assert claim.verdict == "not tested at this scale"
    assert "3 runs, none meets the condition" in claims.ledger_html([claim])
    # it counts among the verdicts and not among the tested claims
    text = claims.ledger_markdown([claim])
    assert "| 2 stitching | 0 | 0 | 0 | 1 |" in text
    assert "All 0 tested claims, of 1 in" in text
    assert "nan" not in text
    one = claims.Claim("x", 2, "c", "r", "s", (0, 1), measures.mean_where(values[:1], none[:1]))
    assert one.ours == "one run, it does not meet the condition"


def test_the_shipped_ledger_never_prints_a_missing_number(ledger):
    text = claims.ledger_html(ledger) + claims.ledger_markdown(ledger)
    assert not re.search(r"\b(nan|inf)\b", text)


def test_every_claim_is_evaluated_and_none_without_records(ledger):
    for claim in ledger:
        assert claim.accept[0] < claim.accept[1]
        assert claim.reference
        assert claim.setting
    assert all((c.measured is None) != (c.id in measures.WITHOUT_RUNS) for c in claims.evaluate({}))


def test_the_ledger_shows_failures_too(ledger):
    """A ledger in which everything succeeds is a ledger nobody checked."""
    verdicts = {c.verdict for c in ledger}
    assert {"reproduced", "not reproduced"} <= verdicts


def test_largest_takes_the_worst_cell():
    found = measures.largest([pd.Series([0.1, 0.12, 0.11]), pd.Series([0.0, 0.02, 0.01])])
    assert found.value == pytest.approx(0.11)
    signed = measures.largest([pd.Series([-0.3, -0.31, -0.29]), pd.Series([0.1, 0.1, 0.1])], absolute=True)
    assert signed.value == pytest.approx(0.3)
    assert signed.low <= signed.value <= signed.high


# What the chapter must show, on the recorded runs
MUST = ("nn-is-a-sampler", "knn-without-interpolation", "rrm-bound", "memorization-certificate", "table-identity")


@pytest.mark.parametrize("name", MUST)
def test_theorems_are_reproduced(name, ledger):
    """These follow from proofs: a failure is a bug, not a finding."""
    claim = next(c for c in ledger if c.id == name)
    assert claim.verdict == "reproduced", claim.ours


@pytest.mark.parametrize(
    "name", ["separation-mnist1d", "separation-digits", "separation-cifar10", "separation-fashion"]
)
def test_end_to_end_networks_memorise_five_times_as_much(name, ledger):
    claim = next(c for c in ledger if c.id == name)
    assert claim.measured.low >= 5, claim.ours


@pytest.mark.parametrize("name", ["flat-mnist1d", "flat-cifar10"])
def test_clean_accuracy_is_flat_within_five_points(name, ledger):
    claim = next(c for c in ledger if c.id == name)
    assert claim.measured.high <= 0.05, claim.ours


def test_knn_law_within_its_tolerance(ledger):
    claim = next(c for c in ledger if c.id == "knn-binomial")
    assert claim.measured.value <= 0.015, claim.ours


def test_the_readme_repeats_the_ledger():
    # without an argument, as the command does
    text = (ROOT / "README.md").read_text("utf8")
    assert claims.ledger_markdown() in text, "run: python -m dlcore claims --write README.md"


def test_the_readme_counts_every_claim_and_no_cell_breaks_the_table(ledger):
    lines = claims.ledger_markdown(ledger).splitlines()
    assert sum(int(n) for line in lines[2:6] for n in line.split("|")[2:-1]) == len(ledger)
    rows = [line for line in lines if line.startswith("| ") and "**" in line]
    assert {re.sub(r"\\\|", "", row).count("|") for row in rows} == {7}
    headlines = {c.chapter for c in ledger if c.headline}
    assert headlines == set(claims.STUDIES)


def test_html_escapes():
    claim = claims.Claim("x", 3, "a < b", "r", "s", (0, 1), None)
    assert "a &lt; b" in claims.ledger_html([claim])
