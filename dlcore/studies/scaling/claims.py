"""What the ledger measures of chapter 4, on the table of `studies.scaling.table` and on the published points."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable

import numpy as np

from dlcore import published
from dlcore.measures import (
    CONFIDENCE,
    MEASURES,
    WITHOUT_RUNS,
    Measured,
    Table,
    at_confidence,
    exact,
    mean,
    measure,
    with_arguments,
)
from dlcore.metrics.scaling import (
    alternating_fit,
    equivalence,
    paired_equivalence,
    profile_interval,
    shared_exponent,
)
from dlcore.studies.scaling.comparisons import paired_by_size
from dlcore.studies.scaling.size import joint_fit, widest_predicted, widths
from dlcore.studies.scaling.table import CurveFit, holdouts, paired, published_scaling, scaling_fits, setting_of
from dlcore.summaries import select

SYNTHETIC, TEXT, WIDE = "transduction", "tatoeba_eng-deu", "transduction (gpu)"


# The published points need no run

REFITS = ("6L6L", "28L6L", "6L28L", "Dec-only", "TEnc-LSTM")


@functools.cache
def _published() -> tuple[Table, tuple[CurveFit, ...], Table]:
    """Returns the 53 points, their fits under every law, and the errors at the held-out 512 million pairs."""
    rows = published_scaling()
    # only the thesis's law is asked for intervals, and the bootstrap of the others takes most of the ledger's time
    fits = (*scaling_fits(rows, ("bansal",)), *scaling_fits(rows, ("floor", "power", "broken"), bootstrap=0))
    return rows, fits, holdouts(fits)


def _refits() -> dict[str, CurveFit]:
    return {f.setting: f for f in _published()[1] if f.law == "bansal"}


def _exponent(t: Table, architecture: str) -> Measured:
    found = profile_interval(_refits()[architecture].fit, confidence=CONFIDENCE.get())
    return Measured(found.value, found.low, found.high, found.n, "law")


def _held_out(t: Table, law: str) -> Measured:
    held = _published()[2]
    errors = held[held.law == law].log_error.abs()
    return exact(errors.mean(), len(errors))


for name in REFITS:
    MEASURES[f"published-p-{name.lower()}"] = with_arguments(_exponent, name)
for name in ("bansal", "floor", "power", "broken"):
    MEASURES[f"published-512m-{name}"] = with_arguments(_held_out, name)


@measure("published-shared-p")
def _(t):
    curves = {f.setting: (f.sizes, f.losses) for f in _refits().values()}
    return exact(shared_exponent(curves).statistic, sum(sizes.size for sizes, _ in curves.values()))


def _spread(a: CurveFit, b: CurveFit) -> Measured:
    """Returns the difference of two exponents, b - a, with its interval."""
    found = equivalence(a.fit, b.fit, alpha=(1 - CONFIDENCE.get()) / 2)
    return Measured(found.difference, found.low, found.high, a.sizes.size + b.sizes.size, "law")


def _largest_of_pairs(fits: Iterable[CurveFit], compare: Callable[..., Measured | None]) -> Measured | None:
    """Returns the largest comparison of two fits, of all pairs, with a simultaneous interval as `largest_interval` has it."""
    pairs = list(itertools.permutations(fits, 2))

    def at(confidence: float) -> np.ndarray:
        with at_confidence(confidence):
            return np.array([m[:3] for a, b in pairs if (m := compare(a, b)) is not None])

    outer = at(CONFIDENCE.get())
    if not outer.size:
        return None
    low = np.nanmax(at(1 - (1 - CONFIDENCE.get()) / len(pairs))[:, 1])
    ends = map(float, (outer[:, 0].max(), low, np.nanmax(outer[:, 2])))
    return Measured(*ends, runs=sum(f.sizes.size for f in fits), method="law")


def _knees(a: CurveFit, b: CurveFit) -> Measured | None:
    """Returns b's C over a's with an interval, from those of the two (MOVER on logs)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = (np.log([f.fit.parameters["C"], *f.fit.interval("C", confidence=CONFIDENCE.get())]) for f in (a, b))
        low = y[0] - x[0] - np.hypot(max(y[0] - y[1], 0), max(x[2] - x[0], 0))
        high = y[0] - x[0] + np.hypot(max(y[2] - y[0], 0), max(x[0] - x[1], 0))
    if not np.isfinite(y[0] - x[0]):
        return None
    return Measured(*(float(np.exp(v)) for v in (y[0] - x[0], low, high)), runs=a.sizes.size + b.sizes.size)


MEASURES["published-p-spread"] = lambda t: _largest_of_pairs(_refits().values(), _spread)
MEASURES["published-knee-moves"] = lambda t: _largest_of_pairs(_refits().values(), _knees)


@measure("published-early-stop")
def _(t):
    printed = published.read("alabdulmohsin2022").query("law == 'M3'").set_index("architecture").absolute_log_error
    worst = 0.0
    for name in REFITS:
        if name == "Dec-only":  # its printed row repeats that of 6L6L
            continue
        f = _refits()[name]
        early = alternating_fit(f.sizes[:-1], f.losses[:-1]).predict(f.sizes[-1])
        worst = max(worst, abs(abs(np.log(early / f.losses[-1])) - printed[name]))
    return exact(worst, 4)


