"""Chapter 1, rationality: does a small generalization gap follow from what a procedure does with wrong labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy
from dlcore.studies.rationality.config import Config

if TYPE_CHECKING:
    from dlcore.studies.rationality.experiment import run

__all__ = ["NOTEBOOK", "PRESETS", "SUMMARY", "TITLE", "Config", "run"]
PRESETS = Config.PRESETS
TITLE = "Rationality"
NOTEBOOK = "1_rationality"
# the columns that a summary on the screen has room for
SUMMARY = ("train", "test", "robustness", "memorization", "rationality")

__getattr__ = lazy.attributes(__name__, {"experiment": ("run",)})
