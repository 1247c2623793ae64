"""Two exponents within a band of each other (equivalence), and laws judged by the largest size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from dlcore.arrays import typed
from dlcore.config import one_of
from dlcore.metrics.scaling.curve import as_curve, curve_of, log_positive
from dlcore.metrics.scaling.fit import Fit, solve
from dlcore.metrics.scaling.laws import LAWS
from dlcore.results import Result


class Equivalence(Result, plot="equivalence"):
    """The difference of two exponents, b - a, with its interval of level 1 - 2 alpha, and what follows from it.

    `p_value` of the hypothesis that it lies outside of the band; `verdict` "equivalent" (the interval lies inside of
    the band), "different" (it lies outside of it), "undecided", or "not identified".
    """

    difference: float
    low: float
    high: float
    band: float
    p_value: float
    verdict: str


class Holdout(Result, plot="holdout"):
    """What a law fitted to the smaller sizes says of the largest ones.

    `sizes`, N D for a joint law, and `losses` of every held-out run; `log_errors` log(prediction / loss) of each; `error` the
    mean of their absolute values.
    """

    law: str
    fit: Fit
    sizes: np.ndarray
    losses: np.ndarray
    log_errors: np.ndarray
    error: float


@typed
def equivalence(a: Fit, b: Fit, *, band: float = 0.05, alpha: float = 0.05) -> Equivalence:
    """Returns whether the exponents of two independent curves differ by less than `band`: two one-sided tests.

    The two tests reject together when the interval of level 1 - 2 alpha of the difference lies inside of
    (-band, band). Exponents that do not differ significantly are not thereby equal: with few points nothing differs
    significantly. The interval combines those of the two fits, which may be lopsided (MOVER).

    At a true difference of exactly `band`, "equivalent" is said in at most alpha of simulated pairs of curves, up to
    the simulation's error (tested).

    Raises: ValueError for two laws (their exponents mean different things: c of "floor" is about twice p of "bansal"
        on the same points), a band that is not positive, an alpha outside (0, 0.5).
    Paper: Schuirmann 1987 for two one-sided tests; Zou and Donner 2008 for the interval of a difference.

    >>> from dlcore.metrics.scaling import fit
    >>> x = [1, 2, 4, 8, 16, 32]
    >>> a = fit(x, [1.0, 0.82, 0.66, 0.55, 0.45, 0.36], law="power")
    >>> equivalence(a, a, band=0.05).verdict
    'equivalent'
    """
    if a.law != b.law:
        raise ValueError(f"the exponents of two laws, {a.law} and {b.law}, mean different things")
    _check(band, alpha)
    difference = b.exponent - a.exponent
    name = a.curve.law.exponent

    def limits(level: float) -> tuple[float, float]:
        (la, ua), (lb, ub) = a.interval(name, confidence=1 - 2 * level), b.interval(name, confidence=1 - 2 * level)
        # an end may lie on the wrong side of its estimate in a skewed bootstrap: then it adds nothing
        down = np.hypot(max(b.exponent - lb, 0), max(ua - a.exponent, 0))
        up = np.hypot(max(ub - b.exponent, 0), max(a.exponent - la, 0))
        return difference - down, difference + up

    low, high = limits(alpha)
    if not np.isfinite([difference, low, high]).all():
        return Equivalence(difference, low, high, band, float("nan"), "not identified")

    within = abs(difference) < band

    def room(level: float) -> float:
        down, up = limits(level)
        return min(band - up, band + down) if within else max(down - band, -band - up)

    # the level at which the interval touches the band, from within or from beyond it
    edge = 1e-6
    touch = edge if room(edge) > 0 else 0.5 if room(0.5 - edge) < 0 else cast(float, brentq(room, edge, 0.5 - edge))
    p_value = touch if within else 1 - touch
    return Equivalence(float(difference), float(low), float(high), band, p_value, _verdict(low, high, band))


@typed
def paired_equivalence(sizes_a, losses_a, sizes_b, losses_b, *, band: float = 0.05, alpha: float = 0.05) -> Equivalence:
    """Returns the same as `equivalence` without a law: from the slope of log(loss b / loss a) over log size.

    Two power laws L = f(D) D^-p with a common factor f, whatever its form, have a ratio that is a straight line, and its slope
    is the difference of their exponents, up to sign. What the curves have in common, a bend at small sizes, say, drops out,
    while fits of one law to each curve carry its misfit in their intervals. If the curves bend in different places the slope
    mixes bend and exponent; look at the ratios. Least squares over the common sizes, runs of a size averaged in logarithms,
    each size counting once; the interval is Student's t. Subtract a known floor from the losses first.

    Shapes: sizes_a, losses_a (n,), sizes_b, losses_b (m,).
    Raises: ValueError for lengths that differ, values that are not positive, fewer than three common sizes, and as
        `equivalence` does.

    >>> d = [1, 10, 100, 1000]
    >>> found = paired_equivalence(d, [8.0, 4.0, 2.1, 1.0], d, [9.0, 4.6, 2.4, 1.1])
    >>> round(found.difference, 3), found.verdict
    (0.003, 'equivalent')
    """
    _check(band, alpha)
    logs: list[dict[float, float]] = []
    for sizes, losses in ((sizes_a, losses_a), (sizes_b, losses_b)):
        x, y = log_positive("sizes", sizes), log_positive("losses", losses)
        if x.shape != y.shape:
            raise ValueError(f"{x.size} sizes and {y.size} losses")
        logs.append({float(v): float(y[x == v].mean()) for v in np.unique(x)})
    common = sorted(logs[0].keys() & logs[1].keys())
    if len(common) < 3:
        raise ValueError(f"the curves have {len(common)} sizes in common: three are needed")
    ratios = [logs[1][v] - logs[0][v] for v in common]
    line: Any = stats.linregress(common, ratios)
    error = float(line.stderr) if np.ptp(ratios) else 0.0  # SciPy's is NaN for a constant
    difference, freedom = -float(line.slope), len(common) - 2
    half = float(stats.t.ppf(1 - alpha, freedom) * error)
    if error > 0:
        p_value = float(stats.t.sf((band - abs(difference)) / error, freedom))
    else:
        p_value = float(abs(difference) >= band)
    low, high = difference - half, difference + half
    return Equivalence(difference, low, high, band, p_value, _verdict(low, high, band))


def _check(band: float, alpha: float) -> None:
    if not band > 0:
        raise ValueError(f"band = {band} must be positive: the largest difference that still counts as none")
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha = {alpha} is outside (0, 0.5)")


def _verdict(low: float, high: float, band: float) -> str:
    if -band < low and high < band:
        return "equivalent"
    return "different" if low > band or high < -band else "undecided"


@typed
def compare_laws(
    sizes, losses, *, laws: Sequence[str] = tuple(LAWS), holdout: int = 1, bootstrap: int = 0, seed: int = 0
) -> dict[str, Holdout]:
    """Returns, for each law, what its fit without the `holdout` largest distinct sizes says of them; the best first.

    Training error prefers the law with more parameters; this is the comparison that a use of the law, extrapolation,
    is judged by. It is one draw of noise: read differences below a run's noise as none.

    Shapes: sizes, losses (n,).
    Raises: ValueError for holdout < 1, too few sizes left for a law, and as `fit` does.
    Paper: Alabdulmohsin et al. 2022, section 5, for extrapolation as the criterion.

    >>> d = [1e3, 2e3, 4e3, 8e3, 16e3, 32e3]
    >>> found = compare_laws(d, [2 * (1 / v + 1e-4) ** 0.3 for v in d], laws=("power", "bansal"))
    >>> list(found), round(found["bansal"].error, 6)
    (['bansal', 'power'], 0.0)
    """
    if not isinstance(holdout, int | np.integer) or holdout < 1:
        raise ValueError(f"holdout = {holdout} must be the number of largest sizes to predict, at least 1")
    if not laws:
        raise ValueError("laws is empty")
    chosen = [LAWS[one_of("law", law, LAWS)] for law in laws]
    x, y = as_curve(sizes, losses, LAWS["power"])
    levels = np.unique(x)
    for law in chosen:
        if levels.size - holdout < len(law.parameters):
            raise ValueError(
                f"{levels.size} distinct sizes less {holdout} held out are too few for the {len(law.parameters)} "
                f"parameters of {law.name}"
            )
    out = x >= levels[-holdout]
    found = {}
    for law in chosen:
        rest = curve_of(law, np.exp(x[~out]), np.exp(y[~out]))
        fitted = solve(rest, bootstrap=bootstrap, seed=seed)
        errors = np.log(fitted.predict(np.exp(x[out]))) - y[out]
        losses, error = np.exp(y[out]), float(np.abs(errors).mean())
        found[law.name] = Holdout(law.name, fitted, np.exp(x[out]), losses, errors, error)
    return by_error(found)


def by_error(found: dict[str, Holdout]) -> dict[str, Holdout]:
    """Returns the laws in the order of their errors; a law and one that it contains may differ by rounding alone: a tie."""
    return dict(sorted(found.items(), key=lambda item: float(f"{item[1].error:.6g}")))
