"""Chapter 3, distributional generalization: does a classifier's test output follow the law of its training labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy
from dlcore.studies.distributional.config import Config, epsilon_config, one_class_epsilon_config

if TYPE_CHECKING:
    from dlcore.studies.distributional.experiment import run

__all__ = ["NOTEBOOK", "PRESETS", "Config", "epsilon_config", "one_class_epsilon_config", "run"]
PRESETS = Config.PRESETS
NOTEBOOK = "3_distributional_generalization"

__getattr__ = lazy.attributes(__name__, {"experiment": ("run",)})
