"""Charts of chapter 1: the gaps and their bound, and train against noisy test accuracy."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dlcore import published
from dlcore.charts.controls import Saying, choose, held, menu, nearest, pick, rates
from dlcore.charts.shared import FEW, INK, RATE, UNIT, Highlight, begin, dashed, either, in_points, named, tips
from dlcore.charts.theme import ROLES, finish, paired, roles
from dlcore.metrics.rationality import noisy_label_accuracy, trustworthy
from dlcore.summaries import PROBES, method

# the three parts of the bound, in the order of the proof, and their roles
PARTS = {"robustness": "train", "memorization": "chosen", "rationality": "test"}
_ORDER = (
    *(
        "supervised",
        "simclr",
        "vicreg",
        "barlow_twins",
        "rotation",
        "random",
        "random_relu",
        "pca",
        "pixels",
        "clusters",
    ),
)


def in_order() -> list[str]:
    """Returns the methods' display names in the charts' order: probes other than the usual one come after it."""
    names = [method(objective) for objective in _ORDER]
    return [label for name in names for label in (name, *(f"{name} + {probe}" for probe in PROBES.values()))]


def _where(row: pd.Series) -> str:
    name = {"cifar10": "CIFAR-10", "imagenet": "ImageNet"}[row.dataset]
    if row.method == "end to end":
        return f"{name}, end to end (published)"
    return f"{name}, probe {'with' if row.augmented == 'yes' else 'without'} augmentation (published)"


def _published_gaps() -> pd.DataFrame:
    """Returns the released rows as fractions; rationality is clipped at 0 there, and in the bars here."""
    t = published.read("bansal2021_gaps")
    rows = pd.DataFrame({"source": t.apply(_where, axis=1), "noise": 0.05, "fixed": True})
    rows["method"], rows["whole"] = t.method + ", " + t.backbone, t.method == "end to end"
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
    rows = rows.assign(source=_source(rows), whole=rows.objective == "supervised")
    keys = ["source", "noise", "method", "whole"]
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


def _first(start: dict, sources: list[str], default: str) -> str:
    return pick({"source": f"{start.get('dataset')} (ours)"}, "source", sources, pick(None, "source", sources, default))


def _parts_said(rows: pd.DataFrame) -> dict[tuple[str, float], str]:
    """Returns the finding of every state: memorization end to end, and of the probes."""
    said = {}
    for (source, noise), part in rows.groupby(["source", "noise"], sort=False):
        whole, probes = part[part.whole], part[~part.whole]
        found = []
        if len(whole):
            found.append(f"end to end memorises {_span(whole.memorization)} points")
        if len(probes):
            found.append(
                f"probes {_span(probes.memorization)}"
                if len(whole)
                else f"probes memorise {_span(probes.memorization)} points"
            )
        said[(source, noise)] = (f"{source.split(' (')[0]}, {noise:.0%} noise: {', '.join(found)}").replace("%", " %")
    return said


def _span(values: pd.Series) -> str:
    low, high = in_points(values.min()), in_points(values.max())
    return low if low == high else f"{low} to {high}"


def gap_decomposition(table: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """Stacked robustness, memorization and rationality of every method and the gap they bound; the probes enlarged."""
    rows = pd.concat([_own_gaps(table), _published_gaps()], ignore_index=True).round(5)
    rows["bound"] = rows[list(PARTS)].sum(axis=1)
    # where there is nothing but networks trained end to end, these are enlarged
    rows["close"] = ~rows.whole | rows.groupby("source").whole.transform("all")
    sources = list(dict.fromkeys(rows.source))
    start = begin(highlight)
    source = menu(sources, _first(start, sources, "MNIST-1D (ours)"), "data", "dl_source")
    rate = rates(start, rows[~rows.fixed].noise, 0.2)
    rows = nearest(rows, "source")
    same = ["source", "noise", "least", "most", "method", "seeds", "close"]
    long = rows.melt(same, list(PARTS), var_name="part")
    long["order"] = long.part.map({name: i for i, name in enumerate(PARTS)})
    here = f"datum.source === dl_source && {held()}"
    released = rows[rows.fixed].groupby("method").generalization.mean().sort_values()
    y = alt.Y("method:N", title=None, sort=[*in_order(), *released.index], axis=alt.Axis(labels=False, ticks=False))
    names = rows[["source", "method", "close"]].drop_duplicates()
    colour = roles("part", PARTS)
    tip = [*tips("method", generalization=".2%", bound=".2%"), "seeds"]

    bound = (
        alt.Chart(rows)
        .transform_filter(f"{here} && isValid(datum.theorem) && datum.theorem <= 1")
        .mark_tick(thickness=3, size=14, color=ROLES["bayes"], yOffset=4)
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

    def panel(title: str, keep: str, *more: alt.Chart) -> alt.LayerChart:
        x = alt.X("value:Q", title=title, axis=FEW, stack="zero")
        bars = alt.Chart(long).transform_filter(f"{here} && {keep}")
        base = alt.Chart(rows).transform_filter(f"{here} && {keep}")
        # a line for every method of the chosen data, also at rates where it has no run: no line moves
        lines = alt.Chart(names).transform_filter(f"datum.source === dl_source && {keep}")
        return alt.layer(
            lines.mark_text(align="left", baseline="bottom", dy=-5, color=INK, opacity=0.85).encode(
                x=alt.value(3), y=y, text="method:N"
            ),
            bars.mark_bar(size=9, yOffset=4).encode(
                x=x,
                y=y,
                color=colour,
                order="order:Q",
                tooltip=[*tips("method", "part", value=".2%"), "seeds"],
            ),
            base.mark_point(shape="diamond", filled=True, size=75, color=INK, opacity=1, yOffset=4).encode(
                x="generalization:Q", y=y, tooltip=tip
            ),
            *more,
        ).properties(height=alt.Step(31), width=300)

    return finish(
        paired(
            panel("points of accuracy", "true", bound),
            panel("the probes alone, enlarged", "datum.close"),
        ),
        name="gap-decomposition",
        controls=[source, rate],
        title=Saying((source, rate), _parts_said(rows), "Three parts bound the gap"),
        subtitle="Bars: the three parts, which add up to the bound. Diamond: the gap that they bound. "
        "Tick: the estimated bound on memorization alone.",
        description="Stacked bars of the robustness, memorization and rationality gaps for each method, with a diamond at "
        "the generalization gap and a tick at the information bound on memorization, for the chosen data and noise rate; on the right the same without networks trained end "
        f"to end, enlarged. The paper's {int(rows.fixed.sum())} released rows are among the choices, at 5 per cent noise.",
        rows=rows.drop(columns=["whole", "close"]),
    )


def _published_sweep() -> pd.DataFrame:
    t = published.read("bansal2021_noise_sweep")
    name = np.where(t.end_to_end == "yes", "end to end, " + t.method, t.method)
    frame = pd.DataFrame({"source": "CIFAR-10 (published)", "method": name, "noise": t.noise, "seeds": 1})
    frame["train"] = t.train_on_noisy_labels / 100
    frame["clean"] = t.test / 100
    frame = frame.assign(test=noisy_label_accuracy(frame.clean, frame.noise, 10), whole=t.end_to_end == "yes")
    return frame.assign(told=t.method.isin(["SimCLR, ResNet-50"]).where(~frame.whole, t.method == "ResNet-18"))


def _labels_said(cells: pd.DataFrame) -> dict[tuple[str, float], str]:
    """Returns the finding of every state: how many of the noisy training labels are fitted, end to end and by probes."""
    said = {}
    for (source, noise), part in cells.groupby(["source", "noise"], sort=False):
        found = []
        if part.whole.any():
            found.append(f"end to end fits {_span(part[part.whole].train)} % of the noisy training labels")
        usual = part[~part.whole & part.told]
        if len(usual):
            found.append(f"a probe on SimCLR {'' if found else 'fits '}{_span(usual.train)} %")
        if found:
            more = f"{', '.join(found)}; {1 - noise:.0%} are right".replace("%;", " %;").replace("% are", " % are")
            said[(source, noise)] = f"{source.split(' (')[0]}, {noise:.0%} noise: ".replace("%", " %") + more.replace(
                "  ", " "
            )
    return said


def noise_sweep(table: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """Accuracy on the noisy training labels against accuracy on equally noisy fresh labels."""
    rows = named(table[table.usual & (table.noise > 0)])
    rows = rows.assign(source=_source(rows), whole=rows.objective == "supervised")
    # of the probes SimCLR's, of end-to-end networks one stands for all
    simclr = (rows.objective == "simclr") & (rows.probe == np.where(rows.preset == "gpu", "logistic", "ridge"))
    rows = rows.assign(told=rows.whole | simclr)
    own = rows.groupby(["source", "method", "noise", "whole", "told"], as_index=False).agg(
        train=("train_on_noisy_labels", "mean"),
        test=("test_on_noisy_labels", "mean"),
        clean=("test_after_noise", "mean"),
        seeds=("seed", "nunique"),
    )
    cells = nearest(pd.concat([own, _published_sweep()], ignore_index=True).round(5), "source")
    said, across_noise = _labels_said(cells), cells[~cells.whole | cells.told]
    cells = cells.drop(columns="told")
    start = begin(highlight)
    sources = list(dict.fromkeys(cells.source))
    probes = cells[~cells.whole].method
    known = in_order()
    methods = [m for m in known if m in set(probes)] + sorted(set(probes) - set(known))
    source = menu(sources, _first(start, sources, "MNIST-1D (ours)"), "data", "dl_source")
    rate = rates(start, own.noise, 0.4)
    probe = choose(start, "method", methods, "probe on", method("simclr"))
    here = f"datum.source === dl_source && {held()}"
    x = alt.X("test:Q", title="accuracy at this noise rate", axis=FEW, scale=UNIT)
    order = [*known, *sorted(set(cells.method) - set(known))]
    y = alt.Y("method:N", title=None, sort=order, axis=alt.Axis(labels=False, ticks=False))
    base = alt.Chart(cells).transform_filter(here)
    tip = [
        "method",
        alt.Tooltip("train:Q", format=".1%", title="noisy training labels"),
        alt.Tooltip("test:Q", format=".1%", title="equally noisy test labels"),
        alt.Tooltip("clean:Q", format=".1%", title="clean test labels"),
        "seeds",
    ]
    strong = "datum.method === dl_method || datum.whole"
    mark = either(strong, 1, 0.5)
    names = alt.Chart(cells[["source", "method"]].drop_duplicates()).transform_filter("datum.source === dl_source")
    left = alt.layer(
        names.mark_text(align="left", baseline="bottom", dy=-4, color=INK, opacity=0.85).encode(
            x=alt.value(3), y=y, text="method:N"
        ),
        base.mark_rule(strokeWidth=4, color=ROLES["null"], yOffset=4).encode(x=x, x2="train:Q", y=y, opacity=mark),
        base.mark_point(filled=True, size=65, color=ROLES["train"], opacity=1, yOffset=4).encode(
            x="train:Q", y=y, tooltip=tip
        ),
        base.mark_point(filled=True, size=65, color=ROLES["test"], shape="square", opacity=1, yOffset=4).encode(
            x=x, y=y, tooltip=tip
        ),
        alt.Chart(cells[["source", "noise", "least", "most"]].drop_duplicates())
        .transform_filter(here)
        .transform_calculate(clean="1 - datum.noise")
        .mark_rule(strokeDash=[6, 4], color=ROLES["bayes"], strokeWidth=2)
        .encode(x="clean:Q"),
    ).properties(height=alt.Step(29))
    labels = {"train": "noisy training labels", "test": "equally noisy test labels"}
    long = across_noise.melt(
        ["source", "method", "noise", "whole"], list(labels), var_name="side", value_name="accuracy"
    )
    long["side"] = long.side.map(labels)
    across = alt.X("noise:Q", title="noise rate", axis=FEW, scale=alt.Scale(domain=[0, 0.95], nice=False))
    up = alt.Y("accuracy:Q", title="accuracy", axis=RATE, scale=UNIT)
    colour = roles("side", {labels["train"]: "train", labels["test"]: "test"})
    dash = alt.StrokeDash("who:N", legend=None, scale=alt.Scale(domain=["end to end", "probe"], range=[[2, 2], [1, 0]]))
    lines = alt.Chart(long).transform_filter(f"datum.source === dl_source && ({strong})")
    lines = lines.transform_calculate(who="datum.whole ? 'end to end' : 'probe'")
    seeds = rows[~rows.whole].melt(
        ["source", "method", "noise", "seed"],
        ["train_on_noisy_labels", "test_on_noisy_labels"],
        var_name="side",
        value_name="accuracy",
    )
    seeds["side"] = seeds.side.map({"train_on_noisy_labels": labels["train"], "test_on_noisy_labels": labels["test"]})
    mine = "datum.source === dl_source && datum.method === dl_method"
    tip = tips("method", "side", "noise", accuracy=".1%")
    right = alt.layer(
        dashed({"noise": [0, 0.9], "accuracy": [1, 0.1]}, "bayes").encode(x=across, y=up),
        lines.mark_line(strokeWidth=2.2, point={"size": 30, "opacity": 1}).encode(
            x=across, y=up, color=colour, strokeDash=dash, tooltip=tip
        ),
        alt.Chart(seeds.round(4))
        .transform_filter(mine)
        .mark_circle(size=18, opacity=0.5)
        .encode(x=across, y=up, color=colour),
        alt.Chart(pd.DataFrame({"zero": [0]}))
        .transform_calculate(noise="dl_noise")
        .mark_rule(color=ROLES["null"])
        .encode(x="noise:Q"),
    ).properties(height=330)
    offered = [cells[["source", "noise"]], cells[~cells.whole][["source", "method"]]]
    return finish(
        paired(left, right),
        name="noise-sweep",
        controls=[source, rate, probe],
        there=offered,
        title=Saying((source, rate), said, "Accuracy on noisy training labels, and on fresh labels as noisy"),
        subtitle="Blue circles: noisy training labels. Red squares: fresh labels, equally noisy. Dashed violet: the share of right "
        "labels. Right: the chosen probe, and a network trained end to end (dotted).",
        description="Left: for every method at the chosen noise rate, accuracy on its noisy training labels and on equally "
        "noisy fresh labels, joined by a bar. Right: both accuracies of the chosen probe and of a network trained end to end "
        "against the noise rate, with the line one minus the noise rate.",
        rows=cells.drop(columns=["least", "most", "whole"]),
    )
