"""The reader's own table: a sentence with the fit's own numbers, and clear refusals."""

import numpy as np
import pytest

from dlcore.metrics.scaling import alternating_fit, fit, report

SIZES = 1000.0 * 2 ** np.arange(8)


def _curve(law):
    rng = np.random.default_rng(3)
    noise = np.exp(0.003 * rng.normal(size=8))
    return noise * {"bansal": 3 * (1 / SIZES + 1e-4) ** 0.28, "floor": 0.3 + 20 * SIZES**-0.4}[law]


@pytest.mark.parametrize("law", ["bansal", "floor"])
def test_the_sentence_is_that_of_the_law_behind_the_curve(law):
    found = report(SIZES, _curve(law), bootstrap=50, unit="pairs")
    assert found.best == law
    own = fit(SIZES, _curve(law), law, 50)
    name = {"bansal": "p", "floor": "c"}[law]
    low, high = own.intervals[name]
    assert f"{name} = {own.exponent:.3f} [{low:.3f}, {high:.3f}]" in found.sentence
    assert "1000 to 1.28e+05 pairs" in found.sentence
    assert f"misses that size by {100 * found.held_out[law].error:.1f} %" in found.sentence


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
    from dlcore.tables import published_scaling

    points = published_scaling().query("setting == '6L6L' and pairs < 512e6")
    early = alternating_fit(points.pairs, points.loss)
    assert early.steps < 20
    assert early.rmsle == pytest.approx(0.043, abs=1e-3)
    assert fit(points.pairs, points.loss).rmsle == pytest.approx(0.018, abs=1e-3)
