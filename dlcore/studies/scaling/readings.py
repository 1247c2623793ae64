"""Further readings of chapter 4's runs: back-translation, laws at the largest size, the last doubling, translations."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from dlcore.studies.scaling.comparisons import paired_by_size
from dlcore.studies.scaling.config import budget
from dlcore.studies.scaling.table import BASE, LAWS, SYNTHETIC, CurveFit, holdouts, scaling_fits, setting_of
from dlcore.summaries import select


def held_out_laws(fits: Sequence[CurveFit]) -> pd.DataFrame:
    """Returns the mean |log error| at the held-out largest size: one row per law, one column per corpus.

    A cell is "error (curves)"; laws that too few sizes remain for have an empty one. Means over different curves do not compare.
    """
    held = holdouts(fits)
    if held.empty:
        return pd.DataFrame()
    # the runs of a curve count once together
    one = held.assign(error=held.log_error.abs()).groupby(["curve", "law", "setting"], sort=False).error.mean()
    cells = one.groupby(["law", "curve"], sort=False).agg(lambda errors: f"{errors.mean():.4f} ({errors.size})")
    found = [law for law in LAWS if law in set(held.law)]
    table = cells.unstack().reindex(index=found, columns=held.curve.unique()).fillna("").rename(index=LAWS)
    return table.rename_axis(index="law", columns=None).reset_index()


def last_steps(fits: Sequence[CurveFit]) -> pd.DataFrame:
    """Returns, per curve and law, the elasticity between the two largest sizes: `measured`, and `predicted` by the law.

    With `curve`, `setting`, `law`, those sizes, `smaller` and `larger`, and the law's `knee`.
    """
    found = []
    for f in fits:
        sizes = np.unique(f.sizes)[-2:]
        losses = np.array([np.log(f.losses[f.sizes == s]).mean() for s in sizes])
        step = float(np.diff(np.log(sizes))[0])
        row = {"curve": f.curve, "setting": f.setting, "law": f.law, "smaller": int(sizes[0]), "larger": int(sizes[1])}
        row |= {"measured": -np.diff(losses)[0] / step, "predicted": -np.diff(np.log(f.predict(sizes)))[0] / step}
        found.append({**row, "knee": f.knee})
    return pd.DataFrame(
        found, columns=["curve", "setting", "law", "smaller", "larger", "measured", "predicted", "knee"]
    )


def kept_steps(rows: pd.DataFrame, curves: Mapping[str, Mapping[str, list]]) -> pd.DataFrame:
    """Returns where in its cosine schedule the kept model of the clean baseline was, the one of the least held-out loss.

    One row a number of `pairs`, one column a corpus: the share of the scheduled steps at that model, a mean over seeds.
    Args: rows of `scaling`; curves: key of a record -> its curves.
    """
    own = select(rows, arm="baseline", key=[*curves])
    if own.empty:
        return pd.DataFrame(columns=["pairs"])
    steps = [curves[k]["steps"][int(np.argmin(curves[k]["dev_loss"]))] for k in own.key]
    kept = own.assign(kept=np.array(steps) / own.steps).pivot_table(index="pairs", columns="curve", values="kept")
    return kept.rename_axis(None, axis=1).reset_index()


def all_pairs(rows: pd.DataFrame, band: float = 0.05) -> pd.DataFrame:
    """Returns `paired_by_size` of every two settings of one corpus, `baseline` the one that is subtracted."""
    found = []
    for a, b in itertools.combinations(dict.fromkeys(rows.setting), 2):
        found.append(paired_by_size(select(rows, setting=[a, b]), a, band).assign(baseline=a))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def translation_quality(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the loss in nats per target token and BLEU of greedy translations of the baselines, means over seeds by size.

    Columns `curve`, `pairs`, `runs`, `loss`, `bleu`; no rows where BLEU is not recorded.
    """
    if "bleu" not in rows:
        return pd.DataFrame()
    base = select(rows, arm="baseline").groupby(["curve", "pairs"], sort=False)
    return base.agg(runs=("seed", "size"), loss=("loss", "mean"), bleu=("bleu", "mean")).reset_index()


