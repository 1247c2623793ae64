"""The reader's own table: a sentence with the fit's own numbers, and clear refusals."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dlcore.metrics.scaling import (
    InfluenceWarning,
    OutlierWarning,
    alternating_fit,
    compute_optimal,
    fit,
    fit_joint,
    report,
    report_joint,
)

SIZES = 1000.0 * 2 ** np.arange(8)


def _curve(law):
    rng = np.random.default_rng(3)
    noise = np.exp(0.003 * rng.normal(size=8))
    return noise * {"bansal": 3 * (1 / SIZES + 1e-4) ** 0.28, "floor": 0.3 + 20 * SIZES**-0.4}[law]


def _drawn(found, column="run"):
    """Returns the rows of the chart's data that have a column."""
    (rows,) = (rows for rows in found.plot().to_dict()["datasets"].values() if column in rows[0])
    return rows


@pytest.mark.parametrize("law", ["bansal", "floor"])
def test_the_sentence_is_that_of_the_law_behind_the_curve(law):
    found = report(SIZES, _curve(law), bootstrap=50, unit="pairs")
    assert found.best == law
    own = fit(SIZES, _curve(law), law=law, bootstrap=50)
    name = {"bansal": "p", "floor": "c"}[law]
    low, high = own.intervals[name]
    assert f"{name} = {own.exponent:.3f} [{low:.3f}, {high:.3f}]" in found.sentence
    assert "1000 to 1.28e+05 pairs" in found.sentence
    assert f"misses that size by {100 * found.held_out[law].error:.1f} %" in found.sentence
    assert found.to_latex() == own.to_latex()
    assert [row["run"] for row in _drawn(found)] == ["fitted"] * 7 + ["held out"]
    drawn = _drawn(found, "low")
    ends = fit(SIZES[:-1], _curve(law)[:-1], law=law, bootstrap=50).band([row["size"] for row in drawn])
    for row, low, high in zip(drawn, *ends, strict=True):
        assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_a_law_that_the_curve_does_not_determine_is_not_recommended():
    found = report(SIZES, _curve("bansal"), bootstrap=0)
    assert found.fits["broken"].flags
    assert found.best != "broken"


def test_four_sizes_carry_the_pure_power_law_only():
    found = report(SIZES[:4], _curve("bansal")[:4], bootstrap=0)
    assert list(found.fits) == ["power"]


@pytest.mark.parametrize(
    ("sizes", "losses", "message"),
    [
        ([1e3] * 4, [2.0, 2.1, 2.2, 2.3], "needs as many distinct sizes: 1 given"),
        ([1e3, 2e3, 4e3], [2.0, 1.8, 1.6], "3 distinct sizes are too few: 4 are needed"),
        (SIZES, -_curve("floor"), "losses holds -.* at position 0: positive"),
        ([0, 1e3, 2e3, 4e3], [3.0, 2.0, 1.8, 1.6], "sizes holds 0.0 at position 0"),
        ([1e3, 1e3, 2e3, 4e3, 8e3], [2.0, 2.0, 1.8, 1.6, 1.5], "size 1000 with loss 2 occurs 2 times: a copied line"),
        ([1e3, 2e3], [2.0, 1.8, 1.6], "equally long"),
        ([1e3, 2e3, 4e3, 8e3], [2.0, 1.8, float("nan"), 1.5], "losses holds nan at position 2"),
    ],
)
def test_bad_tables_are_refused(sizes, losses, message):
    with pytest.raises(ValueError, match=message):
        report(sizes, losses)


def test_seeds_of_one_size_are_welcome():
    sizes, losses = np.tile(SIZES, 2), np.concatenate([_curve("floor"), 1.004 * _curve("floor")])
    assert report(sizes, losses, bootstrap=50).fits["floor"].interval_method == "seed"


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("runs", [2, 3, (1, 3)])
def test_seeds_may_agree_in_the_digits_given(digits, runs):
    rng = np.random.default_rng(digits)
    counts = np.full(10, runs) if isinstance(runs, int) else np.where(np.arange(10) < 3, runs[0], runs[1])
    sizes = np.repeat(1000.0 * 2 ** np.arange(10), counts)
    losses = (24 * (1 / sizes + 1e-5) ** 0.3 * np.exp(0.003 * rng.normal(size=sizes.size))).round(digits)
    repeated = sizes.size - len(set(zip(sizes, losses, strict=True)))
    found = report(sizes, losses, bootstrap=0)
    assert found.fits["bansal"].curve.y.size == sizes.size
    assert (f"{repeated} of the runs repeat another" in found.sentence) == (repeated > 0)


