"""What the charts of chapter 2 share: names of settings, the paper's curves, means, the note on what was not run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from dlcore import published
from dlcore.charts.controls import Control, chosen
from dlcore.charts.shared import UNIT, named
from dlcore.charts.theme import ROLES
from dlcore.studies.stitching.table import pair_name, rank_correlations
from dlcore.summaries import family, over_seeds

PAPER = "the paper, CIFAR-10"
# the paper's curve of the same kind; the two superclasses of most of our runs are another task
PUBLISHED: dict[tuple[str | float, ...], str] = {
    ("seeds",): "two seeds",
    ("halves",): "disjoint halves of the data",
    ("objects",): "two superclasses",
    ("noise", 0.1): "10 % random labels",
    ("noise", 0.5): "50 % random labels",
    ("noise", 1.0): "100 % random labels",
    ("bottom", "simclr", 1.0): "SimCLR bottom, supervised top",
    ("top", "simclr"): "supervised bottom, SimCLR top",
    ("to a quarter", 1.0): "bottom 25K samples, top 10K",
    ("quarters",): "other 10K samples, top 10K",
    ("to a quarter", 0.05): "bottom 5K samples, top 10K",
    ("time", 2.0): "twice the epochs",
    ("width", 4.0): "4 times the width",
    ("width", 0.5): "half of the width",
}
INDICES = {
    "linear_cka": "linear CKA",
    "linear_cka_debiased": "linear CKA, debiased",
    "procrustes": "Procrustes",
    "mutual_knn": "mutual 10-NN",
    "rsa": "RSA",
}
DEPTH = alt.X("depth:Q", title="share of the stages taken from the bottom", scale=UNIT)
POINTS = alt.Axis(format=".0%", tickCount=6)


def setting(rows: pd.DataFrame) -> pd.DataFrame:
    rows = named(rows)
    widths = [f" of width {int(w)}" for w in rows.width]
    return rows.assign(
        setting=rows.data + ", " + rows.architecture.map(family) + np.where(rows.usual_width, "", widths)
    )


def choices(rows: pd.DataFrame) -> list[str]:
    """Returns the settings for a menu: the convnets first, networks of other widths last."""
    found = rows.drop_duplicates("setting")
    order = found.assign(other=~found.usual_width, late=found.architecture != "convnet")
    return list(order.sort_values(["other", "late", "setting"], kind="stable").setting)


def kinds_of(rows: pd.DataFrame, first: Iterable[tuple]) -> list[str]:
    """Returns the kinds of pairs for a menu: those of some differences first, then the others by name."""
    known = [name for name in (pair_name(*difference) for difference in first) if name in set(rows.pair)]
    return known + sorted(set(rows.pair) - set(known))


def of_paper(name: str, curves: Mapping[tuple, str], rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the points of published curves, difference -> curve, with `pair`; only the kinds of pairs of the rows."""
    kinds = pd.DataFrame([(pair_name(*d), curve) for d, curve in curves.items()], columns=["pair", "curve"])
    return kinds[kinds.pair.isin(rows.pair)].merge(published.read(name), on="curve")


def means(rows: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Returns `over_seeds` in the order of the rows, with `value` and the number of `pairs`."""
    return over_seeds(rows, by, value, sort=False).rename(columns={value: "value", "seeds": "pairs"})


def points(value: float, digits: int = 1) -> str:
    """Returns a fraction in points, of which a hundred are all.

    >>> points(0.0731), points(-0.002, 0)
    ('7.3', '0')
    """
    return f"{round(100 * value, digits) + 0.0:.{digits}f}"


def spread(values: pd.Series, form: str = ".1%") -> str:
    """Returns the smallest and the largest value as text.

    >>> spread(pd.Series([0.01, 0.25]))
    'from 1.0% to 25.0%'
    """
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"from {low} to {high}"


def orders(stages: pd.DataFrame) -> str:
    """Returns how far the rank correlation of linear CKA with the excess differs between kinds of pairs, as a sentence."""
    kinds = stages.drop_duplicates("key").set_index("key")[["setting", "pair"]]
    means_ = kinds.assign(order=rank_correlations(stages)).dropna().groupby(["setting", "pair"]).order.mean()
    if means_.empty:
        return ""
    return (
        "The rank correlation of linear CKA with the excess over the stages of a pair, -1 where they agree, is "
        f"{spread(means_, '+.2f')}, by kind of pair and networks."
    )


def absent(rows: pd.DataFrame, controls: Sequence[Control], text: str) -> alt.Chart:
    """Returns the note of a chart whose controls stand where no row is; the book's page does not offer such a state.

    Args: controls: menus whose columns are in the rows.
    """
    found = rows[[c.column for c in controls]].drop_duplicates()
    return (
        alt.Chart(found)
        .transform_calculate(hit=f"({chosen(*controls)}) ? 1 : 0")
        .transform_aggregate(hits="sum(hit)")
        .transform_filter("datum.hits === 0")
        .mark_text(text=text, color=ROLES["null"], align="left")
        .encode(x=alt.value(10), y=alt.value(40))
    )
