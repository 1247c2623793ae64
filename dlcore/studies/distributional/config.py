"""The settings of chapter 3's runs, and the recipes that fill them in; never imports torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dlcore import data, keys
from dlcore.config import Config as BaseConfig
from dlcore.config import option, registered
from dlcore.keys import unlike_first
from dlcore.models import CLASSICAL, FAMILIES, NETWORKS
from dlcore.studies.distributional.partitions import PARTITIONS
from dlcore.studies.shared import recipe_of
from dlcore.training_config import LOOP, TrainConfig

EXPERIMENTS = (
    "cyclic",
    "subgroup",
    "one_class",
    "pair",
    "symmetric",
    "sparse",
    "four",
    "coarse",
    "imbalance",
    "human",
    "agreement",
)
# the constants of experiments: one pattern for all seeds, which are then draws of the same experiment; the largest class over
# the smallest
LAWS: dict[str, dict[str, Any]] = {"sparse": {"seed": 2020, "targets": 2}, "imbalance": {"ratio": 10.0}}
TEST_SIZES = {"mnist1d": 4000}
LOGGED_EPOCHS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362)
LOGGED_INPUTS = 5000  # of train and of test, at most
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


def recipe(dataset: str, architecture: str) -> dict[str, Any]:
    """Returns how a network is trained on a data set, or {} for the families of scikit-learn."""
    if architecture in CLASSICAL:
        return {}
    if (own := registered("architecture").get(architecture)) is not None:
        return own.recipe
    kind = data.own.usual(dataset)[1] if data.own.is_own(dataset) else None
    kind = kind or ("images" if dataset in IMAGES else dataset if dataset in ("digits", "mnist1d") else "tabular")
    return recipe_of(RECIPES, kind, architecture, dataset, CLASSICAL)


@dataclass(frozen=True)
class Config(BaseConfig):
    """One classifier trained once. Reproduces Nakkiran and Bansal 2020 (arXiv 2009.08092), sections 1 and 3 to 5.

    Run one with `python -m dlcore run distributional noise=0.3 architecture=mlp dataset=digits`: seconds for
    digits and MNIST-1D, minutes for Fashion-MNIST and CIFAR-10 on two cores. What to expect: 1-NN predicts the
    noise's target as often as it was trained to (.30 at noise .3), a forest far less often (about .10).
    """

    STUDY: ClassVar[str] = "distributional"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"dataset": "digits"},
        "laptop": {"dataset": "digits"},
        "gpu": {
            "dataset": "cifar10_full",
            "architecture": "resnet18",
            "experiment": "subgroup",
            "n_train": 50000,
        },
    }

    preset: str = option("smoke", help="where the run belongs", choices=("smoke", "laptop", "gpu"))
    experiment: str = option("cyclic", help="law of the labels", choices=EXPERIMENTS)
    dataset: str = option("digits", help="data set", choices=data.NAMES, extended="dataset")
    architecture: str = option(
        "knn", help="family of the classifier", choices=(*NETWORKS, *CLASSICAL), extended="architecture"
    )
    noise: float = option(0.3, help="rate at which the noisy labels are flipped", low=0.0, below=1.0)
    seed: int = option(0, help="seed of the split, the noise and the training", low=0)
    n_train: int | None = option(
        None, help="training samples; None takes the data set's usual number", low=10, high=10_000_000
    )
    noisy_class: int | None = option(
        None,
        help="of one_class: the noisy class; with feature=True, that class against the rest",
        low=0,
        high=9,
        since=3,
    )
    feature: bool = option(False, help="train on the partition L itself; the test error is then epsilon")
    annotator: str | None = option(None, help="CIFAR-10N labels", choices=("aggre", "random1", "worse"))
    neighbours: int = option(1, help="k of knn", low=1, high=10_000_000)
    max_depth: int = option(0, help="depth of the tree families; 0 is unlimited", low=0, high=1_000_000)
    bandwidth: float = option(0.66, help="kernel width over the median distance", low=1e-6)
    ridge: float = option(0.0, help="ridge of the kernel families, logistic and svm", low=0.0)
    width: int | None = option(None, help="units or channels of a network", low=1, high=65_536)
    depth: int | None = option(None, help="hidden layers, stages or blocks of a network", low=1, high=1_000)
    epochs: int | None = option(
        None, help="largest number of epochs; training stops at zero error", low=1, high=10_000_000
    )
    learning_rate: float | None = option(None, help="peak learning rate", low=1e-8)
    batch_size: int | None = option(None, help="samples a step", low=1, high=10_000_000)
    optimizer: str | None = option(None, help="of a network", choices=("sgd", "adam", "adamw"), since=2)
    schedule: str | None = option(None, help="of the learning rate", choices=("cosine", "constant"), since=2)
    constants: str | None = option(None, help="the rest of the recipe, which this version fixes", since=3)

    def resolve(self) -> dict[str, Any]:
        """Fills the sizes and training settings of the recipe."""
        filled: dict[str, Any] = {"dataset": data.own.named(self.dataset)}
        steps = recipe(self.dataset, self.architecture)
        for name in ("width", "depth", "epochs", "learning_rate", "batch_size", "optimizer", "schedule"):
            if getattr(self, name) is None and name in steps:
                filled[name] = steps[name]
        if self.n_train is None:
            # agreement trains two classifiers, each on a set of its own
            size = data.own.usual(self.dataset)[0] if data.own.is_own(self.dataset) else SIZES.get(self.dataset, 1000)
            filled["n_train"] = size // (1 + (self.experiment == "agreement"))
        if self.experiment == "human" and self.annotator is None:
            filled["annotator"] = "worse"
        return filled

    def fixed(self) -> dict[str, Any]:
        """Returns the constants that are no fields."""
        found: dict[str, Any] = {"n_test": TEST_SIZES.get(self.dataset)}
        if (own := registered("architecture").get(self.architecture)) is not None:
            found["code"] = keys.procedure(own.build)
        if self.trained:
            found["momentum"] = TrainConfig.momentum if self.optimizer == "sgd" else None
            found["weight_decay"] = TrainConfig.weight_decay
            if self.experiment == "sparse":
                found |= {"logged_epochs": ",".join(map(str, LOGGED_EPOCHS)), "logged_inputs": LOGGED_INPUTS}
        family = "kernel" if self.architecture.startswith("kernel_") else self.architecture
        groups = {"loop": LOOP} if self.trained else {family: FAMILIES[family]} if family in FAMILIES else {}
        if self.experiment in LAWS:
            groups[self.experiment] = LAWS[self.experiment]
        if self.experiment in ("subgroup", "one_class", "four", "coarse") and self.dataset in PARTITIONS:
            known = dataclasses.asdict(PARTITIONS[self.dataset])
            groups[f"partition_{self.dataset}"] = {n: v for n, v in known.items() if n != "binary_names"}  # words
        return found | unlike_first(groups)

    @property
    def trained(self) -> bool:
        """Whether the classifier is a network, which the training loop trains."""
        own = registered("architecture").get(self.architecture)
        return bool(own.recipe) if own is not None else self.architecture in NETWORKS

    def data_checksum(self) -> str | None:
        """Returns the checksum of a table as it is now: a table of the same name may hold other rows."""
        if self.dataset not in data.CHANGEABLE and self.dataset not in registered("dataset"):
            return None
        try:
            return self.load().checksum
        except FileNotFoundError:
            return None

    def load(self) -> data.Dataset:
        """Returns the data of the run."""
        count = self.n_train * (1 + (self.experiment == "agreement"))
        return data.load(self.dataset, n_train=count, n_test=TEST_SIZES.get(self.dataset), seed=self.seed)

    def validate(self) -> None:
        """Refuses settings that would do nothing: two names for one run are an error waiting to happen."""
        networks = (*NETWORKS, *([self.architecture] if self.trained else []))
        kernels = ("kernel_gaussian", "kernel_laplace", "svm")
        for name, neutral, families in (
            ("neighbours", 1, ("knn",)),
            ("max_depth", 0, ("tree", "extra_tree", "forest")),
            ("bandwidth", 0.66, kernels),
            ("ridge", 0.0, (*kernels, "logistic")),
            ("width", None, tuple(NETWORKS)),
            ("epochs", None, networks),
            ("optimizer", None, networks),
        ):
            if getattr(self, name) != neutral and self.architecture not in families:
                raise ValueError(f"{name} applies to {', '.join(families)}, not to {self.architecture!r}")
        if self.noise and (self.feature or self.experiment in ("coarse", "imbalance", "human")):
            raise ValueError(f"experiment {self.experiment!r}, feature {self.feature}: noise must be 0")
        if self.experiment == "human" and not self.dataset.startswith("cifar10"):
            raise ValueError(f"experiment 'human' needs CIFAR-10N, labels of 'cifar10', not of {self.dataset!r}")
        if (self.annotator is not None) != (self.experiment == "human"):
            raise ValueError("annotator applies to the experiment 'human' only")
        wanted = self.experiment == "one_class" and bool(self.noise or self.feature)
        if (self.noisy_class is not None) != wanted:
            raise ValueError("the experiment 'one_class' needs noisy_class with noise or feature=True; others do not")
        if self.feature and self.experiment in ("imbalance", "agreement"):
            raise ValueError(f"experiment {self.experiment!r} has no partition to learn")


def epsilon_config(config: Config) -> Config | None:
    """Returns the run whose test error is epsilon(L) of this run's partition, or None where epsilon is 0.

    The conjecture's premise is measured, never assumed: the same procedure, with the same n, on the labels L
    (Nakkiran and Bansal, definition 1). Where L is the class, that is the run without noise.
    """
    if config.experiment in ("imbalance", "agreement"):
        return None
    if config.experiment in ("four", "coarse"):
        return config.replace(feature=True, noise=0.0)
    return config.replace(experiment="cyclic", noise=0.0, annotator=None)


def one_class_epsilon_config(config: Config) -> Config:
    """Returns the run whose test error is epsilon of the partition into one noisy class and the rest."""
    noisy = PARTITIONS[config.dataset].noisy if config.experiment == "subgroup" else config.noisy_class
    return config.replace(experiment="one_class", feature=True, noise=0.0, noisy_class=noisy)
