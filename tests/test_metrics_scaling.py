"""Laws against closed forms and differences, fits against truth and published points, intervals by simulation."""

import time

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from dlcore import published
from dlcore.metrics import scaling
from dlcore.metrics.scaling.compare import equivalence
from dlcore.metrics.scaling.curve import DELTA, Curve
from dlcore.metrics.scaling.joint import JOINT_LAWS
from dlcore.metrics.scaling.laws import LAWS
from dlcore.metrics.scaling.shared import _Joint, _ratio
from dlcore.metrics.scaling.solver import minimise, multistart

SIZES = 2.0 ** np.arange(9, 20)
LONG = 2.0 ** np.arange(7, 27)
TRUTH = {
    "bansal": (SIZES, {"alpha": 2.0, "C": 1 / 6e4, "p": 0.28}),
    "power": (SIZES, {"beta": 5.0, "c": 0.3}),
    "floor": (SIZES, {"floor": 0.3, "beta": 20.0, "c": 0.36}),
    "broken": (LONG, {"a": 0.2, "b": 30.0, "c0": 0.5, "c1": -0.3, "d1": 3e4, "f1": 0.4}),
}
# refits of the published points by another program (scipy's least squares from a grid), sizes in millions
REFIT = {
    "6L6L": (0.755, 0.0485, 0.271, 0.333, 0.245, 0.300, 0.495, 0.308),
    "28L6L": (0.764, 0.0106, 0.211, 0.294, 0.200, 0.225, 0.356, 0.239),
    "6L28L": (0.822, 0.0158, 0.254, 0.287, 0.245, 0.265, 0.396, 0.237),
    "Dec-only": (0.691, 0.156, 0.327, 0.376, 0.290, 0.375, 0.629, 0.366),
    "TEnc-LSTM": (0.769, 0.0646, 0.266, 0.371, 0.225, 0.320, 0.562, 0.355),
}


def _loss(law, d, t):
    if law == "bansal":
        return t["alpha"] * (1 / d + t["C"]) ** t["p"]
    if law == "power":
        return t["beta"] * d ** -t["c"]
    if law == "floor":
        return t["floor"] + t["beta"] * d ** -t["c"]
    bend = (1 + (d / t["d1"]) ** (1 / t["f1"])) ** (-t["c1"] * t["f1"])
    return t["a"] + t["b"] * d ** -t["c0"] * bend


def _curve(law, noise=0.0, seed=0, seeds=1):
    d, truth = TRUTH[law]
    d = np.repeat(d, seeds)
    return d, _loss(law, d, truth) * np.exp(noise * np.random.default_rng(seed).normal(size=d.size))


def _published():
    table = published.read("bansal2022")
    return {k: (g.million_pairs.to_numpy(), g.loss.to_numpy()) for k, g in table.groupby("architecture", sort=False)}


POINTS = _published()


@pytest.mark.parametrize("law", LAWS | JOINT_LAWS)
def test_jacobian_and_slope_are_derivatives(law):
    chosen = (LAWS | JOINT_LAWS)[law]
    rng = np.random.default_rng(0)
    k = len(chosen.parameters)
    theta, x = rng.normal(0.3, 0.5, size=(4, k)), rng.normal(size=(2, 7) if law in JOINT_LAWS else 7)
    value, jacobian = chosen.evaluate(theta, x, True)
    assert np.array_equal(value, chosen.evaluate(theta, x))
    for j in range(k):
        step = 1e-6 * np.eye(k)[j]
        slope = (chosen.evaluate(theta + step, x) - chosen.evaluate(theta - step, x)) / 2e-6
        assert jacobian[:, :, j] == pytest.approx(slope, abs=1e-8)
    if law in LAWS:  # a joint law has no slope in one size
        slope = (chosen.evaluate(theta, x - 1e-6) - chosen.evaluate(theta, x + 1e-6)) / 2e-6
        assert chosen.slope(theta, x) == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("law", LAWS)
def test_a_noiseless_curve_gives_its_parameters_back(law):
    d, truth = TRUTH[law]
    found = scaling.fit(*_curve(law), law=law)
    assert found.converged
    assert found.flags == {}
    assert found.parameters == pytest.approx(truth, rel=1e-6)
    assert found.predict(d) == pytest.approx(_loss(law, d, truth), rel=1e-9)
    assert found.rmsle < 1e-9


