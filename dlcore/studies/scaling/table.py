"""Chapter 4: the tidy table of learning curves, ours and published ones, and the laws fitted to them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from dlcore import cache, published
from dlcore.metrics import scaling as laws
from dlcore.metrics.scaling.curve import curve_of
from dlcore.metrics.scaling.fit import Fit, solve
from dlcore.studies.scaling.config import budget, rate_of, steps_of
from dlcore.summaries import FINDINGS, findings, select

SYNTHETIC, PUBLISHED = "transduction", "bansal2022"
# how a law is called; "known" is a power law of what the loss has above the true law's own loss
LAWS = {
    "bansal": "α (1/D + C)ᵖ",
    "floor": "floor + β D⁻ᶜ",
    "known": "known floor + β D⁻ᵇ",
    "power": "β D⁻ᶜ",
    "broken": "one break",
}
ARCHITECTURES = {"decoder_only": "decoder only", "transformer_lstm": "Transformer-LSTM"}
_NOISES = {
    "target": "target words",
    "source_unigram": "source words by frequency",
    "source_uniform": "source words uniform",
    "misaligned": "misaligned pairs",
}
BASE = ("2L2L", "none")
_BASE_WIDTH = {("laptop", SYNTHETIC): 64, ("laptop", ""): 128, ("gpu", ""): 512}
# in tables and menus: the baseline, then architectures, widths, training and noises, as written here
_ARMS = ("baseline", "architecture", "width", "training", "noise", "other")
# a type of the synthetic task is one of this many: half the logarithm is the loss above which the grammar is being learnt
TYPES = 21845
# other values are experiments of their own
_USUAL = {"dropout": 0.1, "test_pairs": 4000}
# what wrote or chose the pairs
_MODELS = ("reverse_pairs", "reverse_width", "filter_pairs")
# of 64 units; other widths were trained with it and in inverse proportion to the width, of which one is their usual rate
_BASE_RATE = 0.003
HELD_OUT = ", scored on noisy pairs"
_OPTIONAL = ("oracle", "floor", "excess", "excess_se", "excess_word", "reference", "loss_word", "reverse_dev_loss")


def architecture_name(name: str) -> str:
    """Returns the display name of an architecture of chapter 4.

    >>> architecture_name("decoder_only"), architecture_name("4L1L")
    ('decoder only', '4L1L')
    """
    return ARCHITECTURES.get(name, name)


def rate_name(rate: float | None, width: int, preset: str = "laptop") -> str:
    """Returns what the name of a translation run says of its learning rate: nothing where it is the width's own, or None.

    >>> rate_name(0.006, 32), rate_name(0.003, 32), rate_name(None, 64)
    ('', ', rate 0.003', '')
    """
    usual = rate_of(width, preset)
    return "" if rate is None or math.isclose(rate, usual, rel_tol=1e-6) else f", rate {rate:g}"


def noise_name(
    kind: str | None,
    rate: float,
    reverse_pairs: float = np.nan,
    reverse_width: float = np.nan,
    filter_pairs: float | None = None,
) -> str:
    """Returns the display name of what was done to the training pairs.

    >>> noise_name("target", 0.4), noise_name("back_translation", 0, 1024, 32)
    ('target words 40 %', 'back-translated by 1,024 pairs, width 32')
    >>> noise_name("misaligned", 0.2, filter_pairs=1024)
    'misaligned pairs 20 %, filtered by 1,024 pairs'
    """
    if kind == "back_translation":
        return f"back-translated by {int(reverse_pairs):,} pairs, width {int(reverse_width)}"
    if kind is None and rate:
        kind = "target"
    left = "" if filter_pairs is None or np.isnan(filter_pairs) else f", filtered by {int(filter_pairs):,} pairs"
    return f"{_NOISES[kind]} {100 * rate:.0f} %{left}" if kind in _NOISES else "clean"


def derived(table: pd.DataFrame, presets: Sequence[str] = FINDINGS, any_budget: bool = False) -> pd.DataFrame:
    """Returns the findings of chapter 4: one row per run, with names, floors, and what may be fitted.

    `setting` names everything but size and seed, in words (`setting_of` finds the words); `arm` says in what it differs from the baseline of its corpus: "baseline",
    "architecture", "noise", "width", "training" (twice the laptop's steps) or "other". Runs with another budget or learning
    rate than that of `studies.scaling.budget` are left out, the budget unless `any_budget`; but other widths with the rate of
    64 units, or with one in inverse proportion to the width, are kept, as "other". `asymptote` is the loss on the very test
    sentences of the learner that is calibrated to such pairs (no lower bound: one that believes in less noise scores
    lower), on noisy test sentences the noisy law's own loss, which is one; `above` the loss beyond it; after back-translation it is unknown and the clean law's loss stands in.
    `usable`: at that size the mean loss per content word is at most half of log 21845, the rule fixed before any run:
    above it the grammar is still being learnt. Text has neither, so all sizes count.
    """
    rows = select(findings(table, presets), **_USUAL)
    if rows.empty:
        return rows
    tuned = np.isclose(rows.learning_rate, [rate_of(w, p) for w, p in zip(rows.width, rows.preset, strict=True)])
    other = np.isclose(rows.learning_rate, _BASE_RATE) | np.isclose(rows.learning_rate * rows.width, 64 * _BASE_RATE)
    rows = rows.assign(untuned=~tuned)[tuned | (other & (rows.preset == "laptop"))]
    spent = _budgeted(rows)
    rows = rows.assign(longer=spent.longer)[spent.kept | any_budget]
    if rows.empty:
        return rows.drop(columns=["longer", "untuned"])
    for name in (*_OPTIONAL, *_MODELS):
        rows[name] = pd.to_numeric(rows[name]) if name in rows else np.nan
    rows["architecture_name"] = rows.architecture.map(architecture_name)
    columns = (rows[name] for name in ("noise_kind", "noise", *_MODELS))
    rows["noise_name"] = [noise_name(*c) for c in zip(*columns, strict=True)]
    usual = [_BASE_WIDTH.get((p, d), _BASE_WIDTH[p, ""]) for p, d in zip(rows.preset, rows.dataset, strict=True)]
    rows["wide"] = wide = rows.width != usual
    size = np.where(wide, ", width " + rows.width.astype(str), "")
    longer = np.where(rows.longer, ", twice the steps", "")
    rate = [rate_name(*c) for c in zip(rows.learning_rate, rows.width, rows.preset, strict=True)]
    # early records lack the field
    rows["held_out"] = rows.get("held_out", pd.Series("clean", rows.index)).fillna("clean")
    as_noisy = rows.held_out.eq("noisy")
    held_out = np.where(as_noisy, HELD_OUT, "")
    rows["setting"] = rows.architecture_name + ", " + rows.noise_name + size + rate + longer + held_out
    off = pd.DataFrame({"architecture": rows.architecture != BASE[0], "noise": rows.noise_kind != "none"})
    off["width"], off["training"] = wide, rows.longer | rows.untuned
    off["held_out"] = as_noisy
    rows["arm"] = np.where(off.sum(axis=1) > 1, "other", np.where(off.any(axis=1), off.idxmax(axis=1), "baseline"))
    # on the same sentences: the oracle's loss plus what the noise adds to the expected floor
    clean = rows.floor[rows.noise_kind == "none"].min()
    # without a clean run the expectation, which misses the sentences' own luck of some 3e-4 nats, stands in
    known = rows.oracle + rows.floor - clean if np.isfinite(clean) else rows.floor
    # of noisy test sentences the noisy law's own loss is known, sentence by sentence
    rows["asymptote"] = known.fillna(rows.oracle).where(~as_noisy, rows.oracle)
    rows["above"] = rows.loss - rows.asymptote
    # there noise alone may cost that much: what is above it counts
    rows["per_word"] = rows.loss_word.where(~as_noisy, rows.excess_word)
    mean = rows.groupby(["preset", "dataset", "setting", "pairs"]).per_word.transform("mean")
    rows["usable"] = ~(mean > 0.5 * np.log(TYPES))
    rows["curve"] = rows.dataset + np.where(rows.preset == "gpu", " (gpu)", "")
    kinds = {kind: i for i, kind in enumerate(_NOISES)}
    order = {
        "late": rows.preset == "gpu",
        "corpus": rows.dataset != SYNTHETIC,
        "arm_order": rows.arm.map(_ARMS.index),
        "kind": rows.noise_kind.map(kinds).fillna(len(kinds)),
    }
    by = ["late", "corpus", "dataset", "arm_order", "architecture", "width", "kind", "noise"]
    by += ["reverse_width", "reverse_pairs", "filter_pairs", "pairs", "seed"]
    return rows.assign(**order).sort_values(by, na_position="first").drop(columns=[*order, "per_word"])


def setting_of(rows: pd.DataFrame, **fields: Any) -> str:
    """Returns what the column `setting` calls the runs that differ from the baseline in these fields alone, "" without any.

    Args: rows of `derived`, of one curve; fields: of the configuration, or `longer`, for twice the steps.
    """
    wanted = {"architecture": BASE[0], "noise_kind": BASE[1], "noise": 0.0, "held_out": "clean"}
    wanted |= dict.fromkeys(_MODELS) | {"longer": False}
    # the usual width and rate are those of the preset
    wanted |= {} if "width" in fields else {"wide": False}
    wanted |= {} if "learning_rate" in fields else {"untuned": False}
    rows = select(rows, **wanted | fields)
    return rows.setting.iloc[0] if len(rows) else ""


def _budgeted(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns which runs are `kept`: those with the recorded budget, and those with twice its steps, which are `longer`."""
    own = [budget(p, n) for p, n in zip(rows.preset, rows.pairs, strict=True)]
    steps = np.array([b.steps for b in own], int)
    longer = (rows.preset != "gpu") & (rows.steps == 2 * steps)
    kept = ((rows.steps == steps) | longer) & (rows.batch_tokens == [b.batch_tokens for b in own])
    reverse = pd.to_numeric(rows.reverse_pairs)
    spent = pd.to_numeric(rows.reverse_steps) == reverse.map(steps_of, na_action="ignore")
    return pd.DataFrame({"kept": kept & (reverse.isna() | spent), "longer": longer})


def published_scaling() -> pd.DataFrame:
    """Returns the 53 published points in the columns of `scaling`, sizes in sentence pairs.

    >>> len(published_scaling())
    53
    """
    found = published.read(PUBLISHED)
    rows = pd.DataFrame({"curve": PUBLISHED, "setting": found.architecture, "architecture_name": found.architecture})
    rows["noise_name"], rows["arm"], rows["usable"], rows["seed"] = "clean", "architecture", True, 0
    rows["source"] = "published"
    rows.loc[rows.setting == "6L6L", "arm"] = "baseline"
    # not 500000.00000000006: sizes are counts
    return rows.assign(
        pairs=(found.million_pairs * 1e6).round().astype(int), loss=found.loss, asymptote=np.nan, above=np.nan
    )


@dataclass(frozen=True)
class CurveFit:
    """A law fitted to one curve; `floor` was subtracted before ("known"), else 0. `sizes` and `losses` are the runs."""

    curve: str
    setting: str
    arm: str
    law: str
    fit: Fit
    floor: float
    sizes: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)

    def predict(self, sizes) -> np.ndarray:
        """Returns the losses of the law at sizes of any shape."""
        return self.floor + self.fit.predict(sizes)

    def band(self, sizes) -> tuple[np.ndarray, np.ndarray]:
        """Returns its lower and upper bootstrap limits."""
        low, high = self.fit.band(sizes)
        return self.floor + low, self.floor + high

    @property
    def limit(self) -> float:
        """The loss that the law says endless data leave; NaN for a law without a limit."""
        p = self.fit.parameters
        if self.law == "bansal":
            return float(p["alpha"] * p["C"] ** p["p"]) if p["C"] > 0 else 0.0
        return {"floor": p.get("floor", np.nan), "known": self.floor}.get(self.law, np.nan)

    @property
    def knee(self) -> float:
        """1/C of the thesis's law, in pairs; NaN for others, infinite without a knee."""
        if self.law != "bansal":
            return float("nan")
        c = self.fit.parameters["C"]
        return float(1 / c) if c > 0 else float("inf") if c == 0 else float("nan")


