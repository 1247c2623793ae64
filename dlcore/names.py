"""Display names of what the studies compare."""

from __future__ import annotations

import math

from dlcore.studies.scaling.config import rate_of

_FAMILY = {
    "tree": "tree",
    "extra_tree": "extra tree",
    "forest": "forest",
    "logistic": "logistic",
    "svm": "SVM",
    "kernel_gaussian": "Gaussian kernel",
    "kernel_laplace": "Laplace kernel",
    "mlp": "MLP",
    "convnet": "convnet",
    "resnet": "ResNet",
    "resnet18": "ResNet-18",
}
OBJECTIVES = {
    "supervised": "end to end",
    "simclr": "SimCLR",
    "vicreg": "VICReg",
    "barlow_twins": "Barlow Twins",
    "rotation": "rotation",
    "random": "untrained network",
    "random_relu": "random ReLU",
    "pixels": "raw inputs",
    "pca": "PCA",
    "clusters": "cluster vote",
    "neighbours": "neighbour average",
}
PROBES = {"ridge": "ridge", "logistic": "logistic", "knn": "k-NN", "mlp": "MLP"}


def family(architecture: str, neighbours: int = 1) -> str:
    """Returns the display name of a model family.

    >>> family("knn", 15)
    '15-NN'
    """
    return f"{int(neighbours)}-NN" if architecture == "knn" else _FAMILY.get(architecture, architecture)


def method(objective: str) -> str:
    """Returns the display name of what makes the features in chapter 1.

    >>> method("vicreg")
    'VICReg'
    """
    return OBJECTIVES.get(objective, objective)


def rate_name(rate: float | None, width: int, preset: str = "laptop") -> str:
    """Returns what the name of a translation run says of its learning rate: nothing where it is the width's own, or None.

    >>> rate_name(0.006, 32), rate_name(0.003, 32), rate_name(None, 64)
    ('', ', rate 0.003', '')
    """
    usual = rate_of(width, preset)
    return "" if rate is None or math.isclose(rate, usual, rel_tol=1e-6) else f", rate {rate:g}"
