"""Chapter 3, distributional generalization: does a classifier's test output follow the law of its training labels?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlcore import data, noise, runtime, training
from dlcore.metrics import distributional as dg
from dlcore.models import network
from dlcore.models.classical import classical
from dlcore.records import Record
from dlcore.studies.distributional.config import LOGGED_EPOCHS, LOGGED_INPUTS, Config
from dlcore.studies.distributional.tasks import Task, counted, flip_rate, make_task


def _train(config: Config, task: Task, seed: int, options: dict[str, Any], log: bool = True) -> tuple[Any, ...]:
    """Returns (train predictions, test predictions, curves, device) of one classifier."""
    classes = task.shape[1]
    x = data.to_float(task.inputs, task.inputs)
    x_test = data.to_float(task.test_inputs, task.inputs)
    if not config.trained:
        names = ("neighbours", "max_depth", "bandwidth", "ridge")
        model = classical(config.architecture, seed=seed, **{k: getattr(config, k) for k in names})
        model.fit(x, task.labels)
        return model.predict(x), model.predict(x_test), None, torch.device("cpu")

    where = runtime.device(options.pop("device", "auto"))
    sizes = {"width": config.width, "depth": config.depth}
    net = network(config.architecture, x.shape[1:], classes, seed=seed, **sizes)
    recipe = {n: getattr(config, n) for n in ("epochs", "batch_size", "learning_rate", "optimizer", "schedule")}
    settings = training.TrainConfig(**recipe, stop_at_zero_error=True, seed=seed)
    inputs, test_inputs = torch.from_numpy(x), torch.from_numpy(x_test)
    labels = torch.from_numpy(task.labels)
    few = slice(0, LOGGED_INPUTS)

    def evaluate(model: torch.nn.Module, epoch: int) -> dict[str, Any]:
        """Joint densities on train and test at a few epochs, about evenly spaced in their logarithm."""
        if epoch not in LOGGED_EPOCHS:
            return {}
        counts = [
            counted(f[few], training.predict(model, v[few]).cpu().numpy(), task.shape)
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


def _error(counts: np.ndarray, features: np.ndarray, clean: np.ndarray) -> float:
    """Returns the share of the features' points that are not predicted as their clean label; NaN for no feature."""
    total = counts[features].sum()
    return float(1 - counts[features, clean[features]].sum() / total) if total else float("nan")


def _weights(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum()


@runtime.single_precision()
def run(
    config: Config, *, checkpoint: Path | None = None, progress: bool = False, device: str | torch.device = "auto"
) -> Record:
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
    counts = counted(task.feature, train, task.shape)
    counts_test = counted(task.test_feature, test, task.shape)
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
        "flip_rate_labels": flip_rate(counted(task.feature, task.labels, task.shape), task.flips)[0],
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
    law = noise.confusion("symmetric", classes, config.noise)
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
