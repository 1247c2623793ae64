"""What charts are built from: filtered rows, lines that a theory draws, names in the plot, tooltips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dlcore.charts.shared import INK
from dlcore.charts.theme import ROLES


def shown(rows: pd.DataFrame, *tests: str) -> alt.Chart:
    """Returns a chart of the rows that meet Vega expressions."""
    chart = alt.Chart(rows)
    for test in tests:
        chart = chart.transform_filter(test)
    return chart


def single(**values: Any) -> alt.Chart:
    """Returns a chart of one row, for a line or a word that is no run."""
    return alt.Chart(pd.DataFrame({name: [value] for name, value in values.items()}))


def dashed(points: Mapping[str, Sequence], role: str, dash: Sequence[int] = (6, 4)) -> alt.Chart:
    """Returns the dashed line through points that a theory draws, in its role's colour."""
    return alt.Chart(pd.DataFrame(points)).mark_line(strokeDash=[*dash], color=ROLES[role], strokeWidth=2)


def zero(channel: str = "y") -> alt.Chart:
    """Returns the line at zero of an axis."""
    return single(zero=0).mark_rule(color=ROLES["null"], strokeDash=[2, 3]).encode(**{channel: "zero:Q"})


def inside(base: alt.Chart, field: str, sort: Sequence[str]) -> tuple[alt.Y, alt.Chart]:
    """Returns the encoding of a row per name, and the names as text in the plot: beside it they would take a phone's width."""
    y = alt.Y(f"{field}:N", title=None, sort=sort, axis=alt.Axis(labels=False, ticks=False, grid=True))
    names = base.mark_text(align="left", dy=-9, color=INK, opacity=0.85)
    return y, names.encode(x=alt.value(3), y=y, text=f"{field}:N")


def tips(*names: str, **forms: str | tuple[str, str]) -> list[Any]:
    """Returns a tooltip of columns as they are, and of numbers in their forms, or in (form, title)."""
    titled = {name: (form, alt.Undefined) if isinstance(form, str) else form for name, form in forms.items()}
    return [*names, *(alt.Tooltip(f"{name}:Q", format=form, title=title) for name, (form, title) in titled.items())]


def either(test: Any, yes: Any, no: Any) -> Any:
    """Returns the encoding that has one value where a Vega expression holds and another elsewhere."""
    return alt.condition(test, alt.value(yes), alt.value(no))
