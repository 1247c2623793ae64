"""What the studies' tables share: which records count as findings, means over seeds, display names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dlcore.metrics.statistics import mean_interval

FINDINGS = ("laptop", "gpu")
_FAMILY = {
    "tree": "tree",
    "extra_tree": "extra tree",
    "forest": "forest",
    "kernel_gaussian": "Gaussian kernel",
    "kernel_laplace": "Laplace kernel",
    "svm": "SVM",
    "logistic": "logistic",
    "mlp": "MLP",
    "convnet": "convnet",
    "resnet": "ResNet",
    "resnet18": "ResNet-18",
}
# in the order of the charts
OBJECTIVES = {
    "supervised": "end to end",
    "simclr": "SimCLR",
    "vicreg": "VICReg",
    "barlow_twins": "Barlow Twins",
    "rotation": "rotation",
    "random": "untrained network",
    "random_relu": "random ReLU",
    "pca": "PCA",
    "pixels": "raw inputs",
    "clusters": "cluster vote",
    "neighbours": "neighbour average",
}
PROBES = {"ridge": "ridge", "logistic": "logistic", "knn": "k-NN", "mlp": "MLP"}


def findings(table: pd.DataFrame, presets: Sequence[str] = FINDINGS, optional: Sequence[str] = ()) -> pd.DataFrame:
    """Returns a copy of the rows of the given presets; `optional` columns that no record has are NaN.

    >>> findings(pd.DataFrame({"preset": ["smoke", "laptop"], "tv": [0.5, 0.1]}), optional=["agreement"]).tv.tolist()
    [0.1]
    """
    if table.empty:
        return table
    rows = table.loc[table.preset.isin(presets)].copy()
    return rows if rows.empty else rows.assign(**{name: np.nan for name in optional if name not in rows})


def select(table: pd.DataFrame, **fields: Any) -> pd.DataFrame:
    """Returns the rows whose fields have these values: a list or tuple stands for any of its values, None for none given.

    A table without rows is returned as it is, also where it has no columns.

    >>> runs = pd.DataFrame({"noise": [0.1 + 0.2, 0.3, 0.4], "seed": [0, 1, 2], "width": [None, 8, None]})
    >>> select(runs, noise=0.3, seed=[1, 2]).seed.tolist(), select(runs, width=None).seed.tolist()
    ([1], [0, 2])
    """
    for name, value in fields.items():
        if table.empty:
            return table
        column = table[name]
        if isinstance(value, (list, tuple)):
            kept: Any = column.isin(value)
        elif isinstance(value, float):
            kept = np.isclose(column, value)
        else:
            kept = column.isna() if value is None else column == value
        table = table.loc[kept]
    return table


def over_seeds(table: pd.DataFrame, by: Sequence[str], value: str, sort: bool = True) -> pd.DataFrame:
    """Returns mean, 95 % t interval and number of seeds of a column for each group; one seed has no interval."""
    groups: Any = table.dropna(subset=[value]).groupby(list(by), sort=sort)[value]
    found = [(*key, *mean_interval(values)) for key, values in groups]
    return pd.DataFrame(found, columns=[*by, value, "low", "high", "seeds"])


def series_over_seeds(
    table: pd.DataFrame, by: Sequence[str], columns: Mapping[str, str], name: str = "series"
) -> pd.DataFrame:
    """Returns `over_seeds` of several columns, one under the other: the mean is `value`, and `name` holds their labels."""
    parts = [over_seeds(table, by, c).rename(columns={c: "value"}).assign(**{name: t}) for c, t in columns.items()]
    return pd.concat(parts, ignore_index=True)


def with_controls(rows: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """Returns rows and controls together, told apart by the column `control`."""
    return pd.concat([rows.assign(control=False), controls.assign(control=True)], ignore_index=True)


def family(architecture: str, neighbours: int = 1) -> str:
    """Returns the display name of a model family.

    >>> family("knn", 15)
    '15-NN'
    """
    return f"{int(neighbours)}-NN" if architecture == "knn" else _FAMILY.get(architecture, architecture)


def ordered(families: Iterable[str]) -> list[str]:
    """Returns display names of model families in the book's order: neighbours, trees, kernels, linear, networks.

    >>> ordered(["MLP", "1-NN", "forest", "15-NN"])
    ['1-NN', '15-NN', 'forest', 'MLP']
    """
    known = [family("knn", 1), family("knn", 15), *(family(name) for name in _FAMILY)]
    return sorted(set(families), key=lambda f: (known.index(f) if f in known else len(known), f))


def method(objective: str) -> str:
    """Returns the display name of what makes the features in chapter 1.

    >>> method("vicreg")
    'VICReg'
    """
    return OBJECTIVES.get(objective, objective)
