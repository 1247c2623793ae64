"""One study per finding: a Config, presets, the grid of recorded runs, and run(config) -> Record."""

from __future__ import annotations

import importlib
from types import ModuleType

from dlcore.config import unknown_choice

STUDIES = ("rationality", "stitching", "distributional", "scaling")


def study(name: str) -> ModuleType:
    """Returns a study's module, which has `Config` and `run`. Raises ValueError for an unknown name."""
    if name not in STUDIES:
        raise unknown_choice("study", name, STUDIES)
    return importlib.import_module(f"dlcore.studies.{name}")


def recorded(name: str) -> dict:
    """Returns the groups of configurations that a study records: group -> list of Config."""
    study(name)
    return importlib.import_module(f"dlcore.studies.{name}_grid").recorded()
