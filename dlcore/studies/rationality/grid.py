"""The recorded runs of chapter 1, in named groups, the most informative first; the last group needs a GPU."""

from __future__ import annotations

import functools

from dlcore.studies.rationality.config import Config
from dlcore.studies.shared import product

NOISE = tuple(round(0.1 * i, 1) for i in range(1, 10))
SELF_SUPERVISED = ("simclr", "vicreg", "barlow_twins", "rotation")
# with the seed first, then the objective, runs on the same features stay together
_make = functools.partial(product, Config, preset="laptop")


def recorded() -> dict[str, list[Config]]:
    """Returns the groups of recorded runs: name -> configurations."""
    groups: dict[str, list[Config]] = {}
    cheap = ("pixels", "pca", "random_relu", "clusters", "random")
    rates, few, three = (0.05, *NOISE), (0.05, 0.2, 0.4), range(3)
    digits, signals = {"dataset": "digits"}, {"dataset": "mnist1d"}
    groups["digits"] = _make(seed=range(5), objective=(*SELF_SUPERVISED, *cheap), noise=rates, **digits)
    groups["digits-end-to-end"] = [
        *_make(seed=three, objective="supervised", noise=rates, architecture="mlp", **digits),
        *_make(seed=three, objective="supervised", noise=0.2, draws=3, **digits),
    ]
    probed = ("vicreg", "pixels")
    groups["digits-probes"] = _make(probe=("logistic", "knn", "mlp"), seed=three, objective=probed, noise=few, **digits)
    table = {"experiment": "table", "rounds": 6}
    groups["table"] = [
        *_make(seed=range(120), objective="neighbours", noise=0.1, input_noise=0.35, **digits, **table),
        *_make(seed=range(5), objective="vicreg", noise=0.2, **digits, **table),
    ]
    sizes, strengths = (50, 100, 200, 500, 1000, 2000), (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
    groups["strength"] = _make(
        dimension=sizes, strength=strengths, seed=three, objective="random_relu", noise=0.2, **digits
    )
    groups["clusters"] = _make(
        dimension=(10, 20, 50, 100, 200), seed=range(5), objective="clusters", noise=(0.05, 0.2), **digits
    )
    objectives = (*SELF_SUPERVISED, "random", "pixels", "random_relu")
    groups["mnist1d"] = _make(seed=three, objective=objectives, noise=rates, **signals)
    first = (0.2, 0.4, 0.05, 0.6, 0.8, 0.1, 0.3, 0.5, 0.7, 0.9)
    groups["mnist1d-end-to-end"] = _make(seed=three, objective="supervised", noise=first, draws=3, **signals)
    groups["mnist1d-probes"] = _make(seed=three, objective=probed, noise=few, probe="logistic", **signals)
    groups["size"] = [
        c
        for of, sizes in ((digits, (125, 250, 500)), (signals, (250, 500, 1000, 2000)))
        for c in _make(n_train=sizes, seed=three, objective=("vicreg", "random", "random_relu"), noise=0.2, **of)
    ]
    pair = ("vicreg", "simclr")
    groups["augmented"] = _make(seed=three, objective=pair, noise=(0.05, 0.2), augmented=True, **signals)
    groups["transductive"] = _make(
        dataset=("digits", "mnist1d"), seed=three, objective=pair, noise=0.2, transductive=True
    )
    # 10,000 images: 50 epochs of two views take some 25 minutes on one core, and 200 epochs two minutes on a GPU; seed by
    # seed, so that a part is balanced
    rates, learned = (0.2, 0.05, 0.4), ("simclr", "vicreg")
    for name, dataset in (("cifar10", "cifar10"), ("fashion", "fashion_mnist")):
        plain = {"dataset": dataset, "draws": 50}
        images = {**plain, "architecture": "resnet"}
        # 30 epochs (width 16) left SimCLR on Fashion-MNIST below raw pixels, 60 below 2,000 random ReLU units
        epochs = {"cifar10": 50, "fashion": 200}[name]
        groups[name] = _make(seed=three, objective=learned, noise=rates, epochs=epochs, **images)
        groups[f"{name}-untrained"] = [
            *_make(seed=three, objective="random", noise=rates, **images),
            *_make(seed=three, objective="pixels", noise=rates, **plain),
            # 128 is the number of the small ResNet's features
            *_make(dimension=(500, 2000, 128), seed=three, objective="random_relu", noise=rates, **plain),
        ]
        # the slider of the page goes to 0.9; on features that are there already a rate costs seconds
        groups[f"{name}-rates"] = [
            c
            for s in three
            for c in (
                *_make(seed=s, objective=learned, noise=NOISE, epochs=epochs, **images),
                *_make(seed=s, objective="random", noise=NOISE, **images),
                *_make(seed=s, objective=("pixels", "random_relu"), noise=NOISE, **plain),
            )
        ]
        # the record says how much of the noise 40 epochs fitted
        groups[f"{name}-end-to-end"] = _make(
            seed=three, objective="supervised", noise=0.2, epochs=40, **images | {"draws": 2}
        )
    groups["fashion-shorter"] = _make(seed=three, objective=learned, noise=(0.05, *NOISE), epochs=60, **images)
    # the 40,000 training images that leave 10,000 of the official training set for testing
    large = functools.partial(product, Config.from_parameters, preset="gpu", dataset="cifar10", n_train=40000)
    groups["gpu"] = [
        *large(objective="simclr", epochs=60, noise=few),
        *large(objective="random", noise=few),
        *large(objective="supervised", epochs=40, draws=2, noise=few),
        # 60 epochs left the encoder short of the paper's: five times as many, with a logistic probe at its penalised optimum
        *large(objective="simclr", epochs=300, seed=three, noise=few),
    ]
    return groups
