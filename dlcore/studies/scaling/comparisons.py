"""Chapter 4's curves beside one another: settings beside the baseline, transformers beside the counting learner."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from dlcore.metrics.scaling import paired_equivalence
from dlcore.studies.scaling.table import SYNTHETIC, scaling_fits, setting_of
from dlcore.summaries import select


def _beside(rows: pd.DataFrame, baseline: str | None) -> Iterator[tuple[dict, pd.DataFrame, pd.DataFrame]]:
    """Yields corpus and setting, the baseline's runs and the setting's, `pairs` and `loss` over the sizes that both can use.

    The losses are those above the known floor where there is one.
    """
    if rows.empty:
        return
    usable = rows[rows.usable.astype(bool) & (rows.get("noise_kind") != "back_translation")]
    for curve, one in usable.groupby("curve", sort=False):
        mine = setting_of(one) if baseline is None else baseline
        base = one[one.setting == mine]
        for setting, own in one[one.setting != mine].groupby("setting", sort=False):
            sizes = np.intersect1d(own.pairs, base.pairs)
            parts = [part[part.pairs.isin(sizes)] for part in (base, own)]
            known = all(part.above.notna().all() for part in parts)
            a, b = (part[["pairs"]].assign(loss=part.above if known else part.loss) for part in parts)
            if len(sizes) >= 3 and min(a.loss.min(), b.loss.min()) > 0:
                yield {"curve": curve, "setting": setting, "arm": own.arm.iloc[0]}, a, b


def curve_ratios(rows: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """Returns every setting's loss over the baseline's, size by size: `curve`, `setting`, `arm`, `pairs`, `ratio`.

    Of geometric means over seeds; above the known floor where there is one. The slope of log ratio over log pairs is minus
    what `size_by_size` returns.
    """
    found = []
    for name, a, b in _beside(rows, baseline):
        one, two = (np.log(part.loss).groupby(part.pairs).mean() for part in (a, b))
        found.append(np.exp(two - one).rename("ratio").reset_index().assign(**name))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def paired_by_size(
    rows: pd.DataFrame, baseline: str | None = None, band: float = 0.05, confidence: float = 0.95
) -> pd.DataFrame:
    """Returns, per corpus and setting, the exponent minus the baseline's without a law (`scaling.paired_equivalence`).

    Of the losses above the known floor where there is one, else of the losses; over the sizes that both can use. Columns
    `curve`, `setting`, `arm`, `sizes`, `difference` with its limits `low` and `high`, and the `verdict` at the band.
    """
    found = []
    for name, a, b in _beside(rows, baseline):
        test = paired_equivalence(a.pairs, a.loss, b.pairs, b.loss, band=band, alpha=(1 - confidence) / 2)
        values = {k: getattr(test, k) for k in ("difference", "low", "high", "verdict")}
        found.append({**name, "sizes": b.pairs.nunique(), **values})
    return pd.DataFrame(found, columns=["curve", "setting", "arm", "sizes", "difference", "low", "high", "verdict"])


def beside_counting(rows: pd.DataFrame, unseen: Callable[[int], float]) -> pd.DataFrame:
    """Returns the clean baselines' excess loss beside the counting learner's on the same pairs, at sizes a factor 4 apart.

    One row per size of the wide baseline (preset "gpu"), with `narrow`, `wide` and `counting`, the mean excess in nats per
    target symbol; `narrow_ratio` and `wide_ratio`, over the counting learner's; and, from one size to the next, the
    exponents `narrow_exponent`, `wide_exponent`, `counting_exponent` and `unseen_exponent`, that of the unseen mass.

    Args: rows of `scaling`; unseen: pairs -> share of words never seen, as `Transduction.unseen`.
    """
    clean = select(rows, arm="baseline")
    if (wide := select(clean, curve=f"{SYNTHETIC} (gpu)")).empty:
        return pd.DataFrame()
    found = pd.DataFrame({"wide": wide.groupby("pairs").excess.mean()})
    found["narrow"] = clean[clean.curve == SYNTHETIC].groupby("pairs").excess.mean()
    found["counting"] = (wide.reference - wide.oracle).groupby(wide.pairs).mean()
    found["unseen"] = [unseen(n) for n in found.index]
    for name in ("narrow", "wide"):
        found[f"{name}_ratio"] = found[name] / found.counting
    steps = np.diff(np.log(found.index.to_numpy()), append=np.nan)
    for name in ("narrow", "wide", "counting", "unseen"):
        found[f"{name}_exponent"] = -np.diff(np.log(found[name]), append=np.nan) / steps
    return found.reset_index()


def counting_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the 512-unit settings' excess over the counting learner's on the same pairs, both above the setting's own floor.

    One row per `setting` and `pairs`: `ratio` of the means over seeds, `runs`, and `upper`, whether a run stopped at the step budget
    (then the ratio is an upper bound). Only usable sizes; no rows without runs of preset "gpu".
    """
    if rows.empty:
        return rows
    wide = select(rows, curve=f"{SYNTHETIC} (gpu)", usable=True)
    wide = wide.assign(counting=wide.reference - wide.asymptote, upper=wide.stopped == "all steps")
    found = wide.groupby(["setting", "pairs"], sort=False).agg(
        above=("above", "mean"), counting=("counting", "mean"), runs=("seed", "size"), upper=("upper", "any")
    )
    found.insert(0, "ratio", found.pop("above") / found.pop("counting"))
    return found.reset_index()


def exponents_under_noise(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns, per kind of noise on the synthetic task, the exponents of the models and of the counting learner on their pairs.

    Columns `setting` and, for "model" and "counting", the exponent above the known floor and p of the thesis's law; no rows where
    nothing can be fitted.
    """
    own = rows[(rows.curve == SYNTHETIC) & rows.arm.isin(["baseline", "noise"])]
    own = own[own.noise_kind != "back_translation"]
    parts = {"model": own, "counting": own[own.reference.notna()].assign(loss=own.reference)}
    heads = {"known": "known floor", "bansal": "p"}
    cells = [
        {"setting": f.setting, "what": f"{who}, {heads[f.law]}", "x": f.fit.exponent}
        for who, part in parts.items()
        for f in scaling_fits(part, tuple(heads), bootstrap=0)
    ]
    if not cells:
        return pd.DataFrame()
    table = pd.DataFrame(cells).pivot(index="setting", columns="what", values="x")
    return table.reset_index().rename_axis(None, axis=1)