def test_the_thesis_law_is_a_broken_law_and_kaplans():
    theta = np.array([[0.4, -3.0, 0.28]])
    x = np.linspace(-6, 9, 50)
    broken = np.array([[-np.inf, 0.4, 0.28, -0.28, 3.0, 0.0]])
    assert LAWS["broken"].evaluate(broken, x) == pytest.approx(LAWS["bansal"].evaluate(theta, x), abs=1e-12)
    # ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D at one N
    d, n, n_c, d_c, a_n, a_d = np.geomspace(1e3, 1e9, 40), 1e6, 9e13, 5e13, 0.076, 0.095
    kaplan = ((n_c / n) ** (a_n / a_d) + d_c / d) ** a_d
    c = (n_c / n) ** (a_n / a_d) / d_c
    same = LAWS["bansal"].evaluate(np.array([[a_d * np.log(d_c), np.log(c), a_d]]), np.log(d))[0]
    assert same == pytest.approx(np.log(kaplan), abs=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_the_unit_of_size_is_a_unit(law):
    d, losses = _curve(law, 0.01)
    one, other = scaling.fit(d, losses, law=law), scaling.fit(d / 1e6, losses, law=law)
    chosen = LAWS[law]
    assert one.exponent == pytest.approx(other.exponent, rel=1e-6)
    assert one.predict(d) == pytest.approx(other.predict(d / 1e6), rel=1e-8)
    if law == "bansal":
        assert one.parameters["C"] * 1e6 == pytest.approx(other.parameters["C"], rel=1e-6)
    j = chosen.index(chosen.exponent)
    assert np.allclose(one.intervals[chosen.parameters[j]], other.intervals[chosen.parameters[j]], rtol=1e-5)


@pytest.mark.parametrize("name", POINTS)
def test_published_points(name):
    """The table of refits: bansal to 0.002 in p, floor to 0.002 in c, the profile interval to its grid of 0.005."""
    d, losses = POINTS[name]
    alpha, knee, p, limit, low, high, c, floor = REFIT[name]
    found = scaling.fit(d, losses)
    assert found.parameters == pytest.approx({"alpha": alpha, "C": knee, "p": p}, rel=5e-3, abs=1e-3)
    assert found.exponent == pytest.approx(p, abs=2e-3)
    assert found.predict(1e12) == pytest.approx(limit, abs=1e-3)
    assert found.converged
    profile = scaling.profile_interval(found)
    assert profile.low == pytest.approx(low, abs=0.006)
    assert profile.high == pytest.approx(high, abs=0.006)
    additive = scaling.fit(d, losses, law="floor")
    assert (additive.exponent, additive.parameters["floor"]) == pytest.approx((c, floor), abs=2e-3)
    assert additive.exponent > 1.5 * found.exponent  # the exponent belongs to the law


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize(("law", "share"), [("bansal", 1.0), ("power", 1.0), ("floor", 0.97)])
def test_published_fits_converge_from_any_start(name, law, share):
    """200 single starts, uniform in the whole box of the parameters, without the grid that `fit` uses.

    For the thesis's law every one reaches the same optimum; for the floor, all but those where its second term is
    nothing at every size.
    """
    d, losses = POINTS[name]
    chosen, x, y = LAWS[law], np.log(d) - np.log(d).mean(), np.log(losses)
    lower, upper = bounds = chosen.bounds(x, y)
    starts = np.random.default_rng(0).uniform(np.maximum(lower, -30), np.minimum(upper, 30), size=(200, len(lower)))
    _, cost, _ = minimise(chosen, x, np.tile(y, (200, 1)), starts, bounds, DELTA)
    best = scaling.fit(d, losses, law=law)
    assert cost.min() >= best.cost * (1 - 1e-9)
    assert np.mean(cost <= best.cost * (1 + 1e-6)) >= share
    assert best.converged


def test_extrapolation_of_the_largest_published_size():
    """Mean |log error| at 512 million from at most 256: 0.0134 for the thesis's law; floor and power are far worse."""
    errors = {law: [] for law in LAWS}
    for d, losses in POINTS.values():
        for law, found in scaling.compare_laws(d, losses).items():
            errors[law].append(found.error)
            assert np.array_equal(found.sizes, [d.max()]) or found.sizes == pytest.approx([512])
    mean = {law: np.mean(values) for law, values in errors.items()}
    assert errors["bansal"] == pytest.approx([0.018, 0.017, 0.010, 0.016, 0.006], abs=1e-3)
    assert mean["bansal"] <= 0.015
    assert mean["floor"] > 0.04
    assert mean["power"] > 0.2


def test_printed_errors_are_those_of_an_optimiser_that_stops_early():
    printed = published.read("alabdulmohsin2022").query("law == 'M3'").set_index("architecture").absolute_log_error
    for name in ("6L6L", "6L28L", "TEnc-LSTM"):
        d, losses = POINTS[name]
        early = abs(np.log(scaling.alternating_fit(d[:-1] * 1e6, losses[:-1]).predict(d[-1] * 1e6) / losses[-1]))
        assert early == pytest.approx(printed[name], abs=2e-3)
    d, losses = POINTS["6L6L"]
    assert abs(scaling.compare_laws(d, losses, laws=("bansal",))["bansal"].log_errors[0]) < 0.02 < printed["6L6L"]

    # a mean instead of a sum: the default tolerance of a general optimiser is met far from the optimum
    def mean_square(t):
        return np.mean((t[0] + t[2] * np.log(1 / d + np.exp(t[1])) - np.log(losses)) ** 2)

    stopped = optimize.minimize(mean_square, [0.0, -12.0, 0.1], method="L-BFGS-B", options={"ftol": 1e-3})
    assert np.sqrt(stopped.fun) > 2 * scaling.fit(d, losses).rmsle


def _coverage(law, noise, curves, **options):
    truth = TRUTH[law][1]
    hits, exponents = dict.fromkeys(truth, 0), []
    for i in range(curves):
        seeds = 3 if options.get("resample") == "seed" or law == "broken" else 1
        found = scaling.fit(*_curve(law, noise, seed=1000 + i, seeds=seeds), law=law, seed=i, **options)
        assert found.converged or law == "broken"
        exponents.append(found.exponent)
        for name, (low, high) in found.intervals.items():
            hits[name] += low <= truth[name] <= high
    return {name: count / curves for name, count in hits.items()}, np.mean(exponents) / truth[LAWS[law].exponent] - 1


@pytest.mark.table
@pytest.mark.parametrize(
    ("law", "options"),
    [
        ("bansal", {"bootstrap": 300}),
        ("bansal", {"bootstrap": 300, "resample": "seed"}),
        ("bansal", {}),
        ("power", {"bootstrap": 300}),
        ("floor", {"bootstrap": 300}),
        ("floor", {}),
        ("broken", {}),
    ],
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())) or "delta",
)
def test_intervals_cover_and_exponents_are_unbiased(law, options):
    """60 curves with 1 % noise: intervals of all parameters cover in 88 to 99 %, the exponent's bias is under 2 %.

    Over 300 curves the coverage of the exponent is 91 to 96 % and its bias under 0.3 %. The broken law has six
    parameters: its curves are 20 sizes of three seeds.
    """
    coverage, bias = _coverage(law, 0.01, 60, **options)
    assert 0.88 <= coverage[LAWS[law].exponent] <= 0.99
    assert min(coverage.values()) >= 0.88
    assert abs(bias) < 0.02


