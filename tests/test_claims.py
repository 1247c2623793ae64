"""The ledger: verdicts follow from intervals, every claim is measured by code; regions are dated by history."""

import dataclasses
import datetime
import html
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from scipy import stats

from dlcore import claims, measures
from dlcore.claims import history, multiplicity
from dlcore.metrics.statistics import mean_interval


@pytest.fixture(scope="module")
def ledger():
    """The shipped ledger, evaluated once."""
    return claims.evaluate()


def test_the_kept_ledger_is_the_measured_one(ledger):
    assert list(map(repr, claims.shipped())) == list(map(repr, ledger))
    assert list(map(repr, claims.shipped(chapter=3))) == [repr(c) for c in ledger if c.chapter == 3]
    assert [c.id for c in claims.shipped(only="rrm-bound")] == ["rrm-bound"]


def _claim(low, high, accept=(0.2, 0.4), value=None, **options):
    value = (low + high) / 2 if value is None else value
    return claims.Claim("x", 3, "c", "r", "s", accept, claims.Measured(value, low, high, 5), **options)


@pytest.mark.parametrize(
    ("low", "high", "value", "kind", "verdict"),
    [
        (0.25, 0.35, 0.3, "claim", "reproduced"),
        (0.25, 0.35, 0.3, "exploratory", "reproduced"),
        (0.25, 0.35, 0.3, "identity", "identity"),
        # an interval that straddles is undecided, however wide it is and wherever its middle lies
        (0.15, 0.35, 0.25, "claim", "undecided"),
        (-9.0, 9.0, 0.3, "claim", "undecided"),
        (0.15, 0.35, 0.25, "identity", "undecided"),
        (0.45, 0.55, 0.5, "claim", "not reproduced"),
        (0.45, 0.55, 0.5, "identity", "not reproduced"),
        # one run has no interval and decides nothing, inside of the region or outside of it
        (math.nan, math.nan, 0.3, "claim", "undecided"),
        (math.nan, math.nan, 0.5, "claim", "undecided"),
    ],
)
def test_verdicts(low, high, value, kind, verdict):
    assert _claim(low, high, value=value, kind=kind).verdict == verdict
    assert verdict in claims.VERDICTS


def test_a_claim_without_runs_is_not_tested_and_a_kind_is_one_of_three():
    assert claims.Claim("x", 3, "c", "r", "s", (0, 1), None).verdict == "not tested"
    with pytest.raises(ValueError, match="claim, identity, exploratory"):
        _claim(0.2, 0.3, kind="theorem")


@pytest.mark.parametrize(
    ("options", "timing"),
    [
        ({"dates": history.Dates(datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 2))}, "before"),
        ({"dates": history.Dates(datetime.datetime(2026, 1, 1), None)}, "before"),
        ({"dates": history.Dates(datetime.datetime(2026, 1, 2), datetime.datetime(2026, 1, 1))}, "after"),
        ({"dates": history.Dates(datetime.datetime(2026, 1, 1), None), "post_hoc": True}, "post hoc"),
        ({"dates": history.Dates(datetime.datetime(2026, 1, 1), None), "kind": "exploratory"}, "post hoc"),
        ({}, ""),
    ],
)
def test_the_timing_of_a_region(options, timing):
    claim = _claim(0.2, 0.3, **options)
    assert claim.timing == timing
    assert (f">{timing}</span>" in claims.ledger_html([claim])) == bool(timing)


def _dated(*values):
    created = [f"2026-01-0{i + 1}T00:00:00+00:00" for i in range(len(values))]
    return pd.DataFrame({"created": created, "loss": values, "kind": list("aabbb")[: len(values)]})


def test_the_first_record_is_the_oldest_that_a_measure_uses():
    table = _dated(1.0, 2.0, 2.0, 2.0, 5.0)
    for measure, day in (
        (lambda t: measures.mean(t.loss), 1),
        # the value stays when the oldest goes, and the number of runs does not
        (lambda t: measures.mean(t.loss[t.kind == "b"]), 3),
        (lambda t: measures.mean(t.loss[t.loss > 4]), 5),
    ):
        for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1]):
            assert history.first_record(measure, table.iloc[order]).day == day
    assert history.first_record(lambda t: None, table) is None
    assert history.first_record(lambda t: measures.mean(t.loss), table[:0]) is None