WITHOUT_RUNS.update(name for name in MEASURES if name.startswith("published-"))


# Recorded runs


def _difference(
    t: Table, law: str = "known", curve: str = SYNTHETIC, baseline: dict | None = None, **fields
) -> Measured | None:
    """Measures a setting's exponent minus the baseline's, both on the sizes that both can use."""
    t = t[t.curve == curve]
    fits = paired(t, law, setting_of(t, **fields), setting_of(t, **baseline or {}))
    return _spread(*fits) if fits else None


def _by_size(t: Table, curve: str = SYNTHETIC, **fields) -> Measured | None:
    """Measures the same without a law, from the slope of the ratio of the two curves: what they share drops out."""
    t = t[t.curve == curve]
    t = t[t.setting.isin([setting_of(t, **fields), setting_of(t)])]
    found = paired_by_size(t, confidence=CONFIDENCE.get())
    if found.empty:
        return None
    (row,) = found.itertuples()
    return Measured(row.difference, row.low, row.high, len(t[t.usable.astype(bool)]))


def _kl_difference(t: Table, noise: float) -> Measured | None:
    """Measures the exponent on equally noisy pairs minus the clean one, once all of the setting's six sizes are there."""
    runs = t[(t.curve == SYNTHETIC) & (t.held_out == "noisy") & (t.noise == noise)]
    return _difference(t, noise_kind="target", noise=noise, held_out="noisy") if runs.pairs.nunique() >= 6 else None


def _fit(t: Table, law: str, curve: str = SYNTHETIC, **fields) -> CurveFit | None:
    t = t[t.curve == curve]
    found = scaling_fits(t[t.setting == setting_of(t, **fields)], (law,))
    return found[0] if found else None


def _above_floor(f: CurveFit | None) -> Measured | None:
    """Measures the exponent of a fit above the known floor."""
    return f and Measured(f.fit.exponent, *f.fit.interval("c", confidence=CONFIDENCE.get()), f.sizes.size, "law")


MEASURES["excess-exponent"] = lambda t: _above_floor(_fit(t, "known"))
MEASURES["excess-exponent-wide"] = lambda t: _above_floor(_fit(t, "known", WIDE))


def _counted(t: Table, curve: str) -> Table:
    """Returns the baseline's runs that have a counting learner beside them."""
    return select(t, curve=curve, arm="baseline", usable=True).dropna(subset=["reference"])


@measure("reference-exponent")
def _(t):
    clean = _counted(t, SYNTHETIC)
    return _above_floor(next(iter(scaling_fits(clean.assign(loss=clean.reference), ("known",))), None))


def _beside_counting(t: Table, curve: str) -> Measured | None:
    """Measures the model's exponent minus the counting learner's on the same pairs, both above the known floor."""
    rows = _counted(t, curve)
    if rows.pairs.nunique() < 3:
        return None
    counting = rows.reference - rows.asymptote
    alpha = (1 - CONFIDENCE.get()) / 2
    found = paired_equivalence(rows.pairs, counting, rows.pairs, rows.above, alpha=alpha)
    return Measured(found.difference, found.low, found.high, len(rows))


MEASURES["counting-difference"] = with_arguments(_beside_counting, SYNTHETIC)
MEASURES["counting-difference-wide"] = with_arguments(_beside_counting, WIDE)


@measure("noise-kl-above-clean")
def _(t):
    here = select(t, curve=SYNTHETIC, pairs=32768).set_index("seed")
    noise = {"noise_kind": "target", "noise": 0.2, "held_out": "noisy"}
    noisy, clean = (here[here.setting == setting_of(here, **fields)].above for fields in (noise, {}))
    return mean(noisy / clean)


ARCHITECTURES = {"4l1l": "4L1L", "1l4l": "1L4L", "decoder-only": "decoder_only", "lstm": "transformer_lstm"}
_NOISY = {"noise_kind": "target", "noise": 0.2}
# claim -> curve, law, and what its setting differs in; each is measured with the law and, as NAME-paired, without
ARMS = {
    **{f"noise-exponent-{r}": (SYNTHETIC, "known", _NOISY | {"noise": r / 100}) for r in (10, 20, 40)},
    **{f"architecture-exponent-{n}": (SYNTHETIC, "known", {"architecture": a}) for n, a in ARCHITECTURES.items()},
    "noise-exponent-20-wide": (WIDE, "known", _NOISY),
    "architecture-exponent-decoder-only-wide": (WIDE, "known", {"architecture": "decoder_only"}),
    "tatoeba-p-decoder-only": (TEXT, "bansal", {"architecture": "decoder_only"}),
    "tatoeba-p-lstm": (TEXT, "bansal", {"architecture": "transformer_lstm"}),
    "tatoeba-p-noise": (TEXT, "bansal", _NOISY),
    "tatoeba-p-misaligned": (TEXT, "bansal", {"noise_kind": "misaligned", "noise": 0.2}),
}
for name, (curve, law, fields) in ARMS.items():
    MEASURES[name] = with_arguments(_difference, law, curve, **fields)
    MEASURES[f"{name}-paired"] = with_arguments(_by_size, curve, **fields)
