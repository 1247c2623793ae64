"""Models: networks with named stages (`networks`), scikit-learn families (`classical`). The names load no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy

if TYPE_CHECKING:
    from dlcore.models.networks import network, stages

__all__ = ["CLASSICAL", "NETWORKS", "network", "stages"]
NETWORKS = ("mlp", "convnet", "resnet", "resnet18")
CLASSICAL = ("knn", "tree", "extra_tree", "forest", "logistic", "svm", "kernel_gaussian", "kernel_laplace")

__getattr__ = lazy.attributes(__name__, {"networks": ("network", "stages")})