def test_the_groups_behind_a_measure_are_those_without_which_it_is_another():
    table = _dated(1.0, 2.0, 2.0, 3.0, 5.0).assign(group=list("pqqrr"))
    assert history.groups(lambda t: measures.mean(t.loss[t.kind == "b"]), table) == ("q", "r")
    # without its records there is nothing to measure
    assert history.groups(
        lambda t: measures.mean(t.loss[t.group == "r"]) if "r" in set(t.group) else {}["r"], table
    ) == ("r",)


def test_every_measured_claim_is_dated(ledger):
    undated = [c.id for c in ledger if not c.timing and c.measured is not None]
    assert not undated, "commit claims.yml, then: python -m dlcore claims --history"
    assert {c.timing for c in ledger if c.timing} == set(claims.TIMINGS)
    entries = {e["id"]: e for e in claims.ledger._entries()}
    assert {c.id for c in ledger if c.kind == "exploratory" or entries[c.id].get("post_hoc")} == {
        c.id for c in ledger if c.timing == "post hoc"
    }


def test_the_dates_are_those_of_the_history(ledger):
    recorded = history.load()
    try:
        found = history.regions()
    except RuntimeError as reason:
        pytest.skip(str(reason))
    if min(date for date, _ in found.values()) > min(dates.region for dates in recorded.values()):
        pytest.skip("this history begins after the ledger was first committed")
    for claim in ledger:
        if claim.dates is not None and found[claim.id][1] == claim.accept:  # else it is being changed
            assert claim.dates.region == found[claim.id][0], f"{claim.id}: run python -m dlcore claims --history"
    # and the first records: of every seventh claim, from the records as they are
    for claim in ledger[::7]:
        table = claims.ledger._shipped(claims.STUDIES[claim.chapter])
        first = None if claim.id in measures.WITHOUT_RUNS else history.first_record(measures.MEASURES[claim.id], table)
        groups = () if first is None else history.groups(measures.MEASURES[claim.id], table)
        assert claim.dates is None or claim.dates[1:] == (first, groups), (
            f"{claim.id}: run python -m dlcore claims --history"
        )


def test_the_error_of_a_verdict_is_the_p_value_of_its_nearer_edge():
    values = pd.Series([0.28, 0.30, 0.33, 0.29, 0.31])
    i = mean_interval(values)
    error = values.std() / math.sqrt(5)
    p = 2 * max(stats.t.sf((0.4 - i.value) / error, 4), stats.t.sf((i.value - 0.26) / error, 4))
    assert multiplicity.smallest_error(lambda: measures.mean(values), (0.26, 0.4)) == pytest.approx(p, rel=0.02)
    assert multiplicity.smallest_error(lambda: measures.mean(values), (0.302, 0.4)) > 0.5
    assert measures.CONFIDENCE.get() == 0.95


def test_the_statement_on_multiplicity_counts_the_ledger(ledger, monkeypatch):
    corrected = claims.headlines_corrected(ledger)
    monkeypatch.setattr(claims.ledger, "headlines_corrected", lambda every: corrected)
    verdicts = {c.id: c.verdict for c in ledger}
    assert all(v in (verdicts[name], "undecided") for name, v in corrected.items())
    text = claims.multiplicity_statement(ledger)
    assert f"{sum(c.estimated for c in ledger)} rows" in text
    for name, verdict in corrected.items():
        assert (f"`{name}`" in text) == (verdict != verdicts[name])


def test_a_sceptic_has_a_question_for_every_headline_and_a_row_answers_it(ledger):
    asked = yaml.safe_load(Path(claims.__file__).with_name("sceptics.yml").read_text("utf8"))
    rows = {c.id: c for c in ledger}
    assert set(asked) == {c.id for c in ledger if c.headline}, "dlcore/claims/sceptics.yml has a line for each headline"
    table = claims.sceptics_html(ledger)
    for name, entry in asked.items():
        assert entry["asks"].endswith("?")
        assert entry["answer"] in rows
        assert entry["answer"] != name
        answer = rows[entry["answer"]]
        assert (
            f"<td>{html.escape(entry['asks'])}</td><td><a href='#{answer.id}'>{answer.id}</a>: {answer.verdict}"
            in table
        )