def test_profile_is_the_t_interval_where_the_law_is_linear():
    d, losses = _curve("power", 0.01, seed=3)
    found = scaling.fit(d, losses, law="power")
    profile = scaling.profile_interval(found)
    assert profile[1:3] == pytest.approx(found.intervals["c"], rel=1e-3)
    line = stats.linregress(np.log(d), np.log(losses))
    half = stats.t.ppf(0.975, d.size - 2) * line.stderr
    assert found.intervals["c"] == pytest.approx((-line.slope - half, -line.slope + half), rel=1e-6)


def test_profile_covers():
    hits = 0
    for i in range(40):
        low, high = scaling.profile_interval(scaling.fit(*_curve("bansal", 0.01, seed=i)))[1:3]
        hits += low <= 0.28 <= high
    assert hits / 40 >= 0.88


def test_a_thousand_draws_take_less_than_five_seconds():
    d, losses = POINTS["6L6L"]
    for law in LAWS:
        start = time.process_time()
        found = scaling.fit(d, losses, law=law, bootstrap=1000)
        assert time.process_time() - start < 5
        assert found.draws.shape == (1000, len(found.parameters))


def test_each_draw_is_at_its_own_optimum():
    found = scaling.fit(*_curve("bansal", 0.05, seed=2), bootstrap=60, seed=4)
    curve = found.curve
    value = curve.law.evaluate(found.theta[None], curve.x)
    residuals = (curve.y - value - (curve.y - value).mean()) * np.sqrt(11 / 8)
    again = value + residuals[0][np.random.default_rng(4).integers(11, size=(60, 11))]
    full = multistart(curve.law, curve.x, again, curve.bounds, curve.delta)
    draws = np.where(np.isfinite(found.theta_draws), found.theta_draws, curve.bounds[0])
    residual = np.abs(curve.law.evaluate(draws, curve.x) - again)
    near = np.minimum(residual, DELTA)
    assert (near * (residual - near / 2)).sum(1) == pytest.approx(full.cost, rel=1e-6)


def test_one_failed_run_is_held_back():
    d, losses = _curve("bansal", 0.005, seed=1)
    losses[4] *= 1.6
    robust, square = scaling.fit(d, losses), scaling.fit(d, losses, delta=np.inf)
    assert abs(robust.exponent / 0.28 - 1) < 0.1 < abs(square.exponent / 0.28 - 1)


def test_a_small_delta_costs_precision():
    """Why delta is not 1e-3: the spread of p over 300 curves with normal noise of 1 % is larger by a quarter."""
    x, law = np.log(SIZES) - np.log(SIZES).mean(), LAWS["bansal"]
    clean = np.log(_loss("bansal", *TRUTH["bansal"]))
    y = clean + 0.01 * np.random.default_rng(0).normal(size=(300, x.size))
    p = {d: multistart(law, x, y, law.bounds(x, y), d, top=1).theta[:, 2] for d in (DELTA, 1e-3)}
    assert np.std(p[1e-3]) / np.std(p[DELTA]) == pytest.approx(1.25, abs=0.1)


