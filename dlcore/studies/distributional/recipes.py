"""How the networks of chapter 3 are trained, and how many samples a data set usually gives."""

from __future__ import annotations

from typing import Any

from dlcore.models import CLASSICAL

# Recipes that reach (near) zero training error, found on noise-free pilot runs and then left alone.
_ADAM: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 128,
    "schedule": "constant",
}
_SGD: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 128, "schedule": "cosine"}
RECIPES: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "mlp"): {**_ADAM, "width": 256, "depth": 1, "epochs": 400, "batch_size": 64},
    ("digits", "convnet"): {**_ADAM, "width": 32, "depth": 2, "epochs": 200, "batch_size": 64},
    ("mnist1d", "mlp"): {**_ADAM, "width": 256, "depth": 2, "epochs": 200},
    ("mnist1d", "convnet"): {**_ADAM, "width": 16, "depth": 3, "epochs": 200},
    ("mnist1d", "resnet"): {**_ADAM, "width": 16, "depth": 1, "epochs": 200},
    ("images", "mlp"): {**_ADAM, "width": 256, "depth": 2, "epochs": 100},
    ("images", "convnet"): {**_SGD, "width": 24, "depth": 3, "epochs": 40, "batch_size": 64},
    ("images", "resnet"): {**_SGD, "width": 16, "depth": 1, "epochs": 30},
    ("images", "resnet18"): {**_SGD, "width": 64, "depth": 2, "epochs": 60},
    ("tabular", "mlp"): {**_ADAM, "width": 256, "depth": 2, "epochs": 200},
}
SIZES = {
    "digits": 1200,
    "mnist1d": 4000,
    "mnist": 10000,
    "fashion_mnist": 3000,
    "cifar10": 10000,
    "vowel": 660,
    "vehicle": 560,
}
IMAGES = ("mnist", "fashion_mnist", "cifar10", "cifar10_full")


def recipe(dataset: str, architecture: str) -> dict[str, Any]:
    """Returns how a network is trained on a data set, or {} for the families of scikit-learn."""
    if architecture in CLASSICAL:
        return {}
    kind = "images" if dataset in IMAGES else dataset if dataset in ("digits", "mnist1d") else "tabular"
    if (found := RECIPES.get((kind, architecture))) is None:
        fits = [a for k, a in RECIPES if k == kind] + list(CLASSICAL)
        raise ValueError(f"architecture {architecture!r} does not fit {dataset!r}; choose from: {', '.join(fits)}")
    return found
