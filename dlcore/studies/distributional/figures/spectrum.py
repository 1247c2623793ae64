"""Charts of chapter 3: from sampler to Bayes rule, and the joint densities on train and test."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from dlcore.charts.controls import Saying, choose, chosen, rates
from dlcore.charts.layers import dashed, either, shown, single, tips
from dlcore.charts.shared import CLASS_NAMES, FEW, RATE, UNIT, Highlight, begin, named
from dlcore.charts.theme import ROLES, finish, paired, singled
from dlcore.charts.words import in_points, percent
from dlcore.studies.distributional.partitions import PARTITIONS
from dlcore.summaries import family, ordered, over_seeds


def spectrum(table: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """Test flip rate against the training noise for every family, between the Bayes step and the sampler diagonal."""
    rows = named(table[(table.experiment == "cyclic") & table.usual & table.dataset.isin(["digits", "mnist1d"])])
    rows = rows[["data", "family", "noise", "seed", "flip_rate_test", "train_error"]].round(4)
    start, families = begin(highlight), ordered(rows.family)
    rate = rates(start, rows.noise, 0.3)
    classifier = choose(start, "family", families, "architecture", family("knn"))
    dataset = choose({"data": start.get("dataset")}, "data", rows.data, "data")
    means = over_seeds(rows, ["data", "family", "noise"], "flip_rate_test")
    mine = "datum.family === dl_family"
    colour = singled(mine)
    x = alt.X("noise:Q", title="noise rate in training", axis=FEW, scale=alt.Scale(domain=[0, 0.92]))
    y = alt.Y("flip_rate_test:Q", title="rate of the noise's target on test", axis=RATE, scale=UNIT)
    step = {"noise": [0, 0.5, 0.5, 0.9], "flip_rate_test": [0, 0, 1, 1], "order": range(4)}
    tip = tips("family", "noise", "seed", flip_rate_test=".3f")
    base = shown(means, "datum.data === dl_data").encode(x=x, y=y)
    seeds = shown(rows, f"datum.data === dl_data && {mine}").encode(x=x, y=y)
    left = alt.layer(
        dashed({"noise": [0, 0.9], "flip_rate_test": [0, 0.9]}, "sampler").encode(x=x, y=y),
        dashed(step, "bayes", (2, 3)).encode(x=x, y=y, order="order:Q"),
        base.mark_line().encode(
            color=colour,
            detail="family:N",
            strokeWidth=either(mine, 3.5, 1.2),
        ),
        seeds.mark_circle(size=30, opacity=0.7).encode(color=colour, tooltip=tip),
        single(zero=0).transform_calculate(noise="dl_noise").mark_rule(color=ROLES["null"]).encode(x=x),
        *(
            single(noise=noise, flip_rate_test=rate, text=text)
            .mark_text(color=ROLES[role], align="right")
            .encode(x=x, y=y, text="text:N")
            for noise, rate, text, role in ((0.91, 0.66, "sampler", "sampler"), (0.47, 0.95, "Bayes rule", "bayes"))
        ),
    ).properties(height=330)
    here = chosen(dataset, rate)
    said = {}
    for (name, noise), part in means.groupby(["data", "noise"], sort=False):
        at = part.set_index("family").flip_rate_test.sort_values()
        said[(name, noise)] = (
            f"{name}, {_labels(noise)}: the rate of the noise's target on test runs from {in_points(at.iloc[0])} % "
            f"({at.index[0]}) to {in_points(at.iloc[-1])} % ({at.index[-1]})"
        )
    across = alt.X("flip_rate_test:Q", title="at the chosen noise rate", axis=FEW, scale=UNIT)
    down = alt.Y("family:N", title=None, sort=families)
    line = single(zero=0).transform_calculate(sampler="dl_noise", bayes="dl_noise > 0.5 ? 1 : 0")
    means = shown(means, here)
    right = alt.layer(
        line.mark_rule(strokeDash=[6, 4], color=ROLES["sampler"], strokeWidth=2).encode(x="sampler:Q"),
        line.mark_rule(strokeDash=[2, 3], color=ROLES["bayes"], strokeWidth=2).encode(x="bayes:Q"),
        shown(rows, here).mark_circle(size=26, opacity=0.55).encode(x=across, y=down, color=colour),
        means.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", scale=UNIT), x2="high:Q", y=down, color=colour),
        means.mark_point(shape="diamond", filled=True, size=90).encode(
            x=across, y=down, color=colour, tooltip=[*tips("family", flip_rate_test=".3f"), "seeds"]
        ),
    ).properties(height=330)
    return finish(
        paired(left, right),
        name="spectrum",
        controls=[dataset, rate, classifier],
        title=Saying((dataset, rate), said, "How often test outputs are the label that the noise would have given"),
        subtitle="Labels move from class l to l + 1 with the noise rate. Dots: seeds; diamonds and bars: mean, 95 % interval.",
        description="Left: test rate of predicting the noise's target against the training noise rate, one line per "
        "model family, with the sampler diagonal and the Bayes step at one half. Right: every family at the chosen "
        "noise rate.",
        rows=rows,
    )


def _labels(noise: float) -> str:
    """Returns what the training labels of a rate are called in a title."""
    return f"{percent(noise)} noise" if noise else "clean labels"


def _comes_back(cells: pd.DataFrame) -> dict[tuple[str, float], str]:
    """Returns the finding of every state: the share of the noisy class with the noise's label, in training and on test."""
    said = {}
    for row in cells.to_dict("records"):
        found = f"{in_points(row['train'])} % of its training and {in_points(row['test'])} % of its test points"
        said[(row["setting"], row["noise"])] = (
            f"{row['setting']}: {percent(row['noise'])} of class {row['class']} were labelled {row['prediction']} in training; the "
            f"classifier gives that label to {found}"
            if row["noise"]
            else f"{row['setting']}, {_labels(0)}: of class {row['class']} the classifier takes {found} for {row['prediction']}"
        )
    return said