def scaling_fits(
    rows: pd.DataFrame, names: Iterable[str] = tuple(LAWS), bootstrap: int = 400, seed: int = 0
) -> list[CurveFit]:
    """Returns a fit for every curve, setting and law that has enough usable sizes: one more than parameters.

    Of the geometric means over the seeds of a size, one point a size, by one method for all curves: the residuals, and so the
    intervals, carry what the law misses, which does not shrink with the number of seeds.

    Args: rows of `scaling` or `published_scaling`; bootstrap draws of each fit, see `metrics.scaling.fit`.
    """
    found = []
    if rows.empty:
        return found
    for (curve, setting), group in rows[rows.usable.astype(bool)].groupby(["curve", "setting"], sort=False):
        group = group.sort_values(["pairs", "seed"])
        sizes, losses = group.pairs.to_numpy(float), group.loss.to_numpy(float)
        for name in names:
            law, floor = ("power", group.asymptote.mean()) if name == "known" else (name, 0.0)
            enough = np.unique(sizes).size > len(laws.LAWS[law].parameters)
            if not enough or not np.isfinite(floor) or (losses <= floor).any():
                continue
            fitted = _fit_means(sizes, losses - floor, law, bootstrap, seed)
            found.append(CurveFit(curve, setting, group.arm.iloc[0], name, fitted, float(floor), sizes, losses))
    return found


