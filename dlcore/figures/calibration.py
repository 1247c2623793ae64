"""Charts of chapter 3: feature calibration, its bound epsilon, marginals and human labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dlcore.figures.controls import menu, near, ordered, pick, slider
from dlcore.figures.shared import CLASS_NAMES, RATE, Highlight, begin, named
from dlcore.figures.theme import ROLES, finish, singled
from dlcore.tables import over_seeds

_WHERE = {
    "cyclic": "every class",
    "subgroup": "one class of ten",
    "sparse": "a sparse random pattern",
    "four": "one class of four",
}


def tv_against_epsilon(table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """TV of feature calibration against epsilon, all families and experiments with label noise."""
    kept = table.experiment.isin(["cyclic", "subgroup", "sparse", "four"]) & table.usual & ~table.feature.astype(bool)
    rows = named(table[kept]).dropna(subset=["epsilon"])
    rows = rows.assign(where=rows.experiment.map(_WHERE), tv_shown=rows.debiased)
    rows = rows[
        ["data", "where", "family", "noise", "n_train", "seed", "epsilon", "tv_shown", "low", "high", "train_error"]
    ]
    rows = (
        rows.groupby(["data", "where", "family", "noise", "n_train"], as_index=False).mean(numeric_only=True).round(4)
    )
    start, noises = begin(highlight), sorted(rows.noise[rows.noise > 0].unique())
    families = ordered(rows.family)
    rate = slider(noises, pick(start, "noise", noises, 0.3))
    every = ["all", *families]
    chosen = menu(every, "all", "architecture", "dl_family")
    places = list(dict.fromkeys(rows["where"]))
    where = menu(places, places[0], "noise on", "dl_where")
    base = alt.Chart(rows).transform_filter(f"datum.where === dl_where && {near('noise')}")
    only = "dl_family !== 'all' && datum.family === dl_family"
    mine = "dl_family === 'all' || datum.family === dl_family"
    low = float(np.floor(20 * rows.low.min()) / 20)
    high = float(np.ceil(20 * rows[["epsilon", "high"]].max().max()) / 20)
    x = alt.X(
        "epsilon:Q",
        title="epsilon: test error on the clean partition",
        scale=alt.Scale(domain=[0, high], nice=False),
        axis=RATE,
    )
    y = alt.Y(
        "tv_shown:Q",
        title="TV(test outputs, labels), debiased",
        scale=alt.Scale(domain=[min(low, 0), high], nice=False),
        axis=RATE,
    )
    line = pd.DataFrame({"epsilon": [0, high], "tv_shown": [0, high]})
    dim = alt.condition(mine, alt.value(0.95), alt.value(0.4))
    chart = alt.layer(
        alt.Chart(line).mark_line(strokeDash=[6, 4], color=ROLES["null"]).encode(x=x, y=y),
        base.mark_rule(strokeWidth=1.2).encode(x=x, y="low:Q", y2="high:Q", color=singled(only), opacity=dim),
        base.mark_point(filled=True, size=80).encode(
            x=x,
            y=y,
            color=singled(only),
            shape=alt.Shape(
                "data:N",
                title="data",
                legend=alt.Legend(
                    orient="bottom", columns=4, symbolFillColor=ROLES["null"], symbolStrokeColor=ROLES["null"]
                ),
            ),
            opacity=dim,
            tooltip=[
                "data",
                "family",
                "n_train",
                *[alt.Tooltip(f"{c}:Q", format=".3f") for c in ("epsilon", "tv_shown", "train_error")],
            ],
        ),
    )
    return finish(
        chart.properties(width="container", height=380),
        name="tv-against-epsilon",
        controls=[where, rate, chosen],
        title="Feature calibration promises points below the line; smoothers rise above it",
        subtitle="Means over seeds; bars: mean 95 % limits of a seed. Below the dashed line the conjecture's bound holds.",
        description="Scatter of the debiased total variation between test outputs and training labels against epsilon, "
        "for the chosen noise rate. 1-NN and wide Gaussian kernels lie below the line TV = epsilon; forests, Laplace "
        "kernels, 15-NN and logistic regression lie above it when every class is noisy.",
        rows=rows,
    )


def tv_by_size(table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """TV and epsilon as the training set grows, four classes of which one is noisy (the paper's quantitative test)."""
    kept = (table.experiment == "four") & ~table.feature.astype(bool) & table.usual
    rows = named(table[kept]).dropna(subset=["epsilon"])
    by = ["data", "family", "n_train"]
    parts = []
    for column, series in (
        ("epsilon", "epsilon: error on the four classes"),
        ("debiased", "TV(test outputs, labels), debiased"),
    ):
        part = over_seeds(rows, by, column).rename(columns={column: "value"}).assign(series=series)
        parts.append(part)
    sizes = rows.groupby(by).num_train.mean().round().astype(int)
    found = pd.concat(parts, ignore_index=True)
    found["samples"] = [int(sizes[k]) for k in found[by].itertuples(index=False, name=None)]
    found = found.drop(columns="n_train").round(4)
    start, families = begin(highlight), ordered(found.family)
    names = list(dict.fromkeys(found.data))
    chosen = menu(families, pick(start, "family", families, "MLP"), "architecture", "dl_family")
    dataset = menu(names, pick(start, "dataset", names, names[-1]), "data", "dl_data")
    base = alt.Chart(found).transform_filter("datum.family === dl_family && datum.data === dl_data")
    x = alt.X(
        "samples:Q",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(tickCount=6),
        title="training samples of the four classes",
    )
    y = alt.Y("value:Q", title="error or distance", axis=RATE)
    colour = alt.Color(
        "series:N",
        title=None,
        scale=alt.Scale(range=[ROLES["test"], ROLES["train"]], domain=sorted(found.series.unique(), reverse=True)),
        legend=alt.Legend(orient="bottom", columns=2),
    )
    chart = alt.layer(
        base.mark_area(opacity=0.18).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        base.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour),
        base.mark_point(filled=True, size=60).encode(
            x=x, y=y, color=colour, tooltip=["samples", "series", "value", "seeds"]
        ),
    )
    return finish(
        chart.properties(width="container", height=330),
        name="tv-by-size",
        controls=[dataset, chosen],
        title="Four classes, one of them noisy: the distance and its bound as the training set grows",
        subtitle="Two labels, 30 % of one class mislabelled; the conjecture: blue below orange. Bands: 95 % intervals over seeds.",
        description="Two curves against the number of training samples: epsilon, the four-way test error, and the "
        "debiased total variation between test outputs and training labels, for the chosen data set and architecture.",
        rows=found,
    )


