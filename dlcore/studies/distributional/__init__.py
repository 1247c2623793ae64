"""Chapter 3, distributional generalization: does a classifier"s test output follow the law of its training labels?"""

from dlcore.studies.distributional.experiment import Config, epsilon_config, run

__all__ = ["Config", "epsilon_config", "run"]
