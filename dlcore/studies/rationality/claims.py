"""What the ledger measures of chapter 1, on the table of `studies.rationality.table`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dlcore.measures import CONFIDENCE, MEASURES, Measured, Table, largest, mean, measure, with_arguments
from dlcore.metrics.rationality import cluster_vote_complexity, sharp_memorization_bound

CONTRASTIVE = ["simclr", "vicreg", "barlow_twins"]


def _rows(t: Table, usual: bool = True, **where) -> Table:
    for name, value in where.items():
        t = t[
            t[name].isin(value)
            if isinstance(value, list)
            else np.isclose(t[name], value)
            if isinstance(value, float)
            else t[name] == value
        ]
    return t[t.usual] if usual else t


@measure("rrm-bound")
def _(t):
    excess = t.generalization - t.bound
    return Measured(float(excess.max()), float(excess.max()), float(excess.max()), len(t))


@measure("memorization-certificate")
def _(t):
    excess = t.memorization.abs() - t.certificate
    return Measured(float(excess.max()), float(excess.max()), float(excess.max()), len(t))


def _separation(t: Table, dataset: str, architecture: str, objectives: list[str] = CONTRASTIVE[:2]) -> Measured | None:
    """Ratio of the memorization gaps, end to end over probes on features, on the same seeds: in logarithms."""
    ended = _rows(t, objective="supervised", dataset=dataset, architecture=architecture, noise=0.2)
    probe = _rows(t, objective=objectives, dataset=dataset, noise=0.2, probe="ridge")
    probe = probe.groupby("seed").memorization.mean()
    both = ended.set_index("seed").memorization.to_frame("ended").join(probe, how="inner")
    if both.empty:
        return None
    m = mean(np.log(both.ended / both.memorization))
    return Measured(*(float(np.exp(v)) for v in m[:3]), runs=m.runs)


def _untrained(t: Table, dataset: str) -> Measured | None:
    """Ratio of the memorization gaps, probes on an untrained network over self-supervised ones, as `_separation`."""
    t = _rows(t, dataset=dataset, noise=0.2, probe="ridge")
    one, two = (_rows(t, objective=o).groupby("seed").memorization.mean() for o in (["random"], CONTRASTIVE[:2]))
    m = mean(np.log(one / two))
    return m and Measured(*(float(np.exp(v)) for v in m[:3]), runs=m.runs)


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
    t = t[(t.dataset == dataset) & (t.probe == "ridge") & np.isclose(t.noise, 0.2) & (t.experiment == "gaps")]
    trained = _rows(t, usual=epochs is None, objective="simclr", **({"epochs": epochs} if epochs else {}))
    trained = trained.set_index("seed").test
    plain = t[t.objective.isin(["pixels", "random", "random_relu"])]
    if plain.objective.nunique() < 3:
        return None
    return mean(trained - plain.groupby("seed").test.max())


MEASURES["learns-cifar10"] = with_arguments(_learns, "cifar10")
MEASURES["learns-fashion"] = with_arguments(_learns, "fashion_mnist")
MEASURES["learns-fashion-shorter"] = with_arguments(_learns, "fashion_mnist", 60)


@measure("memorization-cifar10")
def _(t):
    found = _rows(t, objective=CONTRASTIVE[:2], dataset="cifar10", noise=0.05, probe="ridge")
    return largest([group for _, group in found.memorization.groupby(found.objective)])


@measure("gap-cifar10")
def _(t):
    return mean(_rows(t, objective="simclr", dataset="cifar10", noise=0.05, probe="ridge").generalization)


def _drop(t: Table, dataset: str, probe: str = "ridge") -> Measured | None:
    """Clean test accuracy lost at 40 % noise, the worst of the contrastive objectives."""
    found = _rows(t, objective=CONTRASTIVE, dataset=dataset, noise=0.4, probe=probe)
    lost = found.test - found.test_after_noise
    return largest([group for _, group in lost.groupby(found.objective)])


MEASURES["flat-mnist1d"] = with_arguments(_drop, "mnist1d")
MEASURES["flat-cifar10"] = with_arguments(_drop, "cifar10")
MEASURES["flat-digits"] = with_arguments(_drop, "digits")
for _dataset in ("mnist1d", "digits"):
    MEASURES[f"flat-{_dataset}-logistic"] = with_arguments(_drop, _dataset, "logistic")


@measure("probe-leaves-noise")
def _(t):
    found = _rows(t, objective=CONTRASTIVE, dataset="mnist1d", noise=0.5, probe="ridge")
    return largest([group for _, group in found.train_on_noisy_labels.groupby(found.objective)])


@measure("end-to-end-fits-noise")
def _(t):
    return mean(_rows(t, objective="supervised", dataset="mnist1d", noise=0.4).train_on_noisy_labels)


@measure("rationality-small")
def _(t):
    found = _rows(t, objective=CONTRASTIVE, dataset="mnist1d", noise=0.05, probe="ridge")
    return largest([group for _, group in found.rationality.groupby(found.objective)])


def _table(t: Table) -> Table:
    return t[(t.experiment == "table") & (t.objective == "neighbours")]


@measure("table-identity")
def _(t):
    found = _table(t)
    return mean(found.table_measured - found.table_predicted)


@measure("table-gain")
def _(t):
    found = _table(t)
    return mean(found.table_measured - found.test)


@measure("memorization-falls-with-n")
def _(t):
    found = _rows(t, usual=False, objective="vicreg", dataset="mnist1d", noise=0.2, probe="ridge")
    found = found[(found.experiment == "gaps") & ~found.augmented & ~found.transductive & (found.memorization > 0)]
    slopes = [
        np.polyfit(np.log(g.n_train), np.log(g.memorization), 1)[0]
        for _, g in found.groupby("seed")
        if g.n_train.nunique() >= 4
    ]
    return mean(pd.Series(slopes, dtype=float))


@measure("interpolation-is-vacuous")
def _(t):
    found = t[(t.objective == "random_relu") & (t.dataset == "digits") & (t.dimension == 2000) & (t.strength == 0.001)]
    return mean(found.bound)


def _paired(t: Table, field: str, dataset: str) -> Measured | None:
    """Generalization gap with the option minus without it, same objective and seed."""
    t = t[(t.objective == "vicreg") & (t.dataset == dataset) & (t.probe == "ridge") & np.isclose(t.noise, 0.2)]
    usual = t[t.usual].set_index("seed").generalization
    changed = t[t[field].astype(bool)].set_index("seed").generalization
    return mean((changed - usual).dropna())


MEASURES["augmented-gap"] = with_arguments(_paired, "augmented", "mnist1d")
MEASURES["transductive-gap"] = with_arguments(_paired, "transductive", "mnist1d")


@measure("cluster-certificate")
def _(t):
    found = t[(t.objective == "clusters") & (t.experiment == "gaps")]
    if found.empty:
        return None
    bounds = [
        sharp_memorization_bound(cluster_vote_complexity(int(m), int(c)), int(n), r)
        for m, c, n, r in zip(found.dimension, found.num_classes, found.num_train, found.flip_rate, strict=True)
    ]
    worst = float((found.memorization - bounds).max())
    return Measured(worst, worst, worst, len(found))


def _large(t: Table, noise: float, objective: str = "simclr") -> Table:
    """Returns the runs of ResNet-18 on all of CIFAR-10, or on the part of its training set that leaves one for testing."""
    return _rows(t, preset="gpu", objective=objective, dataset=["cifar10", "cifar10_full"], noise=noise)


for _rate in (5, 20, 40):
    MEASURES[f"sampler-share-resnet18-{_rate}"] = with_arguments(
        lambda t, noise: mean(_large(t, noise, "supervised").sampler_share), _rate / 100
    )


@measure("memorization-and-sampling")
def _(t):
    found = t[(t.experiment == "gaps") & np.isclose(t.noise, 0.2)]
    if len(found) < 3:
        return None
    # a bootstrap over kinds of features on a data set: over seeds alone it would say nothing of other procedures
    parts = [g[["memorized_share", "sampler_share"]] for _, g in found.groupby(["dataset", "objective"])]
    rng = np.random.default_rng(0)
    drawn = [pd.concat([parts[i] for i in rng.integers(0, len(parts), len(parts))]) for _ in range(400)]
    tail = (1 - CONFIDENCE.get()) / 2
    ends = np.quantile([d.memorized_share.corr(d.sampler_share) for d in drawn], [tail, 1 - tail])
    return Measured(float(found.memorized_share.corr(found.sampler_share)), *map(float, ends), runs=len(found))


@measure("gap-at-paper-scale")
def _(t):
    return mean(_large(t, 0.05).generalization)


@measure("memorization-at-paper-scale")
def _(t):
    return mean(_large(t, 0.05).memorization)


@measure("flat-at-paper-scale")
def _(t):
    found = _large(t, 0.4)
    return mean(found.test - found.test_after_noise)


@measure("separation-at-paper-scale")
def _(t):
    probe, ended = (_large(t, 0.05, name).groupby("seed").memorization.mean() for name in ("simclr", "supervised"))
    return mean(ended / probe)
