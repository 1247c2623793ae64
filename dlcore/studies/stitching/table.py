"""Derived columns of chapter 2's table: what a pair differs in, which map, what its curves say. Never imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dlcore.summaries import FINDINGS, findings, method

# the networks of the main comparison
MLP, CONVNET = ({"dataset": "mnist1d", "architecture": name} for name in ("mlp", "convnet"))
FASHION = {"dataset": "fashion_mnist", "architecture": "resnet"}
IMAGES = {"dataset": "cifar10", "architecture": "resnet18"}
_SHARES = {0.05: "5 % of the data", 0.25: "a quarter", 1.0: "all data"}


def contrast(config: Mapping[str, Any]) -> tuple[str | float, ...]:
    """Returns what the bottom of a stitched pair differs in, first a word, then by how much.

    >>> contrast({"noise": 0.5, "top_share": 1.0, "bottom_share": 1.0}), contrast({})
    (('noise', 0.5), ('seeds',))
    """
    get = config.get
    top, bottom, time = get("top_share", 1.0), get("bottom_share", 1.0), get("bottom_time", 1.0)
    if get("population") is True:
        return "population", get("noise", 0.0), time
    if top < 1 and top == bottom:
        return ("halves",) if top == 0.5 else ("quarters",)
    if top < 1:
        return "to a quarter", bottom
    if bottom < 1:
        return "share", bottom
    if get("noise"):
        return "noise", get("noise")
    if get("bottom_labels", "classes") != "classes":
        return ("superclasses",) if get("bottom_labels") == "coarse" else ("objects",)
    if get("bottom_objective", "supervised") != "supervised":
        return "bottom", get("bottom_objective"), time
    if get("top_objective", "supervised") != "supervised":
        return "top", get("top_objective")
    if get("bottom_width") and get("bottom_width") != get("width"):
        return "width", get("bottom_width") / get("width")
    return ("time", time) if time != 1.0 else ("seeds",)


def code(*difference: str | float) -> str:
    """Returns a `contrast` as the column of that name has it: what runs are selected by, never shown.

    >>> code("noise", 0.5), code("bottom", "simclr", 1.0)
    ('noise 0.5', 'bottom simclr 1')
    """
    return " ".join(part if isinstance(part, str) else f"{part:g}" for part in difference)


def _times(time: float, form: str) -> str:
    return form.format(time) if time != 1.0 else ""


_PAIRS = {
    "population": lambda noise, time: (
        f"disjoint halves, {100 * noise:.0f} % random labels{_times(time, ', epochs x {:g}')}"
    ),
    "halves": lambda: "disjoint halves",
    "quarters": lambda: "other quarter of the data, top a quarter",
    "to a quarter": lambda bottom: f"bottom {_SHARES.get(bottom, bottom)}, top a quarter",
    "share": lambda bottom: f"bottom {100 * bottom:.0f} % of the data",
    "noise": lambda noise: f"{noise * 100:.0f} % random labels",
    "superclasses": lambda: "two superclasses",
    "objects": lambda: "objects and animals",
    "bottom": lambda objective, time: f"{method(objective)} bottom{_times(time, ' (epochs x {:g})')}, supervised top",
    "top": lambda objective: f"supervised bottom, {method(objective)} top",
    "width": lambda ratio: f"width x {ratio:g}",
    "time": lambda time: f"epochs x {time:g}",
    "seeds": lambda: "two seeds",
}


def pair(config: Mapping[str, Any]) -> str:
    """Returns the display name of what the bottom of a stitched pair differs in.

    >>> pair({"noise": 0.5, "top_share": 1.0, "bottom_share": 1.0})
    '50 % random labels'
    >>> pair({"bottom_objective": "simclr", "bottom_time": 2.0})
    'SimCLR bottom (epochs x 2), supervised top'
    """
    return pair_name(*contrast(config))


def pair_name(what: str, *how: str | float) -> str:
    """Returns the display name of a `contrast`."""
    return _PAIRS[what](*how)


# the top's width in the main comparison; other widths belong to a sweep of their own
_TOP_WIDTH = {
    ("mnist1d", "mlp"): 128,
    ("mnist1d", "convnet"): 16,
    ("fashion_mnist", "resnet"): 8,
    ("cifar10", "resnet18"): 64,
}
# what a stage may cost and still count as free in freeze training
FREE = 0.02


USUAL_MAP = "the paper's"
_MAPS = {"identity": "none", "least_squares": "least squares"}
_STARTS = {"identity": "the identity", "least_squares": "least squares"}


def map_name(config: Mapping[str, Any]) -> str:
    """Returns the display name of the map between two networks.

    >>> map_name({"family": "low_rank", "rank": 4})
    'least squares of rank 4'
    """
    get = config.get
    if (family := get("family", "auto")) == "low_rank":
        return f"least squares of rank {int(get('rank'))}"
    if family != "auto":
        return _MAPS.get(family, family)
    if get("converged") is True:
        return f"{USUAL_MAP}, best of a search"
    if get("bn_mode", "recalibrate") == "frozen":
        return f"{USUAL_MAP}, BatchNorm frozen"
    if get("init", "random") != "random":
        return f"{USUAL_MAP}, from {_STARTS[get('init')]}"
    if get("kernel_size", 1) > 1:
        return f"{USUAL_MAP}, kernel {int(get('kernel_size'))}"
    return USUAL_MAP


def has_usual_map(config: Mapping[str, Any]) -> bool:
    """Returns whether the map is the paper's: 1 x 1, trained from a random start as long as all are, BatchNorm recalibrated.

    >>> has_usual_map({}), has_usual_map({"kernel_size": 3})
    (True, False)
    """
    usual = {"family": "auto", "converged": False, "bn_mode": "recalibrate", "init": "random", "kernel_size": 1}
    return all(config.get(name, value) == value for name, value in usual.items())


def has_usual_width(config: Mapping[str, Any]) -> bool:
    """Returns whether the top has the width of the main comparison, or there is none for its data and architecture.

    >>> has_usual_width({"dataset": "mnist1d", "architecture": "convnet", "width": 4})
    False
    """
    usual = _TOP_WIDTH.get((config.get("dataset"), config.get("architecture")))
    return usual is None or config.get("width") in (None, usual)


def derived(
    table: pd.DataFrame, presets: Sequence[str] = FINDINGS, records: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Returns the findings of chapter 2: rows of the given presets, with `contrast`, `pair` and `usual`.

    `contrast` is what the bottom differs in, `pair` the same in words, and `map` says what is between. `paper_map` marks the
    paper's map, `usual` that map on the top's own samples, and `usual_width` the tops of the main comparison. From the curves
    of the records come (NaN without them) `barrier`, the largest test error on the path of stitched networks above that of the worse end;
    `linear_cka_mid`; `cka_order`, the rank correlation of linear CKA with the excess over the stages; `excess_half`,
    the excess at half of the depth; `self_penalty_max`, the largest of the self-stitches; `cka_null`, the
    largest threshold of linear CKA under shuffled inputs; `late_into_early_task` and `late_into_early_least_squares`, penalties of the
    bottom's last stage but the pooling in the top's first; and `freeze_error`, the error above the bottom's frozen
    layers until the deepest stage whose excess is at most 2 points.

    Of a population, `memorized_share` is the memorization gap over that of an interpolator and `sampler_share` the clean
    test accuracy that the noise costs over what it costs a sampler of the noisy labels, beside the same seed and epochs without noise.

    Args: records: key of a record -> the record.
    """
    rows = findings(table, presets, _POPULATION)
    if rows.empty:
        return rows
    # fields that early records lack
    for name, kind in {"freeze": bool, "converged": bool, "population": bool, "shuffles": int}.items():
        rows[name] = rows.get(name, pd.Series(0, rows.index)).fillna(0).astype(kind)
    configs = rows.to_dict("records")
    differences = [contrast(c) for c in configs]
    rows["contrast"], rows["pair"] = [code(*d) for d in differences], [pair_name(*d) for d in differences]
    rows = rows.assign(**_population(rows), usual_width=[has_usual_width(c) for c in configs])
    rows["map"], rows["paper_map"] = [map_name(c) for c in configs], [has_usual_map(c) for c in configs]
    rows["usual"] = rows.paper_map & (rows.stitcher_data == "top") & (rows.shuffles == 0)
    found = [_of_curves(records[key]) if records else {} for key in rows.key]
    return rows.join(pd.DataFrame(found, rows.index, _OF_CURVES, dtype=float))


