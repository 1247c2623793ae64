"""Chapter 4: one law for the number of pairs and the size of the model, fitted to the widths of the clean baseline."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from dlcore.metrics.scaling import JOINT_LAWS, InfluenceWarning, JointFit, fit_joint
from dlcore.studies.scaling.table import SYNTHETIC, scaling_fits
from dlcore.summaries import select


def widths(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the runs of the clean 2L2L model at every width on the synthetic task that a law may be fitted to."""
    own = select(rows, curve=SYNTHETIC, arm=["baseline", "width"], usable=True)
    return own if own.empty else own[own.above > 0].sort_values(["width", "pairs", "seed"])


def joint_fit(rows: pd.DataFrame, law: str = "kaplan", bootstrap: int = 0) -> JointFit | None:
    """Returns a law of the loss above the known floor in pairs D and parameters N, of the rows of `widths`.

    N counts all parameters, the embeddings included: on this task the lexicon is stored there. None for fewer than three
    widths, where the exponent of N would be read off two points.
    """
    own = widths(rows)
    if own.empty or own.width.nunique() < 3:
        return None
    with warnings.catch_warnings():
        # the claim is on all runs; the fit's flags name those off the law
        warnings.simplefilter("ignore", InfluenceWarning)
        return fit_joint(N=own.parameters, D=own.pairs, loss=own.above, law=law, bootstrap=bootstrap)


def widest_predicted(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns how well a law of the narrower models predicts the losses of the widest at its usable sizes.

    One row per law, "kaplan" and "hoffmann" in D and N, and "no size", the power law of the next narrower width: `error`,
    the mean |log error| of the loss, its largest `worst`, and the number of `sizes`. No rows for fewer than four widths.
    """
    own = widths(rows)
    if own.empty or own.width.nunique() < 4:
        return pd.DataFrame()
    last = own.width == own.width.max()
    rest, held = own[~last], own[last]
    floor = held.asymptote.mean()
    found = {law: joint_fit(rest, law).predict(N=held.parameters, D=held.pairs) for law in JOINT_LAWS}
    next_ = scaling_fits(rest[rest.width == rest.width.max()], ("known",), bootstrap=0)
    if next_:
        found["no size"] = next_[0].fit.predict(held.pairs)
    errors = {law: np.abs(np.log((floor + above) / held.loss.to_numpy())) for law, above in found.items()}
    cells = [[law, e.mean(), e.max(), held.pairs.nunique()] for law, e in errors.items()]
    return pd.DataFrame(cells, columns=["law", "error", "worst", "sizes"])


def against_usual(rows: pd.DataFrame, **fields: Any) -> pd.DataFrame:
    """Returns what another training leaves of the excess of clean 2L2L models on the synthetic task, run by run.

    Columns `width`, `pairs`, `seed` and `ratio`, the loss above the known floor of runs with other `fields`, `longer=True` or
    `learning_rate=0.0015` say, over that of the usual run of the same width, pairs and seed. Where twice the steps leave less
    than 1, part of the excess is training time, and not data or size.
    """
    if rows.empty:
        return rows
    clean = select(rows, curve=SYNTHETIC, architecture="2L2L", noise_kind="none")
    key = ["width", "pairs", "seed"]
    other = select(clean, **{"longer": False, "untuned": "learning_rate" in fields} | fields)
    both = other.merge(select(clean, arm=["baseline", "width"]), on=key, suffixes=("_other", ""))
    return both[key].assign(ratio=both.above_other / both.above).sort_values(key).reset_index(drop=True)