def test_sentences_quote_two_digits(ledger):
    assert _claim(0.0832, 0.1504, value=0.1168).brief == "0.12 (0.08 to 0.15)"
    assert _claim(-0.0041, 0.0012, value=-0.0016).brief == "-0.0016 (-0.0041 to 0.0012)"
    assert _claim(math.nan, math.nan, value=31.4).brief == "31 (one run)"
    assert claims.Claim("x", 3, "c", "r", "s", (0, 1), None).brief == "no run"
    assert not any(re.search(r"\d\.\d{5}|nan|\[", c.brief) for c in ledger)


def test_runs_of_which_none_meets_the_condition_are_not_no_runs():
    values, none = pd.Series([0.2, 0.4, 0.9]), pd.Series([False] * 3)
    some = measures.mean_where(values, pd.Series([True, True, False]))
    assert (some.value, some.runs) == (pytest.approx(0.3), 2)
    assert measures.mean_where(values[:0], none[:0]) is None
    claim = claims.Claim("x", 2, "c", "r", "s", (0, 1), measures.mean_where(values, none))
    assert claim.ours == "3 runs, none meets the condition"
    assert claim.verdict == "not tested"
    assert "3 runs, none meets the condition" in claims.ledger_html([claim])
    text = claims.ledger_markdown([claim])
    assert "All 1 rows: 1 not tested." in text
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


def test_every_region_can_fail(ledger):
    """A verdict that no record could change would be none: beyond its region every row is not reproduced."""
    for claim in ledger:
        beyond = claim.accept[1] + 1.0
        missed = dataclasses.replace(claim, measured=claims.Measured(beyond, beyond, beyond, 5))
        assert missed.verdict == "not reproduced", claim.id


def test_largest_takes_the_worst_cell():
    found = measures.largest([pd.Series([0.1, 0.12, 0.11]), pd.Series([0.0, 0.02, 0.01])])
    assert found.value == pytest.approx(0.11)
    signed = measures.largest([pd.Series([-0.3, -0.31, -0.29]), pd.Series([0.1, 0.1, 0.1])], absolute=True)
    assert signed.value == pytest.approx(0.3)
    assert signed.low <= signed.value <= signed.high


# What the chapter must show, on the recorded runs
MUST = ("nn-is-a-sampler", "knn-without-interpolation", "rrm-bound", "memorization-certificate", "table-identity")


def test_identities_hold(ledger):
    """These follow from proofs: a failure is a bug, not a finding."""
    found = {c.id: c for c in ledger if c.kind == "identity"}
    assert set(MUST) <= set(found)
    assert not [(c.id, c.ours) for c in found.values() if c.verdict != "identity"]


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


def test_html_escapes():
    claim = claims.Claim("x", 3, "a < b", "r", "s", (0, 1), None)
    assert "a &lt; b" in claims.ledger_html([claim])


@pytest.mark.parametrize(("value", "spread", "runs"), [(0.036, 0.004, 5), (-0.018, 0.03, 6), (0.045, 0.02, 20)])
def test_so_many_runs_would_decide(value, spread, runs):
    """By Student's t of the same spread: enough, and one fewer is not; of the fit of a law no number is."""

    def half(n):
        return stats.t.ppf(0.975, n - 1) * spread / n**0.5

    measured = measures.Measured(value, value - half(runs), value + half(runs), runs, "seeds")
    claim = claims.Claim("x", 2, "", "", "", (-0.04, 0.04), measured)
    assert claim.verdict == "undecided"
    distance = min(abs(value - 0.04), abs(value + 0.04))
    assert half(claim.deciding) < distance <= half(claim.deciding - 1)
    assert dataclasses.replace(claim, measured=measured._replace(method="law")).deciding is None
    assert dataclasses.replace(claim, accept=(-1, 1)).deciding is None
    assert dataclasses.replace(claim, measured=measures.Measured(0.04, 0.0, 0.08, runs, "seeds")).deciding is None
