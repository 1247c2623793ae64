"""Charts of chapter 1: the gaps and their bound, and train against noisy test accuracy."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from dlcore import published
from dlcore.charts.controls import Control, Saying, choose, held, nearest, rates
from dlcore.charts.layers import dashed, either, shown, single, tips
from dlcore.charts.shared import FEW, INK, RATE, UNIT, Highlight, begin, named
from dlcore.charts.theme import ROLES, finish, paired, roles
from dlcore.charts.words import in_points, percent
from dlcore.metrics.rationality import noisy_label_accuracy, trustworthy
from dlcore.summaries import OBJECTIVES, PROBES, method

# the three parts of the bound, in the order of the proof, and their roles: what clean training points lose, the part that the
# chapter is about, what test points lose
PARTS = {"robustness": "train", "memorization": "chosen", "rationality": "test"}


def in_order() -> list[str]:
    """Returns the methods' display names in the charts' order: probes other than the usual one come after it."""
    names = [name for objective, name in OBJECTIVES.items() if objective != "neighbours"]
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
    rows[[*PARTS]] = t[[*PARTS]].clip(lower=0) / 100
    rows["generalization"] = (t.train - t.test) / 100
    # the released bound is in bits; log 2 under the root makes it nats; where it was capped, only a lower limit is known
    rows["published"] = (t.theorem_bits / 100 * np.sqrt(np.log(2))).where(t.theorem_bits < 100)
    rows["theorem"] = rows.published * np.sqrt(0.05 * 0.95)
    return rows.assign(seeds=1)


def _noisy(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the noisy runs with `source`, their data as the menus name them, and whether they are trained as a `whole`."""
    rows = named(table[table.usual & (table.noise > 0)])
    # those of a GPU had another network
    source = rows.data + np.where(rows.preset == "gpu", ", ResNet-18", "") + " (ours)"
    return rows.assign(source=source, whole=rows.objective == "supervised")


def _own_gaps(table: pd.DataFrame) -> pd.DataFrame:
    rows = _noisy(table)
    keys = ["source", "noise", "method", "whole"]
    corrections = [f"bound_{name}" for name in ("plug_in", "miller_madow", "jackknife")]
    values = [*PARTS, "generalization", "flip_rate", *corrections]
    means = rows.groupby(keys)[values].mean().join(rows.groupby(keys).seed.nunique().rename("seeds")).reset_index()
    means[[*PARTS]] = means[[*PARTS]].clip(lower=0)
    # an estimate that depends on its correction is no bound
    quoted = [trustworthy(*found) for found in means[corrections].to_numpy()]
    means["published"] = means.bound_miller_madow.where(quoted)
    means["theorem"] = means.published * np.sqrt(means.flip_rate * (1 - means.flip_rate))
    return means.drop(columns=[*corrections, "flip_rate"]).assign(fixed=False)


def _data(start: dict, rows: pd.DataFrame) -> Control:
    """Returns the menu of the data, ours and published, which starts at the reader's data set."""
    wanted = {"source": f"{start['dataset']} (ours)"} if "dataset" in start else None
    return choose(wanted, "source", rows.source, "data", "MNIST-1D (ours)")


def _parts_said(rows: pd.DataFrame) -> dict[tuple[str, float], str]:
    """Returns the finding of every state: memorization end to end, and of the probes."""
    said = {}
    for (source, noise), part in rows.groupby(["source", "noise"], sort=False):
        whole, probes = (_span(part.memorization[part.whole == kind]) for kind in (True, False))
        found = [f"end to end memorises {whole} points"] if whole else []
        if probes:
            found.append(f"probes {probes}" if whole else f"probes memorise {probes} points")
        said[(source, noise)] = f"{source.split(' (')[0]}, {percent(noise)} noise: {', '.join(found)}"
    return said


def _span(values: pd.Series) -> str:
    """Returns the smallest and the largest value in points, "" without values."""
    if values.empty:
        return ""
    low, high = in_points(values.min()), in_points(values.max())
    return low if low == high else f"{low} to {high}"


