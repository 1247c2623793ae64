"""Chapter 4, data scaling: how the test loss of a translation model falls with the number of sentence pairs."""

from dlcore.studies.scaling.experiment import Config, run

__all__ = ["Config", "run"]
