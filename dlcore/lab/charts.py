"""Charts of the live lab: a training curve as it grows, and a reader's own runs among the recorded ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dlcore.charts.panel import PanelSpec
from dlcore.charts.theme import ROLES
from dlcore.metrics.statistics import mean_interval

WIDTH, HEIGHT = 560, 240  # a widget's container has no width to fit when it is first drawn
BELOW = alt.Legend(orient="bottom", columns=3, labelLimit=260)
SHORT = alt.Axis(format="~s", tickCount=6, labelOverlap=True)
FEW = alt.Axis(format="~g", tickCount=4)
POINTS = alt.Axis(format=".0%", tickCount=6)


def live_curve(
    points: Sequence[dict[str, Any]], *, label: str = "", unit: str = "epoch", y_title: str = "loss, error"
) -> alt.Chart:
    """Returns the curves of one training run so far.

    Args:
        points: dictionaries with `step`, `curve` (its name) and `value`; none draws empty axes.
    """
    rows = pd.DataFrame(points, columns=["step", "curve", "value"])
    # the training loss first, in the colour of training; an empty legend has no size
    names = sorted(set(rows.curve), key=lambda name: (name != "loss", name)) or ["loss"]
    first = {} if len(rows) else {"domain": [0, 1]}
    colours = [ROLES[role] for role in ("train", "test", "sampler", "bayes")][: len(names)]
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=names, range=colours), legend=BELOW)
    return (
        alt.Chart(rows)
        .mark_line(point={"size": 18})
        .encode(
            x=alt.X("step:Q", title=unit, axis=alt.Axis(tickMinStep=1), scale=alt.Scale(**first)),
            y=alt.Y("value:Q", title=y_title, scale=alt.Scale(**first or {"domainMin": 0})),
            color=colour,
            tooltip=["curve:N", "step:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(width=WIDTH, height=HEIGHT, title=label or "No run yet", description=f"Training curve: {label}")
    )


def kind_colours(kinds: Iterable[str], fixed: Mapping[str, str]) -> dict[str, str]:
    """Returns a colour for each kind of recorded runs, in the order of the legend.

    The first of `fixed` leads, the others of it end the list; between them, by the numbers in their names, are the rest.

    >>> list(kind_colours(["b", "x 0.5", "a", "x 0.25"], {"a": "#000000", "b": "#777777"}))
    ['a', 'x 0.25', 'x 0.5', 'b']
    """
    place = {kind: 2 * bool(i) for i, kind in enumerate(fixed)}
    order = sorted(kinds, key=lambda k: (place.get(k, 1), [float(n) for n in re.findall(r"\d+\.?\d*", k)], k))
    ramp = (ROLES[role] for role in ("sampler", "bayes", "paper"))
    return {kind: fixed[kind] if kind in fixed else next(ramp, ROLES["null"]) for kind in order}


def among_recorded(
    spec: PanelSpec, recorded: pd.DataFrame, own: pd.DataFrame, *, title: str, notes: Sequence[str] = ()
) -> alt.LayerChart:
    """Returns the recorded runs with their means, and the reader's own runs on top, as `spec` draws them.

    Args:
        recorded, own: tidy tables with the columns x and y of the panel and `seed`, and `kind` where it has kinds; either
            may be empty. Of `own`, `setting` is the text shown where the pointer is; what `other` marks is drawn hollow;
            rows of one `line` are joined.
        notes: lines under the title.
    """
    x, y = spec.x, spec.y
    scale = alt.Scale(type="log") if spec.log else alt.Scale()
    across = alt.X(f"{x}:Q", title=spec.x_title, scale=scale, axis=SHORT if spec.log else alt.Undefined)
    axis = POINTS if spec.percent else FEW if spec.log else alt.Undefined
    up = alt.Y(f"{y}:Q", title=spec.y_title, scale=scale, axis=axis)
    at = [f"{x}:Q", alt.Tooltip(f"{y}:Q", format=".1%" if spec.percent else ".4f"), "seed:Q"]
    layers: list[alt.Chart] = []
    if spec.reference is not None:
        theory = alt.Chart(pd.DataFrame(spec.reference))
        dashed = theory.mark_line(strokeDash=[6, 4], color=ROLES["sampler"], strokeWidth=2)
        layers.append(dashed.encode(x=across, y=up))
    if len(recorded):
        colour: Any = alt.value(ROLES["train"])
        if spec.kind:
            colours = kind_colours(set(recorded.kind), spec.colours)
            kinds = alt.Scale(domain=list(colours), range=list(colours.values()))
            colour = alt.Color("kind:N", title=None, scale=kinds, legend=BELOW)
        by = ["kind", x] if spec.kind else [x]
        dots = recorded[[*by, y, "seed"]].round(5)
        means = [{**dict(zip(by, k, strict=True)), y: mean_interval(g[y]).value} for k, g in recorded.groupby(by)]
        layers.append(alt.Chart(pd.DataFrame(means)).mark_line().encode(x=across, y=up, color=colour))
        points = alt.Chart(dots).mark_circle(size=30, opacity=0.6)
        layers.append(points.encode(x=across, y=up, color=colour, tooltip=["kind:N", *at] if spec.kind else at))
    if not len(recorded) and not len(own) and spec.reference is None:
        blank = {x: [0.1, 1.0], y: [0.1, 1.0]}  # axes of an empty table have no extent
        layers.append(alt.Chart(pd.DataFrame(blank)).mark_point(opacity=0).encode(x=across, y=up))
    if len(own):
        layers += _own(own, [x, y, "seed"], {"x": across, "y": up}, at)
    lines = ["Dots and lines: recorded runs and their means. Diamonds: yours.", *notes]
    return alt.layer(*layers).properties(
        width=WIDTH,
        height=HEIGHT,
        title=alt.TitleParams(title, subtitle=lines, anchor="start"),
        description=f"{title}: {len(recorded)} recorded values and {len(own)} of yours. {' '.join(notes)}",
    )


def _own(own: pd.DataFrame, columns: list[str], where: dict[str, Any], at: list) -> list[alt.Chart]:
    """Returns the layers of the reader's runs: lines where rows belong together, and diamonds."""
    more = [name for name in ("setting", "other", "line") if name in own]
    base = alt.Chart(own[[*columns, *more]]).encode(**where)
    pink, lines = alt.value(ROLES["own"]), []
    if "line" in own and own.line.duplicated().any():
        lines = [base.mark_line(color=ROLES["own"], strokeWidth=1.5).encode(detail="line:N")]
    inside = alt.condition("datum.other", alt.value("white"), pink) if "other" in own else pink
    diamonds = base.mark_point(shape="diamond", size=130, opacity=1, stroke=ROLES["own"], strokeWidth=2)
    return [*lines, diamonds.encode(fill=inside, tooltip=[*(["setting:N"] if "setting" in own else []), *at])]
