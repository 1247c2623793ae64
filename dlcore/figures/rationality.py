"""Charts of chapter 1: the gaps and their bound, and train against noisy test accuracy."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dlcore import published
from dlcore.figures.controls import held, menu, nearest, pick, slider
from dlcore.figures.shared import FEW, RATE, Highlight, begin, named
from dlcore.figures.theme import ROLES, finish, paired
from dlcore.metrics.rationality import noisy_label_accuracy, trustworthy
from dlcore.tables import PROBES

# the three parts of the bound, in the order of the proof; colour-blind safe and apart in brightness
PARTS = {"robustness": ROLES["train"], "memorization": ROLES["chosen"], "rationality": ROLES["test"]}
METHODS = [
    "end to end",
    "SimCLR",
    "VICReg",
    "Barlow Twins",
    "rotation",
    "untrained network",
    "random ReLU",
    "PCA",
    "raw inputs",
    "cluster vote",
]
# probes other than the usual one come after it
METHODS = [label for name in METHODS for label in (name, *(f"{name} + {probe}" for probe in PROBES.values()))]
# room for the names of our methods whatever data is chosen: the plot stays where it is
METHOD_AXIS = alt.Axis(labelLimit=190, minExtent=112)


def _where(row: pd.Series) -> str:
    name = {"cifar10": "CIFAR-10", "imagenet": "ImageNet"}[row.dataset]
    if row.method == "end to end":
        return f"{name}, end to end (published)"
    return f"{name}, probe {'with' if row.augmented == 'yes' else 'without'} augmentation (published)"


def _published_gaps() -> pd.DataFrame:
    """Returns the released rows as fractions; rationality is clipped at 0 there, and in the bars here."""
    t = published.read("bansal2021_gaps")
    rows = pd.DataFrame({"source": t.apply(_where, axis=1), "noise": 0.05, "fixed": True})
    rows["method"] = t.method + ", " + t.backbone
    for name in ("robustness", "memorization", "rationality"):
        rows[name] = t[name].clip(lower=0) / 100
    rows["generalization"] = (t.train - t.test) / 100
    # the released bound is in bits; log 2 under the root makes it nats; where it was capped, only a lower limit is known
    rows["published"] = (t.theorem_bits / 100 * np.sqrt(np.log(2))).where(t.theorem_bits < 100)
    rows["theorem"] = rows.published * np.sqrt(0.05 * 0.95)
    return rows.assign(seeds=1)


def _source(rows: pd.DataFrame) -> pd.Series:
    """Returns the data of our runs as the menus name them; those of a GPU had another network."""
    return rows.data + np.where(rows.preset == "gpu", ", ResNet-18", "") + " (ours)"


def _own_gaps(table: pd.DataFrame) -> pd.DataFrame:
    rows = named(table[table.usual & (table.noise > 0)])
    rows = rows.assign(source=_source(rows))
    keys = ["source", "noise", "method"]
    corrections = [f"bound_{name}" for name in ("plug_in", "miller_madow", "jackknife")]
    values = ["robustness", "memorization", "rationality", "generalization", "flip_rate", *corrections]
    means = rows.groupby(keys)[values].mean().join(rows.groupby(keys).seed.nunique().rename("seeds")).reset_index()
    for name in ("robustness", "memorization", "rationality"):
        means[name] = means[name].clip(lower=0)
    # an estimate that depends on its correction is no bound
    quoted = [trustworthy(*found) for found in means[corrections].to_numpy()]
    means["published"] = means.bound_miller_madow.where(quoted)
    means["theorem"] = means.published * np.sqrt(means.flip_rate * (1 - means.flip_rate))
    return means.drop(columns=[*corrections, "flip_rate"]).assign(fixed=False)


def gap_decomposition(table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """Stacked robustness, memorization and rationality of every method, the gap they bound, and the bound on memorization."""
    rows = pd.concat([_own_gaps(table), _published_gaps()], ignore_index=True).round(5)
    rows["bound"] = rows[list(PARTS)].sum(axis=1)
    sources = list(dict.fromkeys(rows.source))
    start = begin(highlight)
    first = pick({"source": f"{start.get('dataset')} (ours)"}, "source", sources, sources[0])
    noises = sorted(rows[~rows.fixed].noise.unique())
    source = menu(sources, first, "data", "dl_source")
    rate = slider(noises, pick(start, "noise", noises, 0.2))
    rows = nearest(rows, "source")
    same = ["source", "noise", "least", "most", "method", "seeds", "generalization", "bound", "theorem", "published"]
    long = rows.melt(same, list(PARTS))
    long["order"] = long.variable.map({name: i for i, name in enumerate(PARTS)})
    here = f"datum.source === dl_source && {held()}"
    released = rows[rows.fixed].groupby("method").generalization.mean().sort_values()
    y = alt.Y("method:N", title=None, sort=[*METHODS, *released.index], axis=METHOD_AXIS)
    x = alt.X("value:Q", title="points of accuracy", axis=FEW, stack="zero")
    scale = alt.Scale(domain=list(PARTS), range=list(PARTS.values()))
    tip = ["method", alt.Tooltip("generalization:Q", format=".2%"), alt.Tooltip("bound:Q", format=".2%"), "seeds"]
    bars = (
        alt.Chart(long)
        .transform_filter(here)
        .mark_bar(size=alt.expr("min(34, 0.9 * bandwidth('y'))"))
        .encode(
            x=x,
            y=y,
            color=alt.Color("variable:N", scale=scale, legend=alt.Legend(title=None, orient="bottom")),
            order="order:Q",
            tooltip=["method", "variable", alt.Tooltip("value:Q", format=".2%"), "seeds"],
        )
    )
    base = alt.Chart(rows).transform_filter(here)
    theorem = (
        base.transform_filter("isValid(datum.theorem) && datum.theorem <= 1")
        .mark_tick(thickness=3, size=16, color=ROLES["bayes"])
        .encode(
            x="theorem:Q",
            y=y,
            tooltip=[
                "method",
                alt.Tooltip("theorem:Q", format=".1%", title="bound on memorization"),
                alt.Tooltip("published:Q", format=".1%", title="with the published constant"),
            ],
        )
    )
    gap = base.mark_point(shape="diamond", filled=True, size=90, color=ROLES["chosen"], opacity=1).encode(
        x="generalization:Q", y=y, tooltip=tip
    )
    chart = alt.layer(_all_methods(rows, y), bars, theorem, gap, _rate(rows, here))
    chart = chart.properties(width="container", height=330)
    return finish(
        chart,
        name="gap-decomposition",
        controls=[source, rate],
        title="Where the probe is simple, three small parts bound the gap; end to end, one part is nearly all",
        subtitle="Bars: the three parts, their end is the bound. Diamond: the gap. Tick: estimate of the bound on memorization alone.",
        description="Stacked bars of the robustness, memorization and rationality gaps for each method, with a diamond at "
        "the generalization gap and a tick at the information bound on memorization, for the chosen data and noise rate. The 44 released "
        "rows of the paper are among the choices, at 5 per cent noise. No diamond lies beyond the end of its bar.",
        rows=rows,
    )


def _all_methods(rows: pd.DataFrame, y: alt.Y) -> alt.Chart:
    """Draws nothing, and keeps a line for every method of the chosen data at rates where it has no run: no line moves."""
    methods = rows[["source", "method"]].drop_duplicates()
    return alt.Chart(methods).transform_filter("datum.source === dl_source").mark_rule(opacity=0).encode(y=y)


def _rate(rows: pd.DataFrame, here: str) -> alt.Chart:
    """Says which noise rate is shown: the nearest to the slider that the chosen data have."""
    rates = rows[["source", "noise", "least", "most"]].drop_duplicates()
    return (
        alt.Chart(rates)
        .transform_filter(here)
        .transform_calculate(said="'shown: ' + format(datum.noise, '.0%') + ' noise'")
        .mark_text(align="right", baseline="bottom", dy=-4, color=ROLES["null"])
        .encode(x=alt.value("width"), y=alt.value(0), text="said:N")
    )


def _published_sweep() -> pd.DataFrame:
    t = published.read("bansal2021_noise_sweep")
    method = np.where(t.end_to_end == "yes", "end to end, " + t.method, t.method)
    frame = pd.DataFrame({"source": "CIFAR-10 (published)", "method": method, "noise": t.noise, "seeds": 1})
    frame["train"] = t.train_on_noisy_labels / 100
    frame["clean"] = t.test / 100
    return frame.assign(test=noisy_label_accuracy(frame.clean, frame.noise, 10), kind=t.end_to_end == "yes")


def noise_sweep(table: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """Accuracy on the noisy training labels against accuracy on equally noisy fresh labels."""
    rows = named(table[table.usual & (table.noise > 0)])
    rows = rows.assign(source=_source(rows), kind=rows.objective == "supervised")
    own = rows.groupby(["source", "method", "noise", "kind"], as_index=False).agg(
        train=("train_on_noisy_labels", "mean"),
        test=("test_on_noisy_labels", "mean"),
        clean=("test_after_noise", "mean"),
        seeds=("seed", "nunique"),
    )
    cells = nearest(pd.concat([own, _published_sweep()], ignore_index=True).round(5), "source")
    start = begin(highlight)
    sources = list(dict.fromkeys(cells.source))
    methods = [m for m in METHODS if m in set(cells.method)] + sorted(set(cells.method) - set(METHODS))
    steps = sorted(own.noise.unique())
    first = pick({"source": f"{start.get('dataset')} (ours)"}, "source", sources, sources[0])
    source = menu(sources, first, "data", "dl_source")
    rate = slider(steps, pick(start, "noise", steps, 0.4))
    shown = pick(start, "method", methods, "SimCLR")
    chosen = menu(methods, shown, "method", "dl_method")
    here = f"datum.source === dl_source && {held()}"
    x = alt.X("test:Q", title="accuracy at the chosen noise rate", axis=FEW, scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("method:N", title=None, sort=methods, axis=METHOD_AXIS)
    base = alt.Chart(cells).transform_filter(here)
    tip = [
        "method",
        alt.Tooltip("train:Q", format=".1%", title="noisy training labels"),
        alt.Tooltip("test:Q", format=".1%", title="equally noisy test labels"),
        alt.Tooltip("clean:Q", format=".1%", title="clean test labels"),
        "seeds",
    ]
    mark = alt.condition("datum.method === dl_method", alt.value(1), alt.value(0.55))
    left = alt.layer(
        _all_methods(cells, y),
        base.mark_rule(strokeWidth=5, color=ROLES["null"]).encode(x=x, x2="train:Q", y=y, opacity=mark),
        base.mark_point(filled=True, size=70, color=ROLES["train"], opacity=1).encode(x="train:Q", y=y, tooltip=tip),
        base.mark_point(filled=True, size=70, color=ROLES["test"], shape="square", opacity=1).encode(
            x=x, y=y, tooltip=tip
        ),
        alt.Chart(cells[["source", "noise", "least", "most"]].drop_duplicates())
        .transform_filter(here)
        .transform_calculate(clean="1 - datum.noise")
        .mark_rule(strokeDash=[6, 4], color=ROLES["sampler"], strokeWidth=2)
        .encode(x="clean:Q"),
        _rate(cells, here),
    ).properties(height=300)
    long = cells.melt(["source", "method", "noise", "seeds"], ["train", "test"], var_name="side", value_name="accuracy")
    long["side"] = long.side.map({"train": "noisy training labels", "test": "equally noisy test labels"})
    mine = "datum.source === dl_source && datum.method === dl_method"
    sides = alt.Scale(
        domain=["noisy training labels", "equally noisy test labels"], range=[ROLES["train"], ROLES["test"]]
    )
    across = alt.X("noise:Q", title="noise rate", axis=FEW, scale=alt.Scale(domain=[0, 0.92]))
    up = alt.Y("accuracy:Q", title="accuracy", axis=RATE, scale=alt.Scale(domain=[0, 1]))
    colour = alt.Color("side:N", title=None, scale=sides, legend=alt.Legend(orient="bottom", columns=1))
    lines = alt.Chart(long).transform_filter(mine)
    seeds = rows.melt(
        ["source", "method", "noise", "seed"],
        ["train_on_noisy_labels", "test_on_noisy_labels"],
        var_name="side",
        value_name="accuracy",
    ).round(5)
    seeds["side"] = seeds.side.map(
        {"train_on_noisy_labels": "noisy training labels", "test_on_noisy_labels": "equally noisy test labels"}
    )
    right = alt.layer(
        alt.Chart(pd.DataFrame({"noise": [0, 0.9], "accuracy": [1, 0.1]}))
        .mark_line(strokeDash=[6, 4], color=ROLES["sampler"], strokeWidth=2)
        .encode(x=across, y=up),
        lines.mark_line(strokeWidth=2.5).encode(x=across, y=up, color=colour),
        alt.Chart(seeds).transform_filter(mine).mark_circle(size=26, opacity=0.6).encode(x=across, y=up, color=colour),
        alt.Chart(pd.DataFrame({"zero": [0]}))
        .transform_calculate(noise="dl_noise")
        .mark_rule(color=ROLES["null"])
        .encode(x="noise:Q"),
    ).properties(height=300)
    return finish(
        paired(left, right),
        name="noise-sweep",
        controls=[source, rate, chosen],
        title="End-to-end networks fit every wrong label, probes follow the clean share",
        subtitle="Blue: noisy training labels. Orange: fresh labels, as noisy. Dashed: 1 - noise rate. Dots: seeds.",
        description="Left: for every method at the chosen noise rate, accuracy on its noisy training labels and on equally "
        "noisy fresh labels, joined by a bar. Right: both accuracies of the chosen method against the noise rate, with "
        "the line one minus the noise rate. End-to-end networks stay near one on training labels; probes follow the line.",
        rows=cells,
    )
