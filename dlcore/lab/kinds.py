"""The kinds of runs that the charts of stitching and of scaling tell apart, and the rows that they draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from dlcore import figures, studies
from dlcore.names import rate_name
from dlcore.records import RecordStore
from dlcore.studies.scaling.table import architecture_name, noise_name, published_scaling, scaling_fits
from dlcore.studies.stitching.table import by_stage, has_usual_width, pair

UNTRAINED = "untrained bottom"
CLEAN = "2L2L, clean"
COUNTING = "a learner that counts words"
USUAL_WIDTH = 64  # of the recorded translation models


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
    if pair(config) != "two seeds":
        return "other"
    return "two seeds" if has_usual_width(config) else f"two seeds of width {get('width'):.0f}"


def stages(store: RecordStore) -> pd.DataFrame:
    """Returns the rows of `tables.by_stage` for every finding of a store."""
    table = studies.table("stitching", store.table("stitching"))
    keys = set(table.key) if len(table) else set()
    return by_stage(table, {r.key: r.curves for r in store.records("stitching") if r.key in keys})


def stitched(store: RecordStore) -> pd.DataFrame:
    """Returns a row for every stage of every pair, with its configuration, kind and arm; and for the untrained bottoms."""
    table = studies.table("stitching", store.table("stitching"))
    if table.empty:
        return table
    configs = table.to_dict("records")
    table = table.assign(kind=[bottom(c) for c in configs], arm=[bottom_arm(c) for c in configs])
    found = stages(store)[["key", "depth", "excess", "random_excess"]]
    # a configuration has a depth of its own: that of the network
    rows = found.rename(columns={"depth": "share"}).merge(table, on="key")
    controls = rows[rows.arm == bottom_arm({})]
    return _with(rows, controls.assign(kind=UNTRAINED, excess=controls.random_excess))


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


def translation(config: Mapping[str, Any]) -> str:
    """Returns the display name of everything but size and seed of a translation run.

    >>> translation({"architecture": "4L1L", "noise": 0.0, "noise_kind": "none", "width": 32})
    '4L1L, clean, width 32'
    """
    name = architecture_name(config["architecture"])
    wide = "" if config["width"] == USUAL_WIDTH else f", width {config['width']:.0f}"
    models = (config.get(n, float("nan")) for n in ("reverse_pairs", "reverse_width", "filter_pairs"))
    off = rate_name(config.get("learning_rate"), config["width"], config.get("preset", "laptop"))
    return f"{name}, {noise_name(config['noise_kind'], config['noise'], *models)}{wide}{off}"


def translation_arm(config: Mapping[str, Any]) -> str:
    """Returns the kind of the same run at the usual width: widths are drawn beside each other."""
    return translation({**config, "width": USUAL_WIDTH, "learning_rate": None})


def scaled(store: RecordStore) -> pd.DataFrame:
    """Returns a row for every translation run, with its kind and arm; and for the counting learner on clean pairs."""
    table = studies.table("scaling", store.table("scaling"), any_budget=True)  # a reader's own run may have any
    if table.empty:
        return table
    configs = table.to_dict("records")
    table = table.assign(kind=[translation(c) for c in configs], arm=[translation_arm(c) for c in configs])
    controls = table[table.kind == CLEAN]
    return _with(table, controls.assign(kind=COUNTING, excess=controls.reference - controls.oracle))


def in_its_steps(rows: pd.DataFrame) -> pd.Series:
    """Returns which translation runs have the recorded steps and rate; with others they are another experiment."""
    return rows.preset.eq("laptop") & ~rows.setting.str.contains("twice the steps|, rate ")


def _with(rows: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows.assign(control=False), controls.assign(control=True)], ignore_index=True)


def learning_curves(store: RecordStore) -> Any:
    """Returns chapter 4's chart of the recorded runs."""
    rows = studies.table("scaling", store.table("scaling"))
    published = published_scaling()
    fits = scaling_fits(pd.concat([rows, published], ignore_index=True))
    return figures.learning_curves(rows if len(rows) else published, fits)