def every_fit(rows: pd.DataFrame) -> list[CurveFit]:
    """Returns the fits of these runs and of the published points under every law, as `scaling_fits` does.

    Those of shipped runs alone are kept in the user's cache: see `cache.remembered`.
    """
    every = pd.concat([rows, published_scaling()], ignore_index=True)
    if len(rows) and (rows.source != "shipped").any():
        return scaling_fits(every)
    used = every[["curve", "setting", "arm", "pairs", "seed", "loss", "asymptote", "usable"]].astype(str)
    which = hashlib.sha256(used.to_csv().encode()).hexdigest()[:16]
    return cache.remembered("fits", lambda: scaling_fits(every), of=which)


def _fit_means(sizes: np.ndarray, losses: np.ndarray, law: str, bootstrap: int, seed: int = 0) -> Fit:
    means = pd.Series(np.log(losses)).groupby(sizes).mean()
    return solve(curve_of(laws.LAWS[law], means.index, np.exp(means)), bootstrap=bootstrap, seed=seed)


def fits_table(fits: Sequence[CurveFit], band: float = 0.05) -> pd.DataFrame:
    """Returns one row per fit: exponent with interval, constants, and the equivalence of its exponent with the baseline's.

    `difference`, with its interval, and `verdict` compare with the baseline of the same corpus under the same law, both fitted to the sizes that both
    have, as `paired` and the ledger do: "equivalent" where the 95 % interval of the difference lies inside of the band. Exponent
    and constants are of the setting's own usable sizes; `compared` counts the common ones. An exponent that the curve does not
    determine is NaN.
    """
    base = {(f.curve, f.law): f for f in fits if f.arm == "baseline"}
    found = []
    for f in fits:
        name = f.fit.curve.law.exponent
        low, high = f.fit.intervals[name]
        other = base.get((f.curve, f.law))
        both = _on_common(other, f) if other is not None and other is not f else ()
        same = laws.equivalence(both[0].fit, both[1].fit, band=band, alpha=0.025) if both else None
        row = {"curve": f.curve, "setting": f.setting, "arm": f.arm, "law": f.law, "exponent": f.fit.exponent}
        row |= {"low": low, "high": high, "amplitude": f.fit.parameters.get("alpha", f.fit.parameters.get("beta"))}
        row |= {"limit": f.limit, "knee": f.knee, "rmsle": f.fit.rmsle}
        row |= {"sizes": np.unique(f.sizes).size, "runs": f.sizes.size, "smallest": f.sizes.min()}
        row |= {"largest": f.sizes.max(), "flags": "; ".join(f"{k}: {v}" for k, v in f.fit.flags.items())}
        row["compared"] = np.unique(both[1].sizes).size if both else 0
        none = "no baseline" if other is None else "too few common sizes"
        verdict = "the baseline" if other is f else same.verdict if same is not None else none
        apart = same or laws.Equivalence(*[np.nan] * 5, verdict)
        row |= {"difference": apart.difference, "difference_low": apart.low, "difference_high": apart.high}
        found.append({**row, "verdict": verdict})
    return pd.DataFrame(found)


