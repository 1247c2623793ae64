"""Charts of chapter 2: penalties over depth, cross-stage matrices, similarity against penalty, more is better."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import pandas as pd

from dlcore import published
from dlcore.figures.controls import abbreviated, coded, menu, pick
from dlcore.figures.shared import Highlight, begin
from dlcore.figures.stitching_shared import (
    DEPTH,
    INDICES,
    PAPER,
    POINTS,
    PUBLISHED,
    absent,
    choices,
    means,
    orders,
    setting,
    spread,
)
from dlcore.figures.theme import ROLES, finish, paired
from dlcore.tables.pairs import USUAL_MAP

_LINES = {
    "excess over the self-stitch": ("excess", ROLES["highlight"]),
    "penalty": ("penalty", ROLES["train"]),
    "self-stitch": ("self_penalty", ROLES["null"]),
    "untrained bottom": ("random_penalty", ROLES["test"]),
    PAPER: ("published", ROLES["thesis"]),
}


def _of_seeds(rows: pd.DataFrame) -> tuple[str, str]:
    """Returns the title and the last sentence of the description: what the pairs of two seeds show, whatever is chosen."""
    seeds = rows[(rows.pair == "two seeds") & (rows["map"] == USUAL_MAP) & rows.usual_width]
    seeds = seeds.dropna(subset=["penalty", "random_penalty", "excess"])
    if seeds.empty:
        return "What a stitch costs at each stage, beside its controls", ""
    stages = seeds.groupby(["setting", "depth"])[["penalty", "random_penalty", "excess"]].mean()
    less = int((stages.penalty < stages.random_penalty).sum())
    return (
        f"Between two seeds a trained bottom costs less than an untrained one at {less} of {len(stages)} stages",
        f"Between seeds the mean excess of a stage is {spread(stages.excess)}, by stage and networks, and the penalty "
        f"of an untrained bottom {spread(stages.random_penalty)}.",
    )


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
        for p, curve in PUBLISHED.items()
        if len(t := source[source.curve == curve]) and p in set(rows.pair)
    ]
    nothing = pd.DataFrame({"pair": [], "map": [], "line": [], "depth": [], "value": [], "pairs": [], "top_stage": []})
    cells, theirs = (pd.concat(part, ignore_index=True).round(4) for part in (own, theirs or [nothing]))
    pairs = [p for p in PUBLISHED if p in set(rows.pair)] + sorted(set(rows.pair) - set(PUBLISHED))
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
    title, words_on_seeds = _of_seeds(rows)
    base = alt.Chart(short).transform_filter(here).transform_calculate(**words)
    paper = alt.Chart(theirs.drop(columns="setting", errors="ignore"))
    paper = paper.transform_filter("datum.pair === dl_pair && datum.map === dl_map")
    dots = rows[["setting", "pair", "map", "depth"]].assign(value=rows.excess).dropna().round(4)
    dots = coded(dots, menus)[0]
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
            absent(rows, menus, "No pair of this kind is recorded with this map and these networks."),
        )
        .properties(width="container", height=330)
        .add_params(where, chosen, between),
        name="stitching-penalty",
        title=title,
        subtitle="Mean, 95 % interval; dots: the excess of each pair. The excess takes off what the map itself costs.",
        description="Test error of the stitched network minus that of the top, over the share of stages taken from the "
        "bottom, for the chosen kind of bottom and of map: the penalty, the self-stitch, the excess over it, an untrained "
        f"bottom, and the paper's curve on CIFAR-10. {words_on_seeds}",
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
        title="A late stage stitches into an early one, if the map is fitted to the task",
        subtitle="Penalty, mean over pairs of seeds. Rows: stage of the bottom; columns: stage of the top.",
        description="Two heat maps of the stitching penalty for every stage of the bottom into every stage of the top. "
        "Fitted to the task, late bottoms cost little wherever they are put; by least squares they cost more in an early "
        "top than in a late one.",
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
        title="Similar by an index need not mean a cheap stitch",
        subtitle="A dot: one stage of one pair of networks. Pink: the chosen kind of bottom.",
        description="Similarity of the two representations at a stage, by the chosen index, against the excess stitching "
        f"penalty at that stage, for all kinds of pairs; the chosen kind is highlighted. {orders(rows)}",
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
    menus = {"setting": ("dl_setting", settings), "samples": ("dl_samples", kinds)}
    last = own[own.samples == kinds[1]].groupby(["setting", "seed"]).tail(1).groupby("setting").self_penalty.mean()
    gains = (
        f"With a stitcher of all samples the self-stitch of the last stage costs {spread(last)}." if len(last) else ""
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
            absent(shown, menus, "No pair of these networks is recorded with this stitcher."),
        )
        .properties(width="container", height=330)
        .add_params(where, which),
        name="stitching-more-data",
        title="More data is better, and part of the gain was the stitcher's",
        subtitle="The top has a quarter of the samples. Below zero: better than the top's own bottom. Mean, 95 % interval.",
        description="Stitching penalty over depth for bottoms trained on 5 %, another quarter, or all of the data, and the "
        f"self-stitch, into a top trained on a quarter. {gains}",
        rows=shown,
    )
