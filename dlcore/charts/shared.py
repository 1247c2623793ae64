"""What the charts of several chapters share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dlcore.charts.theme import ROLES

Highlight = Mapping[str, Any] | None
UNIT = alt.Scale(domain=[0, 1])
LOG = alt.Scale(type="log", nice=False)
RATE = alt.Axis(format=".0%", tickCount=6)
INK = "currentColor"  # the colour of the text around a chart
FEW = alt.Axis(format=".0%", tickCount=5, labelOverlap=True)
DATASETS = {
    "digits": "digits (8 x 8)",
    "mnist1d": "MNIST-1D",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
CLASS_NAMES = {
    "fashion_mnist": [
        "T-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ],
    "cifar10": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
}


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with the data sets' display names."""
    return table.assign(data=table.dataset.map(DATASETS).fillna(table.dataset))


def begin(highlight: Highlight) -> dict[str, Any]:
    """Returns the reader's choice with the data set's display name."""
    found = dict(highlight or {})
    if "dataset" in found:
        found["dataset"] = DATASETS.get(found["dataset"], found["dataset"])
    return found


def padded(padding: float) -> alt.Scale:
    """Returns a logarithmic scale that leaves room at its ends, in pixels."""
    return alt.Scale(type="log", nice=False, padding=padding)


def tips(*names: str, **forms: str) -> list[Any]:
    """Returns a tooltip of columns as they are, and of numbers in their forms."""
    return [*names, *(alt.Tooltip(f"{name}:Q", format=form) for name, form in forms.items())]


def either(test: Any, yes: Any, no: Any) -> Any:
    """Returns the encoding that has one value where a Vega expression holds and another elsewhere."""
    return alt.condition(test, alt.value(yes), alt.value(no))


def dashed(points: Mapping[str, Sequence], role: str, dash: Sequence[int] = (6, 4)) -> alt.Chart:
    """Returns the dashed line through points that a theory draws, in its role's colour."""
    return alt.Chart(pd.DataFrame(points)).mark_line(strokeDash=[*dash], color=ROLES[role], strokeWidth=2)


def order(one: pd.Series, two: pd.Series, together: str, apart: str) -> str:
    """Returns which of two sentences the rank correlation of two columns bears out, from a half on the first, with its value.

    >>> one = pd.Series([1, 2, 3, 4])
    >>> order(one, one**2, "they rise together", "they do not"), order(one, -one, "they rise together", "they do not")
    ('they rise together (rank correlation 1.00, 4 runs)', 'they do not (rank correlation -1.00, 4 runs)')
    """
    found = one.corr(two, method="spearman")
    return f"{together if found >= 0.5 else apart} (rank correlation {found:.2f}, {len(one)} runs)"


def zero(channel: str = "y") -> alt.Chart:
    """Returns the line at zero of an axis."""
    base = alt.Chart(pd.DataFrame({"zero": [0]}))
    return base.mark_rule(color=ROLES["null"], strokeDash=[2, 3]).encode(**{channel: "zero:Q"})


def in_points(value: float) -> str:
    """Returns a fraction in points, with two digits.

    >>> in_points(0.0123), in_points(0.42), in_points(1)
    ('1.2', '42', '100')
    """
    return f"{100 * value:.1f}" if abs(value) < 0.0995 else f"{100 * value:.0f}"


def inside(base: alt.Chart, field: str, sort: Sequence[str]) -> tuple[alt.Y, alt.Chart]:
    """Returns the encoding of a row per name, and the names as text in the plot: beside it they would take a phone's width."""
    y = alt.Y(f"{field}:N", title=None, sort=sort, axis=alt.Axis(labels=False, ticks=False, grid=True))
    names = base.mark_text(align="left", dy=-9, color=INK, opacity=0.85)
    return y, names.encode(x=alt.value(3), y=y, text=f"{field}:N")
