"""The training budget of chapter 4's recorded runs by number of pairs: one rule for the grid that runs them and the tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Budget(NamedTuple):
    """Largest number of steps, and tokens of a batch."""

    steps: int
    batch_tokens: int


def steps_of(pairs: int) -> int:
    """Returns about 25 sqrt(D), a rule from pilot runs that was then left alone.

    >>> steps_of(128), steps_of(1024), steps_of(2**20)
    (300, 800, 6000)
    """
    return int(np.clip(25 * pairs**0.5, 300, 6000))


def budget(preset: str, pairs: int) -> Budget:
    """Returns the budget of a run of the main comparison; other budgets are experiments of their own.

    Of preset "gpu", until 2^16 pairs the steps are the laptop's, without their limits, in batches twice as large; the two
    largest sizes take batches eight times as large and a sixth of the steps, which at smaller sizes measured training time,
    not data: at 4,096 pairs a loss twice that of the model of width 64.

    >>> budget("laptop", 4096), budget("gpu", 2**20)
    (Budget(steps=1600, batch_tokens=2048), Budget(steps=4267, batch_tokens=16384))
    """
    if preset != "gpu":
        return Budget(steps_of(pairs), 2048)
    if pairs <= 2**16:
        return Budget(round(25 * pairs**0.5), 4096)
    return Budget(round(25 / 6 * pairs**0.5), 16384)
