"""The estimator behind printed extrapolation errors of the thesis's law, re-derived: it can stop before its optimum."""

from __future__ import annotations

import numpy as np

from dlcore.arrays import as_reals, typed
from dlcore.metrics.scaling.curve import as_curve
from dlcore.metrics.scaling.laws import LAWS
from dlcore.metrics.scaling.solver import open_directions, undetermined
from dlcore.results import Result


class Alternating(Result):
    """alpha (1/D + C)^p as the alternating estimator leaves it; `rmsle` on its own points, `steps` until it stopped.

    `undetermined` names the parameters that the points leave open.
    """

    alpha: float
    C: float
    p: float
    rmsle: float
    steps: int
    undetermined: tuple[str, ...] = ()

    def predict(self, sizes) -> np.ndarray:
        """Returns the losses at sizes of any shape."""
        return self.alpha * (1 / as_reals("sizes", sizes) + self.C) ** self.p


@typed
def alternating_fit(sizes, losses, *, tolerance: float = 1e-10, most: int = 10_000) -> Alternating:
    """Returns the law after alternating least squares: alpha and p for fixed C, then C among values that hit one point.

    It stops when alpha stalls, which may be far from the optimum: a warning to show beside `fit`, not a tool.

    Shapes: sizes, losses (n,). Raises: ValueError as `fit` does.
    Paper: Alabdulmohsin et al. 2022 print errors of this law (their M3) which it reproduces in four rows of five.
    Differs: re-derived from the description; their code was not copied.

    >>> sizes = [1e3, 4e3, 16e3, 64e3]
    >>> round(alternating_fit(sizes, [2 * d**-0.3 for d in sizes]).p, 6)
    0.3
    """
    log_x, log_y = as_curve(sizes, losses, LAWS["bansal"])
    x, y = np.exp(log_x), np.exp(log_y)
    knee, previous = 0.0, None
    steps = 0
    while steps < most:
        steps += 1
        design = np.stack([np.ones_like(x), np.log(1 / x + knee)], 1)
        log_alpha, p = np.linalg.lstsq(design, log_y, rcond=None)[0]
        alpha = float(np.exp(log_alpha))
        found = (y / alpha) ** (1 / p) - 1 / x
        candidates = [knee, *found[found >= 0]]
        errors = [np.mean((log_alpha + p * np.log(1 / x + c) - log_y) ** 2) for c in candidates]
        knee = float(candidates[int(np.argmin(errors))])
        if previous is not None and abs(alpha - previous) < tolerance:
            break
        previous = alpha
    law, shift = LAWS["bansal"], log_x.mean()
    knee = knee if knee * x.max() > 1e-9 else 0.0  # the rounding of 1/D
    theta = law.shift(np.array([[np.log(alpha), np.log(knee) if knee > 0 else -shift, p]]), -shift)[0]
    lost = undetermined(law, open_directions(law, log_x - shift, theta, np.arange(3)), shift)
    return Alternating(alpha, knee, float(p), float(np.sqrt(min(errors))), steps, tuple(lost))
