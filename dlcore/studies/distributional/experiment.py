"""Chapter 3, distributional generalization: does a classifier's test output follow the law of its training labels?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from dlcore import data, noise, runtime, training
from dlcore.config import Config as BaseConfig
from dlcore.config import option
from dlcore.metrics import distributional as dg
from dlcore.models import CLASSICAL, NETWORKS, classical, network
from dlcore.records import Record
from dlcore.studies.distributional.recipes import SIZES, recipe
from dlcore.studies.distributional.tasks import EXPERIMENTS, PARTITIONS, Task, flip_rate, make_task

TEST_SIZES = {"mnist1d": 4000}
LOGGED_EPOCHS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362)
LOGGED_INPUTS = 5000  # of train and of test, at most


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
    dataset: str = option("digits", help="data set", choices=data.NAMES)
    architecture: str = option("knn", help="family of the classifier", choices=(*NETWORKS, *CLASSICAL))
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
        filled: dict[str, Any] = {}
        steps = recipe(self.dataset, self.architecture)
        for name in ("width", "depth", "epochs", "learning_rate", "batch_size", "optimizer", "schedule"):
            if getattr(self, name) is None and name in steps:
                filled[name] = steps[name]
        if self.n_train is None:
            # agreement trains two classifiers, each on a set of its own
            filled["n_train"] = SIZES.get(self.dataset, 1000) // (1 + (self.experiment == "agreement"))
        if self.experiment == "human" and self.annotator is None:
            filled["annotator"] = "worse"
        return filled

    def fixed(self) -> dict[str, Any]:
        """Returns the constants that are no fields."""
        found: dict[str, Any] = {"n_test": TEST_SIZES.get(self.dataset)}
        if self.architecture in NETWORKS:
            found["momentum"] = training.TrainConfig.momentum if self.optimizer == "sgd" else None
            found["weight_decay"] = training.TrainConfig.weight_decay
            if self.experiment == "sparse":
                found |= {"logged_epochs": ",".join(map(str, LOGGED_EPOCHS)), "logged_inputs": LOGGED_INPUTS}
        return found

    def data_checksum(self) -> str | None:
        """Returns the checksum of a table as it is now: a table of the same name may hold other rows."""
        if self.dataset not in data.CHANGEABLE:
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
        kernels = ("kernel_gaussian", "kernel_laplace", "svm")
        for name, neutral, families in (
            ("neighbours", 1, ("knn",)),
            ("max_depth", 0, ("tree", "extra_tree", "forest")),
            ("bandwidth", 0.66, kernels),
            ("ridge", 0.0, (*kernels, "logistic")),
            ("width", None, tuple(NETWORKS)),
            ("epochs", None, tuple(NETWORKS)),
            ("optimizer", None, tuple(NETWORKS)),
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


def _train(config: Config, task: Task, seed: int, options: dict[str, Any], log: bool = True) -> tuple[Any, ...]:
    """Returns (train predictions, test predictions, curves, device) of one classifier."""
    classes = task.shape[1]
    x = data.to_float(task.inputs, task.inputs)
    x_test = data.to_float(task.test_inputs, task.inputs)
    if config.architecture in CLASSICAL:
        names = ("neighbours", "max_depth", "bandwidth", "ridge")
        model = classical(config.architecture, seed=seed, **{k: getattr(config, k) for k in names})
        model.fit(x, task.labels)
        return model.predict(x), model.predict(x_test), None, torch.device("cpu")

    where = runtime.device(options.pop("device", "auto"))
    sizes = {"width": config.width, "depth": config.depth}
    net = network(config.architecture, x.shape[1:], classes, seed=seed, **sizes)
    settings = training.TrainConfig(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        optimizer=config.optimizer,
        schedule=config.schedule,
        stop_at_zero_error=True,
        seed=seed,
    )
    inputs, test_inputs = torch.from_numpy(x), torch.from_numpy(x_test)
    labels = torch.from_numpy(task.labels)
    few = slice(0, LOGGED_INPUTS)

    def evaluate(model: torch.nn.Module, epoch: int) -> dict[str, Any]:
        """Joint densities on train and test at a few epochs, about evenly spaced in their logarithm."""
        if epoch not in LOGGED_EPOCHS:
            return {}
        counts = [
            _counts(f[few], training.predict(model, v[few]).cpu().numpy(), task.shape)
            for f, v in ((task.feature, inputs), (task.test_feature, test_inputs))
        ]
        rates = [flip_rate(c, task.flips)[0] for c in counts]
        out = {"epoch": epoch, "flip_rate_train": rates[0], "flip_rate_test": rates[1]}
        two = dg.two_sample_from_counts(*counts, replicates=100, seed=epoch)
        out |= {"tv_train_test": two.tv, "tv_train_test_null": two.null_mean}
        out["test_error"] = float(1 - _weights(counts[1])[np.arange(task.shape[0]), task.clean].sum())
        if config.experiment == "sparse":
            out |= {"counts_train": counts[0].tolist(), "counts_test": counts[1].tolist()}
        return out

    label = f"{config.dataset} {config.architecture} noise {config.noise:g} seed {seed}"
    curves = training.fit(
        net,
        (inputs, labels),
        settings,
        evaluate=evaluate if log else None,
        device=where,
        label=label,
        **options,
    )
    return (
        training.predict(net, inputs).cpu().numpy(),
        training.predict(net, test_inputs).cpu().numpy(),
        curves,
        where,
    )


def _counts(feature: np.ndarray, predictions: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    table = np.zeros(shape, dtype=np.int64)
    np.add.at(table, (feature, predictions), 1)
    return table


def _error(counts: np.ndarray, features: np.ndarray, clean: np.ndarray) -> float:
    """Returns the share of the features' points that are not predicted as their clean label; NaN for no feature."""
    total = counts[features].sum()
    return float(1 - counts[features, clean[features]].sum() / total) if total else float("nan")