def marginals(table: pd.DataFrame) -> alt.LayerChart:
    """Constant and coarse partitions: TV of output marginals against test error."""
    # on digits the split itself shifts the frequencies by more than the effect
    kept = table.experiment.isin(["imbalance", "coarse"]) & (table.dataset == "fashion_mnist")
    rows = named(table[kept & ~table.feature.astype(bool)])
    rows = rows.assign(
        partition=rows.experiment.map({"imbalance": "constant (unequal classes)", "coarse": "coarse groups"})
    )
    rows = rows[["data", "partition", "family", "seed", "label_error", "tv", "debiased", "null_q95", "epsilon"]].round(
        4
    )
    kinds = list(dict.fromkeys(rows.partition))
    kind = menu(kinds, kinds[0], "partition", "dl_partition")
    families = ordered(rows.family)
    base = alt.Chart(rows).transform_filter("datum.partition === dl_partition")
    chart = alt.layer(
        base.mark_tick(color=ROLES["null"], thickness=2).encode(
            x=alt.X("null_q95:Q"), y=alt.Y("family:N", sort=families, title=None)
        ),
        base.mark_point(filled=True, size=60).encode(
            x=alt.X(
                "tv:Q",
                title="TV of outputs and labels (grey tick: 95 % quantile of a perfect sampler)",
                axis=alt.Axis(format=".1%", tickCount=6),
            ),
            y=alt.Y("family:N", sort=families, title=None),
            color=alt.value(ROLES["test"]),
            tooltip=["family", "seed", "tv", "label_error", "epsilon"],
        ),
    )
    return finish(
        chart.properties(width="container", height=280),
        name="marginals",
        controls=[kind],
        title="Do output frequencies match label frequencies?",
        subtitle="One point per seed, a perfect sampler left of its grey tick. Constant partition: class frequencies span a factor of ten.",
        description="Total variation between the marginal law of the outputs and of the labels, within each part of a "
        "constant or coarse partition, by model family, with the 95 % quantile expected of a perfect sampler.",
        rows=rows,
    )


