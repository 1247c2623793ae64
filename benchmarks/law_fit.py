"""Fits of data-scaling laws: ours against scipy.optimize.curve_fit as one would first call it.

Same simulated curves for both; a fit is off when its exponent is wrong by more than 10 %. The peer minimises squares of
losses in raw sizes from its default start of ones. Started near the truth, which a user does not have, and in log space it
shows what one local fit costs; from a grid of starts in log space, the best kept, it is the work that ours does. CPU seconds of this process, the median of REPEATS runs, in one run.

    python benchmarks/law_fit.py
"""

from __future__ import annotations

import time
import warnings
from itertools import product
from statistics import median

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from dlcore.metrics.scaling import fit

CURVES, REPEATS, DRAWS, OFF = 40, 3, 1000, 0.1
SIZES = 2.0 ** np.arange(9, 20)


def bansal(d, alpha, c, p):
    return alpha * (1 / d + c) ** p


def power(d, beta, c):
    return beta * d**-c


def floor(d, level, beta, c):
    return level + beta * d**-c


# law, truth, place of the exponent, values of each parameter in the grid of starts
LAWS = {
    "bansal": (bansal, (2.0, 1 / 6e4, 0.28), 2, ((1.0, 5.0), np.geomspace(1e-7, 1e-2, 6), (0.15, 0.3, 0.6))),
    "power": (power, (5.0, 0.3), 1, ((1.0, 10.0), (0.15, 0.3, 0.6))),
    "floor": (floor, (0.3, 20.0, 0.36), 2, ((0.1, 0.3, 0.6), (1.0, 10.0, 100.0), (0.15, 0.3, 0.6))),
}


def peer(law, losses, starts=None):
    """Returns parameters by curve_fit, or None where it gives up; in log space, the best from `starts` if given."""
    best, least = None, np.inf
    for start in [None] if starts is None else starts:
        try:
            if start is None:
                return curve_fit(law, SIZES, losses)[0]
            found = curve_fit(lambda d, *t: np.log(law(d, *t)), SIZES, np.log(losses), p0=start)[0]
        except (RuntimeError, ValueError):
            continue
        error = np.sum(np.log(law(SIZES, *found) / losses) ** 2)
        if error < least:
            best, least = found, error
    return best


def timed(work) -> tuple[float, list]:
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        found = work()
        seconds.append(time.process_time() - start)
    return median(seconds), found


def main() -> None:
    warnings.simplefilter("ignore", OptimizeWarning)
    np.seterr(all="ignore")
    print(f"{CURVES} curves of {SIZES.size} sizes with 1 % noise, exponent off by more than {OFF:.0%}")
    print(f"{'law':8s}{'method':28s}{'gave up':>9s}{'off':>7s}{'ms a fit':>10s}{'ratio':>8s}")
    for name, (law, truth, place, grid) in LAWS.items():
        rng = np.random.default_rng(0)
        curves = [law(SIZES, *truth) * np.exp(0.01 * rng.normal(size=SIZES.size)) for _ in range(CURVES)]
        seconds, fits = timed(lambda curves=curves, name=name: [fit(SIZES, one, name) for one in curves])
        rows = [("ours", seconds, [one.exponent if one.converged else None for one in fits])]
        near, grid = [np.array(truth) * 1.3], list(product(*grid))
        ways = {
            "curve_fit, default": None,
            "curve_fit, log, near truth": near,
            f"curve_fit, log, {len(grid)} starts": grid,
        }
        for label, starts in ways.items():
            took, found = timed(lambda s=starts, curves=curves, law=law: [peer(law, one, s) for one in curves])
            rows.append((label, took, [None if one is None else one[place] for one in found]))
        for label, took, exponents in rows:
            lost = np.mean([e is None for e in exponents])
            off = np.mean([e is not None and not abs(e / truth[place] - 1) <= OFF for e in exponents])
            print(f"{name:8s}{label:28s}{lost:9.0%}{off:7.0%}{1e3 * took / CURVES:10.2f}{took / seconds:8.2f}")
    print(f"\n{DRAWS} bootstrap draws of one curve, CPU seconds")
    for name, (law, truth, *_) in LAWS.items():
        losses = law(SIZES, *truth) * np.exp(0.01 * np.random.default_rng(1).normal(size=SIZES.size))
        seconds, _ = timed(lambda losses=losses, name=name: [fit(SIZES, losses, name, bootstrap=DRAWS)])

        def loop(law=law, truth=truth, losses=losses):
            centre = peer(law, losses, [truth])
            fitted, rng = law(SIZES, *centre), np.random.default_rng(0)
            residuals = np.log(losses / fitted)
            return [peer(law, fitted * np.exp(rng.choice(residuals, SIZES.size)), [centre]) for _ in range(DRAWS)]

        took, _ = timed(loop)
        print(f"{name:8s}ours {seconds:7.3f}   loop of curve_fit {took:7.3f}   ratio {took / seconds:6.1f}")


if __name__ == "__main__":
    main()
