"""What the charts of several chapters share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

Highlight = Mapping[str, Any] | None
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
