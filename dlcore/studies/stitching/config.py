"""The settings of chapter 2's runs, and the recipes that fill them in; never imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from dlcore import data
from dlcore.config import Config as BaseConfig
from dlcore.config import option, registered
from dlcore.keys import unlike_first
from dlcore.stitching import FAMILIES, INITIALISATIONS
from dlcore.studies.shared import recipe_of
from dlcore.training_config import LOOP, LOSSES, TrainConfig, views_of
from dlcore.training_config import PRETRAINING as PRETRAINING_RECIPE

DATASETS = ("digits", "mnist1d", "fashion_mnist", "cifar10")
SIZES = {"digits": 1200, "mnist1d": 4000, "fashion_mnist": 10000, "cifar10": 10000}
TEST_SIZES = {"mnist1d": 2000, "fashion_mnist": 2000, "cifar10": 2000}
# numbers of steps of a search for the best map, and the decrease of the validation error for which the next one is tried
SEARCH_STEPS, SEARCH_GAIN = (1000, 4000, 16000), 0.0025
# further test samples, which only choose among the maps of a converged stitch
VALIDATION = {"digits": 300, "mnist1d": 4000, "fashion_mnist": 4000, "cifar10": 2000}
ARCHITECTURES = ("mlp", "convnet", "resnet", "resnet18")
SELF_SUPERVISED = ("simclr", "vicreg")
# width, depth and epochs of the networks; the same for every pair, so that pairs differ in what they are about
RECIPES: dict[tuple[str, str], dict[str, int]] = {
    ("digits", "mlp"): {"width": 32, "depth": 2, "epochs": 20},
    ("digits", "convnet"): {"width": 8, "depth": 2, "epochs": 20},
    ("mnist1d", "mlp"): {"width": 128, "depth": 4, "epochs": 40},
    ("mnist1d", "convnet"): {"width": 16, "depth": 4, "epochs": 40},
    ("images", "convnet"): {"width": 16, "depth": 4, "epochs": 20},
    ("images", "resnet"): {"width": 16, "depth": 2, "epochs": 20},
    ("images", "resnet18"): {"width": 64, "depth": 2, "epochs": 20},
    ("tabular", "mlp"): {"width": 128, "depth": 4, "epochs": 40},
}
# the authors train ten times as long at 1e-3; 30 epochs of that left 5 points of penalty in a network stitched to itself,
# 30 of this under one
STITCH_RATE = 5e-3
STITCH_BATCH, LARGE_STITCH_BATCH = 128, 256
STITCH_OPTIMIZER = "adam"
# test inputs that the similarity indices take; the first stages of ResNet-18 have 65,536 numbers an input
SIMILARITY_INPUTS, MOST_SIMILARITY_INPUTS = {"resnet18": 500}, 1000
INDICES = ("linear_cka", "linear_cka_debiased", "procrustes", "mutual_knn", "rsa")
SMALL: dict[str, Any] = {"batch_size": 128, "learning_rate": 2e-3, "optimizer": "adamw", "weight_decay": 0.0}
# the authors': SGD, crops and flips; with a larger batch, cosine for their steps, and fewer epochs
LARGE: dict[str, Any] = {"batch_size": 512, "learning_rate": 0.2, "optimizer": "sgd", "weight_decay": 5e-4}
CROP = {"padding": 4, "flip": True}  # of the large networks' images
SCHEDULE = "cosine"
# of self-supervised networks: epochs over those of supervised ones, and the least batch
PRETRAINING = {"epochs": 2, "batch": 256}
PROBE: dict[str, Any] = {"epochs": 50, "batch_size": 128, "learning_rate": 1e-2, "optimizer": "adam"}


class Role(NamedTuple):
    """How one of the two networks is trained: everything that may tell the bottom from the top."""

    seed: int
    share: float
    other_half: bool
    width: int
    epochs: int
    labels: str
    noise: float
    objective: str


@dataclass(frozen=True)
class Config(BaseConfig):
    """Two networks stitched at every stage. Reproduces Bansal, Nakkiran, Barak 2021 (NeurIPS), section 4.

    Run one with `python -m dlcore run stitching dataset=mnist1d architecture=convnet`: a minute or two of one core, several
    with `cross`. What to expect between seeds: an excess penalty near zero from the middle stage on, and of several points
    at a convnet's first stage (in the small ResNets on Fashion-MNIST, of tens of points); for an untrained bottom, of tens
    of points from the middle on.

    The fields `bottom_*` say how the bottom differs; `noise` is the share of its training labels that are random (the
    right one among them, as in the paper). The stitcher is trained on the top's own samples unless
    `stitcher_data` is "all", which gives the top samples it never saw: the confound of the paper's code.
    """

    STUDY: ClassVar[str] = "stitching"
    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"dataset": "digits", "architecture": "mlp", "stitch_epochs": 5},
        "laptop": {"dataset": "mnist1d"},
        "gpu": {"dataset": "cifar10", "architecture": "resnet18", "n_train": 40000, "stitch_epochs": 3},
    }

    preset: str = option("smoke", help="where the run belongs", choices=("smoke", "laptop", "gpu"))
    dataset: str = option("digits", help="data set", choices=DATASETS, extended="dataset")
    architecture: str = option("convnet", help="network of both", choices=ARCHITECTURES)
    noise: float = option(0.0, help="share of the bottom's training labels that are random", low=0.0, high=1.0)
    seed: int = option(0, help="seed of the data, both networks and the map", low=0)
    n_train: int | None = option(
        None, help="training samples; None takes the data set's usual number", low=20, high=10_000_000
    )
    width: int | None = option(None, help="units or channels of the top's first stage", low=1, high=65_536)
    depth: int | None = option(None, help="hidden layers, stages or blocks", low=1, high=1_000)
    epochs: int | None = option(None, help="epochs of the top's training", low=1, high=10_000_000)
    top_share: float = option(1.0, help="share of the samples that the top is trained on", low=1e-3, high=1.0)
    top_objective: str = option("supervised", help="how the top is trained", choices=("supervised", *SELF_SUPERVISED))
    bottom_share: float = option(1.0, help="share of the samples that the bottom is trained on", low=1e-3, high=1.0)
    disjoint: bool = option(False, help="the bottom's samples are taken from the end, the top's from the start")
    bottom_width: int | None = option(None, help="width of the bottom", low=1, high=65_536)
    bottom_time: float = option(1.0, help="epochs of the bottom over the top's", low=1e-3)
    bottom_labels: str = option(
        "classes",
        help="what the bottom is taught: coarse is the first half of the classes or the second, objects is CIFAR-10's objects or its animals",
        choices=("classes", "coarse", "objects"),
    )
    bottom_objective: str = option(
        "supervised", help="how the bottom is trained", choices=("supervised", *SELF_SUPERVISED)
    )
    same_seed: bool = option(False, help="the bottom starts from the top's own weights and order")
    stitcher_data: str = option("top", help="samples of the stitcher: the top's own, or all", choices=("top", "all"))
    family: str = option("auto", help="maps; auto is the paper's", choices=("auto", *FAMILIES))
    bn_mode: str = option("recalibrate", help="BatchNorm of the frozen halves", choices=("recalibrate", "frozen"))
    init: str = option("random", help="start of a trained map", choices=INITIALISATIONS)
    kernel_size: int = option(1, help="of a convolutional map, odd", low=1, high=99)
    rank: int | None = option(None, help="rank of the map", low=1, high=65_536)
    stitch_epochs: int = option(30, help="epochs of a trained map", low=1, high=1_000_000)
    cross: bool = option(False, help="every stage of the bottom into every stage of the top, two families")
    freeze: bool = option(False, help="retrain the top above the bottom's frozen first stages", since=2)
    converged: bool = option(
        False,
        help="maps from both starts, with more steps while that gains, 16,000 at most; stitch_epochs is not used",
        since=3,
    )
    optimizer: str | None = option(None, help="of both networks", choices=("sgd", "adam", "adamw"), since=3)
    learning_rate: float | None = option(None, help="peak learning rate of both networks", low=1e-8, since=3)
    batch_size: int | None = option(None, help="samples a step of both networks", low=1, high=10_000_000, since=3)
    weight_decay: float | None = option(None, help="of both networks", low=0.0, since=3)
    stitch_rate: float | None = option(None, help="peak learning rate of a trained map", low=1e-8, since=3)
    stitch_batch: int | None = option(None, help="samples a step of a trained map", low=1, high=10_000_000, since=3)
    constants: str | None = option(None, help="the rest of the recipe, which this version fixes", since=3)
    population: bool = option(
        False, help="also train the bottom's twin on the other half, and measure noise memorised and agreement", since=3
    )
    shuffles: int = option(0, help="of the inputs, for the null of every similarity index", low=0, since=3)

    def resolve(self) -> dict[str, Any]:
        """Fills sizes and training from the recipes."""
        size, kind = (
            data.own.usual(self.dataset) if data.own.is_own(self.dataset) else (SIZES[self.dataset], self.dataset)
        )
        kind = kind if kind in ("digits", "mnist1d", "tabular") else "images"
        large = self.architecture == "resnet18"
        recipe = {
            **recipe_of(RECIPES, kind, self.architecture, self.dataset),
            **(LARGE if large else SMALL),
            "stitch_rate": STITCH_RATE,
        }
        recipe["stitch_batch"] = LARGE_STITCH_BATCH if large else STITCH_BATCH
        filled: dict[str, Any] = {name: value for name, value in recipe.items() if getattr(self, name) is None}
        filled["dataset"] = data.own.named(self.dataset)
        if self.n_train is None:
            filled["n_train"] = size
        if self.bottom_width is None:
            filled["bottom_width"] = filled.get("width", self.width)
        return filled

    def fixed(self) -> dict[str, Any]:
        """Returns the constants that are no fields."""
        found: dict[str, Any] = {
            "n_test": None if self.preset == "gpu" else TEST_SIZES.get(self.dataset),
            "schedule": SCHEDULE,
            "momentum": TrainConfig.momentum if self.optimizer == "sgd" else None,
            "similarity_inputs": SIMILARITY_INPUTS.get(self.architecture, MOST_SIMILARITY_INPUTS),
            "stitch_optimizer": STITCH_OPTIMIZER,
        }
        if {self.top_objective, self.bottom_objective} != {"supervised"}:
            parts = {"pretraining": {**PRETRAINING_RECIPE, **PRETRAINING}, "probe": PROBE}
            found |= {f"{part}_{name}": value for part, values in parts.items() for name, value in values.items()}
        if self.converged:
            found |= {"search_steps": ",".join(map(str, SEARCH_STEPS)), "search_gain": SEARCH_GAIN}
            found["validation"] = VALIDATION.get(self.dataset)
        groups: dict[str, Any] = {"loop": LOOP} | ({"crop": CROP} if self.architecture == "resnet18" else {})
        for objective in sorted({self.top_objective, self.bottom_objective} - {"supervised"}):
            groups |= {f"{objective}_pair": LOSSES[objective], **views_of(self.dataset)}
        return found | unlike_first(groups)

    def validate(self) -> None:
        """Refuses settings that contradict each other."""
        if self.disjoint and self.top_share + self.bottom_share > 1:
            raise ValueError(
                f"disjoint samples: top_share {self.top_share} and bottom_share {self.bottom_share} are more than 1"
            )
        if self.bottom_objective != "supervised" and (self.noise or self.bottom_labels != "classes"):
            raise ValueError("a self-supervised bottom sees no labels: noise and bottom_labels do not apply")
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size = {self.kernel_size} must be odd")
        if self.cross and self.bottom_width != self.width:
            raise ValueError("cross compares stages of networks of one width")
        if self.converged and (self.family != "auto" or self.init != "random" or self.cross or self.preset == "gpu"):
            raise ValueError("converged chooses starts and steps of the usual map: family, init and cross do not apply")
        if data.own.is_own(self.dataset) and (self.converged or self.bottom_labels != "classes"):
            raise ValueError(
                "converged needs further test samples, and bottom_labels known classes: not of your own data"
            )
        learners = {self.top_objective, self.bottom_objective} - {"supervised"}
        if learners and data.own.is_own(self.dataset) and data.own.usual(self.dataset)[1] == "tabular":
            raise ValueError(f"objective {min(learners)!r} needs views of images or signals, not rows of a table")
        if self.bottom_labels == "objects" and self.dataset != "cifar10":
            raise ValueError("bottom_labels=objects are the objects and animals of dataset=cifar10")
        if self.population and (
            not self.disjoint or self.bottom_labels != "classes" or self.bottom_share != self.top_share
        ):
            raise ValueError("population compares two networks of the same classes on disjoint samples, as many each")
        if self.freeze and self.bottom_width != self.width:
            raise ValueError("freeze puts the bottom's layers into the top: they must have one width")

    def data_checksum(self) -> str | None:
        """Returns the checksum of a registered data set as it is now."""
        return self.load().checksum if self.dataset in registered("dataset") else None

    def load(self) -> data.Dataset:
        """Returns the data of the run."""
        tests = None if self.preset == "gpu" else TEST_SIZES.get(self.dataset)
        extra = VALIDATION[self.dataset] if self.converged else 0
        return data.load(self.dataset, n_train=self.n_train, n_test=tests and tests + extra, seed=self.seed)

    @property
    def top(self) -> Role:
        """How the top is trained."""
        return Role(2 * self.seed, self.top_share, False, self.width, self.epochs, "classes", 0.0, self.top_objective)

    @property
    def bottom(self) -> Role:
        """How the bottom is trained."""
        epochs = max(1, round(self.bottom_time * self.epochs))
        seed = 2 * self.seed + (not self.same_seed)
        share, half = self.bottom_share, self.disjoint
        return Role(seed, share, half, self.bottom_width, epochs, self.bottom_labels, self.noise, self.bottom_objective)

    @property
    def twin(self) -> Role:
        """How the bottom's twin of a population is trained: as the bottom, on the top's samples, with noise of its own."""
        return self.bottom._replace(seed=20_000 + self.seed, other_half=False)
