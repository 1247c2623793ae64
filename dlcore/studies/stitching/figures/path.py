"""Charts of chapter 2 beyond the penalty: the path between two networks, its barrier by width, freeze training."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dlcore.charts.controls import Saying, choose, chosen
from dlcore.charts.layers import either, inside, shown, tips, zero
from dlcore.charts.shared import UNIT, Highlight, begin
from dlcore.charts.theme import DASHED, ROLES, SOLID, dashes, finish, paired, roles, singled
from dlcore.studies.stitching.figures.shared import POINTS, absent, choices, kinds_of, means, points, setting, spread
from dlcore.studies.stitching.table import pair_name

_LEGEND = alt.Legend(orient="bottom", columns=2, symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5)


def _lines(
    means: alt.Chart, pairs: alt.Chart, x: alt.X, colour: Any, tip: list, dash: Any = alt.Undefined, **y: Any
) -> alt.LayerChart:
    """Returns means with intervals over the thin lines, or the dots, of single pairs; both charts have the column `value`."""
    base = means.encode(x=x, color=colour)
    drawn = base.mark_line(point={"size": 40, "opacity": 1}, strokeWidth=2.5)
    return alt.layer(
        pairs.encode(x=x, y=alt.Y("value:Q", **y), color=colour),
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", **y), y2="high:Q"),
        drawn.encode(y=alt.Y("value:Q", **y), strokeDash=dash, tooltip=tip),
    )


def _thin(pairs: alt.Chart) -> alt.Chart:
    return pairs.mark_line(strokeWidth=0.6).encode(detail="seed:N")


def _tip(form: str, *names: str) -> list:
    return [*tips(*(f"{n}:N" for n in names), value=form), "pairs:Q"]


def _line(rows: pd.DataFrame, name: str, x: pd.Series, value: pd.Series) -> pd.DataFrame:
    """Returns the points of a line at the stages of every pair."""
    return rows[["setting", "pair", "seed"]].assign(line=name, x=x, value=value, stage=rows.top_stage)


def _end(rows: pd.DataFrame, name: str, x: float, value: pd.Series, stage: str) -> pd.DataFrame:
    """Returns the point of a line where it begins or ends, one a pair."""
    return _line(rows, name, x, value).assign(stage=stage).drop_duplicates(["setting", "pair", "seed"])


def _sorted(parts: list[pd.DataFrame]) -> pd.DataFrame:
    points = pd.concat(parts, ignore_index=True).dropna(subset=["value"])
    return points.sort_values(["setting", "pair", "line", "seed", "x"])


def _summary(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    return means(rows, [*by, "line", "x", "stage"], "value").round(5)


def _connects(barriers: pd.DataFrame) -> dict[tuple[str], str]:
    """Returns the finding of every kind of pair: the mean barrier of each architecture at its usual width, by its maps.

    Where none has its usual width, that of each kind of network.
    """
    said = {}
    plural = {"mlp": "MLPs", "convnet": "convnets", "resnet": "small ResNets", "resnet18": "ResNet-18"}
    for pair, part in barriers.groupby("pair"):
        usual = part[part.usual_width]
        own, by = (usual, "architecture") if len(usual) else (part, "setting")
        each, best = (own[own.converged == kind].groupby(by).value.mean() for kind in (False, True))
        told = ", ".join(
            f"{points(value)} points with {plural.get(name, name)}"
            + (f" ({points(best[name])} with the best maps found)" if name in best else "")
            for name, value in each.sort_values().items()
        )
        said[(pair,)] = f"{pair[0].upper()}{pair[1:]}: the barrier on the path is {told}"
    return said


def stitching_path(stages: pd.DataFrame, table: pd.DataFrame, highlight: Highlight = None) -> alt.HConcatChart:
    """The path of stitched networks from the top to the bottom, and the barrier of all networks of that kind of pair.

    Args: stages: `by_stage`; table: `studies.stitching.table`.
    """
    ends = table.dropna(subset=["bottom_error"]).set_index("key")
    converged = ends.index[ends.converged & ends.usual_width]
    rows = setting(stages[(stages.usual | stages.key.isin(converged)) & stages.key.isin(ends.index)])
    rows = rows.assign(converged=rows.key.isin(converged))
    rows = rows.assign(setting=rows.setting + np.where(rows.converged, ", best maps found", ""))
    rows = rows.assign(bottom_error=rows.key.map(ends.bottom_error), barrier=rows.key.map(ends.barrier))
    number = rows.groupby("key").depth.transform("size") + 1
    place = rows.groupby("key").cumcount() + 1
    trained, untrained = "trained bottom", "untrained bottom"
    stitched = {trained: rows.penalty, untrained: rows.random_penalty}
    parts = [_end(rows, name, 0.0, rows.top_error, "the top itself") for name in stitched]
    parts += [_line(rows, n, place / number, rows.top_error + cost) for n, cost in stitched.items()]
    parts.append(_end(rows, trained, 1.0, rows.bottom_error, "the bottom itself"))
    dots = _sorted(parts).round({"x": 3, "value": 4})
    cells = _summary(dots, ["setting", "pair"])
    settings = choices(rows)
    start = begin(highlight)
    kinds = choose(start, "pair", kinds_of(rows, [("seeds",), ("halves",)]), "bottom", pair_name("seeds"))
    where = choose(start, "setting", settings, "networks")
    here = chosen(kinds, where)
    single = rows.drop_duplicates("key").dropna(subset=["barrier"]).rename(columns={"barrier": "value"})
    same = ["setting", "pair", "usual_width", "converged"]
    barriers = means(single.round({"value": 5}), [*same, "architecture"], "value").round(5)
    single, said = single[[*same, "seed", "value"]].round({"value": 5}), _connects(barriers)
    barriers = barriers.drop(columns="architecture")
    x = alt.X("x:Q", title="from the top (0) to the bottom (1)", scale=UNIT)
    up = {"title": "test error", "axis": POINTS, "scale": alt.Scale(zero=True)}
    colour = roles("line", {trained: "chosen", untrained: "null"}, _LEGEND)
    drawn, thin = (shown(part, here) for part in (cells, dots.drop(columns="stage")))
    left = alt.layer(
        _lines(drawn, _thin(thin), x, colour, _tip(".3f", "line", "stage"), **up),
        absent(rows, [kinds, where], "No pair of this kind is recorded with these networks."),
    ).properties(height=380)
    across = alt.X("value:Q", title="barrier: highest error on the path above the worse end", axis=POINTS)
    mine = singled("datum.setting === dl_setting")
    all_, each = (shown(part, "datum.pair === dl_pair") for part in (barriers, single))
    down, names = inside(all_, "setting", settings)
    right = alt.layer(
        zero("x"),
        each.mark_circle(size=22, opacity=0.5).encode(x=across, y=down, color=mine),
        all_.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", y=down, color=mine),
        all_.mark_point(filled=True, size=70, opacity=1).encode(
            x=across, y=down, color=mine, tooltip=_tip(".1%", "setting")
        ),
        names,
    ).properties(height=380)
    return finish(
        paired(left, right),
        name="stitching-path",
        controls=[kinds, where],
        title=Saying((kinds,), said, "The path of stitched networks from the top to the bottom"),
        subtitle="Left: each point is a network: its first stages from the bottom, one map, the rest from the top; thin: pairs. "
        "Right: the barrier of all networks, the chosen ones in colour. Means and 95 % intervals.",
        description="Left: test error of the stitched networks on the way from the top, at 0, to the bottom, at 1, for the "
        "chosen kind of bottom, beside the same with an untrained bottom. What rises above both ends is the barrier. Right: "
        f"the barrier of all networks. Between two seeds its mean is {spread(barriers[barriers.pair == pair_name('seeds')].value)}.",
        rows=cells,
    )


def barrier_by_width(table: pd.DataFrame) -> alt.LayerChart:
    """The barrier of the path between two seeds against the width of both networks.

    Args: table: `studies.stitching.table`.
    """
    rows = table[table.usual & (table.contrast == "seeds")].dropna(subset=["barrier"])
    rows = setting(rows.assign(usual_width=True)).assign(value=rows.barrier.round(5))
    cells = means(rows, ["setting", "width"], "value").round(5)
    settings = list(dict.fromkeys(rows.setting))
    x = alt.X(
        "width:Q",
        title="units or channels of the first stage",
        scale=alt.Scale(type="log", base=2, nice=False, padding=22),
        axis=alt.Axis(values=sorted({int(w) for w in rows.width}), format="d"),
    )
    up = {"title": "barrier, points of test error", "axis": POINTS}
    dots = alt.Chart(rows[["setting", "width", "seed", "value"]]).mark_circle(size=22, opacity=0.45)
    sweeps = [own for _, own in cells.groupby("setting") if len(own) > 1]
    long = {own.setting.iloc[0] for own in sweeps}
    # two sweeps are told apart by shape and by their names; single widths stay grey
    colour = either(alt.FieldOneOfPredicate("setting", sorted(long)), ROLES["chosen"], ROLES["null"])
    lines = _lines(alt.Chart(cells).encode(detail="setting:N"), dots, x, colour, _tip(".1%", "setting", "width"), **up)
    names = cells.sort_values("width").groupby("setting").tail(1)
    tops = cells.sort_values("value").groupby("setting").tail(1)
    names = pd.concat([names[~names.setting.isin(long)], tops[tops.setting.isin(long)]])
    labels = alt.Chart(names).mark_text(dy=-12, color=ROLES["null"]).encode(x=x, y=alt.Y("high:Q"), text="setting:N")
    labels = labels.transform_calculate(high="isValid(datum.high) ? datum.high : datum.value")
    falls = sum(own.width[own.value.idxmin()] == own.width.max() for own in sweeps)
    return finish(
        alt.layer(zero(), lines, labels).properties(width="container", height=320),
        name="stitching-width",
        title="The widest networks have the lowest barrier"
        if falls == len(sweeps) > 0
        else f"In {falls} of {len(sweeps)} sweeps the barrier is smallest at the largest width",
        subtitle="Largest error on the path between two seeds above the worse end. Mean, 95 % interval; dots: pairs.",
        description="Barrier of the stitching path between two networks of different seeds, against the width of both, "
        f"by data set and architecture: {', '.join(settings)}.",
        rows=cells,
    )


def freeze_training(stages: pd.DataFrame, table: pd.DataFrame, highlight: Highlight = None) -> alt.LayerChart:
    """A network trained on all data above frozen layers of one that saw few; untrained layers beside them."""
    ends = table[table.freeze].set_index("key")
    rows = setting(stages[stages.key.isin(ends.index)])
    rows = rows.assign(small=rows.key.map(ends.bottom_error), place=rows.groupby("key").cumcount() + 1)
    own, drawn = "small set's stages, frozen", "untrained stages, frozen"
    small, free = "small set's network itself", "small set's stages, stitched"
    lines = {own: rows.freeze_error, drawn: rows.freeze_random_error, free: rows.top_error + rows.excess}
    parts = [_line(rows, name, rows.place, value) for name, value in (lines | {small: rows.small}).items()]
    parts += [_end(rows, name, 0, rows.top_error, "nothing frozen") for name in lines]
    parts.append(_end(rows, small, 0, rows.small, "nothing frozen"))
    dots = _sorted(parts).round(5)
    cells = _summary(dots, ["setting", "pair"])
    start = begin(highlight)
    if start.get("pair") not in set(rows.pair):  # the kinds of the other charts are no answer to this one's question
        start.pop("pair", None)
    kinds = choose(start, "pair", rows.pair, "the small set")
    where = choose(start, "setting", choices(rows), "networks")
    here = chosen(where, kinds)
    x = alt.X("x:Q", title="number of first stages frozen", axis=alt.Axis(tickMinStep=1, format="d"))
    up = {"title": "test error", "axis": POINTS, "scale": alt.Scale(zero=False)}
    said = {}
    for key, part in rows.groupby(["setting", "pair"]):
        gain = (part.freeze_random_error - part.freeze_error).groupby(part.place).mean()
        said[key] = (
            f"{key[0]}: against untrained ones, frozen stages trained on the small set change the error by "
            f"{-100 * gain.iloc[0]:+.1f} points (one stage) and {-100 * gain.iloc[-1]:+.1f} ({len(gain)} stages)"
        )
    # pink: the small set's stages; grey: what they are compared with
    colour = roles("line", {own: "chosen", free: "chosen", drawn: "null", small: "null"}, _LEGEND)
    dash = dashes("line", {own: SOLID, free: DASHED, drawn: SOLID, small: DASHED})
    return finish(
        _lines(
            shown(cells, here),
            _thin(shown(dots, here)),
            x,
            colour,
            _tip(".3f", "line", "stage"),
            dash,
            **up,
        ).properties(width="container", height=330),
        name="freeze-training",
        controls=[where, kinds],
        title=Saying((where, kinds), said, "What stages trained on a small set and frozen are worth"),
        subtitle="The other stages are trained on all samples; at 0, all stages are. Mean, 95 % interval; thin: seeds.",
        description="Test error of networks whose first stages are frozen, taken from a network trained on a small share "
        "of the data or untrained, and whose other stages are trained on all data; beside the error of stitching the "
        "same stages into the full network, and that of the small network.",
        rows=cells,
    )
