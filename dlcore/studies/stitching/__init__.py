"""Chapter 2, stitching: can the first layers of one network take the place of another"s?"""

from dlcore.studies.stitching.experiment import Config, run

__all__ = ["Config", "run"]
