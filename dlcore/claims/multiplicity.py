"""Many verdicts at once: at which error a verdict is still decided, and which are after Holm's correction."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dlcore.measures import Measured, at_confidence


def place(measured: Measured | None, accept: tuple[float, float]) -> str:
    """Returns where an interval lies: "inside" of a region, "outside" of it, or "across" its edge; no interval, or no value, is across.

    >>> place(Measured(0.5, 0.4, 0.6, 5), (0, 1)), place(Measured(0.5, 0.4, 0.6, 5), (0.55, 1))
    ('inside', 'across')
    """
    low, high = accept
    if measured is None or not (np.isfinite(measured.low) and np.isfinite(measured.high)):
        return "across"
    if low <= measured.low and measured.high <= high:
        return "inside"
    return "across" if measured.high >= low and measured.low <= high else "outside"


def smallest_error(measure: Callable[[], Measured | None], accept: tuple[float, float]) -> float:
    """Returns the smallest error alpha at which the interval of confidence 1 - alpha is not across the edge of its region.

    The p-value of the verdict: twice that of the one-sided test of the nearer edge. Found by halving in logarithms,
    to one per cent, down to 1e-6; 1 where even a tenth of confidence does not decide.
    """

    def decided(alpha: float) -> bool:
        with at_confidence(1 - alpha):
            return place(measure(), accept) != "across"

    low, high = 1e-6, 0.9
    if decided(low):
        return low
    if not decided(high):
        return 1.0
    while high / low > 1.01:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high


def holm(errors: Mapping[str, float], alpha: float = 0.05) -> set[str]:
    """Returns the names whose verdicts stand together: the chance that any of them is wrong is at most alpha.

    Paper: Holm 1979: the smallest p-value is compared with alpha / m, the next with alpha / (m - 1), until one is larger.

    >>> sorted(holm({"a": 0.01, "b": 0.04, "c": 0.02}))
    ['a', 'b', 'c']
    >>> sorted(holm({"a": 0.01, "b": 0.04, "c": 0.03}))
    ['a']
    """
    kept: set[str] = set()
    for rank, (name, error) in enumerate(sorted(errors.items(), key=lambda item: item[1])):
        if error > alpha / (len(errors) - rank):
            break
        kept.add(name)
    return kept
