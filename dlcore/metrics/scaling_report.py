"""A reader's own learning curve: every law that it can carry, what it determines, and the sentence for a paper."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dlcore.metrics.scaling_compare import Holdout, compare_laws
from dlcore.metrics.scaling_curve import as_curve
from dlcore.metrics.scaling_fit import Fit, fit
from dlcore.metrics.scaling_laws import LAWS


class LawReport(NamedTuple):
    """Fits by law on all sizes, their errors at the held-out largest size, and the `sentence`.

    `best` is the law of the smallest such error among those whose parameters the curve all determines (among all, where
    none does): six parameters on eight points follow anything.
    """

    fits: dict[str, Fit]
    held_out: dict[str, Holdout]
    best: str
    sentence: str


def report(sizes, losses, bootstrap: int = 500, seed: int = 0, unit: str = "samples") -> LawReport:
    """Returns the laws fitted to your (D, loss) table, compared by the held-out largest size, and a sentence to print.

    A law takes part when one size more than its parameters is left after the largest is held out. A size that occurs
    several times holds several seeds, which may agree in all the digits given; the sentence says how many do. A line that
    occurs twice where most sizes have one run is refused as a copy.

    Shapes: sizes, losses (n,). Raises: ValueError for fewer than four distinct sizes, NaN, infinite or non-positive
        numbers, lengths that disagree, a repeated line.

    >>> d = [1e3, 2e3, 4e3, 8e3, 16e3, 32e3]
    >>> found = report(d, [2 * (1 / v + 1e-4) ** 0.3 for v in d], bootstrap=0)
    >>> found.best, round(found.fits["bansal"].exponent, 4)
    ('bansal', 0.3)
    """
    x, y = as_curve(sizes, losses, LAWS["power"])
    lines = np.stack([x, y], axis=1)
    whole, first, counts = np.unique(lines, axis=0, return_index=True, return_counts=True)
    seeds = np.unique(whole[:, 0]).size < len(whole) or 2 * np.sum(counts > 1) >= len(whole)
    if len(whole) < len(lines) and not seeds:
        place = first[counts > 1][0]
        raise ValueError(
            f"size {np.exp(x[place]):.6g} with loss {np.exp(y[place]):.6g} occurs {counts[counts > 1][0]} times: a copied "
            "line? Most other sizes have one run"
        )
    distinct = np.unique(x).size
    laws = [name for name, law in LAWS.items() if distinct - 1 > len(law.parameters)]
    if not laws:
        raise ValueError(f"{distinct} distinct sizes are too few: 4 are needed to compare laws by the largest")
    held = compare_laws(sizes, losses, laws)
    fits = {name: fit(sizes, losses, name, bootstrap, seed) for name in laws}
    best = next((law for law in held if not fits[law].flags), next(iter(held)))
    return LawReport(fits, held, best, _sentence(fits[best], held, np.exp(x), unit, len(lines) - len(whole)))


def _sentence(best: Fit, held: dict[str, Holdout], sizes: np.ndarray, unit: str, repeated: int) -> str:
    name = best.curve.law.exponent
    low, high = best.intervals[name]
    others = ", ".join(f"{law} {100 * h.error:.1f} %" for law, h in held.items() if law != best.law)
    how = {"delta": "t interval", "residual": "residual bootstrap", "seed": "seed bootstrap"}[best.interval_method]
    text = (
        f"On {best.curve.y.size} runs of {np.unique(sizes).size} sizes ({sizes.min():.4g} to {sizes.max():.4g} {unit}) the loss "
        f"follows {best.curve.law.formula} with {name} = {best.exponent:.3f} [{low:.3f}, {high:.3f}] (95 % {how}; "
        f"rmsle {best.rmsle:.2g}); fitted without the largest size it misses that size by {100 * held[best.law].error:.1f} %"
    )
    text += f" (other laws: {others})." if others else "."
    if best.flags:
        text += f" Not determined: {'; '.join(f'{k} ({v})' for k, v in best.flags.items())}."
    if repeated:
        text += f" {repeated} of the runs repeat another of the same size in all the digits given."
    return text + " The exponent belongs to this law and is not comparable with that of another."