def test_what_a_curve_does_not_tell_is_flagged():
    d = SIZES
    no_knee = scaling.fit(d, 5 * d**-0.3)
    assert no_knee.parameters == pytest.approx({"alpha": 5.0, "C": 0.0, "p": 0.3})
    assert "bound 0" in no_knee.flags["C"]
    assert no_knee.intervals["C"][0] == 0
    assert "bound 0" in scaling.fit(d, 5 * d**-0.3, law="floor").flags["floor"]
    rng = np.random.default_rng(0)
    weak = scaling.fit(d, 5 * d**-0.3 * np.exp(0.02 * rng.normal(size=d.size) - 1e-6 * np.log(d)))
    assert "C" in weak.flags
    # only the end of the descent: exp(k / D), p and C without limit
    steep = scaling.fit([1, 2, 4, 8, 16.0], [5, 2, 1.1, 1.01, 1.001])
    assert np.isnan(list(steep.parameters.values())).all()
    assert set(steep.flags) == {"alpha", "C", "p"}
    assert np.isfinite(steep.predict([1, 16])).all()
    for losses in ([1.0] * 5, [1, 1.1, 1.2, 1.3, 1.4]):
        flat = scaling.fit([1, 2, 4, 8, 16.0], losses)
        assert flat.exponent == 0
        assert "do not fall" in flat.flags["p"]
        assert np.isnan(flat.parameters["C"])
    assert equivalence(steep, steep).verdict == "not identified"


def test_seeds_weigh_alike_and_order_does_not_matter():
    d, losses = _curve("bansal", 0.02, seed=5, seeds=3)
    found = scaling.fit(d, losses, bootstrap=200)
    assert found.interval_method == "seed"
    order = np.random.default_rng(0).permutation(d.size)
    assert scaling.fit(d[order], losses[order]).parameters == pytest.approx(found.parameters, rel=1e-6)
    mean = np.exp(np.log(losses).reshape(-1, 3).mean(1))
    # all within delta: least squares on runs is least squares on means
    assert scaling.fit(d[::3], mean, delta=np.inf).exponent == pytest.approx(
        scaling.fit(d, losses, delta=np.inf).exponent, rel=1e-6
    )
    low, high = found.band(SIZES)
    assert (low < found.predict(SIZES)).all()
    assert (found.predict(SIZES) < high).all()


def _pairs(difference, noise, number):
    for i in range(number):
        rng = np.random.default_rng(10_000 + i)
        yield tuple(
            scaling.fit(SIZES, 2 * (1 / SIZES + c) ** p * np.exp(noise * rng.normal(size=SIZES.size)))
            for p, c in ((0.28, 1 / 6e4), (0.28 + difference, 1 / 2e4))
        )


def test_equivalence_errs_as_often_as_it_says():
    """At a true difference of the band itself "equivalent" is an error; at none it is found. 80 and 30 pairs of curves."""
    at_band = [equivalence(a, b, band=0.05) for a, b in _pairs(0.05, 0.02, 80)]
    assert np.mean([e.verdict == "equivalent" for e in at_band]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 80)
    equal = [equivalence(a, b, band=0.05) for a, b in _pairs(0.0, 0.01, 30)]
    assert np.mean([e.verdict == "equivalent" for e in equal]) > 0.95
    for e in equal + at_band:
        assert (e.p_value < 0.05) == (e.verdict == "equivalent")
        assert e.low <= e.difference <= e.high
    far = [equivalence(a, b, band=0.05).verdict for a, b in _pairs(0.15, 0.005, 5)]
    assert far == ["different"] * 5


