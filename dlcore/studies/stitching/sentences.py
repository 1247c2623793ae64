"""Numbers of chapter 2's sentences, by the name under which the page prints them."""

from __future__ import annotations

import pandas as pd

from dlcore.measures import average, mean
from dlcore.metrics.rationality import noisy_label_accuracy
from dlcore.studies.stitching.config import SEARCH_STEPS
from dlcore.studies.stitching.table import CONVNET, FASHION, IMAGES, MLP, code, map_name, rank_correlations
from dlcore.summaries import select

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
    usual = {"usual": True, "usual_width": True}
    rows, per_stage = select(table, **usual), select(stages, **usual)
    large, convnets = select(rows, **IMAGES), select(rows, **CONVNET)
    found = {f"large-{name}": average(select(large, contrast=kind)[column]) for name, (kind, column) in _LARGE.items()}
    seeds = select(per_stage, contrast="seeds")
    found["large-penalty"] = average(select(seeds, **IMAGES).groupby("key").penalty.max())
    found |= {"large-sampled": _sampled(large), "sampled": _sampled(convnets)}
    fair, mlps = (select(rows, contrast=_SIMCLR, **net) for net in (CONVNET, MLP))
    found |= {"simclr-own": average(fair.bottom_error), "simclr-own-mlp": average(mlps.bottom_error)}
    found["simclr-stitched"] = average(fair.top_error + fair.penalty_last)
    found["simclr-untrained-mlp"] = average(mlps.random_excess_mid)
    first = select(seeds, dataset="fashion_mnist").groupby("key", sort=False).head(1)
    found |= {f"first-{name}": average(first[column]) for name, column in _FIRST.items()}
    maps = {name: map_name(how) for name, how in _MAPS.items()}
    for setting, net in {"convnet": CONVNET, "fashion": FASHION}.items():
        own = select(table, contrast="seeds", usual_width=True, stitcher_data="top", **net)
        by_seed = own.pivot_table(index="seed", columns="map", values="barrier").reindex(columns=list(maps.values()))
        found |= {f"barrier-{setting}-{name}": average(by_seed.dropna()[kind]) for name, kind in maps.items()}
    for kind in ("seeds", "halves"):
        found[f"barrier-convnet-{kind}"] = average(select(convnets, contrast=kind).barrier)
    least = select(rows, dataset="fashion_mnist", contrast=["seeds", "halves"]).barrier.min()
    found["barrier-fashion-least"] = average(pd.Series([least]))
    frozen = select(stages, contrast=code("share", 0.25))
    for architecture, stage in _FROZEN:
        own = select(frozen, architecture=architecture, bottom_stage=stage)
        found[f"own-{stage}"], found[f"drawn-{stage}"] = average(own.freeze_error), average(own.freeze_random_error)
    # of how many searches at the first stage the longest training was the best: more steps might gain more
    searched = select(stages, architecture="convnet", usual_width=True).reindex(columns=["key", "chosen_steps"])
    steps = searched.dropna().groupby("key", sort=False).chosen_steps.first()
    found["search-ended"] = f"{int((steps == SEARCH_STEPS[-1]).sum())} of {len(steps)}" if len(steps) else "no run"
    order, fashion = (_order(select(seeds, **net)) for net in (CONVNET, {"dataset": "fashion_mnist"}))
    return found | {"order": order, "order-fashion": fashion}


def _sampled(rows: pd.DataFrame, share: float = 0.5, classes: int = 10) -> float:
    own = select(rows, contrast=code("noise", share))
    # a random label is right once in ten times
    sampler = 1 - noisy_label_accuracy(1 - own.top_error, share * (1 - 1 / classes), classes)
    return average((own.bottom_error - own.top_error) / (sampler - own.top_error))


def _order(stages: pd.DataFrame) -> str:
    m = mean(rank_correlations(stages), within=(-1.0, 1.0))
    if m is None:
        return "no run"
    return f"{m.value:.2f} ({m.low:.2f} to {m.high:.2f})" if m.runs > 1 else f"{m.value:.2f} (one run)"
