"""A reader's own learning curve: every law that it can carry, what it determines, and the sentence for a paper."""

from __future__ import annotations

import warnings

import numpy as np

from dlcore.arrays import typed
from dlcore.metrics.scaling.compare import Holdout, by_error, compare_laws
from dlcore.metrics.scaling.curve import DELTA, as_curve, curve_of, log_positive
from dlcore.metrics.scaling.fit import Fit, solve
from dlcore.metrics.scaling.influence import InfluenceWarning, influence
from dlcore.metrics.scaling.joint import JOINT_LAWS, JointFit, fit_joint
from dlcore.metrics.scaling.laws import LAWS
from dlcore.results import Result


class LawReport(Result, plot="report"):
    """Fits by law on all sizes, their errors at the held-out largest sizes, and the `sentence`.

    `best` is the law of the smallest such error among those whose parameters the curve all determines (among all, where
    none does): six parameters on eight points follow anything.
    """

    fits: dict[str, Fit] | dict[str, JointFit]
    held_out: dict[str, Holdout]
    best: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence

    def to_latex(self) -> str:
        """Returns the best law's parameters with their intervals as a LaTeX table; it needs the package booktabs."""
        return self.fits[self.best].to_latex()


@typed
def report(sizes, losses, *, bootstrap: int = 500, seed: int = 0, unit: str = "samples", holdout: int = 1) -> LawReport:
    """Returns the laws fitted to your (D, loss) table, compared by held-out largest sizes, and a sentence to print.

    A law takes part when one size more than its parameters is left after the `holdout` largest are held out: take so many
    that the largest is at least twice the largest that is left. A size that occurs
    several times holds several seeds, which may agree in all the digits given; the sentence says how many do. A line that
    occurs twice where most sizes have one run is refused as a copy. The best law is fitted again without each run: where one
    moves an exponent by more than its interval is long, the sentence names it, with an InfluenceWarning.

    Shapes: sizes, losses (n,). Raises: ValueError for fewer than four distinct sizes, NaN, infinite or non-positive
        numbers, lengths that disagree, a repeated line, holdout < 1.

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
    laws = [name for name, law in LAWS.items() if distinct - holdout > len(law.parameters)]
    if not laws:
        raise ValueError(
            f"{distinct} distinct sizes are too few: {holdout + 3} are needed to compare laws by "
            + ("the largest" if holdout == 1 else f"the {holdout} largest")
        )
    held = compare_laws(sizes, losses, laws=laws, holdout=holdout)
    fits: dict[str, Fit] = {n: solve(curve_of(LAWS[n], sizes, losses), bootstrap=bootstrap, seed=seed) for n in laws}
    best = next((law for law in held if not fits[law].flags), next(iter(held)))
    if bootstrap:  # the band of the fit that predicts
        held |= compare_laws(sizes, losses, laws=[best], holdout=holdout, bootstrap=bootstrap, seed=seed)
    text = _sentence(fits[best], held, np.exp(x), unit, len(lines) - len(whole), holdout)
    return LawReport(fits, held, best, text + influence(fits[best]))


@typed
def report_joint(
    *, N, D, loss, bootstrap: int = 500, seed: int = 0, holdout: float = 0.1, delta: float = DELTA
) -> LawReport:
    """Returns both joint laws fitted to your (N, D, loss) table, compared by the runs of most compute, and a sentence.

    Args: holdout: share of the runs, those of the largest N D, that each law predicts from the others.
    Shapes: N, D, loss (n,).
    Raises: ValueError for a holdout outside (0, 1), too few runs for any of the laws, and as `fit_joint` does.

    >>> d, n = np.meshgrid([1e3, 1e4, 1e5, 1e6], [1e5, 1e6, 1e7])
    >>> loss = 1 + 400 * n**-0.5 + 40 * d**-0.3
    >>> report_joint(N=n.ravel(), D=d.ravel(), loss=loss.ravel(), bootstrap=0).best
    'hoffmann'
    """
    n, d, y = (np.exp(log_positive(name, v)) for name, v in (("N", N), ("D", D), ("loss", loss)))
    if not 0 < holdout < 1:
        raise ValueError(f"holdout = {holdout} is outside (0, 1): the share of runs to predict")
    product, fits, held = n * d, {}, {}
    out = product >= np.sort(product)[-max(1, round(holdout * len(product)))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InfluenceWarning)  # the sentence says it, of the best law
        for law in JOINT_LAWS:
            fits[law] = fit_joint(N=n, D=d, loss=y, law=law, bootstrap=bootstrap, seed=seed, delta=delta)
            part = fit_joint(N=n[~out], D=d[~out], loss=y[~out], law=law, delta=delta)
            errors = np.log(part.predict(N=n[out], D=d[out]) / y[out])
            held[law] = Holdout(law, part, product[out], y[out], errors, float(np.abs(errors).mean()))
    held = by_error(held)
    # outliers speak against runs, not against a law
    open_ones = {law: [t for t in fits[law].flags.values() if "with the outliers" not in t] for law in held}
    best = next((law for law in held if not open_ones[law]), next(iter(held)))
    found = fits[best]
    shown = ", ".join(
        f"{name} = {_short(found.parameters[name])} [{_short(low)}, {_short(high)}]"
        for name, (low, high) in found.intervals.items()
    )
    others = ", ".join(f"{law} {100 * h.error:.1f} %" for law, h in held.items() if law != best)
    text = (
        f"On {y.size} runs ({n.min():.3g} to {n.max():.3g} parameters, {d.min():.3g} to {d.max():.3g} samples) the loss "
        f"follows {found.curve.law.formula} with {shown} (95 % {_METHODS[found.interval_method]}; rmsle "
        f"{found.rmsle:.2g}); fitted without the {int(out.sum())} runs of most compute it misses them by "
        f"{100 * held[best].error:.1f} % (other law: {others})."
    )
    if found.outliers:
        text += f" {len(found.outliers)} runs lie off the law ({', '.join(map(str, found.outliers))})."
    if found.flags:
        text += f" Flagged: {'; '.join(f'{k}: {v}' for k, v in found.flags.items())}."
    return LawReport(fits, held, best, text + influence(found))


_METHODS = {"delta": "t interval", "residual": "residual bootstrap", "seed": "seed bootstrap"}


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3g}"


def _sentence(best: Fit, held: dict[str, Holdout], sizes: np.ndarray, unit: str, repeated: int, holdout: int) -> str:
    name = best.curve.law.exponent
    low, high = best.intervals[name]
    others = ", ".join(f"{law} {100 * h.error:.1f} %" for law, h in held.items() if law != best.law)
    what = ("the largest size", "that size") if holdout == 1 else (f"the {holdout} largest sizes", "those")
    text = (
        f"On {best.curve.y.size} runs of {np.unique(sizes).size} sizes ({sizes.min():.4g} to {sizes.max():.4g} {unit}) the loss "
        f"follows {best.curve.law.formula} with {name} = {best.exponent:.3f} [{low:.3f}, {high:.3f}] (95 % {_METHODS[best.interval_method]}; "
        f"rmsle {best.rmsle:.2g}); fitted without {what[0]} it misses {what[1]} by {100 * held[best.law].error:.1f} %"
    )
    text += f" (other laws: {others})." if others else "."
    if best.flags:
        text += f" Not determined: {'; '.join(f'{k} ({v})' for k, v in best.flags.items())}."
    if repeated:
        text += f" {repeated} of the runs repeat another of the same size in all the digits given."
    return text + " The exponent belongs to this law and is not comparable with that of another."