def test_paired_equivalence_needs_no_law():
    """Two curves with one bend that no law here has: the interval covers the difference as often as it says, 400 times."""
    rng, x = np.random.default_rng(0), np.log(SIZES)
    common = 0.3 * np.sin(x) - 0.02 * (x - x.mean()) ** 2

    def losses(exponent):
        return np.exp(common - exponent * x + 0.02 * rng.normal(size=x.size))

    found = [scaling.paired_equivalence(SIZES, losses(0.25), SIZES, losses(0.30)) for _ in range(400)]
    inside = np.mean([e.low <= 0.05 <= e.high for e in found])  # of level 1 - 2 alpha = 90 %
    assert inside == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 400))
    assert np.mean([e.verdict == "equivalent" for e in found]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    for e in found:
        assert (e.p_value < 0.05) == (e.verdict == "equivalent")
    equal = [scaling.paired_equivalence(SIZES, losses(0.25), SIZES, losses(0.25)).verdict for _ in range(50)]
    assert equal.count("equivalent") > 45
    far = scaling.paired_equivalence(SIZES, losses(0.25), SIZES, losses(0.45))
    assert (far.verdict, round(far.difference, 1)) == ("different", 0.2)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_curves_whose_ratio_is_constant_have_equal_exponents_without_a_doubt(factor):
    found = scaling.paired_equivalence(SIZES, losses := 2 * SIZES**-0.3, SIZES, factor * losses)
    assert found.verdict == "equivalent"
    assert [found.difference, found.low, found.high, found.p_value] == pytest.approx([0, 0, 0, 0], abs=1e-9)


def test_paired_equivalence_takes_common_sizes_and_all_seeds():
    d = np.array([1.0, 10, 100, 1000])
    a, b = 8 * d**-0.2, 5 * d**-0.3
    whole = scaling.paired_equivalence(d, a, d, b)
    assert whole.difference == pytest.approx(0.1)
    spread = np.array([1.1, 1 / 1.1])
    seeds = scaling.paired_equivalence(np.repeat(d, 2), np.outer(a, spread).ravel(), d[::-1], b[::-1])
    assert seeds.difference == pytest.approx(0.1)
    part = scaling.paired_equivalence(np.append(d, 5000.0), np.append(a, 1e-3), d, b)
    assert part.difference == pytest.approx(0.1)


def test_shared_exponent_of_the_published_points():
    """p = .256 and F(4, 38) = 12.4 by least squares; rejected, if residuals were independent."""
    found = scaling.shared_exponent(POINTS, delta=np.inf, bootstrap=200)
    assert found.exponent == pytest.approx(0.256, abs=1e-3)
    assert found.dof == (4, 38)
    assert found.statistic == pytest.approx(12.4, abs=0.1)
    assert found.p_value == pytest.approx(1.5e-6, rel=0.1)
    assert found.p_value_bootstrap < 0.01
    assert found.rmsle == pytest.approx(0.021, abs=5e-4)
    assert [found.parameters[k]["C"] for k in POINTS] == pytest.approx([0.040, 0.023, 0.016, 0.084, 0.058], abs=1e-3)
    assert found.low < 0.256 < found.high
    assert found.converged
    assert found.predict("6L6L", 512.0) == pytest.approx(0.34, abs=0.01)


def test_likelihood_ratio_of_a_shared_exponent_is_calibrated():
    """Five curves of 11 points, one p, 300 simulations: F keeps its 5 %, the chi-squared limit rejects twice that."""
    rng = np.random.default_rng(0)
    shift = np.log(SIZES).mean()
    ys = [
        np.log(2 * (1 / SIZES + c) ** 0.28) + 0.01 * rng.normal(size=(300, 11)) for c in (1e-5, 2e-5, 4e-5, 8e-5, 5e-6)
    ]
    parts = [Curve(LAWS["bansal"], np.log(SIZES) - shift, y[0], shift, np.arange(11), DELTA) for y in ys]
    separate, shared, theta, _ = _Joint(parts).costs(ys)
    ratio = _ratio(separate, shared, (4, 40))
    assert (stats.f.sf(ratio, 4, 40) < 0.05).mean() == pytest.approx(0.05, abs=3.3 * np.sqrt(0.05 * 0.95 / 300))
    assert (stats.chi2.sf(55 * np.log1p(ratio / 10), 4) < 0.05).mean() > 0.09
    assert theta[:, 0].mean() == pytest.approx(0.28, rel=0.005)


def test_bootstrap_of_the_shared_exponent_agrees_with_f():
    rng = np.random.default_rng(2)
    curves = {
        c: (SIZES, 2 * (1 / SIZES + c) ** (0.28 + p) * np.exp(0.01 * rng.normal(size=11)))
        for c, p in ((1e-5, 0), (4e-5, 0), (8e-5, 0.01))
    }
    found = scaling.shared_exponent(curves, bootstrap=400)
    assert found.p_value_bootstrap == pytest.approx(found.p_value, abs=0.08)


def test_marginal_value_is_the_derivative():
    for law in LAWS:
        found = scaling.fit(*_curve(law), law=law)
        value, d = scaling.marginal_value(found, SIZES), SIZES
        slope = (found.predict(d * (1 + 1e-5)) - found.predict(d * (1 - 1e-5))) / (2e-5 * d)
        assert value.derivative == pytest.approx(slope, rel=1e-6)
        assert value.elasticity == pytest.approx(-slope * d / found.predict(d), rel=1e-6)
        assert value.doubling == pytest.approx(found.predict(2 * d) / found.predict(d), rel=1e-12)
    found = scaling.fit(*POINTS["6L6L"])
    doubling = scaling.marginal_value(found, [1, 8, 20.6, 64, 512]).doubling
    assert doubling == pytest.approx([0.839, 0.886, 0.925, 0.965, 0.995], abs=1e-3)
    knee = 1 / found.parameters["C"]
    assert scaling.marginal_value(found, knee).elasticity == pytest.approx(found.exponent / 2)


def test_effective_data():
    d = SIZES
    a, b = (scaling.fit(d, alpha * (1 / d + c) ** 0.3) for alpha, c in ((2.0, 1e-6), (2.2, 2e-5)))
    found = scaling.effective_data(a, b, d)
    closed = 1 / ((b.predict(d) / 2.0) ** (1 / 0.3) - 1e-6)
    assert found.size == pytest.approx(closed, rel=1e-6)
    assert a.predict(found.size) == pytest.approx(b.predict(d), rel=1e-9)
    assert scaling.effective_data(b, a, found.size).size == pytest.approx(d, rel=1e-6)
    assert scaling.effective_data(b, a, 1e9).size == np.inf
    assert np.isnan(found.low).all()
    broken = scaling.fit(*_curve("broken"), law="broken")
    assert scaling.effective_data(broken, broken, LONG).factor == pytest.approx(1, rel=1e-6)
    noisy = [
        scaling.fit(
            d,
            alpha * (1 / d + 1e-5) ** 0.3 * np.exp(0.01 * np.random.default_rng(i).normal(size=d.size)),
            bootstrap=300,
        )
        for i, alpha in enumerate((2.0, 2.2))
    ]
    found = scaling.effective_data(*noisy, 4096.0)
    truth = 1 / (1.1 ** (1 / 0.3) * (1 / 4096 + 1e-5) - 1e-5)
    assert found.low < truth < found.high < 1.3 * truth


@pytest.mark.parametrize(
    ("law", "truth"),
    [
        ("kaplan", {"alpha": 6.0, "c": 0.02, "p": 0.4, "q": 0.3}),
        ("hoffmann", {"E": 1.7, "A": 20.0, "a": 0.35, "B": 30.0, "b": 0.4}),
    ],
)
def test_joint_laws(law, truth):
    rng = np.random.default_rng(0)
    d, n = (v.ravel() for v in np.meshgrid(2.0 ** np.arange(3, 13), [0.4, 1.6, 6.3, 18.9, 56.1]))
    if law == "kaplan":
        losses = truth["alpha"] * (1 / d + truth["c"] * n ** -truth["q"]) ** truth["p"]
    else:
        losses = truth["E"] + truth["A"] * n ** -truth["a"] + truth["B"] * d ** -truth["b"]
    exact = scaling.fit_joint(N=n, D=d, loss=losses, law=law)
    assert exact.parameters == pytest.approx(truth, rel=1e-5)
    assert exact.predict(N=n, D=d) == pytest.approx(losses, rel=1e-8)
    assert exact.predict(N=1.6, D=d[:10]).shape == (10,)
    noisy = scaling.fit_joint(N=n, D=d, loss=losses * np.exp(0.01 * rng.normal(size=d.size)), law=law, bootstrap=200)
    assert noisy.converged
    low, high = noisy.band(N=[1.0, 10.0], D=8.0)
    assert (low < high).all()
    with pytest.raises(ValueError, match="joint law"):
        scaling.marginal_value(noisy, 8.0)


def test_intervals_of_joint_laws_cover():
    rng = np.random.default_rng(0)
    d, n = (v.ravel() for v in np.meshgrid(2.0 ** np.arange(3, 13), [0.4, 1.6, 6.3, 18.9, 56.1]))
    truth = {"alpha": 6.0, "c": 0.02, "p": 0.4, "q": 0.3}
    losses = 6 * (1 / d + 0.02 * n**-0.3) ** 0.4
    fits = [scaling.fit_joint(N=n, D=d, loss=losses * np.exp(0.01 * rng.normal(size=d.size))) for _ in range(60)]
    for name, value in truth.items():
        hits = [low <= value <= high for low, high in (one.intervals[name] for one in fits)]
        assert 0.88 <= np.mean(hits) <= 0.99
        assert np.mean([one.parameters[name] for one in fits]) == pytest.approx(value, rel=0.02)


def test_tensors_and_lists():
    d, losses = POINTS["6L6L"]
    assert (
        scaling.fit(torch.tensor(d), torch.tensor(losses)).parameters == scaling.fit(list(d), list(losses)).parameters
    )


D5 = [1.0, 2, 4, 8, 16]
L5 = [1.0, 0.8, 0.7, 0.6, 0.55]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scaling.fit([1, 2], [1, 0.9]), "3 parameters .* 2 given"),
        (lambda: scaling.fit([4, 4, 4, 4], L5[:4]), "distinct sizes: 1 given"),
        (lambda: scaling.fit(D5, L5, law="broken"), "6 parameters"),
        (lambda: scaling.fit(D5, L5[:4]), "equally long"),
        (lambda: scaling.fit(D5, [1, -0.8, 0.7, 0.6, 0.5]), "losses holds -0.8 at position 1"),
        (lambda: scaling.fit(D5, [1, 0.8, np.nan, 0.6, 0.5]), "losses holds nan at position 2"),
        (lambda: scaling.fit([0, 2, 4, 8, 16], L5), "sizes holds 0.0"),
        (lambda: scaling.fit(D5, L5, law="bansall"), "'bansal'\\?"),
        (lambda: scaling.fit(D5, L5, bootstrap=1), "bootstrap = 1"),
        (lambda: scaling.fit(D5[:3], L5[:3], bootstrap=10), "no residual"),
        (lambda: scaling.fit(D5, L5, bootstrap=10, resample="seed"), "two runs of every size"),
        (lambda: scaling.fit(D5, L5, bootstrap=10, resample="runs"), "unknown resample 'runs'"),
        (lambda: scaling.fit(D5, L5, delta=0), "delta = 0"),
        (lambda: scaling.fit(D5, L5, confidence=95), "confidence = 95"),
        (lambda: scaling.fit(D5, L5).predict([1, -1]), "sizes holds -1.0"),
        (lambda: scaling.fit(D5, L5).band([1]), "bootstrap draws"),
        (lambda: scaling.fit(D5, L5).interval("q"), "unknown parameter of bansal 'q'"),
        (lambda: scaling.profile_interval(scaling.fit(D5, L5), parameter="q"), "unknown parameter of bansal 'q'"),
        (lambda: scaling.profile_interval(scaling.fit(D5[:3], L5[:3])), "no profile"),
        (lambda: scaling.equivalence(scaling.fit(D5, L5), scaling.fit(D5, L5, law="floor")), "mean different things"),
        (lambda: scaling.equivalence(scaling.fit(D5, L5), scaling.fit(D5, L5), band=0), "band = 0"),
        (lambda: scaling.paired_equivalence(D5, L5, D5[:2], L5[:2]), "2 sizes in common"),
        (lambda: scaling.paired_equivalence(D5, L5, D5, L5[:2]), "5 sizes and 2 losses"),
        (lambda: scaling.paired_equivalence(D5, [-v for v in L5], D5, L5), "losses"),
        (lambda: scaling.paired_equivalence(D5, L5, D5, L5, band=-1), "band = -1"),
        (lambda: scaling.equivalence(scaling.fit(D5, L5), scaling.fit(D5, L5), alpha=0.5), "alpha = 0.5"),
        (lambda: scaling.compare_laws(D5, L5, holdout=0), "holdout = 0"),
        (lambda: scaling.compare_laws(D5, L5), "broken"),
        (lambda: scaling.compare_laws(D5, L5, laws=()), "laws is empty"),
        (lambda: scaling.shared_exponent({"a": (D5, L5)}), "at least 2"),
        (lambda: scaling.shared_exponent({"a": (D5, L5), "b": ([1], [1])}), "curve 'b'"),
        (lambda: scaling.shared_exponent({k: (D5[:3], L5[:3]) for k in "ab"}), "no residual"),
        (lambda: scaling.fit_joint(N=[1] * 5, D=D5, loss=L5), "1 distinct model size"),
        (lambda: scaling.fit_joint(N=[1, 2, 1], D=[1, 1, 2], loss=[1, 0.9, 0.8]), "4 parameters"),
        (lambda: scaling.effective_data(scaling.fit(D5, L5), scaling.fit(D5, L5), -3), "size holds -3.0"),
        (lambda: published.read("bansal2023"), "'bansal2022'\\?"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_published_tables_name_their_sources():
    table = published.read("bansal2022")
    assert table.groupby("architecture").size().to_dict() == {
        "28L6L": 10,
        "6L28L": 11,
        "6L6L": 11,
        "Dec-only": 11,
        "TEnc-LSTM": 10,
    }
    for name in ("bansal2022", "alabdulmohsin2022"):
        assert not published.read(name).isna().any(axis=None)
    assert all(len(published.note(name)) > 100 for name in published.names())


def _grid(data, models):
    return (v.ravel() for v in np.meshgrid(data, models))


def _hoffmann(d, n):
    return 1.7 + 400 * n**-0.34 + 410 * d**-0.28


SEVERAL = np.geomspace(1e3, 1e6, 5)


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    ("data", "models", "lost"),
    [
        (SEVERAL[:2], SEVERAL * 100, {"E", "B", "b"}),
        (SEVERAL, SEVERAL[:2] * 100, {"E", "A", "a"}),
        (SEVERAL, SEVERAL * 100, set()),
    ],
    ids=["two data sizes", "two model sizes", "several of both"],
)
def test_a_joint_fit_says_what_its_sizes_leave_open(data, models, lost, noise):
    d, n = _grid(data, models)
    losses = _hoffmann(d, n) * np.exp(noise * np.random.default_rng(0).normal(size=d.size))
    found = scaling.fit_joint(N=n, D=d, loss=losses, law="hoffmann", bootstrap=20 if noise else 0)
    assert {k for k, v in found.parameters.items() if np.isnan(v)} == lost
    assert {k for k, why in found.flags.items() if why.startswith("not determined")} == lost
    for name in lost:
        assert np.isnan(found.intervals[name]).all()
    for name, truth in {"A": 400, "a": 0.34, "B": 410, "b": 0.28}.items():
        if name not in lost and not noise:
            assert found.parameters[name] == pytest.approx(truth, rel=1e-4)
    # where only determined parameters matter it still predicts, elsewhere it does not
    seen, beyond = found.predict(N=n[0], D=d[0]), found.predict(N=3e6, D=5e4)
    assert seen == pytest.approx(_hoffmann(d[0], n[0]), rel=0.03)
    assert np.isnan(beyond) == bool(lost)
    if noise:
        assert np.isnan(found.band(N=3e6, D=5e4)[0]) == bool(lost)
        assert np.isfinite(found.band(N=n[0], D=d[0])[0])