def joint_density(table: pd.DataFrame, arrays: Mapping[str, dict], highlight: Highlight = None) -> alt.HConcatChart:
    """Paired heat maps of p(prediction | class) on train and test, noisy subgroup.

    `arrays` maps a record's key to its arrays (`counts_train`, `counts_test`); seeds are pooled.
    """
    rows = named(table[(table.experiment == "subgroup") & table.usual & ~table.feature.astype(bool)])
    names = {"digits": [str(k) for k in range(10)]} | CLASS_NAMES
    found = []
    for (dataset, data, name, noise), group in rows.groupby(["dataset", "data", "family", "noise"], sort=False):
        pooled = [sum(np.array(arrays[k][side]) for k in group.key) for side in ("counts_train", "counts_test")]
        train, test = (p / np.maximum(p.sum(1, keepdims=True), 1) for p in pooled)
        partition = PARTITIONS[dataset]
        for level, k in np.ndindex(train.shape):
            entry = {"setting": f"{data}: {name}", "noise": noise, "class": names[dataset][level]}
            entry |= {"prediction": partition.binary_names[k], "train": train[level, k], "test": test[level, k]}
            found.append({**entry, "seeds": len(group), "flipped": (level, k) == (partition.noisy, 0)})
    cells = pd.DataFrame(found).round(4)
    said = _comes_back(cells[cells.pop("flipped")])
    start = begin(highlight)
    wanted = {"setting": f"{start['dataset']}: {start['family']}"} if {"dataset", "family"} <= set(start) else None
    rate = rates(start, cells.noise, 0.3)
    setting = choose(wanted, "setting", cells.setting, "data and architecture", f"CIFAR-10: {family('resnet')}")
    base = shown(cells, chosen(setting, rate))
    classes, predictions = (list(dict.fromkeys(cells[c])) for c in ("class", "prediction"))

    def panel(side: str) -> alt.LayerChart:
        x = alt.X(
            "prediction:N", title=f"predicted on {side}", sort=predictions, axis=alt.Axis(labelAngle=0, orient="top")
        )
        y = alt.Y("class:N", title="class", sort=classes)
        colour = alt.Color(
            f"{side}:Q",
            title="share of the class",
            scale=alt.Scale(domain=[0, 1], scheme="blues"),
            legend=alt.Legend(orient="bottom", format=".0%", values=[0, 0.5, 1]) if side == "train" else None,
        )
        tip = [*tips("class", "prediction", train=".1%", test=".1%"), "seeds"]
        text = base.mark_text().encode(
            x=x,
            y=y,
            text=alt.Text(f"{side}:Q", format=".1%"),
            color=either(f"datum.{side} > 0.55", "white", "#1a1a1a"),
        )
        return alt.layer(base.mark_rect().encode(x=x, y=y, color=colour, tooltip=tip), text).properties(height=300)

    return finish(
        paired(panel("train"), panel("test")).resolve_scale(color="shared"),
        name="joint-density",
        controls=[setting, rate],
        title=Saying((setting, rate), said, "Noise put on one class in training: where does it come back?"),
        subtitle="Share of each true class that gets each label. In training, some of one class got the first label.",
        description="Two heat maps of the share of each class predicted as each label, on train and on test, for the "
        "chosen data set, architecture and noise rate.",
        rows=cells,
    )