def human_noise(cells: pd.DataFrame) -> alt.LayerChart:
    """Human confusions against the network's on test; takes rows with annotator, class, label, human, predicted."""
    kinds = list(dict.fromkeys(cells.annotator))
    families = list(dict.fromkeys(cells.family))
    kind = menu(kinds, kinds[0], "labels", "dl_annotator")
    chosen = menu(families, families[0], "architecture", "dl_family")
    base = alt.Chart(cells).transform_filter("datum.annotator === dl_annotator && datum.family === dl_family")
    scale = alt.Scale(type="sqrt", domain=[0, max(0.3, float(cells[["human", "predicted"]].max().max()))])
    x = alt.X("human:Q", title="rate in the human labels", scale=scale, axis=RATE)
    y = alt.Y("predicted:Q", title="rate in the test predictions", scale=scale, axis=RATE)
    line = pd.DataFrame({"human": [0, 0.3], "predicted": [0, 0.3]})
    chart = alt.layer(
        alt.Chart(line).mark_line(strokeDash=[6, 4], color=ROLES["sampler"]).encode(x=x, y=y),
        base.mark_point(filled=True, size=45, color=ROLES["test"]).encode(
            x=x, y=y, tooltip=["class", "label", "human", "predicted", "clean"]
        ),
        base.mark_point(size=45, color=ROLES["null"]).encode(x=x, y="clean:Q"),
    )
    return finish(
        chart.properties(width="container", height=340),
        name="human-noise",
        controls=[kind, chosen],
        title="Human label noise: which confusions come back?",
        subtitle="CIFAR-10N, one point per pair of classes, means over seeds. Grey rings: the same network on clean labels.",
        description="Rate of each wrong label in the human annotations against its rate in the test predictions of a "
        "network trained on them, with the rates of the same network trained on clean labels.",
        rows=cells,
    )


def human_cells(table: pd.DataFrame, records: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the rows of `human_noise`: each pair of different classes, its rate in labels and in predictions."""
    found = []
    human = table[(table.experiment == "human") & table.usual]
    for (annotator, family), group in human.groupby(["annotator", "family"], sort=False):
        runs = [records[k] for k in group.key]
        clean = table[(table.experiment == "cyclic") & (table.noise == 0) & (table.dataset == "cifar10")]
        bases = [records[k] for k in clean[clean.family == family].key]
        given = np.mean([r.arrays["conditional"] for r in runs], axis=0)
        predicted, base = (_shares([r.arrays["counts_test"] for r in rs], given.shape) for rs in (runs, bases))
        for a, name in enumerate(CLASS_NAMES["cifar10"]):
            for b, label in enumerate(CLASS_NAMES["cifar10"]):
                if a != b:
                    entry = {"annotator": annotator, "family": family, "class": name, "label": label}
                    entry |= {"human": given[a, b], "predicted": predicted[a, b], "clean": base[a, b]}
                    found.append({**entry, "seeds": len(runs)})
    return pd.DataFrame(found).round(4)


def _shares(counts: list, shape: tuple[int, int]) -> np.ndarray:
    """Returns p(prediction | class) pooled over runs; NaN when there is none."""
    if not counts:
        return np.full(shape, np.nan)
    pooled = np.sum([np.array(c) for c in counts], axis=0)
    return pooled / np.maximum(pooled.sum(1, keepdims=True), 1)