@pytest.mark.parametrize("noise", [0.0, 0.01])
@pytest.mark.parametrize(
    ("law", "loss", "kept"),
    [
        ("kaplan", lambda d, n: 2 * d**-0.3, {"alpha": 2, "p": 0.3}),
        ("hoffmann", lambda d, n: 2 * d**-0.3, {"B": 2, "b": 0.3}),
        ("kaplan", lambda d, n: 2 * n**-0.3, {}),
        ("hoffmann", lambda d, n: 2 * n**-0.3, {"A": 2, "a": 0.3}),
    ],
)
def test_a_size_without_an_effect_determines_no_parameter_of_its_term(law, loss, kept, noise):
    d, n = _grid(np.geomspace(1e3, 1e5, 8), np.array([1e5, 1e6, 1e7]))
    losses = loss(d, n) * np.exp(noise * np.random.default_rng(0).normal(size=d.size))
    found = scaling.fit_joint(N=n, D=d, loss=losses, law=law)
    told = {k: v for k, v in found.parameters.items() if k not in found.flags}
    assert set(told) == set(kept)
    for name in ("p", "a", "b"):  # amounts of sizes near 1 are extrapolated
        assert name not in told or told[name] == pytest.approx(kept[name], rel=0.1 if noise else 1e-4)
    lost = {"alpha", "c", "p", "q", "A", "a", "B", "b"} & set(found.parameters) - set(kept)
    assert np.isnan([found.parameters[name] for name in lost]).all()


