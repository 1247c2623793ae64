"""Chapter 2, stitching: can the first layers of one network take the place of another's?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy
from dlcore.studies.stitching.config import Config

if TYPE_CHECKING:
    from dlcore.studies.stitching.experiment import run

__all__ = ["NOTEBOOK", "PRESETS", "SUMMARY", "TITLE", "Config", "run"]
PRESETS = Config.PRESETS
TITLE = "Stitching"
NOTEBOOK = "2_stitching"
# the columns that a summary on the screen has room for
SUMMARY = ("top_error", "penalty_mid", "excess_mid", "excess_max")

__getattr__ = lazy.attributes(__name__, {"experiment": ("run",)})
