"""Whether one run alone decides an exponent: said by `fit`, `fit_joint` and the reports alike."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from dlcore.arrays import outside

MOST = 500  # runs that are left out in turn: the time is that of as many fits


class InfluenceWarning(UserWarning):
    """One run moves an exponent by more than its interval is long."""


def influence(found: Any) -> str:
    """Returns what to say of a `Fit`, and to warn of, where one run moves an exponent by more than its interval is long; else nothing.

    Such a run has leverage, not a large residual: at a size far from all others it decides alone. Of more than 500 runs none
    is looked at, and of a fit whose flags say already that it does not determine a parameter.
    """
    text, sound = "", found.curve.y.size <= MOST and np.isfinite([*found.parameters.values()]).all()
    for name, values in found.without_each().items() if sound else ():
        low, high = found.intervals[name]
        off = np.abs(values - found.parameters[name])
        off[[*getattr(found, "outliers", ())]] = 0  # said already
        place = int(np.argmax(np.nan_to_num(off)))
        if off[place] > max(high - low, 1e-3):
            text += (
                f" Without run {place} {name} is {values[place]:.3f}: its interval does not cover what one run does."
            )
    if text:
        warnings.warn(f"{found.law}: {text.strip()}", InfluenceWarning, stacklevel=outside())
    return text