@pytest.mark.parametrize("law", scaling.JOINT_LAWS)
@pytest.mark.parametrize(
    ("data", "models", "message"),
    [
        (np.full(6, 1e4), np.geomspace(1e5, 1e7, 6), "1 distinct data size"),
        (np.geomspace(1e3, 1e6, 6), np.full(6, 1e5), "1 distinct model size"),
        (np.geomspace(1e3, 1e6, 6), 20 * np.geomspace(1e3, 1e6, 6), r"N moves with D, as D\^1:"),
        (np.geomspace(1e3, 1e6, 6), np.geomspace(1e3, 1e6, 6) ** 0.5, r"as D\^0.5"),
    ],
)
def test_runs_along_one_line_are_no_joint_design(law, data, models, message):
    with pytest.raises(ValueError, match=message):
        scaling.fit_joint(N=models, D=data, loss=_hoffmann(data, models), law=law)


@pytest.mark.parametrize("law", ["bansal", "floor"])
def test_sizes_that_hardly_differ_determine_a_line_only(law):
    d = 1000 * (1 + 1e-9 * np.arange(8))
    found = scaling.fit(d, 2 * d**-0.3, law=law)
    assert set(found.flags) == set(found.parameters)
    assert np.isnan(list(found.parameters.values())).all()
    assert found.predict(1000) == pytest.approx(2 * 1000**-0.3)
    assert np.isnan(found.predict(1e6))
    for call in (scaling.marginal_value, lambda f, size: scaling.effective_data(f, f, size)):
        with pytest.raises(ValueError, match="do not determine .*c|p, so they say nothing of other sizes"):
            call(found, 1e4)
    # a power law is a line
    assert scaling.fit(d, 2 * d**-0.3, law="power").flags == {}
    both = scaling.shared_exponent({"near": (d, 2 * d**-0.3), "far": (SEVERAL, 0.1 + 2 * SEVERAL**-0.3)}, law="floor")
    assert set(both.flags) == {"near: floor", "near: beta"}
    assert both.exponent == pytest.approx(0.3)
    assert both.parameters["far"]["floor"] == pytest.approx(0.1)
    neither = scaling.shared_exponent({"a": (d, 2 * d**-0.3), "b": (d, d**-0.3)}, law=law)
    assert "exponent" in neither.flags
    assert np.isnan([neither.exponent, neither.low, neither.high]).all()


