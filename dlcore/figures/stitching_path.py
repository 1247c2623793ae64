"""Charts of chapter 2 beyond the penalty: the path between two networks, similarity over depth, freeze training."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from dlcore import published
from dlcore.figures.controls import abbreviated, coded, menu, pick
from dlcore.figures.shared import Highlight, begin
from dlcore.figures.stitching_shared import INDICES, PAPER, POINTS, absent, choices, means, orders, setting, spread
from dlcore.figures.theme import ROLES, finish

# the paper's CKA of the pair nearest to each of ours
_CKA = {
    "two seeds": "two seeds",
    "SimCLR bottom, supervised top": "supervised and SimCLR",
    "supervised bottom, SimCLR top": "supervised and SimCLR",
    "bottom all data, top a quarter": "5K against 25K samples",
    "bottom 5 % of the data, top a quarter": "5K against 25K samples",
}


def _legend(lines: dict[str, str]) -> alt.Color:
    legend = alt.Legend(
        orient="bottom", columns=2, symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5, labelLimit=300
    )
    return alt.Color(
        "line:N", title=None, scale=alt.Scale(domain=list(lines), range=list(lines.values())), legend=legend
    )


def _lines(means: alt.Chart, pairs: alt.Chart, x: alt.X, colour: alt.Color, tip: list, **y: Any) -> alt.LayerChart:
    """Returns means with intervals over the thin lines, or the dots, of single pairs; both charts have the column `value`."""
    base = means.encode(x=x, color=colour)
    return alt.layer(
        pairs.encode(x=x, y=alt.Y("value:Q", **y), color=colour),
        base.mark_errorbar().encode(y=alt.Y("low:Q", **y), y2="high:Q"),
        base.mark_line(point=True, strokeWidth=2.5).encode(y=alt.Y("value:Q", **y), tooltip=tip),
    )


def _thin(pairs: alt.Chart) -> alt.Chart:
    return pairs.mark_line(strokeWidth=1, opacity=0.3).encode(detail="seed:N")


def _tip(form: str, *names: str) -> list:
    return [*names, alt.Tooltip("value:Q", format=form), "pairs"]


def _summary(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return means(rows, [*by, "line", "x", "stage"], "value").round(5)


def stitching_path(stages: pd.DataFrame, table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """The path of stitched networks from the top to the bottom; an untrained bottom beside it.

    Args: stages: `dlcore.tables.stages`; table: `dlcore.tables.stitching`.
    """
    ends = table.dropna(subset=["bottom_error"]).set_index("key")
    rows = setting(stages[stages.usual & stages.key.isin(ends.index)])
    rows = rows.assign(bottom_error=rows.key.map(ends.bottom_error), barrier=rows.key.map(ends.barrier))
    number = rows.groupby("key").depth.transform("size") + 1
    place = rows.groupby("key").cumcount() + 1
    keep = ["setting", "pair", "seed"]
    trained, untrained = "trained bottom", "untrained bottom"

    def line(name: str, x: pd.Series | float, value: pd.Series, stage: pd.Series | str) -> pd.DataFrame:
        return rows[keep].assign(line=name, x=x, value=value, stage=stage)

    within = [
        line(n, place / number, rows.top_error + rows[c], rows.top_stage)
        for n, c in ((trained, "penalty"), (untrained, "random_penalty"))
    ]
    first = [line(n, 0.0, rows.top_error, "the top itself").drop_duplicates([*keep]) for n in (trained, untrained)]
    last = line(trained, 1.0, rows.bottom_error, "the bottom itself").drop_duplicates([*keep])
    dots = pd.concat([*first, *within, last], ignore_index=True).dropna(subset=["value"])
    dots = dots.assign(x=dots.x.round(4), value=dots.value.round(5)).sort_values(
        ["setting", "pair", "line", "seed", "x"]
    )
    cells = _summary(dots, ["setting", "pair"])
    pairs = [p for p in ("two seeds", "disjoint halves") if p in set(rows.pair)]
    pairs += sorted(set(rows.pair) - set(pairs))
    settings = choices(rows)
    start = begin(highlight)
    chosen = menu(pairs, pick(start, "pair", pairs, "two seeds"), "bottom", "dl_pair")
    where = menu(settings, pick(start, "setting", settings, settings[0]), "networks", "dl_setting")
    menus = {"pair": ("dl_pair", pairs), "setting": ("dl_setting", settings)}
    short, here = coded(cells, menus)
    short, words = abbreviated(short, "line", "stage")
    thin, names = abbreviated(coded(dots.drop(columns="stage"), menus)[0], "line")
    drawn = alt.Chart(short).transform_filter(here).transform_calculate(**words)
    single = _thin(alt.Chart(thin).transform_filter(here).transform_calculate(**names))
    note = absent(rows, menus, "No pair of this kind is recorded with these networks.")
    seeds = rows[rows.pair == "two seeds"].drop_duplicates("key").groupby("setting").barrier.mean().dropna()
    found = f"Between two seeds the mean barrier is {spread(seeds)}, by data and networks" if len(seeds) else ""
    x = alt.X(
        "x:Q", title="from the top (0) to the bottom (1): share of the bottom's stages", scale=alt.Scale(domain=[0, 1])
    )
    up = {"title": "test error", "axis": POINTS, "scale": alt.Scale(zero=True)}
    colour = _legend({trained: ROLES["highlight"], untrained: ROLES["test"]})
    return finish(
        alt.layer(_lines(drawn, single, x, colour, _tip(".3f", "line", "stage"), **up), note)
        .properties(width="container", height=330)
        .add_params(where, chosen),
        name="stitching-path",
        title=found or "The path of stitched networks from the top to the bottom",
        subtitle="Every point is a network: its first stages from the bottom, one map, the rest from the top. Thin: pairs.",
        description="Test error of the stitched networks on the way from the top, at 0, to the bottom, at 1, for the "
        "chosen kind of bottom, beside the same with an untrained bottom. What rises above both ends is the barrier. "
        f"{found}.",
        rows=cells,
    )


def barrier_by_width(table: pd.DataFrame) -> alt.LayerChart:
    """The barrier of the path between two seeds against the width of both networks.

    Args: table: `dlcore.tables.stitching`.
    """
    rows = table[table.usual & (table.pair == "two seeds")].dropna(subset=["barrier"])
    rows = setting(rows.assign(usual_width=True)).assign(value=rows.barrier.round(5))
    cells = means(rows, ["setting", "width"], "value").round(5)
    settings = list(dict.fromkeys(rows.setting))
    colours = [ROLES[role] for role in ("train", "highlight", "sampler", "test")][: len(settings)]
    colour = alt.Color(
        "setting:N",
        title=None,
        scale=alt.Scale(domain=settings, range=colours),
        legend=alt.Legend(orient="bottom", columns=2),
    )
    x = alt.X("width:Q", title="units or channels of the first stage", scale=alt.Scale(type="log", base=2))
    up = {"title": "barrier, points of test error", "axis": POINTS}
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color=ROLES["null"], strokeDash=[2, 3]).encode(y="zero:Q")
    dots = alt.Chart(rows[["setting", "width", "seed", "value"]]).mark_circle(size=22, opacity=0.45)
    lines = _lines(alt.Chart(cells), dots, x, colour, _tip(".1%", "setting", "width"), **up)
    sweeps = [own for _, own in cells.groupby("setting") if len(own) > 1]
    falls = bool(sweeps) and all(own.width[own.value.idxmin()] == own.width.max() for own in sweeps)
    return finish(
        alt.layer(zero, lines).properties(width="container", height=300),
        name="stitching-width",
        title="The widest networks have the lowest barrier" if falls else "The barrier by the width of both networks",
        subtitle="Largest error on the path between two seeds above the worse end. Mean, 95 % interval; dots: pairs.",
        description="Barrier of the stitching path between two networks of different seeds, against the width of both, "
        "by data set and architecture.",
        rows=cells,
    )


def similarity_by_depth(stages: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """A similarity index over depth for a kind of pair; for linear CKA beside the paper's curve of that kind."""
    rows = setting(stages[stages.usual])
    rows = rows.assign(x=rows.depth.round(4), stage=rows.top_stage, line="here")
    by = ["setting", "pair", "line", "x", "stage"]
    own = [means(rows, by, name).assign(index=name) for name in INDICES]
    source = published.read("bansal2021_cka")
    theirs = [
        pd.DataFrame({"setting": PAPER, "pair": p, "index": "linear_cka", "line": PAPER, "x": t.x}).assign(
            value=t.cka, pairs=1, stage=""
        )
        for p, curve in _CKA.items()
        if p in set(rows.pair) and len(t := source[source.curve == curve])
    ]
    cells = pd.concat(own, ignore_index=True).dropna(subset=["value"]).round(4)
    theirs = pd.concat(theirs, ignore_index=True).round(4) if theirs else cells[:0]
    pairs = [p for p in _CKA if p in set(rows.pair)] + sorted(set(rows.pair) - set(_CKA))
    settings = choices(rows)
    start = begin(highlight)
    chosen = menu(pairs, pick(start, "pair", pairs, "two seeds"), "bottom", "dl_pair")
    where = menu(settings, pick(start, "setting", settings, settings[0]), "networks", "dl_setting")
    which = menu(list(INDICES), "linear_cka", "index", "dl_index", list(INDICES.values()))
    menus = {"pair": ("dl_pair", pairs), "setting": ("dl_setting", settings)}
    short, here = coded(cells, menus)
    thin = coded(rows[["setting", "pair", "line", "seed", "x", *INDICES]].round(3), menus)[0]
    x = alt.X("x:Q", title="share of the stages", scale=alt.Scale(domain=[0, 1]))
    up = {"title": "similarity", "scale": alt.Scale(domain=[0, 1])}
    colour = _legend({"here": ROLES["train"], PAPER: ROLES["thesis"]})
    short, words = abbreviated(short, "line", "stage", "index")
    base = alt.Chart(short).transform_filter(here).transform_calculate(**words)
    base = base.transform_filter("datum.index === dl_index")
    single = alt.Chart(thin).transform_filter(here).transform_calculate(value="datum[dl_index]")
    single = _thin(single.transform_filter("isValid(datum.value)"))
    paper = alt.Chart(theirs.drop(columns="setting")).transform_filter(
        "datum.pair === dl_pair && datum.index === dl_index"
    )
    tip = _tip(".2f", "line", "stage")
    paper = paper.mark_line(point=True, strokeWidth=2.5).encode(
        x=x, y=alt.Y("value:Q", **up), color=colour, tooltip=tip
    )
    note = absent(rows, menus, "No pair of this kind is recorded with these networks.")
    chart = alt.layer(_lines(base, single, x, colour, tip, **up), paper, note)
    return finish(
        chart.properties(width="container", height=300).add_params(where, chosen, which),
        name="stitching-cka",
        title="Whether an index says where two networks fit depends on the pair",
        subtitle="Similarity of the two networks' activations on test inputs. Mean, 95 % interval; thin lines: pairs.",
        description="A similarity index of two networks at each stage, for the chosen kind of pair, beside the paper's "
        f"linear CKA of that kind on CIFAR-10. {orders(rows)}",
        rows=pd.concat([cells, theirs], ignore_index=True),
    )


