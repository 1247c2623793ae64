"""What a classifier of the distributional study is asked to learn: partitions of the classes and laws of the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlcore import noise
from dlcore.config import unknown_choice
from dlcore.data import Dataset
from dlcore.studies.distributional.config import EXPERIMENTS, LAWS
from dlcore.studies.distributional.partitions import PARTITIONS


@dataclass(frozen=True)
class Task:
    """A data set with labels to train on and the law that they follow.

    `feature_*` is the partition L(x), `labels` the (noisy) training labels, `conditional` the M x K law
    p(y | L), exact where the noise is ours, else the frequencies of the training labels. `clean` is the
    noise-free label of each row of L. `test_labels` is given where the clean labels are finer than L.
    """

    inputs: np.ndarray
    test_inputs: np.ndarray
    feature: np.ndarray
    test_feature: np.ndarray
    labels: np.ndarray
    conditional: np.ndarray
    clean: np.ndarray
    flips: tuple[tuple[int, int], ...] = ()
    test_labels: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number of features M and of labels K."""
        return self.conditional.shape


def counted(feature: np.ndarray, labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Returns how many points of each feature (rows) have each label (columns)."""
    table = np.zeros(shape, dtype=np.int64)
    np.add.at(table, (feature, labels), 1)
    return table


def flip_rate(counts: np.ndarray, flips: tuple[tuple[int, int], ...]) -> tuple[float, int]:
    """Returns the share of the noisy features' points that are predicted as the noise's target, and their number."""
    if not flips:
        return float("nan"), 0
    hit = sum(counts[a, b] for a, b in flips)
    total = sum(counts[a].sum() for a, _ in flips)
    return float(hit / total) if total else float("nan"), int(total)


def make_task(
    data: Dataset,
    experiment: str,
    rate: float,
    seed: int,
    *,
    feature: bool = False,
    annotator: str = "worse",
    noisy_class: int | None = None,
) -> Task:
    """Returns the task of an experiment on a data set.

    Experiments: "subgroup" (binary labels, one fine class flipped), "one_class" (the same, for any class), "cyclic"
    (l -> l+1), "pair" (0 -> 1), "symmetric" (to any other class), "sparse" (random sparse confusion), "four" (two
    fine classes a label, one of them flipped), "coarse" (L coarse, labels fine), "imbalance" (L constant, classes
    unequal), "human" (CIFAR-10N). With `feature` the label is L itself, without noise: the task whose test error is
    epsilon. Of "one_class", L is then `noisy_class` against the rest.

    Raises: ValueError when the experiment is not defined for the data set.
    """
    y, y_test, classes = data.train_labels, data.test_labels, data.num_classes
    x, x_test = data.train_inputs, data.test_inputs
    grouping = PARTITIONS.get(data.name)
    if experiment in ("subgroup", "one_class", "four", "coarse") and grouping is None:
        raise unknown_choice(f"data set for experiment {experiment!r}:", data.name, PARTITIONS)
    fine = np.arange(classes)

    if experiment == "human":
        if "human_labels" not in data.extra:
            raise ValueError(f"human labels (CIFAR-10N) were not found for {data.name!r}; only cifar10 has them")
        given = data.extra["human_labels"][annotator][0]
        table = counted(y, given, (classes, classes))
        return Task(x, x_test, y, y_test, given, table / table.sum(1, keepdims=True), fine)
    if experiment == "imbalance":
        keep, keep_test = (_imbalanced(v, classes, seed + i, **LAWS[experiment]) for i, v in enumerate((y, y_test)))
        x, y, x_test, y_test = x[keep], y[keep], x_test[keep_test], y_test[keep_test]
        share = np.bincount(y, minlength=classes) / len(y)
        clean = np.array([int(share.argmax())])
        return Task(x, x_test, 0 * y, 0 * y_test, y, share[None], clean, test_labels=y_test)
    if experiment == "coarse":
        groups = np.array(grouping.coarse)
        table = counted(groups[y], y, (groups.max() + 1, classes))
        law = table / table.sum(1, keepdims=True)
        if feature:
            return _feature_task(x, x_test, groups[y], groups[y_test], groups.max() + 1)
        return Task(x, x_test, groups[y], groups[y_test], y, law, law.argmax(1), test_labels=y_test)

    flips: tuple[tuple[int, int], ...] = ()
    if experiment == "four":
        keep, keep_test = np.isin(y, grouping.four), np.isin(y_test, grouping.four)
        code = np.full(classes, -1)
        code[list(grouping.four)] = range(4)
        x, y, x_test, y_test = x[keep], code[y[keep]], x_test[keep_test], code[y_test[keep_test]]
        clean, flips = np.array([0, 0, 1, 1]), ((2, 0),)
        law = noise.subgroup_confusion(clean, 2, [2], 0, rate)
    elif experiment == "one_class" and feature:
        return _feature_task(x, x_test, 1 * (y == noisy_class), 1 * (y_test == noisy_class), 2)
    elif experiment in ("subgroup", "one_class"):
        clean = np.array(grouping.binary)
        noisy = [grouping.noisy] if experiment == "subgroup" else [] if noisy_class is None else [noisy_class]
        flips = tuple((c, int(1 - clean[c])) for c in noisy)
        law = noise.subgroup_confusion(clean, 2, noisy, flips[0][1] if flips else 0, rate)
    elif experiment == "cyclic":
        law, flips = noise.cyclic_confusion(classes, rate), tuple((k, (k + 1) % classes) for k in range(classes))
    elif experiment == "pair":
        flips, law = ((0, 1),), noise.confusion("asymmetric", classes, rate, flips={0: 1})
    elif experiment == "symmetric":
        law = noise.confusion("symmetric", classes, rate)
    elif experiment == "sparse":
        law = noise.sparse_confusion(classes, rate, **LAWS[experiment])
    else:
        raise unknown_choice("experiment", experiment, EXPERIMENTS)
    if feature:
        return _feature_task(x, x_test, y, y_test, len(law))
    clean = clean if experiment in ("four", "subgroup", "one_class") else fine
    labels = noise.apply_confusion(y, law, seed).labels
    return Task(x, x_test, y, y_test, labels, law, clean, flips)


def _feature_task(x, x_test, feature, test_feature, num: int) -> Task:
    return Task(x, x_test, feature, test_feature, feature, np.eye(num), np.arange(num))


def _imbalanced(labels: np.ndarray, classes: int, seed: int, ratio: float) -> np.ndarray:
    """Returns rows such that class k is ratio^(-k/(K-1)) times as frequent as class 0, in a random order."""
    rng = np.random.default_rng([seed, 7])
    available = np.bincount(labels, minlength=classes).min()
    wanted = np.floor(available * ratio ** (-np.arange(classes) / (classes - 1))).astype(int)
    rows = [rng.permutation(np.flatnonzero(labels == k))[:n] for k, n in enumerate(wanted)]
    return rng.permutation(np.concatenate(rows))