def test_the_alternating_estimator_is_worse_on_its_own_points():
    from dlcore.studies.scaling.table import published_scaling

    points = published_scaling().query("setting == '6L6L' and pairs < 512e6")
    early = alternating_fit(points.pairs, points.loss)
    assert early.steps < 20
    assert early.rmsle == pytest.approx(0.043, abs=1e-3)
    assert fit(points.pairs, points.loss).rmsle == pytest.approx(0.018, abs=1e-3)


GRID = tuple(v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e8, 1e11, 6)))


def _chinchilla_law(n, d):
    return 1.8 + 480 * n**-0.35 + 2100 * d**-0.37


def test_compute_optimal_is_the_best_of_a_search():
    n, d = GRID
    loss = _chinchilla_law(n, d) * np.exp(0.002 * np.random.default_rng(0).normal(size=n.size))
    found = fit_joint(N=n, D=d, loss=loss, law="hoffmann", bootstrap=100)
    best = compute_optimal(found, 1e21)
    tried = np.geomspace(1e7, 1e12, 200_001)
    losses = found.predict(N=tried, D=1e21 / 6 / tried)
    assert best.N.value == pytest.approx(tried[losses.argmin()], rel=1e-3)
    assert best.loss.value == pytest.approx(losses.min(), rel=1e-9)
    assert best.N.value * best.D.value * 6 == pytest.approx(1e21)
    assert (
        best.N.low < 1e21 ** (0.37 / 0.72) * (0.35 * 480 / 0.37 / 2100) ** (1 / 0.72) / 6 ** (0.37 / 0.72) < best.N.high
    )
    kaplan = fit_joint(N=n, D=d, loss=3 * (1 / d + 1e-6 * n**-0.2) ** 0.1)
    best, losses = compute_optimal(kaplan, 1e19), kaplan.predict(N=tried, D=1e19 / 6 / tried)
    assert best.N.value == pytest.approx(tried[losses.argmin()], rel=1e-3)
    assert np.isnan(best.N.low)


def test_outliers_are_named_with_what_they_move():
    n, d = GRID
    loss = _chinchilla_law(n, d) * np.exp(0.002 * np.random.default_rng(0).normal(size=n.size))
    assert fit_joint(N=n, D=d, loss=loss, law="hoffmann").outliers == ()
    loss[[0, 3]] *= 1.4  # of least data
    with pytest.warns(OutlierWarning, match=r"b .* with the outliers, .* without them \(runs 0, 3\)"):
        found = fit_joint(N=n, D=d, loss=loss, law="hoffmann")
    assert found.outliers == (0, 3)
    low, high = found.without.intervals["b"]
    assert low <= 0.37 <= high
    assert not low <= found.parameters["b"] <= high
    assert "b      " in str(found)
    assert r"\midrule" in found.to_latex()


def test_a_joint_report_prefers_the_law_behind_the_runs():
    n, d = GRID
    loss = _chinchilla_law(n, d) * np.exp(0.002 * np.random.default_rng(0).normal(size=n.size))
    found = report_joint(N=n, D=d, loss=loss, bootstrap=0, holdout=0.28)
    assert (found.best, found.held_out["hoffmann"].sizes.size) == ("hoffmann", 10)
    assert f"misses them by {100 * found.held_out['hoffmann'].error:.1f} %" in found.sentence
    assert found.to_latex() == found.fits["hoffmann"].to_latex()
    late = (n * d) >= np.sort(n * d)[-10]
    part = fit_joint(N=n[~late], D=d[~late], loss=loss[~late], law="hoffmann")
    shown = [row for row in _drawn(found) if row["run"] == "held out"]
    assert [row["predicted"] for row in shown] == pytest.approx(part.predict(N=n[late], D=d[late]))
    assert [row["loss"] for row in shown] == pytest.approx(loss[late])
    with pytest.raises(ValueError, match="holdout = 1"):
        report_joint(N=n, D=d, loss=loss, holdout=1)


