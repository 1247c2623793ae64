"""Chapter 4, data scaling: how the test loss of a translation model falls with the number of sentence pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy
from dlcore.studies.scaling.config import Config

if TYPE_CHECKING:
    from dlcore.studies.scaling.experiment import run

__all__ = ["NOTEBOOK", "PRESETS", "Config", "run"]
PRESETS = Config.PRESETS
NOTEBOOK = "4_data_scaling"

__getattr__ = lazy.attributes(__name__, {"experiment": ("run",)})
