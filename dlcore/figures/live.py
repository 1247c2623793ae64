"""Charts of the live lab: a training curve as it grows, and a reader's own runs among the recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from dlcore.figures.theme import ROLES
from dlcore.metrics.statistics import mean_interval

WIDTH, HEIGHT = 560, 240  # a widget's container has no width to fit when it is first drawn


def live_curve(points: Sequence[dict[str, Any]], *, label: str = "", unit: str = "epoch") -> alt.Chart:
    """Returns the curves of one training run so far.

    Args:
        points: dictionaries with `step`, `curve` (its name) and `value`; none draws empty axes.
    """
    rows = pd.DataFrame(points, columns=["step", "curve", "value"])
    names = sorted(set(rows.curve)) or ["loss"]  # an empty legend has no size
    first = {} if len(rows) else {"domain": [0, 1]}
    colours = [ROLES[role] for role in ("train", "test", "sampler", "bayes")][: len(names)]
    colour = alt.Color("curve:N", title=None, scale=alt.Scale(domain=names, range=colours))
    return (
        alt.Chart(rows)
        .mark_line(point={"size": 18})
        .encode(
            x=alt.X("step:Q", title=unit, axis=alt.Axis(tickMinStep=1), scale=alt.Scale(**first)),
            y=alt.Y("value:Q", title="loss, error", scale=alt.Scale(**first or {"domainMin": 0})),
            color=colour,
            tooltip=["curve:N", "step:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(width=WIDTH, height=HEIGHT, title=label or "No run yet", description=f"Training curve: {label}")
    )


def among_recorded(
    recorded: pd.DataFrame,
    own: pd.DataFrame,
    *,
    x: str,
    y: str,
    x_title: str,
    y_title: str,
    title: str,
    reference: pd.DataFrame | None = None,
    log: bool = False,
) -> alt.LayerChart:
    """Returns the recorded runs with their means, and the reader's own runs on top.

    Args:
        recorded, own: tidy tables with the columns x, y and `seed`; either may be empty. `own` may have `setting`, the
            text shown where the pointer is.
        reference: columns x and y of a dashed line that a theory draws.
        log: both axes in logarithms.
    Raises: ValueError for a table without the columns.
    """
    for name, table in (("recorded", recorded), ("own", own)):
        if len(table) and (missing := {x, y, "seed"} - set(table)):
            raise ValueError(f"{name} runs have no {', '.join(sorted(missing))}")
    kind = {"type": "log"} if log else {}
    across = alt.X(f"{x}:Q", title=x_title, scale=alt.Scale(**kind))
    up = alt.Y(f"{y}:Q", title=y_title, scale=alt.Scale(**kind))
    layers: list[alt.Chart] = []
    if reference is not None:
        dashed = alt.Chart(reference).mark_line(strokeDash=[6, 4], color=ROLES["sampler"], strokeWidth=2)
        layers.append(dashed.encode(x=across, y=up))
    if len(recorded):
        dots = recorded[[x, y, "seed"]].round(5)
        means = [{x: at, y: mean_interval(group[y]).value} for at, group in recorded.groupby(x)]
        layers.append(alt.Chart(pd.DataFrame(means)).mark_line(color=ROLES["train"]).encode(x=across, y=up))
        layers.append(
            alt.Chart(dots)
            .mark_circle(size=30, opacity=0.6, color=ROLES["train"])
            .encode(x=across, y=up, tooltip=[f"{x}:Q", alt.Tooltip(f"{y}:Q", format=".4f"), "seed:Q"])
        )
    if not len(recorded) and not len(own) and reference is None:
        blank = {x: [0.1, 1.0], y: [0.1, 1.0]}  # axes of an empty table have no extent
        layers.append(alt.Chart(pd.DataFrame(blank)).mark_point(opacity=0).encode(x=across, y=up))
    if len(own):
        shown = ["setting"] if "setting" in own else []
        layers.append(
            alt.Chart(own[[x, y, "seed", *shown]])
            .mark_point(shape="diamond", filled=True, size=130, color=ROLES["highlight"], opacity=1)
            .encode(
                x=across,
                y=up,
                tooltip=[
                    *(f"{name}:N" for name in shown),
                    f"{x}:Q",
                    alt.Tooltip(f"{y}:Q", format=".4f"),
                    "seed:Q",
                ],
            )
        )
    return alt.layer(*layers).properties(
        width=WIDTH,
        height=HEIGHT,
        title=alt.TitleParams(title, subtitle="Blue: recorded runs. Diamonds: yours.", anchor="start"),
        description=f"{title}: {len(recorded)} recorded runs and {len(own)} of yours.",
    )