def test_the_profile_of_a_parameter_at_zero_begins_there():
    found = scaling.profile_interval(scaling.fit(SEVERAL, 2 * SEVERAL**-0.3), parameter="C")
    assert found.value == found.low == 0 < found.high < 1e-6


def test_a_wide_interval_is_said():
    d = 1000 * (1 + 0.1 * np.arange(8))
    losses = 2 * (1 / d + 1e-4) ** 0.3 * np.exp(0.01 * np.random.default_rng(1).normal(size=8))
    found = scaling.fit(d, losses, law="floor")
    wide = {name for name, why in found.flags.items() if "hardly determined" in why}
    assert wide <= {"beta", "c"}
    for name in wide:
        low, high = found.intervals[name]
        assert high / low > 1e6 if name == "beta" else high - low > 2
    far = scaling.fit(SEVERAL, 0.1 + 2 * SEVERAL**-0.3, law="floor")
    assert far.flags == {}


def test_the_alternating_estimator_names_what_is_open():
    d = 1000 * (1 + 1e-9 * np.arange(8))
    assert "C" in scaling.alternating_fit(d, 2 * d**-0.3).undetermined
    assert "C" in scaling.alternating_fit(SEVERAL, np.full(5, 0.5)).undetermined
    assert scaling.alternating_fit(SEVERAL, 2 * SEVERAL**-0.3).undetermined == ()
