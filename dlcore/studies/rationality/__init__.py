"""Chapter 1, rationality: does a small generalization gap follow from what a procedure does with wrong labels?"""

from dlcore.studies.rationality.experiment import Config, run

__all__ = ["Config", "run"]