def test_a_run_that_alone_decides_an_exponent_is_named():
    rng = np.random.default_rng(1)
    sizes = np.append(np.linspace(1000, 1400, 9), 1e5)
    losses = 3 * sizes**-0.3 * np.exp(0.01 * rng.normal(size=10))
    losses[-1] *= 1.2  # far from all others: its residual is small all the same
    with pytest.warns(InfluenceWarning, match="power: Without run 9 c is"):
        alone = fit(sizes, losses, law="power")
    for i, value in enumerate(alone.without_each()["c"]):
        keep = np.arange(10) != i
        slope = np.polyfit(np.log(sizes[keep]), np.log(losses[keep]), 1)[0]
        assert value == pytest.approx(-slope, abs=1e-6)
    low, high = alone.interval("c")
    assert abs(alone.without_each()["c"][9] - alone.exponent) > high - low
    with pytest.warns(InfluenceWarning, match="Without run 9 c is"):
        found = report(sizes, losses, bootstrap=0)
    assert "Without run 9" in found.sentence
    assert "Without run" not in report(SIZES, _curve("floor"), bootstrap=0).sentence


def test_a_run_that_alone_decides_an_exponent_of_a_joint_law_is_named():
    n, d = (v.ravel() for v in np.meshgrid(np.geomspace(1e6, 1e9, 6), np.linspace(1e9, 1.4e9, 4)))
    n, d = np.append(n, 3e7), np.append(d, 1e11)
    loss = (1e3 * n**-0.4 + 3e3 * d**-0.4) * np.exp(0.003 * np.random.default_rng(1).normal(size=n.size))
    loss[-1] *= 1.1
    with pytest.warns(InfluenceWarning, match="hoffmann: Without run 24 b is"):
        found = fit_joint(N=n, D=d, loss=loss, law="hoffmann")
    assert found.outliers == ()
    rest = fit_joint(N=n[:-1], D=d[:-1], loss=loss[:-1], law="hoffmann").theta[4]
    assert found.without_each()["b"][-1] == pytest.approx(rest, abs=1e-3)
    with pytest.warns(InfluenceWarning, match="hoffmann: Without run 24 b is"):
        told = report_joint(N=n, D=d, loss=loss, bootstrap=0)
    assert f"Without run 24 b is {rest:.3f}" in told.sentence


def test_several_largest_sizes_can_be_held_out():
    found = report(SIZES, _curve("floor"), bootstrap=0, holdout=2)
    assert "fitted without the 2 largest sizes it misses those by" in found.sentence
    assert found.held_out["floor"].sizes.tolist() == pytest.approx(SIZES[-2:])


def test_the_points_of_hoffmann_et_al_give_the_law_of_the_replication():
    places = [Path(os.environ.get("DLCORE_DATA", "")), Path(__file__).resolve().parents[2] / "shared" / "data"]
    paths = [place / "chinchilla_points.csv" for place in places]
    if not any(path.is_file() for path in paths):
        pytest.skip("needs chinchilla_points.csv in DLCORE_DATA or ../shared/data")
    table = pd.read_csv(next(path for path in paths if path.is_file()))
    n, loss = table.model_parameters.to_numpy(), table.loss.to_numpy()
    d = table.training_flop.to_numpy() / 6 / n
    with pytest.warns(OutlierWarning):
        everything = fit_joint(N=n, D=d, loss=loss, law="hoffmann")
    dropped = np.argsort(d / n)[:5]
    assert set(dropped) <= set(everything.outliers)
    keep = np.setdiff1d(np.arange(len(n)), dropped)
    found = fit_joint(N=n[keep], D=d[keep], loss=loss[keep], law="hoffmann", delta=1e-3)
    # Besiroglu et al. 2024, table 1, with their standard errors; an own L-BFGS fit gave 477.8, 2143, .347 and .367
    published = {
        "E": (1.8172, 0.03),
        "A": (482.01, 124.58),
        "a": (0.3478, 0.02),
        "B": (2085.43, 1293.23),
        "b": (0.3658, 0.02),
    }
    assert round(found.parameters["E"], 4) == 1.8172
    for name, (value, error) in published.items():
        assert found.parameters[name] == pytest.approx(value, abs=0.1 * error)
    values = [value for value, _ in published.values()]

    def objective(e, a, alpha, b, beta):
        off = np.abs(np.log(e + a * n[keep] ** -alpha + b * d[keep] ** -beta) - np.log(loss[keep]))
        return np.where(off < 1e-3, off**2 / 2, 1e-3 * (off - 0.5e-3)).sum()

    assert objective(*found.parameters.values()) < objective(*values)
