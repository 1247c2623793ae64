"""What the ledger measures of chapter 1, on the table of `studies.rationality.table`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dlcore.measures import CONFIDENCE, MEASURES, Measured, Table, by, exact, largest, mean, measure, with_arguments
from dlcore.metrics.rationality import cluster_vote_complexity, sharp_memorization_bound
from dlcore.studies.rationality.table import slopes
from dlcore.summaries import select

CONTRASTIVE = ["simclr", "vicreg", "barlow_twins"]


def _usual(t: Table, **where) -> Table:
    """Returns the runs of the main comparison whose fields have these values."""
    return select(t[t.usual], **where)


MEASURES["rrm-bound"] = lambda t: exact((t.generalization - t.bound).max(), len(t))
MEASURES["memorization-certificate"] = lambda t: exact((t.memorization.abs() - t.certificate).max(), len(t))


def _memorised(t: Table, **where) -> pd.Series:
    """Returns the memorization gap at 20 % noise by seed."""
    return _usual(t, noise=0.2, **where).groupby("seed").memorization.mean()


def _ratio(one: pd.Series, two: pd.Series) -> Measured | None:
    """Measures the ratio of two columns by seed, in logarithms."""
    m = mean(np.log(one / two))
    return m and Measured(*(float(np.exp(v)) for v in m[:3]), runs=m.runs)


def _separation(t: Table, dataset: str, architecture: str, objectives: list[str] = CONTRASTIVE[:2]) -> Measured | None:
    """Ratio of the memorization gaps, end to end over probes on features, on the same seeds."""
    ended = _usual(t, noise=0.2, objective="supervised", dataset=dataset, architecture=architecture)
    ended = ended.set_index("seed").memorization
    return _ratio(ended, _memorised(t, objective=objectives, dataset=dataset, probe="ridge").reindex(ended.index))


def _untrained(t: Table, dataset: str) -> Measured | None:
    """Ratio of the memorization gaps, probes on an untrained network over self-supervised ones, on the same seeds."""
    t = select(t, dataset=dataset, probe="ridge")
    return _ratio(_memorised(t, objective="random"), _memorised(t, objective=CONTRASTIVE[:2]))


for _name, _dataset, _architecture in (
    ("mnist1d", "mnist1d", "convnet"),
    ("digits", "digits", "mlp"),
    ("cifar10", "cifar10", "resnet"),
    ("fashion", "fashion_mnist", "resnet"),
):
    MEASURES[f"separation-{_name}"] = with_arguments(_separation, _dataset, _architecture)
    MEASURES[f"separation-untrained-{_name}"] = with_arguments(_separation, _dataset, _architecture, ["random"])
    MEASURES[f"untrained-memorises-{_name}"] = with_arguments(_untrained, _dataset)


def _learns(t: Table, dataset: str, epochs: int | None = None) -> Measured | None:
    """Test accuracy of SimCLR with ridge minus that of the best features that were never trained, on the same seeds."""
    t = select(t, dataset=dataset, probe="ridge", noise=0.2, experiment="gaps")
    trained = select(t, objective="simclr", **({"epochs": epochs} if epochs else {"usual": True}))
    plain = select(t, objective=["pixels", "random", "random_relu"])
    if plain.objective.nunique() < 3:
        return None
    return mean(trained.set_index("seed").test - plain.groupby("seed").test.max())


MEASURES["learns-cifar10"] = with_arguments(_learns, "cifar10")
MEASURES["learns-fashion"] = with_arguments(_learns, "fashion_mnist")
MEASURES["learns-fashion-shorter"] = with_arguments(_learns, "fashion_mnist", 60)


def _worst(
    t: Table,
    column: str,
    noise: float,
    dataset: str = "mnist1d",
    probe: str = "ridge",
    objectives: list[str] = CONTRASTIVE,
) -> Measured | None:
    """The largest mean of the contrastive objectives."""
    rows = _usual(t, objective=objectives, dataset=dataset, noise=noise, probe=probe)
    return largest(by(rows, column, "objective"))


MEASURES["memorization-cifar10"] = with_arguments(_worst, "memorization", 0.05, "cifar10", objectives=CONTRASTIVE[:2])
MEASURES["probe-leaves-noise"] = with_arguments(_worst, "train_on_noisy_labels", 0.5)
MEASURES["rationality-small"] = with_arguments(_worst, "rationality", 0.05)


def _drop(t: Table, dataset: str, probe: str = "ridge") -> Measured | None:
    """Clean test accuracy lost at 40 % noise."""
    return _worst(t.assign(lost=t.test - t.test_after_noise), "lost", 0.4, dataset, probe)


for _dataset in ("mnist1d", "cifar10", "digits"):
    MEASURES[f"flat-{_dataset}"] = with_arguments(_drop, _dataset)
for _dataset in ("mnist1d", "digits"):
    MEASURES[f"flat-{_dataset}-logistic"] = with_arguments(_drop, _dataset, "logistic")


def _mean(t: Table, column: str, **where) -> Measured | None:
    return mean(_usual(t, **where)[column])


MEASURES["gap-cifar10"] = with_arguments(
    _mean, "generalization", objective="simclr", dataset="cifar10", noise=0.05, probe="ridge"
)
MEASURES["end-to-end-fits-noise"] = with_arguments(
    _mean, "train_on_noisy_labels", objective="supervised", dataset="mnist1d", noise=0.4
)


def _table(t: Table, beside: str) -> Measured | None:
    """Accuracy of inserted test points minus another one."""
    found = select(t, experiment="table", objective="neighbours")
    return mean(found.table_measured - found[beside])


MEASURES["table-identity"] = with_arguments(_table, "table_predicted")
MEASURES["table-gain"] = with_arguments(_table, "test")


@measure("memorization-falls-with-n")
def _(t):
    found = select(t, objective="vicreg", dataset="mnist1d", noise=0.2, probe="ridge", experiment="gaps")
    return mean(slopes(select(found, augmented=False, transductive=False), 4))


@measure("interpolation-is-vacuous")
def _(t):
    return mean(select(t, objective="random_relu", dataset="digits", dimension=2000, strength=0.001).bound)


def _paired(t: Table, field: str, dataset: str) -> Measured | None:
    """Generalization gap with the option minus without it, same objective and seed."""
    t = select(t, objective="vicreg", dataset=dataset, probe="ridge", noise=0.2)
    changed, usual = (select(t, **{name: True}).set_index("seed").generalization for name in (field, "usual"))
    return mean(changed - usual)


MEASURES["augmented-gap"] = with_arguments(_paired, "augmented", "mnist1d")
MEASURES["transductive-gap"] = with_arguments(_paired, "transductive", "mnist1d")


@measure("cluster-certificate")
def _(t):
    found = select(t, objective="clusters", experiment="gaps")
    if found.empty:
        return None
    bounds = [
        sharp_memorization_bound(cluster_vote_complexity(int(m), int(c)), int(n), r)
        for m, c, n, r in zip(found.dimension, found.num_classes, found.num_train, found.flip_rate, strict=True)
    ]
    return exact((found.memorization - bounds).max(), len(found))


@measure("memorization-and-sampling")
def _(t):
    found = select(t, experiment="gaps", noise=0.2)
    if len(found) < 3:
        return None
    # a bootstrap over kinds of features on a data set: over seeds alone it would say nothing of other procedures
    parts = [g[["memorized_share", "sampler_share"]] for _, g in found.groupby(["dataset", "objective"])]
    rng = np.random.default_rng(0)
    drawn = [pd.concat([parts[i] for i in rng.integers(0, len(parts), len(parts))]) for _ in range(400)]
    tail = (1 - CONFIDENCE.get()) / 2
    ends = np.quantile([d.memorized_share.corr(d.sampler_share) for d in drawn], [tail, 1 - tail])
    return Measured(float(found.memorized_share.corr(found.sampler_share)), *map(float, ends), runs=len(found))


def _large(t: Table, noise: float, objective: str = "simclr") -> Table:
    """Returns the runs of ResNet-18 on all of CIFAR-10, or on the part of its training set that leaves one for testing."""
    return _usual(t, preset="gpu", objective=objective, dataset=["cifar10", "cifar10_full"], noise=noise)


for _rate in (5, 20, 40):
    MEASURES[f"sampler-share-resnet18-{_rate}"] = with_arguments(
        lambda t, noise: mean(_large(t, noise, "supervised").sampler_share), _rate / 100
    )
MEASURES["gap-at-paper-scale"] = lambda t: mean(_large(t, 0.05).generalization)
MEASURES["memorization-at-paper-scale"] = lambda t: mean(_large(t, 0.05).memorization)


@measure("flat-at-paper-scale")
def _(t):
    found = _large(t, 0.4)
    return mean(found.test - found.test_after_noise)


@measure("separation-at-paper-scale")
def _(t):
    probe, ended = (_large(t, 0.05, name).groupby("seed").memorization.mean() for name in ("simclr", "supervised"))
    return mean(ended / probe)
