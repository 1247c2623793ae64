"""Numbers of chapter 2's sentences, by the name under which the page prints them."""

from __future__ import annotations

import math

import pandas as pd

from dlcore.metrics.rationality import noisy_label_accuracy
from dlcore.metrics.statistics import mean_interval
from dlcore.studies.stitching.config import SEARCH_STEPS
from dlcore.studies.stitching.table import code, map_name, rank_correlations

_SIMCLR, _LONGER = (code("bottom", "simclr", time) for time in (1.0, 2.0))
# name -> the kind of pair with ResNet-18, and the column whose mean is printed
_LARGE = {
    "top": ("seeds", "top_error"),
    "quarter": (code("to a quarter", 1.0), "top_error"),
    "simclr": (_SIMCLR, "bottom_error"),
    "longer": (_LONGER, "bottom_error"),
    "simclr-max": (_SIMCLR, "excess_max"),
    "longer-max": (_LONGER, "excess_max"),
    "coarse": ("superclasses", "excess_half"),
    "few": (code("noise", 0.1), "excess_half"),
    "half": (code("noise", 0.5), "excess_half"),
    "short": (code("time", 0.25), "bottom_error"),
    "short-mid": (code("time", 0.25), "excess_mid"),
    "short-last": (code("time", 0.25), "excess_last"),
}
_FIRST = {"trained": "penalty", "untrained": "random_penalty"}
_MAPS = {"usual": {}, "kernel": {"kernel_size": 3}, "frozen": {"bn_mode": "frozen"}}
_FROZEN = (("mlp", "hidden1"), ("convnet", "conv3"))
_SETTINGS = {"convnet": ("mnist1d", "convnet"), "fashion": ("fashion_mnist", "resnet")}


def numbers(table: pd.DataFrame, stages: pd.DataFrame) -> dict[str, float | str]:
    """Returns what chapter 2's sentences glue beside the ledger: name -> number or text; infinity, or "no run", without runs.

    large-*: ResNet-18 on CIFAR-10; large-penalty: the largest of any stage between two seeds. large-sampled, sampled: the
    clean accuracy that 50 % random labels cost the bottom, over what they cost a sampler of its labels, for ResNet-18 and
    for convnets on MNIST-1D. simclr-own, simclr-stitched: test error of the convnet's SimCLR bottom with its probe, and
    stitched at its last stage; simclr-own-mlp, simclr-untrained-mlp: that of the MLP's, and the excess of its untrained bottom
    at the middle stage. first-*: penalty at the first stage of Fashion-MNIST's two seeds, trained and untrained
    bottom. barrier-SETTING-MAP: of two seeds, by the map, on the seeds that have all of the maps; barrier-convnet-seeds,
    barrier-convnet-halves: by the kind of pair; barrier-fashion-least: the smallest of either kind. own-*, drawn-*: error
    above frozen stages of a quarter of the data, and above untrained ones. search-ended: of how many searched convnet pairs
    the longest training of the first stage's map was the best. order, order-fashion: rank correlation of
    linear CKA with the excess, mean and interval over pairs of two seeds.

    Args: table: of `studies.stitching.table`; stages: of `by_stage`.
    """
    rows, per_stage = table[table.usual & table.usual_width], stages[stages.usual & stages.usual_width]
    large = rows[(rows.dataset == "cifar10") & (rows.architecture == "resnet18")]
    found = {f"large-{name}": _mean(large[large.contrast == kind][column]) for name, (kind, column) in _LARGE.items()}
    between = per_stage[(per_stage.dataset == "cifar10") & (per_stage.architecture == "resnet18")]
    found["large-penalty"] = _mean(between[between.contrast == "seeds"].groupby("key").penalty.max())
    convnet = rows[(rows.dataset == "mnist1d") & (rows.architecture == "convnet")]
    found |= {"large-sampled": _sampled(large), "sampled": _sampled(convnet)}
    simclr = rows[(rows.dataset == "mnist1d") & (rows.contrast == _SIMCLR)]
    fair, mlps = (simclr[simclr.architecture == name] for name in ("convnet", "mlp"))
    found |= {"simclr-own": _mean(fair.bottom_error), "simclr-own-mlp": _mean(mlps.bottom_error)}
    found["simclr-stitched"] = _mean(fair.top_error + fair.penalty_last)
    found["simclr-untrained-mlp"] = _mean(mlps.random_excess_mid)
    seeds = per_stage[per_stage.contrast == "seeds"]
    fashion = seeds[seeds.dataset == "fashion_mnist"]
    first = fashion.groupby("key", sort=False).head(1)
    found |= {f"first-{name}": _mean(first[column]) for name, column in _FIRST.items()}
    maps = {name: map_name(how) for name, how in _MAPS.items()}
    for setting, (dataset, architecture) in _SETTINGS.items():
        own = table[(table.dataset == dataset) & (table.architecture == architecture) & (table.contrast == "seeds")]
        own = own[own.usual_width & (own.stitcher_data == "top")]
        by_seed = own.pivot_table(index="seed", columns="map", values="barrier").reindex(columns=list(maps.values()))
        found |= {f"barrier-{setting}-{name}": _mean(by_seed.dropna()[kind]) for name, kind in maps.items()}
    convnets = rows[(rows.dataset == "mnist1d") & (rows.architecture == "convnet")]
    for name, kind in {"seeds": "seeds", "halves": "halves"}.items():
        found[f"barrier-convnet-{name}"] = _mean(convnets[convnets.contrast == kind].barrier)
    least = rows[(rows.dataset == "fashion_mnist") & rows.contrast.isin(["seeds", "halves"])].barrier.min()
    found["barrier-fashion-least"] = math.inf if math.isnan(least) else float(least)
    frozen = stages[stages.contrast == code("share", 0.25)]
    for architecture, stage in _FROZEN:
        own = frozen[(frozen.architecture == architecture) & (frozen.bottom_stage == stage)]
        found[f"own-{stage}"], found[f"drawn-{stage}"] = _mean(own.freeze_error), _mean(own.freeze_random_error)
    # of how many searches at the first stage the longest training was the best: more steps might gain more
    searched = stages[
        stages.get("chosen_steps", pd.Series(index=stages.index, dtype=float)).notna() & stages.usual_width
    ]
    ended = searched[searched.architecture == "convnet"].groupby("key", sort=False).head(1)
    found["search-ended"] = (
        f"{int((ended.chosen_steps == SEARCH_STEPS[-1]).sum())} of {len(ended)}" if len(ended) else "no run"
    )
    alike = seeds[(seeds.dataset == "mnist1d") & (seeds.architecture == "convnet")]
    return found | {"order": _order(alike), "order-fashion": _order(fashion)}


def _sampled(rows: pd.DataFrame, share: float = 0.5, classes: int = 10) -> float:
    own = rows[rows.contrast == code("noise", share)]
    # a random label is right once in ten times
    sampler = 1 - noisy_label_accuracy(1 - own.top_error, share * (1 - 1 / classes), classes)
    return _mean((own.bottom_error - own.top_error) / (sampler - own.top_error))


def _mean(values: pd.Series) -> float:
    values = values.dropna()
    return float(values.mean()) if len(values) else math.inf


def _order(stages: pd.DataFrame) -> str:
    values = rank_correlations(stages).dropna()
    if values.empty:
        return "no run"
    i = mean_interval(values)
    # a mean of correlations is one: the interval is cut, which costs no coverage
    low, high = max(i.low, -1.0), min(i.high, 1.0)
    return f"{i.value:.2f} ({low:.2f} to {high:.2f})" if len(values) > 1 else f"{i.value:.2f} (one run)"