def freeze_training(stages: pd.DataFrame, table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """A network trained on all data above frozen layers of one that saw few; untrained layers beside them."""
    ends = table[table.freeze].set_index("key")
    rows = setting(stages[stages.key.isin(ends.index)])
    rows = rows.assign(small=rows.key.map(ends.bottom_error), place=rows.groupby("key").cumcount() + 1)
    keep = ["setting", "pair", "seed"]
    own, drawn = "small set's stages, frozen", "untrained stages, frozen"
    small, free = "small set's network itself", "small set's stages, stitched"

    def line(name: str, value: pd.Series, place: pd.Series | int, stage: pd.Series | str) -> pd.DataFrame:
        return rows[keep].assign(line=name, x=place, value=value, stage=stage)

    parts = [
        line(own, rows.freeze_error, rows.place, rows.top_stage),
        line(drawn, rows.freeze_random_error, rows.place, rows.top_stage),
        line(free, rows.top_error + rows.excess, rows.place, rows.top_stage),
        line(small, rows.small, rows.place, rows.top_stage),
        *(line(n, rows.top_error, 0, "nothing frozen").drop_duplicates(keep) for n in (own, drawn, free)),
        line(small, rows.small, 0, "nothing frozen").drop_duplicates(keep),
    ]
    dots = (
        pd.concat(parts, ignore_index=True)
        .dropna(subset=["value"])
        .sort_values(["setting", "pair", "line", "seed", "x"])
        .round(5)
    )
    cells = _summary(dots, ["setting", "pair"])
    pairs, settings = list(dict.fromkeys(rows.pair)), choices(rows)
    start = begin(highlight)
    chosen = menu(pairs, pick(start, "pair", pairs, pairs[0]), "the small set", "dl_pair")
    where = menu(settings, pick(start, "setting", settings, settings[0]), "networks", "dl_setting")
    here = "datum.pair === dl_pair && datum.setting === dl_setting"
    x = alt.X("x:Q", title="number of first stages frozen", axis=alt.Axis(tickMinStep=1, format="d"))
    up = {"title": "test error", "axis": POINTS, "scale": alt.Scale(zero=False)}
    last = rows.place == rows.groupby("key").place.transform("max")

    def gained(at: pd.Series) -> str:
        gain = (rows.freeze_random_error - rows.freeze_error)[at]
        return spread(gain.groupby([rows.setting[at], rows.pair[at]]).mean())

    colour = _legend({own: ROLES["highlight"], drawn: ROLES["test"], free: ROLES["train"], small: ROLES["null"]})
    return finish(
        _lines(
            alt.Chart(cells).transform_filter(here),
            _thin(alt.Chart(dots).transform_filter(here)),
            x,
            colour,
            _tip(".3f", "line", "stage"),
            **up,
        )
        .properties(width="container", height=330)
        .add_params(where, chosen),
        name="freeze-training",
        title=f"Frozen layers of a small set gain on untrained ones: {gained(rows.place == 1)} at the first stage, "
        f"{gained(last)} at the last",
        subtitle="The rest is retrained on all samples. At 0: trained on all samples. Mean, 95 % interval; thin: seeds.",
        description="Test error of networks whose first stages are frozen, taken from a network trained on a small share "
        "of the data or untrained, and whose other stages are trained on all data; beside the error of stitching the "
        "same stages into the full network, and that of the small network.",
        rows=cells,
    )