def gap_decomposition(table: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """Stacked robustness, memorization and rationality of every method and the gap they bound; the probes enlarged."""
    rows = pd.concat([_own_gaps(table), _published_gaps()], ignore_index=True).round(5)
    rows["bound"] = rows[list(PARTS)].sum(axis=1)
    # where there is nothing but networks trained end to end, these are enlarged
    rows["close"] = ~rows.whole | rows.groupby("source").whole.transform("all")
    start = begin(highlight)
    source = _data(start, rows)
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

    bounds = {"theorem": (".1%", "bound on memorization"), "published": (".1%", "with the published constant")}
    bound = shown(rows, f"{here} && isValid(datum.theorem) && datum.theorem <= 1")
    bound = bound.mark_tick(thickness=3, size=14, color=ROLES["bayes"], yOffset=4)
    bound = bound.encode(x="theorem:Q", y=y, tooltip=tips("method", **bounds))

    def panel(title: str, keep: str, *more: alt.Chart) -> alt.LayerChart:
        x = alt.X("value:Q", title=title, axis=FEW, stack="zero")
        bars, base = (shown(part, f"{here} && {keep}") for part in (long, rows))
        # a line for every method of the chosen data, also at rates where it has no run: no line moves
        lines = shown(names, f"datum.source === dl_source && {keep}")
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
        whole, probe = _span(part.train[part.whole]), _span(part.train[~part.whole & part.told])
        found = [f"end to end fits {whole} % of the noisy training labels"] if whole else []
        if probe:
            found.append(f"a probe on SimCLR {'' if whole else 'fits '}{probe} %")
        if found:
            told = f"{', '.join(found)}; {percent(1 - noise)} are right"
            said[(source, noise)] = f"{source.split(' (')[0]}, {percent(noise)} noise: {told}"
    return said


def noise_sweep(table: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """Accuracy on the noisy training labels against accuracy on equally noisy fresh labels."""
    rows = _noisy(table)
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
    probes = cells[~cells.whole].method
    known = in_order()
    methods = [m for m in known if m in set(probes)] + sorted(set(probes) - set(known))
    source = _data(start, cells)
    rate = rates(start, own.noise, 0.4)
    probe = choose(start, "method", methods, "probe on", method("simclr"))
    here = f"datum.source === dl_source && {held()}"
    x = alt.X("test:Q", title="accuracy at this noise rate", axis=FEW, scale=UNIT)
    order = [*known, *sorted(set(cells.method) - set(known))]
    y = alt.Y("method:N", title=None, sort=order, axis=alt.Axis(labels=False, ticks=False))
    base = shown(cells, here)
    labels = {"train": "noisy training labels", "test": "equally noisy test labels"}
    told = {side: (".1%", title) for side, title in (labels | {"clean": "clean test labels"}).items()}
    tip = [*tips("method", **told), "seeds"]
    strong = "datum.method === dl_method || datum.whole"
    mark = either(strong, 5, 2)
    names = shown(cells[["source", "method"]].drop_duplicates(), "datum.source === dl_source")
    left = alt.layer(
        names.mark_text(align="left", baseline="bottom", dy=-4, color=INK, opacity=0.85).encode(
            x=alt.value(3), y=y, text="method:N"
        ),
        base.mark_rule(color=ROLES["null"], yOffset=4).encode(x=x, x2="train:Q", y=y, strokeWidth=mark),
        base.mark_point(filled=True, size=65, color=ROLES["train"], opacity=1, yOffset=4).encode(
            x="train:Q", y=y, tooltip=tip
        ),
        base.mark_point(filled=True, size=65, color=ROLES["test"], shape="square", opacity=1, yOffset=4).encode(
            x=x, y=y, tooltip=tip
        ),
        shown(cells[["source", "noise", "least", "most"]].drop_duplicates(), here)
        .transform_calculate(clean="1 - datum.noise")
        .mark_rule(strokeDash=[6, 4], color=ROLES["bayes"], strokeWidth=2)
        .encode(x="clean:Q"),
    ).properties(height=alt.Step(29))
    long = across_noise.rename(columns=labels)
    long = long.melt(["source", "method", "noise", "whole"], [*labels.values()], "side", "accuracy")
    across = alt.X("noise:Q", title="noise rate", axis=FEW, scale=alt.Scale(domain=[0, 0.95], nice=False))
    up = alt.Y("accuracy:Q", title="accuracy", axis=RATE, scale=UNIT)
    colour = roles("side", {labels["train"]: "train", labels["test"]: "test"})
    dash = alt.StrokeDash("who:N", legend=None, scale=alt.Scale(domain=["end to end", "probe"], range=[[2, 2], [1, 0]]))
    lines = shown(long, f"datum.source === dl_source && ({strong})")
    lines = lines.transform_calculate(who="datum.whole ? 'end to end' : 'probe'")
    each = rows[~rows.whole].rename(columns={f"{side}_on_noisy_labels": label for side, label in labels.items()})
    seeds = each.melt(["source", "method", "noise", "seed"], [*labels.values()], "side", "accuracy")
    mine = "datum.source === dl_source && datum.method === dl_method"
    tip = tips("method", "side", "noise", accuracy=".1%")
    right = alt.layer(
        dashed({"noise": [0, 0.9], "accuracy": [1, 0.1]}, "bayes").encode(x=across, y=up),
        lines.mark_line(strokeWidth=2.2, point={"size": 30, "opacity": 1}).encode(
            x=across, y=up, color=colour, strokeDash=dash, tooltip=tip
        ),
        shown(seeds.round(4), mine).mark_circle(size=18, opacity=0.5).encode(x=across, y=up, color=colour),
        single(zero=0).transform_calculate(noise="dl_noise").mark_rule(color=ROLES["null"]).encode(x="noise:Q"),
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
