"""Chapter 3, distributional generalization: does a classifier's test output follow the law of its training labels?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy
from dlcore.studies.distributional.config import Config, epsilon_config

if TYPE_CHECKING:
    from dlcore.studies.distributional.experiment import run

__all__ = ["CHAPTER", "NOTEBOOK", "PRESETS", "SUMMARY", "TITLE", "Config", "epsilon_config", "run"]
PRESETS = Config.PRESETS
TITLE = "Distributional generalization"
NOTEBOOK = "3_distributional_generalization"
# the columns that a summary on the screen has room for
SUMMARY = ("train_error", "test_error", "flip_rate_test", "tv")
# what the chapter's parameters cell says where the default is another: a sweep without it starts from the same
CHAPTER = {"experiment": "subgroup"}

__getattr__ = lazy.attributes(__name__, {"experiment": ("run",)})
