"""Charts of chapter 2: penalties over depth, cross-stage matrices, similarity against penalty, more is better."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from dlcore import published
from dlcore.figures.controls import abbreviated, coded, menu, pick
from dlcore.figures.shared import Highlight, begin, named
from dlcore.figures.theme import ROLES, finish, paired
from dlcore.metrics.statistics import mean_interval
from dlcore.tables.pairs import USUAL_MAP

_NAMES = {"mlp": "MLP", "convnet": "convnet", "resnet": "ResNet", "resnet18": "ResNet-18"}
PAPER = "the paper, CIFAR-10"
_LINES = {
    "excess over the self-stitch": ("excess", ROLES["highlight"]),
    "penalty": ("penalty", ROLES["train"]),
    "self-stitch": ("self_penalty", ROLES["null"]),
    "untrained bottom": ("random_penalty", ROLES["test"]),
    PAPER: ("published", ROLES["thesis"]),
}
# the paper's curve nearest to each of our pairs
_PUBLISHED = {
    "two seeds": "two seeds",
    "disjoint halves": "disjoint halves of the data",
    "two superclasses": "two superclasses",
    "10 % random labels": "10 % random labels",
    "50 % random labels": "50 % random labels",
    "100 % random labels": "100 % random labels",
    "SimCLR bottom, supervised top": "SimCLR bottom, supervised top",
    "supervised bottom, SimCLR top": "supervised bottom, SimCLR top",
    "bottom all data, top a quarter": "bottom 25K samples, top 10K",
    "other quarter of the data, top a quarter": "other 10K samples, top 10K",
    "bottom 5 % of the data, top a quarter": "bottom 5K samples, top 10K",
    "epochs x 2": "twice the epochs",
}
INDICES = {
    "linear_cka": "linear CKA",
    "linear_cka_debiased": "linear CKA, debiased",
    "procrustes": "Procrustes",
    "mutual_knn": "mutual 10-NN",
    "rsa": "RSA",
}
DEPTH = alt.X("depth:Q", title="share of the stages taken from the bottom", scale=alt.Scale(domain=[0, 1]))
POINTS = alt.Axis(format=".0%", tickCount=6)


def setting(rows: pd.DataFrame) -> pd.DataFrame:
    rows = named(rows)
    widths = [f" of width {int(w)}" for w in rows.width]
    return rows.assign(
        setting=rows.data + ", " + rows.architecture.map(_NAMES) + np.where(rows.usual_width, "", widths)
    )


def choices(rows: pd.DataFrame) -> list[str]:
    """Returns the settings for a menu: the convnets first, networks of other widths last."""
    found = rows.drop_duplicates("setting")
    order = found.assign(other=~found.usual_width, late=found.architecture != "convnet")
    return list(order.sort_values(["other", "late", "setting"], kind="stable").setting)


def means(rows: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    found = []
    for key, group in rows.groupby(by, sort=False):
        i = mean_interval(group[value].dropna())
        found.append({**dict(zip(by, key, strict=True)), "value": i.value, "low": i.low, "high": i.high, "pairs": i.n})
    return pd.DataFrame(found)


def penalty_by_depth(stages: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """The penalty over depth with its controls, for a kind of pair and of map, beside the paper's curve of that kind.

    Args: stages: `dlcore.tables.stages`.
    """
    rows = setting(stages[stages.stitcher_data == "top"])
    start = begin(highlight)
    by = ["setting", "pair", "map", "line", "depth", "top_stage"]
    own = [means(rows.assign(line=line), by, column) for line, (column, _) in _LINES.items() if column != "published"]
    source = published.read("bansal2021_stitching")
    theirs = [
        pd.DataFrame({"setting": PAPER, "pair": p, "map": USUAL_MAP, "line": PAPER, "depth": t.x}).assign(
            value=t.penalty / 100, pairs=1, top_stage=""
        )
        for p, curve in _PUBLISHED.items()
        if len(t := source[source.curve == curve]) and p in set(rows.pair)
    ]
    nothing = pd.DataFrame({"pair": [], "map": [], "line": [], "depth": [], "value": [], "pairs": [], "top_stage": []})
    cells, theirs = (pd.concat(part, ignore_index=True).round(4) for part in (own, theirs or [nothing]))
    pairs = [p for p in _PUBLISHED if p in set(rows.pair)] + sorted(set(rows.pair) - set(_PUBLISHED))
    settings, maps = choices(rows), list(dict.fromkeys(rows["map"]))
    maps.sort(key=lambda name: (not name.startswith(USUAL_MAP), name))
    chosen = menu(pairs, pick(start, "pair", pairs, "two seeds"), "bottom", "dl_pair")
    where = menu(settings, pick(start, "setting", settings, settings[0]), "networks", "dl_setting")
    between = menu(maps, pick(start, "map", maps, USUAL_MAP), "map", "dl_map")
    menus = {"pair": ("dl_pair", pairs), "setting": ("dl_setting", settings), "map": ("dl_map", maps)}
    colour = alt.Color(
        "line:N",
        title=None,
        scale=alt.Scale(domain=list(_LINES), range=[c for _, c in _LINES.values()]),
        legend=alt.Legend(orient="bottom", columns=2, symbolType="stroke"),
    )
    up = alt.Y("value:Q", title="points of test error", axis=POINTS)
    short, here = coded(cells, menus)
    short, words = abbreviated(short, "line", "top_stage")
    base = alt.Chart(short).transform_filter(here).transform_calculate(**words)
    paper = alt.Chart(theirs.drop(columns="setting", errors="ignore"))
    paper = paper.transform_filter("datum.pair === dl_pair && datum.map === dl_map")
    dots = rows[["setting", "pair", "map", "depth"]].assign(value=rows.excess).dropna().round(4)
    there = set(zip(rows.pair, rows.setting, rows["map"], strict=True))
    missing = [c for c in itertools.product(pairs, settings, maps) if c not in there]
    dots, note = (coded(part, menus)[0] for part in (dots, pd.DataFrame(missing, columns=["pair", "setting", "map"])))
    return finish(
        alt.layer(
            alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=ROLES["null"], strokeDash=[2, 3]).encode(y="zero:Q"),
            base.mark_errorbar().encode(
                x=DEPTH, y=alt.Y("low:Q", title="points of test error"), y2="high:Q", color=colour
            ),
            *(
                part.mark_line(point=True, strokeWidth=2.5).encode(
                    x=DEPTH,
                    y=up,
                    color=colour,
                    tooltip=["line", "top_stage", alt.Tooltip("value:Q", format=".1%"), "pairs"],
                )
                for part in (base, paper)
            ),
            alt.Chart(dots)
            .transform_filter(here)
            .mark_circle(size=22, opacity=0.45, color=_LINES["excess over the self-stitch"][1])
            .encode(x=DEPTH, y=up),
            alt.Chart(note)
            .transform_filter(here)
            .mark_text(text="No pair of this kind is recorded with this map; two seeds are.", color=ROLES["null"])
            .encode(x=alt.value(alt.expr("width / 2")), y=alt.value(40)),
        )
        .properties(width="container", height=330)
        .add_params(where, chosen, between),
        name="stitching-penalty",
        title="Trained bottoms are interchangeable, untrained ones are not",
        subtitle="Mean, 95 % interval; dots: the excess of each pair. The excess takes off what the map itself costs.",
        description="Test error of the stitched network minus that of the top, over the share of stages taken from the "
        "bottom, for the chosen kind of bottom and of map: the penalty, the self-stitch, the excess over it, an untrained "
        "bottom, and the paper's curve on CIFAR-10. Between seeds the excess stays near zero; the untrained bottom rises "
        "with depth.",
        rows=pd.concat([cells, theirs], ignore_index=True),
    )


def cross_stage(table: pd.DataFrame, arrays: Mapping[str, dict], highlight: Highlight = None) -> alt.HConcatChart:
    """Every stage of the bottom into every stage of the top: fitted to the task beside least squares.

    Args: table: `dlcore.tables.stitching`; arrays: key of a record -> its arrays.
    """
    rows = setting(table[table.cross.astype(bool)])
    cells = []
    for row in rows.to_dict("records"):
        found = arrays[row["key"]]
        for fit, name in (("task", "fitted to the task"), ("least_squares", "least squares")):
            for i, low in enumerate(found["stages"]):
                for j, high in enumerate(found["stages"]):
                    cell = {"setting": row["setting"], "fit": name, "bottom": low, "top": high}
                    cells.append({**cell, "penalty": found[fit][i][j]})
    grouped = pd.DataFrame(cells).groupby(["setting", "fit", "bottom", "top"], as_index=False, sort=False)
    shown = grouped.agg(penalty=("penalty", "mean"), pairs=("penalty", "size")).round(5)
    settings = choices(rows)
    where = menu(settings, pick(begin(highlight), "setting", settings, settings[0]), "networks", "dl_setting")
    high = float(shown.penalty.max())

    def panel(fit: str) -> alt.LayerChart:
        base = (
            alt.Chart(shown)
            .transform_filter(f"datum.setting === dl_setting && datum.fit === '{fit}'")
            .encode(
                x=alt.X("top:N", title="into the top after", sort=None, axis=alt.Axis(labelAngle=-40)),
                y=alt.Y("bottom:N", title="bottom until", sort=None),
            )
        )
        colour = alt.Color(
            "penalty:Q",
            title="penalty",
            scale=alt.Scale(scheme="blues", domain=[0, high], clamp=True),
            legend=alt.Legend(format=".0%", orient="bottom"),
        )
        text = alt.condition(f"datum.penalty > {high / 2}", alt.value("white"), alt.value("#222"))
        return alt.layer(
            base.mark_rect().encode(color=colour, tooltip=["bottom", "top", "pairs"]),
            base.mark_text().encode(text=alt.Text("penalty:Q", format=".1%"), color=text),
        ).properties(title=fit, height=240)

    return finish(
        paired(panel("fitted to the task"), panel("least squares")).add_params(where),
        name="stitching-cross-stage",
        title="A late stage stitches into an early one: the task loss does not tell stages apart",
        subtitle="Penalty, mean over pairs of seeds. Rows: stage of the bottom; columns: stage of the top.",
        description="Two heat maps of the stitching penalty for every stage of the bottom into every stage of the top. "
        "Fitted to the task, late bottoms cost little wherever they are put; by least squares the penalty is least "
        "near the diagonal.",
        rows=shown,
    )


def similarity_against_penalty(stages: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """A similarity index of each stage against the excess penalty of stitching there; all kinds of pairs."""
    rows = setting(stages[stages.usual])
    cells = rows[["setting", "pair", "top_stage", "seed", "excess", *INDICES]].round(4)
    settings, pairs = choices(rows), sorted(set(rows.pair))
    start = begin(highlight)
    where = menu(settings, pick(start, "setting", settings, settings[0]), "networks", "dl_setting")
    which = menu(list(INDICES), "linear_cka", "index", "dl_index", list(INDICES.values()))
    chosen = menu(pairs, pick(start, "pair", pairs, "two seeds"), "bottom", "dl_pair")
    short, here = coded(cells, {"setting": ("dl_setting", settings)})
    short, words = abbreviated(short, "pair", "top_stage")
    mine = "datum.pair === dl_pair"
    points = (
        alt.Chart(short)
        .transform_filter(here)
        .transform_calculate(similarity="datum[dl_index]", **words)
        .transform_filter("isValid(datum.similarity)")
        .mark_circle()
        .encode(
            x=alt.X("similarity:Q", title="similarity of the two networks at the stage", scale=alt.Scale(zero=False)),
            y=alt.Y("excess:Q", title="excess penalty", axis=POINTS),
            color=alt.condition(mine, alt.value(ROLES["highlight"]), alt.value(ROLES["train"])),
            opacity=alt.condition(mine, alt.value(1), alt.value(0.35)),
            size=alt.condition(mine, alt.value(70), alt.value(30)),
            tooltip=["pair", "top_stage", "seed", alt.Tooltip("similarity:Q"), alt.Tooltip("excess:Q", format=".1%")],
        )
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=ROLES["null"], strokeDash=[2, 3]).encode(y="zero:Q")
    return finish(
        alt.layer(zero, points).properties(width="container", height=330).add_params(where, which, chosen),
        name="stitching-similarity",
        title="Similar by an index is not the same as interchangeable",
        subtitle="A dot: one stage of one pair of networks. Pink: the chosen kind of bottom.",
        description="Similarity of the two representations at a stage, by the chosen index, against the excess stitching "
        "penalty at that stage, for all kinds of pairs; the chosen kind is highlighted.",
        rows=cells,
    )


def more_is_better(stages: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """Bottoms trained on more or less data than the top, the stitcher on the top's own samples or on all of them."""
    rows = setting(stages[stages.pair.str.endswith("top a quarter") & (stages["map"] == USUAL_MAP)])
    rows = rows.assign(samples=rows.stitcher_data.map({"top": "the top's own", "all": "all (as in the original)"}))
    by = ["setting", "samples", "bottom", "depth", "top_stage"]
    short = {"bottom 5 % of the data, top a quarter": "5 % of the data", "bottom all data, top a quarter": "all data"}
    rows = rows.assign(bottom=rows.pair.map(short).fillna("another quarter"))
    own = rows.drop_duplicates(["setting", "samples", "seed", "depth"]).assign(bottom="the top itself")
    shown = pd.concat([means(rows, by, "penalty"), means(own, by, "self_penalty")], ignore_index=True).round(5)
    settings = choices(rows)
    where = menu(settings, pick(begin(highlight), "setting", settings, settings[0]), "networks", "dl_setting")
    kinds = ["the top's own", "all (as in the original)"]
    which = menu(kinds, kinds[0], "the stitcher sees", "dl_samples")
    domain = ["5 % of the data", "another quarter", "all data", "the top itself"]
    colour = alt.Color(
        "bottom:N",
        title="bottom trained on",
        scale=alt.Scale(domain=domain, range=[ROLES["test"], ROLES["train"], ROLES["sampler"], ROLES["null"]]),
        legend=alt.Legend(orient="bottom"),
    )
    base = alt.Chart(shown).transform_filter("datum.setting === dl_setting && datum.samples === dl_samples")
    up = alt.Y("value:Q", title="penalty, points of test error", axis=POINTS)
    return finish(
        alt.layer(
            alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=ROLES["null"], strokeDash=[2, 3]).encode(y="zero:Q"),
            base.mark_errorbar().encode(
                x=DEPTH, y=alt.Y("low:Q", title="penalty, points of test error"), y2="high:Q", color=colour
            ),
            base.mark_line(point=True, strokeWidth=2.5).encode(
                x=DEPTH,
                y=up,
                color=colour,
                tooltip=["bottom", "top_stage", alt.Tooltip("value:Q", format=".1%"), "pairs"],
            ),
        )
        .properties(width="container", height=330)
        .add_params(where, which),
        name="stitching-more-data",
        title="More data is better, and part of the gain was the stitcher's",
        subtitle="The top has a quarter of the samples. Below zero: better than the top's own bottom. Mean, 95 % interval.",
        description="Stitching penalty over depth for bottoms trained on 5 %, another quarter, or all of the data, and the "
        "self-stitch, into a top trained on a quarter. When the stitcher sees all samples even the self-stitch gains.",
        rows=shown,
    )
