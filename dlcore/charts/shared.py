"""What the charts of several chapters share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

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