# metrics that only a population has
_POPULATION = (
    "flip_rate",
    "bottom_train_error",
    "memorization",
    "fitted_wrong",
    "agreement",
    "accuracy_noisy",
)


def _population(rows: pd.DataFrame) -> dict[str, pd.Series]:
    own = rows[rows.population]
    if own.empty:
        return {name: pd.Series(np.nan, rows.index) for name in ("memorized_share", "sampler_share")}
    clean = own[own.noise == 0].set_index(["seed", "width", "bottom_time"]).bottom_error
    before = 1 - own.set_index(["seed", "width", "bottom_time"]).index.map(clean).to_numpy(float)
    # a random label, the right one among ten, or what the clean network says
    sampler = (1 - own.noise) * before + own.noise / 10
    noisy = own.noise > 0
    return {
        "memorized_share": own.memorization / (1 - own.flip_rate),
        "sampler_share": ((before - (1 - own.bottom_error)) / (before - sampler).where(noisy)),
    }


_LATE = ("late_into_early_task", "late_into_early_least_squares")
_OF_CURVES = ["barrier", "linear_cka_mid", "cka_order", "excess_half", "self_penalty_max", "cka_null", *_LATE]
_OF_CURVES += ["freeze_error"]


def _of_curves(record: Any) -> dict[str, float]:
    curves, arrays, metrics = record.curves, record.arrays, record.metrics
    ends = [metrics["top_error"], metrics["bottom_error"]]
    found = {
        "barrier": metrics["top_error"] + max(curves["penalty"]) - max(ends),
        "linear_cka_mid": curves["linear_cka"][len(curves["linear_cka"]) // 2],
        "cka_order": _order(pd.Series(curves["linear_cka"]), pd.Series(curves["excess"])),
        "self_penalty_max": max(curves["self_penalty"]),
        "excess_half": curves["excess"][int(np.abs(np.subtract(curves["depth"], 0.5)).argmin())],
    }
    if "linear_cka_null_threshold" in curves:
        found["cka_null"] = max(curves["linear_cka_null_threshold"])
    if "task" in arrays:
        found |= {name: arrays[kind][-1][0] for name, kind in zip(_LATE, ("task", "least_squares"), strict=True)}
    if "freeze_error" in curves:
        free = [i for i, excess in enumerate(curves["excess"]) if excess <= FREE]
        found["freeze_error"] = curves["freeze_error"][max(free)] if free else np.nan
    return found


def by_stage(table: pd.DataFrame, curves: Mapping[str, Mapping[str, list]]) -> pd.DataFrame:
    """Returns a row for every stage of every run of `stitching`'s table but a population's, with what its curves hold.

    Args: curves: key of a record -> its curves.
    """
    found, table = [], table[~table.population]
    kept = ["key", "source", "dataset", "architecture", "contrast", "pair", "map", "seed", "stitcher_data", "width"]
    for row in table[[*kept, "usual_width", "paper_map", "usual"]].to_dict("records"):
        lists = curves[row["key"]]
        own = {k: v for k, v in lists.items() if k not in ("seed", "family", "bn_mode")}
        found.append(pd.DataFrame({**{k: [v] * len(lists["depth"]) for k, v in row.items()}, **own}))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def rank_correlations(stages: pd.DataFrame, index: str = "linear_cka") -> pd.Series:
    """Returns, for each pair of networks, Spearman's correlation of a similarity index with the excess over its stages.

    -1: the stages that the index calls alike are those that fit. NaN where one of the two is constant.
    Args: stages: of `stages`; index: one of its columns.
    """
    return pd.Series(
        {key: _order(rows[index], rows.excess) for key, rows in stages.groupby("key", sort=False)},
        name=index,
        dtype=float,
    )


def _order(index: pd.Series, excess: pd.Series) -> float:
    # a constant has no order
    if index.nunique() < 2 or excess.nunique() < 2:
        return np.nan
    return float(index.corr(excess, method="spearman"))


def order_table(stages: pd.DataFrame, names: Mapping[str, str], index: str = "linear_cka") -> pd.DataFrame:
    """Returns `rank_correlations` by kind of pair (rows) and setting (columns), as text: mean, range, number of networks' pairs.

    Only the usual map and tops of the usual width. A kind that a setting lacks is an en dash, and one without an order
    (constant over the stages) too.
    Args:
        stages: of `stages`.
        names: "data set, architecture" -> the column's name; a setting without stages is left out.
    """
    rows = stages[stages.usual & stages.usual_width]
    where = rows.dataset + ", " + rows.architecture
    found = {}
    for key, name in names.items():
        own = rows[where == key]
        cells = {pair: _cell(rank_correlations(group, index).dropna()) for pair, group in own.groupby("pair")}
        if cells:
            found[name] = pd.Series(cells)
    table = pd.DataFrame(found).fillna("\N{EN DASH}")
    if table.empty:
        return table
    first = [p for p in (pair_name("seeds"), pair_name("halves")) if p in table.index]
    return table.loc[[*first, *(p for p in table.index if p not in first)]].rename_axis("bottom").reset_index()


def _cell(values: pd.Series) -> str:
    if values.empty:
        return "\N{EN DASH}"
    mean = f"{values.mean():+.2f}"
    return f"{mean} ({values.min():+.2f} to {values.max():+.2f}; {len(values)})" if len(values) > 1 else f"{mean} (1)"
