"""Charts of chapter 2: penalties over depth, cross-stage matrices, similarity against penalty, more is better."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt
import pandas as pd

from dlcore.charts.controls import Saying, choose, chosen, menu
from dlcore.charts.layers import either, shown, tips, zero
from dlcore.charts.shared import INK, UNIT, Highlight, begin
from dlcore.charts.theme import DASHED, DOTTED, ROLES, SOLID, dashes, finish, paired, roles
from dlcore.studies.stitching.figures.shared import (
    DEPTH,
    INDICES,
    PAPER,
    POINTS,
    PUBLISHED,
    absent,
    choices,
    kinds_of,
    means,
    of_paper,
    orders,
    points,
    setting,
    spread,
)
from dlcore.studies.stitching.table import code, map_name, pair_name, rank_correlations
from dlcore.summaries import select

# line -> its column, role and dash
_LINES = {
    "excess over the self-stitch": ("excess", "chosen", SOLID),
    "penalty": ("penalty", "chosen", DASHED),
    "self-stitch": ("self_penalty", "null", SOLID),
    "untrained bottom": ("random_penalty", "null", DASHED),
    PAPER: ("published", "paper", SOLID),
}
_CLOSE = 0.05  # points of test error either side of zero in the enlarged panel


def _of_seeds(rows: pd.DataFrame) -> str:
    """Returns the last sentence of the description: what the pairs of two seeds show, whatever is chosen."""
    seeds = rows[(rows.contrast == "seeds") & rows.paper_map & rows.usual_width]
    seeds = seeds.dropna(subset=["penalty", "random_penalty", "excess"])
    if seeds.empty:
        return ""
    stages = seeds.groupby(["setting", "depth"])[["penalty", "random_penalty", "excess"]].mean()
    less = int((stages.penalty < stages.random_penalty).sum())
    return (
        f"Between two seeds a trained bottom costs less than an untrained one at {less} of {len(stages)} stages; the mean "
        f"excess of a stage is {spread(stages.excess)}, by stage and networks, and the penalty of an untrained bottom "
        f"{spread(stages.random_penalty)}."
    )


def _cost(cells: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Returns the finding of every state: the largest excess beside the largest penalty of an untrained bottom."""
    found = {}
    own = cells[cells.line.isin(["excess over the self-stitch", "untrained bottom"])]
    for key, part in own.groupby(["setting", "pair", "map"], sort=False):
        most = part.groupby("line").value.max()
        excess = most.get("excess over the self-stitch", float("nan"))
        if pd.isna(excess):
            continue
        text = f"{key[0]}, {key[1]}: a stitch costs at most {points(max(excess, 0))} points of test error more than the map itself"
        if "untrained bottom" in most:
            text += f"; an untrained bottom costs up to {points(most['untrained bottom'], 0)}"
        found[key] = text
    return found


