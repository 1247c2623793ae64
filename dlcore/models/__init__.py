"""Models: networks with named stages (`networks`), and scikit-learn families behind one fit/predict (`classical`)."""

from dlcore.models.classical import CLASSICAL, classical
from dlcore.models.networks import NETWORKS, network, stages

__all__ = ["CLASSICAL", "NETWORKS", "classical", "network", "stages"]
