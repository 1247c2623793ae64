"""Fits of data-scaling laws: ours against scipy.optimize.curve_fit as one would first call it.

    python benchmarks/law_fit.py

The peer minimises squares of losses in raw sizes from its default start of ones. Started near the truth, which a user
does not have, and in log space it shows what one local fit costs; from a grid of starts in log space, the best kept, it
is the work that ours does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

import harness
import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from dlcore.metrics.scaling import fit

CURVES, REPEATS, DRAWS, OFF = 40, 5, 1000, 0.1
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


def noisy(law, truth, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a curve with 1 % of noise."""
    return law(sizes, *truth) * np.exp(0.01 * rng.normal(size=sizes.size))


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


def single(curves: int, repeats: int) -> harness.Table:
    """Returns the table of single fits: time and failures."""
    rows = []
    for name, (law, truth, place, grid) in LAWS.items():
        rng = np.random.default_rng(0)
        drawn = [noisy(law, truth, SIZES, rng) for _ in range(curves)]
        starts = list(product(*grid))
        ways = {
            "curve_fit, default": None,
            "curve_fit, log, near truth": [np.array(truth) * 1.3],
            f"curve_fit, log, {len(starts)} starts": starts,
        }
        works: dict[str, Callable[[], Any]] = {"dlcore": lambda n=name, d=drawn: [fit(SIZES, one, law=n) for one in d]}
        for label, given in ways.items():
            works[label] = lambda law=law, d=drawn, s=given: [peer(law, one, s) for one in d]
        spent = harness.turns(works, repeats)
        for label, cost in spent.items():
            exponents = [
                (one.exponent if one.converged else None) if label == "dlcore" else None if one is None else one[place]
                for one in cost.value
            ]
            lost = np.mean([e is None for e in exponents])
            off = np.mean([e is not None and not abs(e / truth[place] - 1) <= OFF for e in exponents])
            rows.append(
                {"law": name, "method": label, "gave up": f"{lost:.0%}", "off": f"{off:.0%}"}
                | {"CPU-ms a fit": 1e3 * cost.cpu / curves, **harness.compared(cost, spent["dlcore"])}
                | {"extra MB": cost.memory}
            )
    note = (
        f"{curves} simulated curves of {SIZES.size} sizes with 1 % of noise; a fit is off when its exponent is wrong by "
        f"more than {OFF:.0%}. The default start is fast because it gives up or stops at the wrong place. CPU time, the "
        f"median of {repeats} turns."
    )
    return harness.Table(
        "Fits of one learning curve", note, rows, ("time / dlcore's",), harness.versions("scipy", "numpy")
    )


def bootstrap(draws: int, repeats: int) -> harness.Table:
    """Returns the table of bootstrap intervals."""
    rows = []
    for name, (law, truth, *_) in LAWS.items():
        losses = noisy(law, truth, SIZES, np.random.default_rng(1))

        def loop(law=law, truth=truth, losses=losses):
            centre = peer(law, losses, [truth])
            fitted, rng = law(SIZES, *centre), np.random.default_rng(0)
            residuals = np.log(losses / fitted)
            return [peer(law, fitted * np.exp(rng.choice(residuals, SIZES.size)), [centre]) for _ in range(draws)]

        works = {"dlcore": lambda n=name, y=losses: fit(SIZES, y, law=n, bootstrap=draws), "loop": loop}
        spent = harness.turns(works, repeats)
        ours, theirs = spent["dlcore"], spent["loop"]
        rows.append(
            {"law": name, "dlcore, CPU-s": ours.cpu, "loop of curve_fit, CPU-s": theirs.cpu}
            | harness.compared(theirs, ours, "loop / dlcore")
            | {"dlcore, extra MB": ours.memory, "loop, extra MB": theirs.memory}
        )
    note = (
        f"{draws:,} residual-bootstrap draws of one curve. The loop starts each draw at the best fit, in log space; dlcore "
        "fits all draws at once. CPU time, the median of "
        f"{repeats} turns."
    )
    return harness.Table(
        "Bootstrap of a learning curve", note, rows, ("loop / dlcore",), harness.versions("scipy", "numpy")
    )


def grown(quick: bool) -> harness.Table:
    """Returns the table of costs as sizes double."""
    law, truth = LAWS["bansal"][:2]

    def work(count: int, draws: int) -> Callable[[], Any]:
        sizes = np.geomspace(SIZES[0], SIZES[-1], count)
        losses = noisy(law, truth, sizes, np.random.default_rng(2))
        return lambda: fit(sizes, losses, law="bansal", bootstrap=draws)

    counts, draws = ((8, 16), (20, 40)) if quick else ((8, 16, 32, 64), (500, 1000, 2000, 4000))
    axes = [
        harness.Axis("sizes of a curve, no bootstrap", counts, lambda n: work(n, 0), "1 to 2"),
        harness.Axis(f"sizes of a curve, {draws[0]} draws", counts, lambda n: work(n, draws[0]), "2"),
        harness.Axis(f"draws, {counts[0]} sizes", draws, lambda b: work(counts[0], b), "2"),
    ]
    note = "dlcore.metrics.scaling.fit of the law alpha (1/D + C)^p; below some size NumPy's calls cost more than its sums."
    return harness.growth("Law fitting as its size doubles", note, axes, 1 if quick else 3, least=0.0 if quick else 0.1)


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of this benchmark."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)
        curves, draws, repeats = (3, 20, 1) if quick else (CURVES, DRAWS, REPEATS)
        return [single(curves, repeats), bootstrap(draws, repeats), grown(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
