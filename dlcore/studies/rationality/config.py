"""The settings of chapter 1's runs, and the recipes that fill them in; never imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from dlcore import data
from dlcore.config import Config as BaseConfig
from dlcore.config import option, registered
from dlcore.keys import unlike_first
from dlcore.models import NETWORKS
from dlcore.probing import DEFAULTS, PROBES
from dlcore.studies.shared import recipe_of
from dlcore.training_config import LOOP, LOSSES, TrainConfig, views_of
from dlcore.training_config import PRETRAINING as PRETRAINING_RECIPE

# features without a network, and the constants of each
FIXED: dict[str, dict[str, Any]] = {
    "pixels": {},
    "pca": {},
    "random_relu": {"offset": 0.5},
    "clusters": {"starts": 4},
    "neighbours": {"averaged": 8},
}
# those of `objectives.OBJECTIVES`, which loads torch
OBJECTIVES = ("simclr", "vicreg", "barlow_twins", "rotation")
NETWORK = ("random", *OBJECTIVES)
REPRESENTATIONS = (*NETWORK, *FIXED)
SIZES = {"digits": 1000, "mnist1d": 4000, "fashion_mnist": 10000, "cifar10": 10000, "cifar10_full": 50000}
DRAWS = {"ridge": 200, "logistic": 50, "mlp": 5, "knn": 50, "none": 5}
# self-supervised pretraining (AdamW, cosine) and end-to-end training of each kind of input and network
PRETRAIN: dict[tuple[str, str], dict[str, Any]] = {
    ("digits", "convnet"): {"width": 32, "depth": 2, "epochs": 60, "batch_size": 256},
    ("digits", "mlp"): {"width": 256, "depth": 2, "epochs": 100, "batch_size": 256},
    ("mnist1d", "convnet"): {"width": 32, "depth": 3, "epochs": 100, "batch_size": 256},
    ("mnist1d", "mlp"): {"width": 256, "depth": 2, "epochs": 200, "batch_size": 256},
    ("images", "convnet"): {"width": 32, "depth": 3, "epochs": 60, "batch_size": 256},
    ("images", "resnet"): {"width": 32, "depth": 1, "epochs": 60, "batch_size": 256},
    ("images", "resnet18"): {"width": 64, "depth": 2, "epochs": 500, "batch_size": 512},
    ("tabular", "mlp"): {"width": 256, "depth": 2},  # there are no views of rows
}
TEST_SIZES = {"mnist1d": 4000}
VIEWS = 4  # augmented views of each training point that a probe with augmentation is fitted on
_ADAM = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 128}
END_TO_END: dict[str, dict[str, Any]] = {
    "digits": {**_ADAM, "epochs": 300, "batch_size": 64},
    "mnist1d": {**_ADAM, "epochs": 200},
    "images": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 128, "epochs": 60},
    "tabular": {**_ADAM, "epochs": 200},
}


def kind(dataset: str) -> str:
    """Returns which recipes a data set takes: "digits", "mnist1d", "images" or, for one of your own, also "tabular"."""
    if data.own.is_own(dataset):
        return data.own.usual(dataset)[1]
    return dataset if dataset in ("digits", "mnist1d") else "images"


@dataclass(frozen=True)
class Config(BaseConfig):
    """One training procedure in the noisy experiment. Reproduces Bansal, Kaplun, Barak 2021 (ICLR).

    Run one with `python -m dlcore run rationality objective=simclr dataset=mnist1d`: a minute on two cores. What to
    expect: a probe on self-supervised features memorises a few per cent of the noise, an end-to-end network
    (`objective=supervised`) most of it.

    `objective` names what makes the features, or "supervised" for end-to-end training, which has no probe.
    `experiment` "table" runs the procedure that puts test points into the training set under random labels.
    """

    STUDY: ClassVar[str] = "rationality"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"dataset": "digits"},
        "laptop": {"dataset": "mnist1d"},
        "gpu": {"dataset": "cifar10_full", "architecture": "resnet18", "noise": 0.05},
    }

    preset: str = option("smoke", help="where the run belongs", choices=("smoke", "laptop", "gpu"))
    experiment: str = option("gaps", help="what is measured", choices=("gaps", "table"))
    dataset: str = option("digits", help="data set", choices=tuple(SIZES), extended="dataset")
    objective: str = option("simclr", help="what makes the features", choices=("supervised", *REPRESENTATIONS))
    architecture: str = option("convnet", help="network of the features", choices=tuple(NETWORKS))
    probe: str | None = option(
        None, help="classifier on the features; None: ridge, in preset gpu logistic", choices=PROBES
    )
    noise: float = option(0.2, help="rate at which training labels are flipped to another class", low=0.0, below=1.0)
    seed: int = option(0, help="seed of the split, the pretraining and the noise", low=0)
    n_train: int | None = option(
        None, help="training samples; None takes the data set's usual number", low=20, high=10_000_000
    )
    draws: int | None = option(None, help="noisy label vectors", low=2, high=100_000)
    rounds: int | None = option(None, help="retrainings of experiment 'table'", low=2, high=100_000)
    dimension: int | None = option(None, help="dimension of the features; None keeps all", low=1, high=1_000_000)
    strength: float | None = option(None, help="ridge of a ridge or logistic probe", low=0.0)
    neighbours: int | None = option(None, help="k of a knn probe", low=1, high=10_000_000)
    augmented: bool = option(False, help="fit the probe on augmented views, and score training points on views")
    transductive: bool = option(False, help="pretraining also sees the test inputs")
    input_noise: float = option(0.0, help="deviation of Gaussian noise added to the inputs", low=0.0)
    width: int | None = option(None, help="units or channels of the network", low=1, high=65_536)
    depth: int | None = option(None, help="hidden layers, stages or blocks of the network", low=1, high=1_000)
    epochs: int | None = option(None, help="epochs of pretraining, or of end-to-end training", low=1, high=10_000_000)
    batch_size: int | None = option(None, help="samples a step", low=2, high=10_000_000)
    temperature: float | None = option(None, help="of SimCLR", low=1e-3)
    optimizer: str | None = option(None, help="of end-to-end training", choices=("sgd", "adam", "adamw"), since=3)
    learning_rate: float | None = option(None, help="of end-to-end training", low=1e-8, since=3)
    constants: str | None = option(None, help="the rest of the recipe, which this version fixes", since=3)

    def resolve(self) -> dict[str, Any]:
        """Fills the sizes and training settings of the recipes; what does not apply stays None."""
        filled: dict[str, Any] = {"dataset": data.own.named(self.dataset)}
        if self.n_train is None:
            filled["n_train"] = (
                data.own.usual(self.dataset)[0] if data.own.is_own(self.dataset) else SIZES[self.dataset]
            )
        networks = (*NETWORK, "supervised")
        steps: dict[str, Any] = {}
        if self.objective in networks:
            steps = dict(recipe_of(PRETRAIN, kind(self.dataset), self.architecture, self.dataset))
            if self.objective == "supervised":
                steps |= END_TO_END[kind(self.dataset)]
            if self.objective == "random":
                steps = {k: steps[k] for k in ("width", "depth")}
            if self.objective == "simclr":
                steps["temperature"] = LOSSES["simclr"]["temperature"]
        for name in ("width", "depth", "epochs", "batch_size", "temperature", "optimizer", "learning_rate"):
            if getattr(self, name) is None and name in steps:
                filled[name] = steps[name]
            elif getattr(self, name) is not None and name not in steps:
                raise ValueError(f"{name} does not apply to objective {self.objective!r}")
        if self.objective == "supervised":
            if self.probe is not None:
                raise ValueError("objective 'supervised' trains end to end: it has no probe")
        elif self.probe is None:
            filled["probe"] = "logistic" if self.preset == "gpu" else "ridge"  # the authors' probe is logistic
        probe = filled.get("probe", self.probe)
        if self.draws is None:
            filled["draws"] = 20 if self.preset == "gpu" and probe == "logistic" else DRAWS[probe or "none"]
        if self.experiment == "table" and self.rounds is None:
            filled["rounds"] = 20
        if probe in ("ridge", "logistic") and self.strength is None:
            filled["strength"] = 1.0
        if probe == "knn" and self.neighbours is None:
            filled["neighbours"] = 15
        if self.dimension is None and self.objective in ("pca", "random_relu", "clusters"):
            filled["dimension"] = {"pca": 20, "random_relu": 500, "clusters": 10}[self.objective]
        return filled

    def fixed(self) -> dict[str, Any]:
        """Returns the constants that are no fields."""
        found: dict[str, Any] = {
            "n_test": TEST_SIZES.get(self.dataset),
            "views": VIEWS if self.augmented else None,
        }
        if self.objective in OBJECTIVES:
            found |= {f"pretraining_{name}": value for name, value in PRETRAINING_RECIPE.items()}
        if self.objective == "supervised":
            found |= {"schedule": TrainConfig.schedule, "weight_decay": TrainConfig.weight_decay}
            found["momentum"] = TrainConfig.momentum if self.optimizer == "sgd" else None
        groups: dict[str, Any] = {"loop": LOOP} if self.objective in (*OBJECTIVES, "supervised") else {}
        if self.objective in OBJECTIVES:  # the temperature is a field
            groups[self.objective] = {n: v for n, v in LOSSES[self.objective].items() if n != "temperature"}
        if self.objective in OBJECTIVES or self.augmented:
            groups |= views_of(self.dataset)
        if self.objective in FIXED:
            groups[self.objective] = FIXED[self.objective]
        if self.probe in DEFAULTS:
            groups[f"{self.probe}_probe"] = DEFAULTS[self.probe]
        return found | unlike_first(groups)

    def validate(self) -> None:
        """Refuses settings that would do nothing: two names for one run are an error waiting to happen."""
        if self.objective in OBJECTIVES and kind(self.dataset) == "tabular":
            raise ValueError(f"objective {self.objective!r} needs views of images or signals, not rows of a table")
        if self.objective == "supervised" and (self.dimension or self.transductive or self.augmented):
            raise ValueError("objective 'supervised' has no features: dimension, transductive, augmented do not apply")
        if self.dimension is not None and self.objective in ("pixels", "neighbours"):
            raise ValueError(f"dimension does not apply to objective {self.objective!r}; use 'pca'")
        if self.architecture != "convnet" and self.objective not in (*NETWORK, "supervised"):
            raise ValueError(f"architecture does not apply to objective {self.objective!r}: it has no network")
        if self.strength is not None and self.probe not in ("ridge", "logistic"):
            raise ValueError(f"strength applies to the probes ridge and logistic, not to {self.probe!r}")
        if self.neighbours is not None and self.probe != "knn":
            raise ValueError(f"neighbours applies to the probe knn, not to {self.probe!r}")
        if self.rounds is not None and self.experiment != "table":
            raise ValueError("rounds applies to experiment 'table' only")
        if self.experiment == "table" and self.augmented:
            raise ValueError("experiment 'table' needs train and test points treated alike: augmented must be off")
        if self.experiment == "table" and (self.objective == "supervised" or self.noise == 0):
            raise ValueError("experiment 'table' needs features and a noise above 0")
        if self.experiment == "table" and self.noise * 10 / 9 > 1:
            raise ValueError(f"experiment 'table' needs noise <= 0.9, not {self.noise}")
        if self.augmented and self.objective not in NETWORK:
            raise ValueError(f"augmented applies to features of a network, not to {self.objective!r}")

    def data_checksum(self) -> str | None:
        """Returns the checksum of a registered data set as it is now."""
        return self.load().checksum if self.dataset in registered("dataset") else None

    def load(self) -> data.Dataset:
        """Returns the data of the run."""
        return data.load(self.dataset, n_train=self.n_train, n_test=TEST_SIZES.get(self.dataset), seed=self.seed)

    def pretraining(self) -> dict[str, Any]:
        """Returns the fields that decide the features, and no others: what a cache of features is named after."""
        names = ("dataset", "objective", "architecture", "seed", "n_train", "dimension", "transductive", "input_noise")
        names += ("width", "depth", "epochs", "batch_size", "temperature", "augmented", "constants")
        fixed = self.objective not in NETWORK
        return {n: getattr(self, n) for n in names if not (fixed and n == "architecture")}
