"""Charts of chapter 1: what sets memorization, what bounds it, and the procedure that puts test points on the table."""

from __future__ import annotations

import altair as alt
import pandas as pd

from dlcore.charts.controls import Saying, choose, held, menu, nearest, rates
from dlcore.charts.layers import either, shown, single, tips
from dlcore.charts.shared import INK, RATE, UNIT, Highlight, begin, named, padded
from dlcore.charts.theme import ROLES, finish, roles, shapes, singled
from dlcore.charts.words import in_points, order, percent
from dlcore.studies.rationality.figures.gaps import in_order
from dlcore.studies.rationality.table import by_size
from dlcore.summaries import method, over_seeds, select, series_over_seeds


def leverage(table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """Memorization against the mean leverage of a ridge probe, tr H / n."""
    rows = named(select(table, probe="ridge", experiment="gaps", augmented=False))
    rows = rows[rows.memorization > 0]
    names = ["data", "method", "noise", "n_train", "strength", "dimension_used", "seed", "leverage"]
    rows = rows[[*names, "memorization", "generalization"]].round(4)
    start = begin(highlight)
    rows = nearest(rows, "data")
    rate = rates(start, rows.noise, 0.2)
    methods = ["all", *[m for m in in_order() if m in set(rows.method)]]
    chosen = menu(methods, "all", "method", "dl_method")
    base = shown(rows, held())
    x = alt.X(
        "leverage:Q",
        title="mean leverage tr H / n: the share of a point's own label in its score",
        scale=alt.Scale(type="log", domain=[0.005, 1.05]),
        axis=alt.Axis(values=[0.01, 0.03, 0.1, 0.3, 1], format=".0%"),
    )
    y = alt.Y("memorization:Q", title="memorization gap", axis=RATE, scale=UNIT)
    mine = "dl_method === 'all' || datum.method === dl_method"
    chart = base.mark_point(filled=True, size=45).encode(
        x=x,
        y=y,
        color=singled("dl_method !== 'all' && datum.method === dl_method"),
        shape=shapes("data", list(dict.fromkeys(rows.data))),
        opacity=either(mine, 0.9, 0.35),
        tooltip=tips(*names, memorization=".2%", generalization=".2%"),
    )
    said = {}
    for option in rate.options:
        at = rows[(rows.least <= option) & (option < rows.most)]
        fits = (
            "the larger a probe's leverage, the more it memorises",
            "what probes memorise follows their leverage loosely",
        )
        said[(option,)] = f"{percent(option)} noise: {order(at.leverage, at.memorization, *fits)}"
    return finish(
        alt.layer(chart).properties(width="container", height=330),
        name="leverage",
        controls=[rate, chosen],
        title=Saying((rate,), said, "What probes memorise, by their leverage"),
        subtitle="Each point is a run: ridge probes on every kind of feature, of every width, penalty and sample size.",
        description="Scatter of the memorization gap against tr H over n of the ridge probe, one point per run, at the "
        "chosen noise rate.",
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
    found = series_over_seeds(rows, ["data", "method", "n_train"], kinds, "kind")
    found = found[found.value > 0].round(5)
    ends = [float(found.value.min()), float(max(1, found.high.max()))]
    chosen = choose(None, "method", [m for m in in_order() if m in set(found.method)], "method", method("vicreg"))
    dataset = choose(None, "data", found.data, "data", "MNIST-1D")
    base = shown(found, "datum.method === dl_method && datum.data === dl_data")
    x = alt.X(
        "n_train:Q",
        title="training samples",
        scale=padded(15),
        axis=alt.Axis(values=[125, 250, 500, 1000, 2000, 4000], grid=False),
    )
    at = alt.Axis(format="~%", values=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10])
    scale = alt.Scale(type="log", nice=False, padding=10, domain=ends)
    y = alt.Y("value:Q", title="share of the points", scale=scale, axis=at)
    series = dict(zip(kinds.values(), ("chosen", "bayes", "paper", "null"), strict=True))
    colour = roles("kind", series, alt.Legend(orient="bottom", columns=2, symbolOpacity=1))
    full = single(value=1.0, text="100 %: a bound above says nothing")
    chart = alt.layer(
        full.mark_rule(color=ROLES["null"], strokeDash=[6, 4], strokeWidth=1.5).encode(y="value:Q"),
        full.mark_text(align="left", baseline="bottom", dx=4, dy=-3, color=INK, opacity=0.85).encode(
            x=alt.value(0), y="value:Q", text="text:N"
        ),
        base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour),
        # a logarithm has no zero: an interval that reaches below what is drawn leaves the frame
        base.transform_calculate(below="isValid(datum.low) ? max(datum.low, 1e-9) : null")
        .mark_rule(clip=True)
        .encode(x=x, y=alt.Y("below:Q", scale=scale), y2="high:Q", color=colour),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=x, y=y, color=colour, tooltip=[*tips("method", "kind", "n_train", value=".2%"), "seeds"]
        ),
    )
    wide = found.pivot_table(index=["data", "method", "n_train"], columns="kind", values="value").sort_index()
    said = {}
    for key, part in wide.groupby(level=[0, 1]):
        ends = part.reset_index("n_train").iloc[[0, -1]]
        gap, bound = ends[kinds["memorization"]], ends[kinds["certificate"]]
        said[key] = (
            f"{key[0]}, {key[1]}: from {ends.n_train.iloc[0]:,} to {ends.n_train.iloc[1]:,} samples memorization goes from "
            f"{in_points(gap.iloc[0])} to {in_points(gap.iloc[1])} points, its certificate from {in_points(bound.iloc[0])} to "
            f"{in_points(bound.iloc[1])}"
        )
    return finish(
        chart.properties(width="container", height=320),
        name="bound-by-size",
        controls=[dataset, chosen],
        title=Saying((dataset, chosen), said, "Memorization and its bounds, by the number of samples"),
        subtitle="Ridge probe, 20 % noise. Bars: 95 % intervals over seeds.",
        description="Memorization gap, two bounds on it and the generalization gap against the number of training samples, "
        "on logarithmic axes, for the chosen features. A line marks 100 per cent, above which a bound says nothing.",
        rows=found,
    )


