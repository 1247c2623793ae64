"""Chapter 4, data scaling: how the test loss of a translation model falls with the number of sentence pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy
from dlcore.studies.scaling.config import Config

if TYPE_CHECKING:
    from dlcore.studies.scaling.experiment import run

__all__ = ["CHAPTER", "NOTEBOOK", "PRESETS", "SUMMARY", "TITLE", "Config", "run"]
PRESETS = Config.PRESETS
TITLE = "Data scaling"
NOTEBOOK = "4_data_scaling"
# the columns that a summary on the screen has room for
SUMMARY = ("num_train", "loss", "excess", "bleu")
# what the chapter's parameters cell says where the default is another: a sweep without it starts from the same
CHAPTER = {"noise": 0.2}

__getattr__ = lazy.attributes(__name__, {"experiment": ("run",)})
