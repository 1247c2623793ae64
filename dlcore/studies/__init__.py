"""One study per finding, a folder each, with the same parts: settings, experiment, grid, table, figures, claims, panel."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dlcore.config import registered, unknown_choice

if TYPE_CHECKING:
    import pandas as pd

# in the order of their chapters
STUDIES = ("rationality", "stitching", "distributional", "scaling")


def study(name: str) -> ModuleType:
    """Returns a study's package, which has `Config`, `PRESETS` and `run`. Raises ValueError for an unknown name."""
    return part(name)


def part(name: str, module: str = "") -> ModuleType:
    """Returns a module of a study, such as "grid" or "claims". Raises ValueError for an unknown study, or one without it."""
    if (own := registered("study").get(name)) is not None:
        if module and not hasattr(own, module):
            raise ValueError(f"study {name!r} has no {module!r}, which its module must define for this")
        return getattr(own, module) if module else own
    if name not in STUDIES:
        raise unknown_choice("study", name, (*STUDIES, *registered("study")))
    return importlib.import_module(f"dlcore.studies.{name}" + (f".{module}" if module else ""))


def recorded(name: str) -> dict:
    """Returns the groups of configurations that a study records: group -> list of Config."""
    return part(name, "grid").recorded()


def load(name: str, **where: Any) -> pd.DataFrame:
    """Returns the runs of a study, shipped and local, a row a run; `columns` says what each column means.

    Args: where: keep runs whose field equals the value, or is among the values of a list: `load("scaling", noise=[0, 0.2])`.
    Raises: ValueError for an unknown study.

    >>> sorted(load("distributional", architecture="knn", neighbours=[1, 3]).neighbours.unique().tolist())
    [1, 3]
    """
    from dlcore.records import RecordStore

    study(name)
    return RecordStore().table(name, **where)


def table(name: str, runs: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """Returns a study's table of runs with its derived columns; `runs` is what `RecordStore.table` gives."""
    return part(name, "table").derived(runs, **options)
