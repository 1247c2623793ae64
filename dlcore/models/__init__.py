"""Models: networks with named stages (`networks`), scikit-learn families (`classical`). The names load no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlcore import lazy

if TYPE_CHECKING:
    from dlcore.models.networks import network, stages

__all__ = ["CLASSICAL", "NETWORKS", "network", "stages"]
NETWORKS = ("mlp", "convnet", "resnet", "resnet18")
# the constants of scikit-learn's families that are no options: trees; C where no ridge is given, and steps; the diagonal of
# a Gram matrix, and the inputs whose distances set a bandwidth
FAMILIES: dict[str, dict[str, Any]] = {
    "forest": {"trees": 100},
    "logistic": {"C": 1.0, "steps": 2000},
    "svm": {"C": 1e6, "inputs": 1000},
    "kernel": {"jitter": 1e-9, "inputs": 1000},
}
CLASSICAL = ("knn", "tree", "extra_tree", "forest", "logistic", "svm", "kernel_gaussian", "kernel_laplace")

__getattr__ = lazy.attributes(__name__, {"networks": ("network", "stages")})
