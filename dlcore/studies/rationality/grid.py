"""The recorded runs of chapter 1, in named groups, the most informative first; the last group needs a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dlcore.studies.rationality.config import Config

NOISE = tuple(round(0.1 * i, 1) for i in range(1, 10))
SELF_SUPERVISED = ("simclr", "vicreg", "barlow_twins", "rotation")


def _make(seeds: Iterable[int], objectives: Iterable[str], rates: Iterable[float], **settings: Any) -> list[Config]:
    # the order keeps runs on the same features together
    return [
        Config(preset="laptop", seed=seed, objective=objective, noise=rate, **settings)
        for seed in seeds
        for objective in objectives
        for rate in rates
    ]


def recorded() -> dict[str, list[Config]]:
    """Returns the groups of recorded runs: name -> configurations."""
    groups: dict[str, list[Config]] = {}
    cheap = ("pixels", "pca", "random_relu", "clusters", "random")
    rates = (0.05, *NOISE)
    groups["digits"] = _make(range(5), (*SELF_SUPERVISED, *cheap), rates, dataset="digits")
    groups["digits-end-to-end"] = [
        *_make(range(3), ("supervised",), rates, dataset="digits", architecture="mlp"),
        *_make(range(3), ("supervised",), (0.2,), dataset="digits", draws=3),
    ]
    groups["digits-probes"] = [
        c
        for name in ("logistic", "knn", "mlp")
        for c in _make(range(3), ("vicreg", "pixels"), (0.05, 0.2, 0.4), dataset="digits", probe=name)
    ]
    groups["table"] = [
        *_make(range(120), ("neighbours",), (0.1,), dataset="digits", input_noise=0.35, experiment="table", rounds=6),
        *_make(range(5), ("vicreg",), (0.2,), dataset="digits", experiment="table", rounds=6),
    ]
    groups["strength"] = [
        c
        for dimension in (50, 100, 200, 500, 1000, 2000)
        for strength in (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
        for c in _make(range(3), ("random_relu",), (0.2,), dataset="digits", dimension=dimension, strength=strength)
    ]
    groups["clusters"] = [
        c
        for dimension in (10, 20, 50, 100, 200)
        for c in _make(range(5), ("clusters",), (0.05, 0.2), dataset="digits", dimension=dimension)
    ]
    groups["mnist1d"] = _make(range(3), (*SELF_SUPERVISED, "random", "pixels", "random_relu"), rates, dataset="mnist1d")
    groups["mnist1d-end-to-end"] = _make(
        range(3), ("supervised",), (0.2, 0.4, 0.05, 0.6, 0.8, 0.1, 0.3, 0.5, 0.7, 0.9), dataset="mnist1d", draws=3
    )
    groups["mnist1d-probes"] = _make(
        range(3), ("vicreg", "pixels"), (0.05, 0.2, 0.4), dataset="mnist1d", probe="logistic"
    )
    groups["size"] = [
        c
        for dataset, sizes in (("digits", (125, 250, 500)), ("mnist1d", (250, 500, 1000, 2000)))
        for n in sizes
        for c in _make(range(3), ("vicreg", "random", "random_relu"), (0.2,), dataset=dataset, n_train=n)
    ]
    groups["augmented"] = _make(range(3), ("vicreg", "simclr"), (0.05, 0.2), dataset="mnist1d", augmented=True)
    groups["transductive"] = [
        c
        for dataset in ("digits", "mnist1d")
        for c in _make(range(3), ("vicreg", "simclr"), (0.2,), dataset=dataset, transductive=True)
    ]
    # 10,000 images: 50 epochs of two views take some 25 minutes on one core, and 200 epochs two minutes on a GPU; seed by
    # seed, so that a part is balanced
    rates = (0.2, 0.05, 0.4)
    seeds = range(3)
    for name, dataset in (("cifar10", "cifar10"), ("fashion", "fashion_mnist")):
        images = {"dataset": dataset, "architecture": "resnet"}
        # 30 epochs (width 16) left SimCLR on Fashion-MNIST below raw pixels, 60 below 2,000 random ReLU units
        epochs = {"cifar10": 50, "fashion": 200}[name]
        groups[name] = [
            c for s in seeds for c in _make((s,), ("simclr", "vicreg"), rates, epochs=epochs, draws=50, **images)
        ]
        groups[f"{name}-untrained"] = [
            *_make(seeds, ("random",), rates, draws=50, **images),
            *_make(seeds, ("pixels",), rates, dataset=dataset, draws=50),
            *(
                c
                for dimension in (500, 2000, 128)  # 128 is the number of the small ResNet's features
                for c in _make(seeds, ("random_relu",), rates, dataset=dataset, draws=50, dimension=dimension)
            ),
        ]
        # the slider of the page goes to 0.9; on features that are there already a rate costs seconds
        groups[f"{name}-rates"] = [
            c
            for s in seeds
            for c in (
                *_make((s,), ("simclr", "vicreg"), NOISE, epochs=epochs, draws=50, **images),
                *_make((s,), ("random",), NOISE, draws=50, **images),
                *_make((s,), ("pixels", "random_relu"), NOISE, dataset=dataset, draws=50),
            )
        ]
        # the record says how much of the noise 40 epochs fitted
        groups[f"{name}-end-to-end"] = _make(seeds, ("supervised",), (0.2,), epochs=40, draws=2, **images)
    groups["fashion-shorter"] = [
        c for s in seeds for c in _make((s,), ("simclr", "vicreg"), (0.05, *NOISE), epochs=60, draws=50, **images)
    ]
    # the 40,000 training images that leave 10,000 of the official training set for testing
    supervised = {"objective": "supervised", "epochs": 40, "draws": 2}
    groups["gpu"] = [
        Config.from_parameters(preset="gpu", dataset="cifar10", n_train=40000, noise=rate, **kind)
        for kind in ({"objective": "simclr", "epochs": 60}, {"objective": "random"}, supervised)
        for rate in (0.05, 0.2, 0.4)
    ]
    # 60 epochs left the encoder short of the paper's: five times as many, with a logistic probe at its penalised optimum
    groups["gpu"] += [
        Config.from_parameters(
            preset="gpu", dataset="cifar10", n_train=40000, objective="simclr", epochs=300, noise=rate, seed=seed
        )
        for seed in range(3)
        for rate in (0.05, 0.2, 0.4)
    ]
    return groups