for rate in (10, 20, 40):
    MEASURES[f"noise-kl-exponent-{rate}"] = with_arguments(_kl_difference, noise=rate / 100)
MEASURES["noise-kl-exponent-20-paired"] = with_arguments(_by_size, **_NOISY, held_out="noisy")
MEASURES["noise-p-40"] = with_arguments(_difference, "bansal", noise_kind="target", noise=0.4)
for kind in ("source_unigram", "source_uniform", "misaligned"):
    MEASURES[f"{kind.replace('_', '-')}-exponent"] = with_arguments(_difference, noise_kind=kind, noise=0.2)
# three sizes: the fits' interval covers (98 % of 60 simulated pairs) and is a third as wide as Student's t of one degree of freedom
MEASURES["longer-exponent"] = with_arguments(_difference, longer=True)
for end, width in {"": 128, "-16": 16, "-32": 32}.items():
    MEASURES[f"width-exponent{end}"] = with_arguments(_difference, width=width)


@measure("size-exponent")
def _(t):
    found = joint_fit(t, bootstrap=400)
    return found and Measured(found.parameters["q"], *found.intervals["q"], found.curve.y.size, "law")


@measure("size-misfit")
def _(t):
    found = joint_fit(t)
    return found and exact(found.rmsle, found.curve.y.size)


@measure("size-held-out")
def _(t):
    found = widest_predicted(t)
    return exact(found.error[found.law == "kaplan"].item(), len(widths(t))) if len(found) else None


UNFILTERED = {"noise_kind": "misaligned", "noise": 0.2}
FILTERED = UNFILTERED | {"filter_pairs": 1024}


MEASURES["filter-exponent"] = with_arguments(_difference, baseline=UNFILTERED, **FILTERED)


def _gain(t: Table, pairs: int) -> Measured | None:
    """Measures the log loss of filtered minus unfiltered pairs at one size, of as many seeds as both have.

    A t interval over seeds; of one seed that of the test sentences, as if the two models' errors were independent.
    """
    here = t[(t.curve == SYNTHETIC) & (t.pairs == pairs)].set_index("seed")
    one, two = (here[here.setting == setting_of(here, **fields)] for fields in (FILTERED, UNFILTERED))
    change = (np.log(one.loss) - np.log(two.loss)).dropna()
    if len(change) != 1:
        return mean(change)
    half = 1.96 * float(np.hypot(*((x.loss_se / x.loss)[change.index].iloc[0] for x in (one, two))))
    return Measured(change.iloc[0], change.iloc[0] - half, change.iloc[0] + half, 2)


MEASURES["filter-small"] = with_arguments(_gain, 1024)
MEASURES["filter-large"] = with_arguments(_gain, 32768)


@measure("knee-moves")
def _(t):
    rows = t[(t.curve == SYNTHETIC) & t.arm.isin(["baseline", "architecture"])]
    fits = [f for f in scaling_fits(rows, ("bansal",)) if f.fit.parameters["C"] > 0]
    return _largest_of_pairs(fits, _knees) if len(fits) > 2 else None


def _fitted_floor(t: Table, **fields) -> Measured | None:
    """Measures the additive floor that a fit finds minus the one that the noise implies."""
    f = _fit(t, "floor", **fields)
    if f is None:
        return None
    known = t[(t.curve == SYNTHETIC) & (t.setting == f.setting)].asymptote.mean()
    low, high = f.fit.intervals["floor"]
    return Measured(f.limit - known, low - known, high - known, f.sizes.size, "law")


MEASURES["fitted-floor-clean"] = _fitted_floor
MEASURES["fitted-floor-40"] = with_arguments(_fitted_floor, noise_kind="target", noise=0.4)


def _knee(t: Table, pairs: int, width: int) -> Measured | None:
    """Measures C of the thesis's law times the reverse model's pairs."""
    f = _fit(t, "bansal", noise_kind="back_translation", reverse_pairs=pairs, reverse_width=width)
    if f is None or not f.fit.parameters["C"] > 0:
        return None
    low, high = f.fit.intervals["C"]
    return Measured(f.fit.parameters["C"] * pairs, low * pairs, high * pairs, f.sizes.size, "law")


MEASURES["back-translation-knee-1024"] = with_arguments(_knee, 1024, 64)
MEASURES["back-translation-knee-4096"] = with_arguments(_knee, 4096, 64)
MEASURES["back-translation-exponent"] = with_arguments(
    _difference, "power", noise_kind="back_translation", reverse_pairs=1024, reverse_width=64
)


@measure("largest-size-predicted")
def _(t):
    f = _fit(t, "bansal")
    errors = holdouts([f] if f else []).log_error.abs()
    return exact(errors.mean(), len(errors)) if len(errors) else None