def _weights(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum()


def run(config: Config, *, checkpoint: Path | None = None, progress: bool = False, device: str = "auto") -> Record:
    """Trains one classifier (two for "agreement") and returns its record.

    Metrics: rates are fractions. `tv*` compares (L, f) on test with the law of the training labels, `tt_*` is the
    two-sample comparison of train and test, `test_error` is against the noise-free labels,
    `test_accuracy_noisy` against fresh labels from the training law (an exact expectation, nothing is sampled),
    `label_error` against the clean labels where these are finer than L.
    """
    options = {"checkpoint": checkpoint, "progress": progress, "device": device}
    double = config.experiment == "agreement"
    source = config.load()
    about = {"name": source.name, "split": source.split, "checksum": source.checksum}
    if double:
        return _run_agreement(config, source, about, options)
    task = make_task(
        source,
        config.experiment,
        config.noise,
        config.seed,
        feature=config.feature,
        annotator=config.annotator or "",
        noisy_class=config.noisy_class,
    )
    # a pass over train and test costs as much as a third of an epoch: it is made where the page shows the curve
    train, test, curves, where = _train(config, task, config.seed, options, log=config.experiment == "sparse")
    counts = _counts(task.feature, train, task.shape)
    counts_test = _counts(task.test_feature, test, task.shape)
    law, weights = task.conditional, _weights(counts_test)
    close = dg.calibration_from_counts(counts_test, law, seed=config.seed)
    two = dg.two_sample_from_counts(counts, counts_test, seed=config.seed)
    rate, flips = flip_rate(counts_test, task.flips)
    noisy = [a for a, _ in task.flips]
    others = np.setdiff1d(np.arange(task.shape[0]), noisy)
    # those that share the noisy features' clean label: the other animals
    same = others[np.isin(task.clean[others], task.clean[noisy])]
    metrics = {
        "num_train": len(train),
        "num_test": len(test),
        "num_flip_test": flips,
        "train_error": float(np.mean(train != task.labels)),
        "test_error": float(1 - weights[np.arange(task.shape[0]), task.clean].sum()),
        "test_accuracy_noisy": float((weights * law).sum()),
        **({} if task.test_labels is None else {"label_error": float(np.mean(test != task.test_labels))}),
        "flip_rate_labels": flip_rate(_counts(task.feature, task.labels, task.shape), task.flips)[0],
        "flip_rate_train": flip_rate(counts, task.flips)[0],
        "flip_rate_test": rate,
        "other_error": _error(counts_test, others, task.clean),
        "other_same_error": _error(counts_test, same, task.clean),
        **{k: v for k, v in asdict(close).items() if k.startswith("null")},
        **{k: getattr(close, k) for k in ("tv", "debiased", "low", "high")},
        **{f"tt_{k}": v for k, v in asdict(two).items() if isinstance(v, float)},
        **({"epochs_run": curves.epochs, "stopped": curves.stopped} if curves else {}),
    }
    if curves and "tv_train_test" in curves.values:
        apart = np.subtract(curves.values["tv_train_test"], curves.values["tv_train_test_null"])
        metrics["largest_train_test_excess"] = float(apart.max())
    arrays = {"counts_train": counts, "counts_test": counts_test, "conditional": law, "clean": task.clean}
    logged = {}
    if curves and "epoch" in curves.values:
        at = [e - 1 for e in curves.values["epoch"]]
        logged = {**curves.values, "train_error": [curves.train_error[e] for e in at]}
    return Record("distributional", config.to_dict(), metrics, logged, arrays, about, runtime.environment(where))


def _run_agreement(config: Config, source: data.Dataset, about: dict[str, str], options: dict[str, Any]) -> Record:
    """Two classifiers on disjoint halves: accuracy against fresh training-law labels, beside their agreement."""
    classes, n = source.num_classes, config.n_train
    given = source.train_labels
    if config.noise:
        given = noise.flip_labels(given, classes, config.noise, config.seed).labels
    law = np.full((classes, classes), config.noise / (classes - 1))
    np.fill_diagonal(law, 1 - config.noise)
    predictions, errors, where = [], [], torch.device("cpu")
    for half in (0, 1):
        rows = slice(half * n, (half + 1) * n)
        task = Task(
            source.train_inputs[rows],
            source.test_inputs,
            source.train_labels[rows],
            source.test_labels,
            given[rows],
            law,
            np.arange(classes),
        )
        path = options["checkpoint"]
        own = {**options, "checkpoint": path.with_suffix(f".{half}.pt") if path else None}
        train, test, _, where = _train(config, task, 2 * config.seed + half, own, log=False)
        if own["checkpoint"] is not None:
            own["checkpoint"].unlink(missing_ok=True)
        predictions.append(test)
        errors.append(np.mean(train != task.labels))
    fresh = noise.apply_confusion(source.test_labels, law, 10_000 + config.seed).labels
    gap = dg.agreement_gap(predictions[0], predictions[1], fresh, seed=config.seed)
    clean = [float(np.mean(p == source.test_labels)) for p in predictions]
    metrics = {
        "num_train": n,
        "num_test": len(fresh),
        "train_error": float(np.mean(errors)),
        "test_error": 1 - float(np.mean(clean)),
        "test_accuracy_noisy": float(np.mean([law[source.test_labels, p].mean() for p in predictions])),
        **{k: v for k, v in asdict(gap).items() if isinstance(v, float)},
    }
    return Record("distributional", config.to_dict(), metrics, {}, {}, about, runtime.environment(where))