def back_translation(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns, per reverse model, three readings of back-translation: a lower exponent, a knee, or a floor.

    One row per setting after the clean baseline: `power` the exponent of a pure power law, `p` and `knee` = 1/C of the
    thesis's law, `knee_pairs` the knee over the reverse model's pairs D0, `c` and `floor` of floor + beta D^-c with the
    95 % limits `c_low` and `c_high`, `reverse_loss` the reverse model's held-out loss in nats. No row where nothing is fitted.
    """
    own, found = rows[rows.curve == SYNTHETIC], []
    chosen = own[(own.noise_kind == "back_translation") | (own.arm == "baseline")]
    for setting, group in chosen.groupby("setting", sort=False):
        fits = {f.law: f for f in scaling_fits(group, ("bansal", "floor", "power"))}
        if len(fits) < 3:
            continue
        law, pairs = fits["bansal"], group.reverse_pairs.iloc[0]
        row = {"setting": setting, "power": fits["power"].fit.exponent, "p": law.fit.exponent, "knee": law.knee}
        row |= dict(zip(("c_low", "c_high"), fits["floor"].fit.intervals["c"], strict=True))
        row |= {"c": fits["floor"].fit.exponent, "floor": fits["floor"].limit}
        found.append({**row, "knee_pairs": law.knee / pairs, "reverse_loss": group.reverse_dev_loss.mean()})
    return pd.DataFrame(found).sort_values("reverse_loss", na_position="first") if found else pd.DataFrame()


def filtering(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns what a filter of misaligned pairs does on the synthetic task, size by size.

    One row per number of `pairs` before the filter: mean losses `clean`, `noisy` and `filtered` of the seeds that the last two
    share (`seeds`), `left` the loss that the clean runs' law has at the number of pairs that are left, which no filter can
    beat much, `ratio` the geometric mean of filtered over noisy, `recall` and `false_alarm` the shares of the misaligned and
    of the intact pairs that it dropped. No rows without runs.
    """
    if rows.empty or rows.filter_pairs.isna().all():
        return pd.DataFrame()
    own = rows[rows.curve == SYNTHETIC]
    first = own[own.filter_pairs.notna()].iloc[0]
    without = setting_of(own, noise_kind=first.noise_kind, noise=float(first.noise))
    key, base = ["pairs", "seed"], select(own, arm="baseline")
    noisy, clean = (part.set_index(key).loss for part in (select(own, setting=without), base))
    both = select(own, setting=first.setting).set_index(key)
    both = both.assign(loss_noisy=noisy, clean=clean).dropna(subset=["loss_noisy"])
    both["log"] = np.log(both.loss / both.loss_noisy)
    law = scaling_fits(base, ("known",), bootstrap=0)
    found = both.groupby("pairs").agg(
        seeds=("loss", "size"),
        clean=("clean", "mean"),
        noisy=("loss_noisy", "mean"),
        filtered=("loss", "mean"),
        left=("num_train", "mean"),
        ratio=("log", lambda v: np.exp(v.mean())),
        recall=("filter_recall", "mean"),
        false_alarm=("filter_false_alarm", "mean"),
    )
    found["left"] = law[0].predict(found.left) if law else np.nan
    return found.reset_index()


def noisy_twins(task, noise, n: int = 3, seed: int = 0) -> pd.DataFrame:
    """Returns the first `n` pairs that the noise changes: "source", "target", and what becomes of them.

    Args: task: a `Transduction`. noise: a `Noise`; the changed side is "source" or "target" by its kind.
    """
    clean, noisy = task.sample(20 * n, seed=seed), task.sample(20 * n, seed=seed, noise=noise)
    side = "source" if noise.kind.startswith("source") else "target"
    found = [
        {
            "source": task.text(clean.source.take([i]).flat, "source"),
            "target": task.text(clean.target.take([i]).flat),
            f"noisy {side}": task.text(getattr(noisy, side).take([i]).flat, side),
        }
        for i in np.flatnonzero(noisy.changed)
    ]
    return pd.DataFrame(found[:n])


def translations(records: Iterable) -> pd.DataFrame:
    """Returns the kept translations of held-out sentences by the clean baseline at three sizes, or no rows.

    The smallest, the middle and the largest size of the first seed among the records, of real text where there is any; one
    row per sentence, with columns "source", "true target" and one per size, cut after 120 characters: a model that has seen
    little says one word for ever.
    """
    by_corpus: dict[str, dict[int, list]] = {}
    for r in records:
        c = r.config
        usual = c.get("steps", budget(c["preset"], c["pairs"]).steps) == budget(c["preset"], c["pairs"]).steps
        if usual and (c["preset"] == "gpu", c["architecture"], c["noise_kind"], c["seed"]) == (False, *BASE, 0):
            by_corpus.setdefault(c["dataset"], {}).setdefault(c["pairs"], r.arrays["translations"])
    enough = sorted((d for d, found in by_corpus.items() if len(found) >= 3), key=lambda d: (d == SYNTHETIC, d))
    if not enough:
        return pd.DataFrame()
    chosen = by_corpus[enough[0]]
    sizes = sorted(chosen)
    sizes = [sizes[0], sizes[len(sizes) // 2], sizes[-1]]
    first = pd.DataFrame(chosen[sizes[-1]])
    found = first[["source"]].assign(**{"true target": first.target})
    for size in sizes:
        written = [t["translation"] for t in chosen[size]]
        found[f"D = {size:,}"] = [t if len(t) <= 120 else f"{t[:119]}…" for t in written]
    return found
