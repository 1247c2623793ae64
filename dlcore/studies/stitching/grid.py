"""The recorded runs of chapter 2, in named groups, the most informative first; the last group needs a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dlcore.studies.stitching.config import Config


def _make(seeds: Iterable[int], settings: Iterable[dict[str, Any]], **fixed: Any) -> list[Config]:
    # the pairs of one seed share networks: they stay together
    return [Config(preset="laptop", seed=seed, **fixed | more) for seed in seeds for more in settings]


def _pairs(width: int) -> list[dict[str, Any]]:
    """Returns what a bottom may differ in, by the paper's figures."""
    few = {"top_share": 0.25, "bottom_share": 0.25, "disjoint": True}
    return [
        {"top_share": 0.5, "bottom_share": 0.5, "disjoint": True},
        *({"noise": rate} for rate in (0.1, 0.5, 1.0)),
        {"bottom_labels": "coarse"},
        *({"top_share": 0.25, "bottom_share": share} for share in (0.05, 1.0)),
        few,
        *({"top_share": 0.25, "bottom_share": share, "stitcher_data": "all"} for share in (0.05, 1.0)),
        few | {"stitcher_data": "all"},
        *({"bottom_width": max(1, int(width * factor))} for factor in (0.25, 0.5, 2)),
        *({"bottom_time": factor} for factor in (0.25, 2.0)),
    ]


FAMILIES = [
    *({"family": name} for name in ("identity", "permutation", "orthogonal", "least_squares")),
    *({"family": "low_rank", "rank": rank} for rank in (2, 4)),
    {"bn_mode": "frozen"},
    {"init": "least_squares"},
]
# the bottom saw a twentieth or a quarter of the top's samples
FREEZE = [{"bottom_share": share, "freeze": True} for share in (0.25, 0.05)]
SSL = [{"bottom_objective": "simclr"}, {"top_objective": "simclr"}]

# ResNet-18 on 40,000 images, the paper's figures with one pair each, as in the paper
LARGE: list[dict[str, Any]] = [
    {},
    {"bottom_objective": "simclr"},
    {"noise": 1.0},
    {"noise": 0.5},
    {"top_share": 0.25, "bottom_share": 1.0, "stitch_epochs": 12},
    {"noise": 0.1},
    {"width": 16, "bottom_width": 64},
    {"bottom_labels": "coarse"},
    {"bottom_time": 0.25},
    {"seed": 1},
    # 40 epochs of SimCLR left the bottom at 22 % error, twice the paper's
    {"bottom_objective": "simclr", "bottom_time": 2.0},
]
# what one pair each left open: the map had 3 epochs, bottoms on random labels a training error of .20, and no pair was of
# disjoint halves; the thesis splits CIFAR-10 into objects and animals, and coarse does not
OPEN: list[dict[str, Any]] = [
    {"stitch_epochs": 30},
    {"stitch_epochs": 30, "top_share": 0.5, "bottom_share": 0.5, "disjoint": True},
    *({"stitch_epochs": 12, "noise": rate, "bottom_time": 5.0} for rate in (0.5, 0.1, 1.0)),
    {"stitch_epochs": 12, "bottom_labels": "objects"},
]


def recorded() -> dict[str, list[Config]]:
    """Returns the groups of recorded runs: name -> configurations."""
    mlp = {"dataset": "mnist1d", "architecture": "mlp"}
    conv = {"dataset": "mnist1d", "architecture": "convnet"}
    # a network takes a minute of one core; 10,000 images for 8 epochs are 630 steps of the map
    image = {"dataset": "fashion_mnist", "architecture": "resnet", "width": 8, "depth": 1, "stitch_epochs": 8}
    seeds = [{"cross": True}]
    # the map of a top that saw fewer images takes as many steps
    steps = [
        p | ({"stitch_epochs": round(8 / p["top_share"])} if "top_share" in p and "stitcher_data" not in p else {})
        for p in _pairs(8)
    ]
    halves, *labels = steps[:5]
    less, more = (p for p in steps if p.get("bottom_share") in (1.0, 0.05) and "stitcher_data" not in p)
    sizes = [{"bottom_width": 16}, {"bottom_width": 2}, less]
    others = [pair for pair in steps[5:] if pair not in [more, *sizes]]
    groups: dict[str, list[Config]] = {
        "mlp": _make(range(5), seeds, **mlp),
        "convnet": _make(range(5), seeds, **conv),
        "widths": [c for width in (4, 2, 8, 32) for c in _make(range(5), [{}], width=width, **conv)]
        + _make(range(5), [{"init": "least_squares"}], width=4, **conv),
        "freeze": _make(range(5), FREEZE, **mlp) + _make(range(5), FREEZE, **conv),
        "mlp-pairs": _make(range(5), [*_pairs(128), *FAMILIES], **mlp),
        "convnet-labels": _make(range(5), _pairs(16)[:5], **conv),
        "convnet-families": _make(range(5), [*FAMILIES, {"kernel_size": 3}], **conv),
        "convnet-pairs": _make(range(5), _pairs(16)[5:], **conv),
        "convnet-self-supervised": _make(range(5), SSL, **conv),
        "mlp-self-supervised": _make(range(5), SSL, **mlp),
        "fashion": _make(range(3), [{}, halves, *labels, more, *SSL], **image),
        "fashion-widths": [c for width in (16, 32) for c in _make(range(3), [{}], **image | {"width": width})],
        "fashion-sizes": _make(range(3), sizes, **image),
        "fashion-pairs": _make(range(3), [*others, {"kernel_size": 3}, {"bn_mode": "frozen"}], **image),
    }
    # the best map of two starts and up to 16,000 steps, an upper bound of the definition's infimum
    pairs = [{}, {"top_share": 0.5, "bottom_share": 0.5, "disjoint": True}]
    how = {"converged": True, "shuffles": 30}
    groups["converged"] = _make(range(5), [*pairs, {"width": 4}, {"width": 32}], **conv, **how)
    groups["converged-fashion"] = _make(range(3), pairs, **image | {"stitch_epochs": 30}, **how)
    groups["converged-self-supervised"] = [c for where in (conv, mlp) for c in _make(range(5), SSL[:1], **where, **how)]
    groups["converged-mlp"] = _make(range(5), pairs, **mlp, **how)
    # one population for the measures of three chapters: bottoms that memorise more or less of more or less noise
    kinds = [{"noise": rate} for rate in (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)]
    kinds += [{"noise": rate, "bottom_time": time} for time in (4.0, 0.1, 0.25, 0.5) for rate in (0.0, 0.2, 0.4, 0.6)]
    alike = {"population": True, "init": "least_squares", "stitch_epochs": 60}  # as many steps as 30 of all samples
    groups["population"] = _make(range(5), kinds, **conv, **pairs[1], **alike)
    groups["gpu"] = [Config.from_parameters(preset="gpu", **pair) for pair in LARGE]
    groups["gpu"] += [Config.from_parameters(preset="gpu", seed=s, **pair) for s in range(3) for pair in OPEN]
    return groups
