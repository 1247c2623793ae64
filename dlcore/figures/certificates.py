"""Charts of chapter 1: what sets memorization, what bounds it, and the procedure that puts test points on the table."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dlcore.figures.controls import held, menu, nearest, pick, slider
from dlcore.figures.rationality import METHODS
from dlcore.figures.shared import RATE, Highlight, begin, named
from dlcore.figures.theme import ROLES, finish, shapes, singled
from dlcore.tables import by_size, over_seeds


def leverage(table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """Memorization against the mean leverage of a ridge probe, tr H / n."""
    rows = named(table[(table.probe == "ridge") & (table.experiment == "gaps") & ~table.augmented.astype(bool)])
    rows = rows[rows.memorization > 0]
    names = ["data", "method", "noise", "n_train", "strength", "dimension_used", "seed", "leverage"]
    rows = rows[[*names, "memorization", "generalization"]].round(5)
    start = begin(highlight)
    noises = sorted(rows.noise.unique())
    rows = nearest(rows, "data")
    rate = slider(noises, pick(start, "noise", noises, 0.2))
    methods = ["all", *[m for m in METHODS if m in set(rows.method)]]
    chosen = menu(methods, "all", "method", "dl_method")
    base = alt.Chart(rows).transform_filter(held())
    x = alt.X(
        "leverage:Q",
        title="mean leverage tr H / n: the share of a point's own label in its score",
        scale=alt.Scale(type="log", domain=[0.005, 1.05]),
        axis=alt.Axis(values=[0.01, 0.03, 0.1, 0.3, 1], format=".0%"),
    )
    y = alt.Y("memorization:Q", title="memorization gap", axis=RATE, scale=alt.Scale(domain=[0, 1]))
    mine = "dl_method === 'all' || datum.method === dl_method"
    chart = base.mark_point(filled=True, size=45).encode(
        x=x,
        y=y,
        color=singled("dl_method !== 'all' && datum.method === dl_method"),
        shape=shapes("data", list(dict.fromkeys(rows.data))),
        opacity=alt.condition(mine, alt.value(0.9), alt.value(0.35)),
        tooltip=[*names, alt.Tooltip("memorization:Q", format=".2%"), alt.Tooltip("generalization:Q", format=".2%")],
    )
    at = rows[np.isclose(rows.noise, 0.2)]
    rank = at.leverage.corr(at.memorization, method="spearman")
    return finish(
        alt.layer(chart).properties(width="container", height=330),
        name="leverage",
        controls=[rate, chosen],
        title=f"The larger a probe's leverage, the more of the noise it memorises (rank correlation {rank:.2f} at 20 %)",
        subtitle="One point per run: ridge probes of every kind of feature, width, penalty and sample size.",
        description="Scatter of the memorization gap against tr H over n of the ridge probe, one point per run, at the "
        "chosen noise rate. Memorization rises with leverage; at one leverage data sets and features still differ.",
        rows=rows,
    )


def bound_by_size(table: pd.DataFrame) -> alt.LayerChart:
    """Memorization and its bounds as the training set grows, features made from the same training set."""
    rows = named(by_size(table))
    kinds = {
        "memorization": "memorization gap, measured",
        "certificate": "2 x 2 certificate",
        "bound_miller_madow": "Theorem II, Miller-Madow",
        "generalization": "generalization gap",
    }
    parts = [
        over_seeds(rows, ["data", "method", "n_train"], name).rename(columns={name: "value"}).assign(kind=label)
        for name, label in kinds.items()
    ]
    found = pd.concat(parts, ignore_index=True)
    found = found[found.value > 0]
    found["low"] = found.low.clip(lower=1e-3)
    found = found.round(5)
    methods = [m for m in METHODS if m in set(found.method)]
    chosen = menu(methods, pick(None, "method", methods, "VICReg"), "method", "dl_method")
    datasets = list(dict.fromkeys(found.data))
    dataset = menu(datasets, pick(None, "data", datasets, "MNIST-1D"), "data", "dl_data")
    base = alt.Chart(found).transform_filter("datum.method === dl_method && datum.data === dl_data")
    x = alt.X(
        "n_train:Q",
        title="training samples",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(values=[125, 250, 500, 1000, 2000, 4000]),
    )
    y = alt.Y(
        "value:Q", title="points of accuracy", scale=alt.Scale(type="log"), axis=alt.Axis(format=".1%", tickCount=5)
    )
    scale = alt.Scale(
        domain=list(kinds.values()), range=[ROLES["test"], ROLES["bayes"], ROLES["paper"], ROLES["chosen"]]
    )
    colour = alt.Color("kind:N", title=None, scale=scale, legend=alt.Legend(orient="bottom", columns=2))
    chart = alt.layer(
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour),
        base.mark_rule().encode(x=x, y="low:Q", y2="high:Q", color=colour),
        base.mark_point(filled=True, size=60).encode(
            x=x, y=y, color=colour, tooltip=["method", "kind", "n_train", alt.Tooltip("value:Q", format=".2%"), "seeds"]
        ),
    )
    return finish(
        chart.properties(width="container", height=320),
        name="bound-by-size",
        controls=[dataset, chosen],
        title="With one kind of classifier, memorization and its bounds fall as n grows",
        subtitle="Ridge probe, 20 % noise. Bars: 95 % intervals over seeds.",
        description="Memorization gap, two bounds on it and the generalization gap against the number of training samples, "
        "on logarithmic axes, for the chosen features. All fall with n; the bounds stay above the measured gap.",
        rows=found,
    )


def table_procedure(table: pd.DataFrame) -> alt.LayerChart:
    """Accuracy of putting test points into the training set, beside the identity and beside plain test accuracy."""
    rows = named(table[table.experiment == "table"])
    rows = rows[["data", "method", "noise", "seed", "test", "table_predicted", "table_measured", "rationality"]].round(
        5
    )
    low = float(np.floor(20 * rows[["test", "table_predicted", "table_measured"]].min().min()) / 20)
    scale = alt.Scale(domain=[low, 1])
    x = alt.X("table_predicted:Q", title="predicted by the identity", axis=RATE, scale=scale)
    y = alt.Y("table_measured:Q", title="accuracy on test points", axis=RATE, scale=scale)
    line = pd.DataFrame({"table_predicted": [low, 1], "table_measured": [low, 1]})
    shape = alt.Shape("method:N", legend=alt.Legend(title=None, orient="bottom"))
    tip = ["data", "method", "seed", "test", "table_predicted", "table_measured", "rationality"]
    chart = alt.layer(
        alt.Chart(line).mark_line(strokeDash=[6, 4], color=ROLES["sampler"], strokeWidth=2).encode(x=x, y=y),
        alt.Chart(rows).mark_rule(opacity=0.35).encode(x=x, y="test:Q", y2="table_measured:Q"),
        alt.Chart(rows).mark_point(size=45, color=ROLES["null"]).encode(x=x, y="test:Q", shape=shape, tooltip=tip),
        alt.Chart(rows)
        .mark_point(size=55, filled=True, color=ROLES["test"], opacity=0.9)
        .encode(x=x, y=y, shape=shape, tooltip=tip),
    )
    return finish(
        chart.properties(width="container", height=330),
        name="table-procedure",
        title="Test points inserted under random labels gain what the identity predicts",
        subtitle="Filled: inserted. Hollow: plain test accuracy of the same split. Dashed: the identity.",
        description="Measured accuracy of inserted test points against the accuracy predicted by the identity, one point "
        "per split, with the plain test accuracy below it. The filled points lie on the diagonal.",
        rows=rows,
    )
