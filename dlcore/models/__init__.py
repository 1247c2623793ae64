"""Models: networks with named stages (`networks`), sequence models (`seq2seq`), scikit-learn families (`classical`)."""

from dlcore.models.classical import CLASSICAL, classical
from dlcore.models.networks import NETWORKS, network, stages
from dlcore.translation.models import ARCHITECTURES, Shape, seq2seq

__all__ = ["ARCHITECTURES", "CLASSICAL", "NETWORKS", "Shape", "classical", "network", "seq2seq", "stages"]