def penalty_by_depth(stages: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """The penalty over depth with its controls, for a kind of pair and of map, beside the paper's curve; enlarged at zero.

    Args: stages: `by_stage`.
    """
    rows = setting(select(stages, stitcher_data="top"))
    start = begin(highlight)
    by = ["setting", "pair", "map", "line", "depth", "top_stage"]
    own = [means(rows.assign(line=line), by, column) for line, (column, *_) in _LINES.items() if column != "published"]
    cells, usual = pd.concat(own, ignore_index=True).round(4), map_name({})
    theirs = of_paper("bansal2021_stitching", PUBLISHED, rows)
    theirs = theirs.assign(setting=PAPER, map=usual, line=PAPER, value=theirs.penalty / 100, pairs=1, top_stage="")
    theirs = theirs.rename(columns={"x": "depth"})[
        ["setting", "pair", "map", "line", "depth", "value", "pairs", "top_stage"]
    ]
    settings, maps = choices(rows), list(dict.fromkeys(rows["map"]))
    maps.sort(key=lambda name: (not name.startswith(usual), name))
    controls = [
        choose(start, "setting", settings, "networks"),
        choose(start, "pair", kinds_of(rows, PUBLISHED), "bottom", pair_name("seeds")),
        choose(start, "map", maps, "map", usual),
    ]
    here = chosen(*controls)
    legend = alt.Legend(orient="bottom", columns=2, symbolType="stroke", symbolStrokeWidth=2.5, symbolOpacity=1)
    colour = roles("line", {line: role for line, (_, role, _) in _LINES.items()}, legend)
    dash = dashes("line", {line: dash for line, (*_, dash) in _LINES.items()})
    drawn = pd.concat([cells, theirs.round(4)], ignore_index=True)
    base = shown(drawn, f"({here}) || (datum.setting === '{PAPER}' && datum.pair === dl_pair && datum.map === dl_map)")
    dots = rows[["setting", "pair", "map", "depth"]].assign(value=rows.excess).dropna().round(4)
    names = base.transform_filter("datum.line === 'penalty'")

    def panel(up: alt.Y, *more: alt.Chart) -> alt.LayerChart:
        tip = [*tips("line:N", "top_stage:N", value=".1%"), "pairs:Q"]
        return alt.layer(
            zero(),
            base.mark_rule(strokeWidth=1.5, clip=True).encode(x=DEPTH, y=alt.Y("low:Q"), y2="high:Q", color=colour),
            base.mark_line(point={"size": 35, "opacity": 1}, strokeWidth=2.2, clip=True).encode(
                x=DEPTH, y=up, color=colour, strokeDash=dash, tooltip=tip
            ),
            shown(dots, here).mark_circle(size=18, opacity=0.5, color=ROLES["chosen"], clip=True).encode(x=DEPTH, y=up),
            *more,
        ).properties(height=300)

    whole = alt.Y("value:Q", title="points of test error", axis=POINTS)
    near = alt.Scale(domain=[-_CLOSE, _CLOSE])
    close = alt.Y("value:Q", title=f"the same, from -{_CLOSE:.0%} to {_CLOSE:.0%}", axis=POINTS, scale=near)
    # at the foot of the plot: the lines lie about zero here
    stage = names.mark_text(angle=270, align="left", dx=4, color=INK, opacity=0.75).encode(
        x=DEPTH, y=alt.value(300), text="top_stage:N"
    )
    note = absent(rows, controls, "No pair of this kind is recorded with this map and these networks.")
    return finish(
        paired(panel(whole, note), panel(close, stage)),
        name="stitching-penalty",
        controls=controls,
        title=Saying(tuple(controls), _cost(cells), "What a stitch costs at each stage, beside its controls"),
        subtitle="Mean, 95 % interval; dots: the excess of each pair. The excess leaves out what the map itself costs. "
        "Right: the same around zero, enlarged, with the names of the stages.",
        description="Test error of the stitched network minus that of the top, over the share of stages taken from the "
        "bottom, for the chosen kind of bottom and of map: the penalty, the self-stitch, the excess over it, an untrained "
        f"bottom, and the paper's curve on CIFAR-10. {_of_seeds(rows)}",
        rows=drawn,
        there=cells,
    )


def cross_stage(table: pd.DataFrame, arrays: Mapping[str, dict], highlight: Highlight = None) -> alt.HConcatChart:
    """Every stage of the bottom into every stage of the top: fitted to the task beside least squares.

    Args: table: `studies.stitching.table`; arrays: key of a record -> its arrays.
    """
    rows = setting(table[table.cross.astype(bool)])
    fits = {"task": "fitted to the task", "least_squares": "least squares"}
    cells = [
        {"setting": where, "fit": name, "bottom": low, "top": high, "penalty": penalty}
        for where, found in zip(rows.setting, rows.key.map(arrays), strict=True)
        for fit, name in fits.items()
        for low, row in zip(found["stages"], found[fit], strict=True)
        for high, penalty in zip(found["stages"], row, strict=True)
    ]
    grouped = pd.DataFrame(cells).groupby(["setting", "fit", "bottom", "top"], as_index=False, sort=False)
    penalties = grouped.agg(penalty=("penalty", "mean"), pairs=("penalty", "size")).round(5)
    settings = choices(rows)
    where = choose(begin(highlight), "setting", settings, "networks")
    low, high = min(0.0, float(penalties.penalty.min())), float(penalties.penalty.max())
    said = {}
    for name, part in penalties.groupby("setting", sort=False):
        corner = part[(part.bottom == part.bottom.iloc[-1]) & (part.top == part.top.iloc[0])].set_index("fit").penalty
        task, squares = (points(corner[fit], 0) for fit in fits.values())
        said[(name,)] = (
            f"{name}: the last stage put into the first costs {task} points of test error with a map fitted to the task, {squares} "
            "with least squares"
        )

    def panel(fit: str) -> alt.LayerChart:
        base = shown(penalties, f"datum.setting === dl_setting && datum.fit === '{fit}'").encode(
            x=alt.X("top:N", title="into the top after", sort=None, axis=alt.Axis(labelAngle=-40)),
            y=alt.Y("bottom:N", title="bottom until", sort=None),
        )
        colour = alt.Color(
            "penalty:Q",
            title="penalty",
            scale=alt.Scale(scheme="blues", domain=[low, high]),
            legend=alt.Legend(format=".0%", orient="bottom"),
        )
        text = either(f"datum.penalty > {high / 2}", "white", "#222")
        return alt.layer(
            base.mark_rect().encode(color=colour, tooltip=tips("bottom", "top", penalty=".1%")),
            base.mark_text().encode(text=alt.Text("penalty:Q", format=".1%"), color=text),
        ).properties(title=fit, height=240)

    return finish(
        paired(*(panel(fit) for fit in fits.values())),
        name="stitching-cross-stage",
        controls=[where],
        title=Saying((where,), said, "Every stage of one network into every stage of another"),
        subtitle="Penalty, mean over pairs of seeds. Rows: where the bottom ends; columns: where the top begins.",
        description="Two heat maps of the stitching penalty for every stage of the bottom into every stage of the top, with "
        "maps fitted to the task and with least squares.",
        rows=penalties,
    )


# the paper's CKA of the pair nearest to each of ours
_CKA: dict[tuple[str | float, ...], str] = {
    ("seeds",): "two seeds",
    ("bottom", "simclr", 1.0): "supervised and SimCLR",
    ("top", "simclr"): "supervised and SimCLR",
    ("to a quarter", 1.0): "5K against 25K samples",
    ("to a quarter", 0.05): "5K against 25K samples",
}


def _ranked(rows: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Returns the finding of every state: the mean rank correlation of an index with the excess over the stages of a pair."""
    kinds, said = rows.drop_duplicates("key").set_index("key")[["setting", "pair"]], {}
    for column, index in INDICES.items():
        found = kinds.assign(order=rank_correlations(rows, column)).dropna()
        for (name, pair), part in found.groupby(["setting", "pair"]):
            said[(name, pair, column)] = (
                f"Over the stages, {index} and the excess have a rank correlation of {part.order.mean():.2f} "
                f"({'one pair' if len(part) == 1 else f'mean of {len(part)} pairs'})"
            )
    return said


def similarity_against_penalty(stages: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """A similarity index over depth, and against the excess of stitching there: the chosen pairs, stage by stage."""
    rows = setting(stages[stages.usual]).assign(x=lambda t: t.depth.round(4))
    cells = rows[["setting", "pair", "top_stage", "seed", "x", "excess", *INDICES]].round(3)
    theirs = of_paper("bansal2021_cka", _CKA, rows).rename(columns={"cka": "value"})[["pair", "x", "value"]].round(4)
    start = begin(highlight)
    where = choose(start, "setting", choices(rows), "networks")
    kinds = choose(start, "pair", kinds_of(rows, _CKA), "bottom", pair_name("seeds"))
    which = menu(list(INDICES), "linear_cka", "index", "dl_index", list(INDICES.values()))
    mine = "datum.pair === dl_pair"
    drawn = shown(cells, "datum.setting === dl_setting")
    drawn = drawn.transform_calculate(similarity="datum[dl_index]").transform_filter("isValid(datum.similarity)")
    colour = roles("line", {"here": "chosen", PAPER: "paper"}, alt.Legend(orient="bottom", symbolOpacity=1))
    x = alt.X("x:Q", title="share of the stages", scale=UNIT)
    y = alt.Y("similarity:Q", title="similarity of the two networks", scale=UNIT)
    own = drawn.transform_filter(mine).transform_calculate(line="'here'")
    paper = shown(theirs, f"{mine} && dl_index === 'linear_cka'")
    paper = paper.transform_calculate(line=f"'{PAPER}'", similarity="datum.value")
    stage = tips("top_stage:N", similarity=".2f", excess=".1%")
    left = alt.layer(
        own.mark_line(strokeWidth=0.6).encode(x=x, y=y, color=colour, detail="seed:N"),
        own.mark_line(point={"size": 40, "opacity": 1}, strokeWidth=2.5).encode(
            x=x,
            y=alt.Y("mean(similarity):Q", title="similarity of the two networks", scale=UNIT),
            color=colour,
            tooltip=["x:Q", alt.Tooltip("mean(similarity):Q", format=".2f", title="similarity")],
        ),
        paper.mark_line(point={"size": 40, "opacity": 1}, strokeWidth=2).encode(
            x=x, y=y, color=colour, tooltip=tips("line:N", similarity=".2f")
        ),
        absent(rows, [where, kinds], "No pair of this kind is recorded with these networks."),
    ).properties(height=300)
    across = alt.X("similarity:Q", title="similarity of the two networks at a stage", scale=UNIT)
    up = alt.Y("excess:Q", title="excess penalty, points of test error", axis=POINTS)
    chosen_, others = (drawn.transform_filter(test) for test in (mine, f"!({mine})"))
    right = alt.layer(
        zero(),
        others.mark_circle(size=18, opacity=0.4, color=ROLES["null"]).encode(
            x=across, y=up, tooltip=["pair:N", *stage]
        ),
        chosen_.mark_line(strokeWidth=0.9, color=ROLES["chosen"]).encode(x=across, y=up, detail="seed:N", order="x:Q"),
        chosen_.mark_circle(size=45, opacity=1, color=ROLES["chosen"]).encode(
            x=across, y=up, tooltip=["pair:N", *stage]
        ),
    ).properties(height=300)
    return finish(
        paired(left, right),
        name="stitching-similarity",
        controls=[where, kinds, which],
        title=Saying((where, kinds, which), _ranked(rows), "A similarity index beside the cost of a stitch"),
        subtitle="Left: the index at each stage; thick: mean, thin: pairs. Right: the stages of each chosen pair, joined from first "
        "to last; grey: other kinds of bottoms. A rank correlation of -1: the stages most alike fit best.",
        description="Left: a similarity index of two networks at each stage, for the chosen kind of pair, beside the paper's "
        "linear CKA of that kind on CIFAR-10. Right: the same index against the excess stitching penalty at that stage, the "
        f"stages of a chosen pair joined. {orders(rows)}",
        rows=cells,
        there=cells,
    )


def more_is_better(stages: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """Bottoms trained on more or less data than the top: the stitcher on the top's own samples, and on all of them."""
    rows = setting(
        stages[(stages.contrast.str.startswith("to a quarter") | (stages.contrast == "quarters")) & stages.paper_map]
    )
    kinds = {"top": "map trained on the top's own samples", "all": "map trained on all samples, as in the original"}
    rows = rows.assign(samples=rows.stitcher_data.map(kinds))
    by = ["setting", "samples", "bottom", "depth", "top_stage"]
    short = {code("to a quarter", 0.05): "5 % of the data", code("to a quarter", 1.0): "all data"}
    rows = rows.assign(bottom=rows.contrast.map(short).fillna("another quarter"))
    own = rows.drop_duplicates(["setting", "samples", "seed", "depth"]).assign(bottom="the top itself")
    cells = pd.concat([means(rows, by, "penalty"), means(own, by, "self_penalty")], ignore_index=True).round(5)
    both = cells.groupby("setting").samples.nunique() == 2
    settings = [s for s in choices(rows) if both[s]] or choices(rows)
    where = choose(begin(highlight), "setting", settings, "networks")
    # the others from few samples to as many as the top's own
    lines = {"all data": SOLID, "the top itself": SOLID, "another quarter": DASHED, "5 % of the data": DOTTED}
    keys = alt.Legend(orient="bottom", symbolType="stroke", symbolStrokeWidth=2.5, symbolOpacity=1, columns=4)
    colour = roles("bottom", {name: "chosen" if name == "all data" else "null" for name in lines}, keys)
    dash = dashes("bottom", lines)
    last = own[own.samples == kinds["all"]].groupby(["setting", "seed"]).tail(1).groupby("setting").self_penalty.mean()
    gains = (
        f"With a map trained on all samples the self-stitch of the last stage costs {spread(last)}."
        if len(last)
        else ""
    )
    limits = cells[cells.setting.isin(settings)]
    domain = [float(limits[["low", "value"]].min().min()), float(limits[["high", "value"]].max().max())]

    def panel(samples: str) -> alt.LayerChart:
        base = shown(cells, f'datum.setting === dl_setting && datum.samples === "{samples}"')
        up = alt.Y("value:Q", title="penalty, points of test error", axis=POINTS, scale=alt.Scale(domain=domain))
        tip = [*tips("bottom:N", "top_stage:N", value=".1%"), "pairs:Q"]
        return alt.layer(
            zero(),
            base.mark_rule(strokeWidth=1.5).encode(x=DEPTH, y="low:Q", y2="high:Q", color=colour),
            base.mark_line(point={"size": 40, "opacity": 1}, strokeWidth=2.5).encode(
                x=DEPTH, y=up, color=colour, strokeDash=dash, tooltip=tip
            ),
        ).properties(height=300, title=samples)

    said = {}
    for name, part in cells.groupby("setting"):
        at = part[part.depth == part.depth.max()].set_index(["samples", "bottom"]).value
        keys = [(k, b) for k in kinds.values() for b in ("all data", "the top itself")]
        if all(k in at for k in keys):
            gain, confound = at[keys[0]], at[keys[3]]
            said[(name,)] = (
                f"{name}: a bottom that saw all data changes the top's error by {points(gain)} points; a map that saw all data "
                f"changes it by {points(confound)} with the top's own bottom"
            )
    return finish(
        paired(*(panel(k) for k in kinds.values())),
        name="stitching-more-data",
        controls=[where],
        title=Saying((where,), said, "More data for the bottom, and more data for the map"),
        subtitle="Lines: what the bottom was trained on; the top has a quarter of the samples. Below zero: better than the top's own bottom. Mean, 95 % interval.",
        description="Stitching penalty over depth for bottoms trained on 5 %, another quarter, or all of the data, and the "
        f"self-stitch, into a top trained on a quarter; left the map saw the top's own samples, right all of them. {gains}",
        rows=cells,
        there=limits,
    )
