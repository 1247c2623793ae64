"""One study per finding, a folder each, with the same parts: settings, experiment, grid, table, figures, claims, panel."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from dlcore.config import one_of

if TYPE_CHECKING:
    import pandas as pd

# in the order of their chapters
STUDIES = ("rationality", "stitching", "distributional", "scaling")


def study(name: str) -> ModuleType:
    """Returns a study's package, which has `Config`, `PRESETS` and `run`. Raises ValueError for an unknown name."""
    return part(name)


def part(name: str, module: str = "") -> ModuleType:
    """Returns a module of a study, such as "grid" or "claims". Raises ValueError for an unknown study."""
    one_of("study", name, STUDIES)
    return importlib.import_module(f"dlcore.studies.{name}" + (f".{module}" if module else ""))


def recorded(name: str) -> dict:
    """Returns the groups of configurations that a study records: group -> list of Config."""
    return part(name, "grid").recorded()


def table(name: str, runs: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """Returns a study's table of runs with its derived columns; `runs` is what `RecordStore.table` gives."""
    return part(name, "table").derived(runs, **options)