def _on_common(a: CurveFit, b: CurveFit) -> tuple[CurveFit, ...]:
    """Returns two fits on the sizes that both have, () where these are too few; fits that have no others are kept."""
    common = np.intersect1d(a.sizes, b.sizes)
    if common.size <= len(laws.LAWS[a.fit.law].parameters):
        return ()
    return tuple(_refitted(f, np.isin(f.sizes, common)) for f in (a, b))


def _refitted(f: CurveFit, chosen: np.ndarray) -> CurveFit:
    if chosen.all():
        return f
    draws = 0 if f.fit.draws is None else len(f.fit.draws)
    sizes, losses = f.sizes[chosen], f.losses[chosen]
    return replace(f, fit=_fit_means(sizes, losses - f.floor, f.fit.law, draws), sizes=sizes, losses=losses)


def holdouts(fits: Sequence[CurveFit]) -> pd.DataFrame:
    """Returns, for each curve and law, the log error at its largest size of the law fitted to the smaller ones.

    The largest sizes' runs count each with a row. Rows of laws that too few sizes remain for are left out.
    """
    found = []
    for f in fits:
        law = f.fit.law
        if np.unique(f.sizes).size - 1 <= len(laws.LAWS[law].parameters):
            continue
        rest = laws.compare_laws(f.sizes, f.losses - f.floor, laws=(law,))[law]
        predicted = f.floor + rest.fit.predict(rest.sizes)
        errors = np.log(predicted / f.losses[f.sizes == f.sizes.max()])
        found += [
            {"curve": f.curve, "setting": f.setting, "law": f.law, "size": int(s), "log_error": e}
            for s, e in zip(rest.sizes, errors, strict=True)
        ]
    return pd.DataFrame(found, columns=["curve", "setting", "law", "size", "log_error"])


def paired(rows: pd.DataFrame, law: str, setting: str, baseline: str, bootstrap: int = 400) -> tuple[CurveFit, ...]:
    """Returns the fits of a baseline and a setting of one corpus on the sizes that both can use; () where too few are."""
    both = rows[rows.setting.isin([setting, baseline]) & rows.usable.astype(bool)]
    common = both.groupby("pairs").setting.nunique()
    both = both[both.pairs.isin(common.index[common == 2])]
    fits = {f.setting: f for f in scaling_fits(both, (law,), bootstrap)}
    return (fits[baseline], fits[setting]) if len(fits) == 2 else ()