def table_procedure(table: pd.DataFrame) -> alt.LayerChart:
    """Accuracy of putting test points into the training set, beside the identity and beside plain test accuracy."""
    rows = named(select(table, experiment="table"))
    names = ["data", "method", "noise", "seed", "test", "table_predicted", "table_measured", "rationality"]
    rows = rows[names].round(5).assign(difference=lambda t: (t.table_measured - t.table_predicted).round(5))
    rows["gain"] = (rows.table_measured - rows.test).round(5)
    rows["setting"] = rows.data + ", " + rows.method
    cells = over_seeds(rows, ["setting"], "difference").round(5)
    order = list(dict.fromkeys(rows.setting))
    x = alt.X(
        "difference:Q", title="measured minus predicted, points of accuracy", axis=alt.Axis(format="+.1%", tickCount=6)
    )
    y = alt.Y("setting:N", title=None, sort=order, axis=alt.Axis(labelLimit=220))
    tip = tips("setting", "seed", test=".2%", table_predicted=".2%", table_measured=".2%")
    chart = alt.layer(
        single(zero=0).mark_rule(strokeDash=[6, 4], color=ROLES["bayes"], strokeWidth=2).encode(x="zero:Q"),
        alt.Chart(rows).mark_circle(size=24, opacity=0.5, color=ROLES["null"]).encode(x=x, y=y, tooltip=tip),
        alt.Chart(cells).mark_rule(strokeWidth=2.5, color=ROLES["chosen"]).encode(x="low:Q", x2="high:Q", y=y),
        alt.Chart(cells)
        .mark_point(shape="diamond", size=90, filled=True, color=ROLES["chosen"], opacity=1)
        .encode(x=x, y=y, tooltip=[*tips("setting", difference="+.2%"), "seeds"]),
    )
    off = cells.difference.abs().max()
    zero = int(((cells.low <= 0) & (cells.high >= 0)).sum())
    return finish(
        chart.properties(width="container", height=alt.Step(34)),
        name="table-procedure",
        title=f"Inserted test points are right as often as the identity says, to within {100 * off:.1f} points on average; "
        f"{zero} of {len(cells)} intervals contain zero",
        subtitle="Dots: splits; diamonds: mean, 95 % interval. Dashed: the identity.",
        description="Measured accuracy of inserted test points minus the accuracy predicted by the identity, a dot for each "
        f"split and the mean with its interval, by data and method. The means lie within {100 * off:.1f} points of zero; "
        f"insertion changes the accuracy by {100 * rows.gain.min():.1f} to {100 * rows.gain.max():.1f} points.",
        rows=rows.drop(columns="setting"),
    )
