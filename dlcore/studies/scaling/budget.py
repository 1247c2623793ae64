"""The training budget and learning rate of chapter 4's recorded runs: one rule for the grid that runs them and the tables."""

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


def rate_of(width: int, preset: str = "laptop") -> float:
    """Returns the peak learning rate of Adam: 0.003 with 64 units or more, below in inverse proportion to the width.

    By development loss at 2,048 pairs 0.006 is the best of 0.003, 0.006, 0.012 and 0.024 with 32 units and 0.012 with 16;
    with 64 0.003 and 0.0015 do equally well, 0.006 worse. Models of 128 units had been trained with 0.003 before, and keep it, although
    the half, as the proportion would have it, turned out better there too. Preset "gpu" has 0.001.

    >>> rate_of(16), rate_of(64), rate_of(128), rate_of(512, "gpu")
    (0.012, 0.003, 0.003, 0.001)
    """
    return 1e-3 if preset == "gpu" else 3e-3 * max(1.0, 64 / width)


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
