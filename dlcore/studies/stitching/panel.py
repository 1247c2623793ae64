"""The live panel of chapter 2: the settings it offers, and the runs that it draws beside the reader's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dlcore.charts.panel import RATES, PanelSpec
from dlcore.charts.theme import ROLES
from dlcore.records import RecordStore
from dlcore.studies.stitching.config import Config
from dlcore.studies.stitching.figures.penalty import penalty_by_depth
from dlcore.studies.stitching.table import by_stage, contrast, derived, has_usual_width, pair
from dlcore.summaries import with_controls

UNTRAINED = "untrained bottom"


def bottom(config: Mapping[str, Any]) -> str:
    """Returns how a bottom differs from its top, in the words of chapter 2 where they fit.

    >>> bottom({"noise": 0.3}), bottom({"top_share": 0.25, "bottom_share": 0.25})
    ('30 % random labels', 'the same 25 % of the data')
    """
    top, below = config.get("top_share", 1.0), config.get("bottom_share", 1.0)
    if top < 1 and top == below and not config.get("disjoint"):
        return f"the same {100 * top:.0f} % of the data"
    if below < top == 1:
        return f"bottom {100 * below:.0f} % of the data"
    if 0.25 < top < 1 and top != below:
        return f"bottom {100 * below:.0f} % of the data, top {100 * top:.0f} %"
    return pair(config)


def bottom_arm(config: Mapping[str, Any]) -> str:
    """Returns the question that a pair asks: what its bottom differs in, whatever by how much."""
    get = config.get
    if get("top_share", 1.0) < 1:
        return f"top {get('top_share')}"
    if get("bottom_share", 1.0) < 1:
        return "less data"
    if get("noise"):
        return "noise"
    if get("bottom_width") != get("width"):
        return "width"
    if contrast(config) != ("seeds",):
        return "other"
    return "seeds" if has_usual_width(config) else f"seeds, width {get('width'):.0f}"


def stages(store: RecordStore) -> pd.DataFrame:
    """Returns the rows of `table.by_stage` for every finding of a store."""
    return by_stage(derived(store.table("stitching")), {r.key: r.curves for r in store.records("stitching")})


def stitched(store: RecordStore) -> pd.DataFrame:
    """Returns a row for every stage of every pair, with its configuration, kind and arm; and for the untrained bottoms."""
    table = derived(store.table("stitching"))
    if table.empty:
        return table
    configs = table.to_dict("records")
    table = table.assign(kind=[bottom(c) for c in configs], arm=[bottom_arm(c) for c in configs])
    found = stages(store)[["key", "depth", "excess", "random_excess"]]
    # a configuration has a depth of its own: that of the network
    rows = found.rename(columns={"depth": "share"}).merge(table, on="key")
    controls = rows[rows.arm == bottom_arm({})]
    return with_controls(rows, controls.assign(kind=UNTRAINED, excess=controls.random_excess))


_WHO = {
    "the bottom": "the bottom",
    "the top": "the top itself (control)",
    "the random bottom": "an untrained bottom (control)",
}


def who_trains(label: str, config: Any) -> str:
    """Returns what trains in a run of stitching, in words.

    Args: label of the training loop.
    """
    for name in ("top", "bottom"):
        if label.endswith(f"seed {getattr(config, name).seed}"):
            return f"Trains: the {name} network"
    who, _, stages = label.partition(", ")
    if " -> " not in stages:
        return label
    return f"Trains: the map from {_WHO[who]} into the top, after {stages.partition(' -> ')[0]}"


PANEL = PanelSpec(
    config=Config,
    title="Can one network go on where another stops?",
    fields={
        "architecture": ("mlp", "convnet"),
        "noise": (*RATES, 1.0),
        "bottom_width": (None, 8, 16, 32, 64, 128, 256),
        "bottom_share": (1.0, 0.25, 0.05),
        "top_share": (1.0, 0.5, 0.25),
        "disjoint": (False, True),
        "n_train": (None, 500, 1000, 2000),
        "seed": (0,),
    },
    start={"architecture": "mlp", "noise": 0.3, "seed": 100, "bottom_share": 1.0, "top_share": 1.0, "disjoint": False},
    fixed={"preset": "laptop", "dataset": "mnist1d"},
    same=("architecture",),
    x="share",
    y="excess",
    x_title="share of the stages taken from the bottom",
    y_title="excess penalty, points of test error",
    usual=lambda t: t.usual,
    rows=stitched,
    explorer=lambda store: penalty_by_depth(stages(store)),
    percent=True,
    shown=("top_error", "penalty_mid", "excess_mid", "random_excess_mid"),
    free=("cross",),
    kind=bottom,
    arm=bottom_arm,
    colours={pair({}): ROLES["train"], UNTRAINED: ROLES["null"]},
    live=who_trains,
)
