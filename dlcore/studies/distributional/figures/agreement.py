"""Charts of chapter 3: agreement, and generalization of the output law without interpolation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt
import pandas as pd

from dlcore.charts.controls import Saying, choose, chosen, menu, near, rates
from dlcore.charts.layers import dashed, either, shown, tips, zero
from dlcore.charts.shared import INK, LOG, RATE, UNIT, Highlight, begin, named, padded
from dlcore.charts.theme import ROLES, finish, paired, roles, singled
from dlcore.charts.words import in_points, percent
from dlcore.metrics.distributional import knn_flip_rate
from dlcore.summaries import ordered, select, series_over_seeds

# curve of a record -> what it shows
_LOGGED = {
    "tv_train_test": "TV(train, test)",
    "tv_train_test_null": "its null",
    "train_error": "train error (noisy labels)",
    "test_error": "test error (clean labels)",
}


def agreement(table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """Agreement of two classifiers trained on disjoint halves, against accuracy on labels of the training law."""
    rows = named(table[(table.experiment == "agreement") & table.usual])
    rows = rows.assign(accuracy_shown=rows.test_accuracy_noisy)
    rows = rows[["data", "family", "noise", "n_train", "seed", "accuracy_shown", "agreement"]].round(4)
    start = begin(highlight)
    if start.get("noise") not in set(
        rows.noise
    ):  # a rate of the chapter's other experiments is no question to this one
        start.pop("noise", None)
    rate = rates(start, rows.noise, 0.0, "symmetric noise")
    family = menu(["all", *ordered(rows.family)], "all", "architecture", "dl_family")
    dataset = menu(["all", *dict.fromkeys(rows.data)], "all", "data", "dl_data")
    base = shown(rows, f"(dl_data === 'all' || datum.data === dl_data) && {near('noise')}")
    mine = "dl_family === 'all' || datum.family === dl_family"
    x = alt.X("accuracy_shown:Q", title="accuracy against labels of the training law", scale=UNIT, axis=RATE)
    y = alt.Y("agreement:Q", title="agreement of two independent classifiers", scale=UNIT, axis=RATE)
    chart = alt.layer(
        dashed({"accuracy_shown": [0, 1], "agreement": [0, 1]}, "sampler").encode(x=x, y=y),
        base.mark_point(filled=True, size=50).encode(
            x=x,
            y=y,
            color=singled("dl_family !== 'all' && datum.family === dl_family"),
            opacity=either(mine, 0.9, 0.35),
            tooltip=tips("data", "family", "n_train", "seed", accuracy_shown=".3f", agreement=".3f"),
        ),
    )
    return finish(
        chart.properties(width="container", height=400),
        name="agreement",
        controls=[rate, dataset, family],
        title=Saying((rate, dataset), _apart(rows), "Agreement of two classifiers beside the accuracy of one"),
        subtitle="Each point is a pair of classifiers trained on disjoint halves. On the dashed line they agree as often as one is right.",
        description="Scatter of agreement against accuracy for pairs of classifiers trained on disjoint data, at the chosen rate "
        "of symmetric label noise, with the diagonal.",
        rows=rows,
    )


def _apart(rows: pd.DataFrame) -> dict[tuple[float, str], str]:
    """Returns the finding of every state: the range, by family, of agreement minus accuracy."""
    said = {}
    for data in ("all", *rows.data.unique()):
        own = rows if data == "all" else rows[rows.data == data]
        for noise, part in own.groupby("noise"):
            gap = (part.agreement - part.accuracy_shown).groupby(part.family).mean().sort_values()
            said[(noise, data)] = (
                f"{'All data' if data == 'all' else data}, {percent(noise)} noise: agreement minus accuracy runs from "
                f"{100 * gap.iloc[0]:+.1f} points ({gap.index[0]}) to {100 * gap.iloc[-1]:+.1f} ({gap.index[-1]})"
            )
    return said


def knn_law(table: pd.DataFrame) -> alt.LayerChart:
    """k-NN flip rate on train and test beside the binomial law."""
    rows = select(table, experiment="cyclic", architecture="knn", dataset="digits", noise=0.3)
    sides = {f"flip_rate_{side}": side for side in ("train", "test")}
    found = series_over_seeds(rows, ["neighbours"], sides, "side").rename(columns={"value": "rate"}).round(4)
    theory = pd.DataFrame({"neighbours": range(1, 52, 2)})
    theory["rate"] = [float(knn_flip_rate(k, 0.3)) for k in theory.neighbours]
    wide = found.pivot(index="neighbours", columns="side", values="rate").sort_index()
    off = (wide.test - theory.set_index("neighbours").rate).dropna()
    close = off.index[(off.abs() < 0.01).cummin()]
    x = alt.X(
        "neighbours:Q",
        title="neighbours k",
        scale=alt.Scale(type="log", domain=[0.9, 60]),
        axis=alt.Axis(values=[1, 3, 5, 9, 15, 31, 51]),
    )
    y = alt.Y("rate:Q", title="rate of the noise's target", axis=RATE)
    colour = roles("side", {"train": "train", "test": "test"})
    chart = alt.layer(
        alt.Chart(theory).mark_line(color=ROLES["bayes"], strokeDash=[6, 4]).encode(x=x, y=y),
        alt.Chart(found).mark_rule().encode(x=x, y="low:Q", y2="high:Q", color=colour),
        alt.Chart(found)
        .mark_point(size=70, strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=alt.Shape("side:N", legend=None),
            tooltip=["neighbours", "side", "rate", "seeds"],
        ),
    )
    return finish(
        chart.properties(width="container", height=280),
        name="knn-law",
        title=f"Rates on train and test differ by at most {100 * (wide.train - wide.test).abs().max():.1f} points; on test within "
        f"a point of the binomial law up to k = {close.max()}, {100 * off.iloc[-1]:+.1f} points off at k = {off.index[-1]}",
        subtitle="k-NN on digits, 30 % noise on every class. Dashed: Pr[Bin(k, 0.3) > k/2]. Bars: 95 % intervals over 40 splits.",
        description="Rate of predicting the noise's target against k, for train and test points, with the binomial law.",
        rows=found,
    )


def kernel_path(table: pd.DataFrame) -> alt.HConcatChart:
    """Kernel ridge path: TV(train, test) above its null for a wide Gaussian and a Laplace kernel, and the rates of the chosen."""
    wide = {"kernel_gaussian": 0.66, "kernel_laplace": 1.65}
    rows = select(table, experiment="cyclic", dataset="digits", noise=0.3)
    rows = rows[rows.architecture.map(wide) == rows.bandwidth]
    # a logarithm has no zero: the interpolating end stands at a tenth of the smallest ridge
    least = float(rows.ridge[rows.ridge > 0].min()) / 10
    rows = rows.assign(excess=rows.tt_tv - rows.tt_null_mean, ridge_shown=rows.ridge.where(rows.ridge > 0, least))
    series = {"flip_rate_train": "on train", "flip_rate_test": "on test", "excess": "TV(train, test) above its null"}
    found = series_over_seeds(rows, ["family", "ridge", "ridge_shown"], series).round(4)
    families = ordered(found.family)
    kernel = menu(families, families[0], "kernel", "dl_family")
    ends = found[found.series.str.startswith("TV")]
    x = alt.X(
        "ridge_shown:Q",
        title=f"ridge (0 stands at {least:g})",
        scale=padded(10),
        axis=alt.Axis(tickCount=4, format="~g"),
    )
    own = "datum.family === dl_family"
    mine = singled(own)
    base = alt.Chart(ends)
    tip = [*tips("family", "ridge", value=".3f"), "seeds"]
    names = ends.loc[ends.groupby("family").value.idxmax()]
    left = alt.layer(
        zero(),
        base.mark_rule(strokeWidth=1.5).encode(x=x, y="low:Q", y2="high:Q", color=mine),
        base.mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=alt.Y("value:Q", title="TV(train, test) above its null", axis=RATE), color=mine, tooltip=tip
        ),
        base.mark_line(strokeWidth=2).encode(x=x, y="value:Q", detail="family:N", color=alt.value(ROLES["null"])),
        shown(ends, own).mark_line(strokeWidth=2.5, color=ROLES["chosen"]).encode(x=x, y="value:Q"),
        alt.Chart(names).mark_text(dy=-12, color=INK, opacity=0.85).encode(x=x, y="value:Q", text="family:N"),
    ).properties(height=300)
    rates = shown(found.drop(ends.index), own)
    colour = roles("series", {"on train": "train", "on test": "test"})
    right = alt.layer(
        rates.mark_area(opacity=0.18).encode(x=x, y="low:Q", y2="high:Q", color=colour),
        rates.mark_line(point={"size": 40, "opacity": 1}).encode(
            x=x,
            y=alt.Y("value:Q", title="rate of the noise's target", axis=RATE),
            color=colour,
            tooltip=["series", *tip],
        ),
    ).properties(height=300)
    most = ends.groupby("family").value.max()
    said = {}
    for first in families:
        others = "".join(f"; with a {f} by {in_points(most[f])}" for f in families if f != first)
        text = f"With a {first}, train and test outputs differ along a ridge path by at most {in_points(most[first])} points"
        said[(first,)] = text + others
    return finish(
        paired(left, right),
        name="kernel-path",
        controls=[kernel],
        title=Saying((kernel,), said, "Outputs on train and on test along a ridge path"),
        subtitle="Digits, 30 % noise on every class; the Gaussian kernel is wide. Means, 95 % intervals over 10 splits.",
        description="Left: the distance between outputs on train and on test above its null, against the ridge, for both "
        "kernels. Right: the rates of predicting the noise's target on train and test for the chosen kernel.",
        rows=found,
    )


def training_time(curves: pd.DataFrame) -> alt.LayerChart:
    """TV(train, test) and its null while a network trains; takes a long table: setting, noise, seed, epoch, ..."""
    if curves.empty:
        raise ValueError("no record has curves of train and test while training: run the group 'sparse'")
    setting = choose(None, "setting", curves.setting, "data and architecture")
    rate = rates(None, curves.noise, 0.4)
    base = shown(curves, chosen(setting, rate))
    x = alt.X("epoch:Q", scale=LOG, axis=alt.Axis(tickCount=6), title="epoch")
    y = alt.Y("value:Q", title="distance or error", axis=RATE)
    colour = roles("series", dict(zip(_LOGGED.values(), ("chosen", "null", "train", "test"), strict=True)))
    said = {}
    for key, part in curves.groupby(["setting", "noise"], sort=False):
        run = part.groupby(["series", "epoch"]).value.mean()
        tv, error = (run[_LOGGED[name]].sort_index() for name in ("tv_train_test", "train_error"))
        said[key] = (
            f"{key[0]}, {percent(key[1])} noise: TV(train, test) goes from {in_points(tv.iloc[0])} to {in_points(tv.iloc[-1])} points "
            f"while the error on the noisy training labels goes from {in_points(error.iloc[0])} to {in_points(error.iloc[-1])} %"
        )
    chart = alt.layer(
        base.mark_line(strokeWidth=0.6).encode(x=x, y=y, color=colour, detail="seed:N"),
        base.mark_line(strokeWidth=3).encode(
            x=x, y=alt.Y("mean(value):Q", title="distance or error", axis=RATE), color=colour
        ),
    )
    return finish(
        chart.properties(width="container", height=320),
        name="training-time",
        controls=[setting, rate],
        title=Saying((setting, rate), said, "Outputs on train and on test, and errors, during training"),
        subtitle="Sparse random confusion. Thin lines: seeds.",
        description="Distance between the joint laws of class and prediction on train and on test during training, its "
        "value for equal laws, and the two errors, against the epoch.",
        rows=curves,
    )


def long_curves(records: Iterable[Any], families: Mapping[str, str]) -> pd.DataFrame:
    """Returns the long table of `training_time` from records of the experiment "sparse"; `families`: key -> setting."""
    found = [
        {"setting": families[r.key], "noise": r.config["noise"], "seed": r.config["seed"]}
        | {"epoch": epoch, "series": label, "value": value}
        for r in records
        if r.key in families
        for name, label in _LOGGED.items()
        for epoch, value in zip(r.curves["epoch"], r.curves[name], strict=True)
    ]
    return pd.DataFrame(found, columns=["setting", "noise", "seed", "epoch", "series", "value"]).round(4)
