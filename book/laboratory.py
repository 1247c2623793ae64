"""What the page's own experiments (_static/lab) are made of: data and recorded runs as scripts, and the scripts made small.

The banks are scripts, not JSON: a page that was opened from a file can fetch nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dlcore import data, noise, studies
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies.distributional.partitions import PARTITIONS
from dlcore.studies.stitching.table import by_stage, code, map_name
from dlcore.translation.task import Transduction

# features and probe of the recorded runs that the gaps are seen against
RECORDED = (
    *((objective, "ridge") for objective in ("pixels", "random_relu", "simclr", "vicreg")),
    *((objective, probe) for objective in ("pixels", "vicreg") for probe in ("logistic", "knn")),
    ("supervised", "network"),
)
SPARSE_SEED = 2020  # of the pattern that the study's sparse noise has


def images() -> tuple[np.ndarray, np.ndarray]:
    """Returns all digits, (1797, 64) levels of 0 to 16, and their classes, in scikit-learn's order."""
    split = data.load("digits")
    order = np.concatenate([split.extra["train_index"], split.extra["test_index"]])
    pixels = np.concatenate([split.train_inputs, split.test_inputs]).reshape(len(order), -1) * 16
    levels, labels = np.empty(pixels.shape, np.uint8), np.empty(len(order), np.uint8)
    levels[order], labels[order] = np.rint(pixels), np.concatenate([split.train_labels, split.test_labels])
    return levels, labels


def packed(levels: np.ndarray) -> str:
    """Returns levels below 44 as text, a character each from "0" on, which compresses to less than base64 of their bits.

    >>> packed(np.array([1, 2, 11]))
    '12;'
    """
    return (levels.astype(np.uint8).ravel() + ord("0")).tobytes().decode("ascii")


def digits() -> dict[str, Any]:
    """Returns the bank of the digits, with what the study's noises need: the two groups, the noisy class, the sparse law."""
    levels, labels = images()
    groups, rate = PARTITIONS["digits"], 0.1
    sparse = noise.sparse_confusion(10, rate, SPARSE_SEED)
    moved = 1 - np.diag(sparse)
    to = (sparse - np.diag(np.diag(sparse))) / moved[:, None]
    return {
        "pixels": packed(levels),
        "labels": "".join(map(str, labels)),
        "binary": "".join(map(str, groups.binary)),
        "noisy": groups.noisy,
        "sparse": {"moved": (moved / rate).tolist(), "to": to.tolist()},
    }


def _span(rows: pd.DataFrame, column: str, by: str = "noise") -> dict[str, list[float]]:
    """Returns mean, least and largest value of a column at each noise rate, or what else it is over, of the recorded seeds."""
    found = rows.groupby(by)[column].agg(["mean", "min", "max", "size"])
    parts = {k: found[v].round(5).tolist() for k, v in (("mean", "mean"), ("low", "min"), ("high", "max"))}
    return {"rates": found.index.tolist(), "seeds": found["size"].tolist(), **parts}


def recorded() -> dict[str, Any]:
    """Returns what was recorded on digits, for the reader's own runs to be seen against."""
    store = RecordStore(PACKAGED)
    t = studies.table("distributional", store.table("distributional"))
    t = t[t.n_train.eq(t.dataset.map({"digits": 1200, "mnist1d": 4000})) & ~t.feature.astype(bool)]
    others = t.architecture.eq("knn") & t.ridge.eq(0)
    t = t[t.usual | others]
    samplers: dict[str, dict[str, Any]] = {}
    for name, column in (
        ("cyclic", "flip_rate_test"),
        ("subgroup", "flip_rate_test"),
        ("sparse", "test_error"),
        ("mnist1d cyclic", "flip_rate_test"),
    ):
        dataset, _, experiment = name.rpartition(" ")
        rows = t[(t.dataset == (dataset or "digits")) & (t.experiment == experiment) & t[column].notna()]
        samplers[name] = {family: _span(part, column) for family, part in rows.groupby("family")}
    t = studies.table("rationality", store.table("rationality"))
    t = t[t.usual & (t.dataset == "digits") & (t.experiment == "gaps") & (t.n_train == 1000) & (t.noise > 0)]
    gaps = ("robustness", "rationality", "memorization", "bound", "generalization")
    rationality = {}
    for objective, probe in RECORDED:
        rows = t[(t.objective == objective) & (t.probe.isna() if probe == "network" else t.probe == probe)]
        spans = {gap: _span(rows.assign(**{gap: rows[gap].clip(lower=0)}), gap) for gap in gaps}
        rationality[f"{objective} {probe}"] = {"rates": spans["bound"]["rates"], **spans}
    return {
        "samplers": samplers,
        "rationality": rationality,
        "stitching": _penalties(store),
        "counting": _counting(store),
    }


def _penalties(store: RecordStore) -> dict[str, dict[str, list[float]]]:
    """Returns the penalties of MLPs on MNIST-1D over the share of their stages, by the map and the bottom's noise."""
    t = studies.table("stitching", store.table("stitching"))
    stages = by_stage(t, {r.key: r.curves for r in store.records("stitching")})
    rows = stages[(stages.dataset == "mnist1d") & (stages.architecture == "mlp") & (stages.stitcher_data == "top")]
    rows = rows[rows.usual_width]
    kinds = {code("seeds"): "0"} | {code("noise", rate): f"{rate:g}" for rate in (0.1, 0.5, 1.0)}
    maps = {map_name({}): "trained", map_name({"family": "least_squares"}): "least_squares"}
    rows = rows.assign(kind=rows.contrast.map(kinds), by=rows["map"].map(maps)).dropna(subset=["kind", "by"])
    own = t[t.key.isin(rows.key)]
    of = f"MLPs of {own.depth.iloc[0]:.0f} layers of {own.width.iloc[0]:.0f} units, {own.epochs.iloc[0]:.0f} epochs, at this share of the layers"
    return {
        f"{by} {kind}": {"of": of, **_span(part, "penalty", "depth")}
        for (by, kind), part in rows.groupby(["by", "kind"])
    }


def _counting(store: RecordStore) -> dict[str, dict[str, list[float]]]:
    """Returns what the counting learner of the chapter's language had left above its floor, in nats a word, by the noise."""
    t = studies.table("scaling", store.table("scaling"))
    rows = t[(t.curve == "transduction") & (t.architecture == "2L2L") & (t.width == 64)]
    rows = rows[rows.arm.isin(["baseline", "noise"]) & rows.noise_kind.isin(["none", "target"])]
    language = Transduction()
    a_sentence = language.expected
    of = f"the chapter's language, 3 lists of {language.list_size:,} words, s = {language.exponent:g}"
    rows = rows.assign(left=(rows.reference - rows.asymptote) * a_sentence["target"] / a_sentence["content"])
    parts = rows.dropna(subset=["left"]).groupby("noise")
    return {f"{rate:g}": {"of": of, **_span(part, "left", "pairs")} for rate, part in parts}


def learnt(objective: str) -> dict[str, Any]:
    """Returns what an encoder learns from the 1,000 training images of seed 0, as in the recorded runs, in 32 levels.

    Rows: those images, then the 597 new ones. Features lie at most 4 deviations of all from 0; what is beyond is cut.
    """
    from dlcore import pretraining
    from dlcore.studies.rationality.config import Config
    from dlcore.studies.rationality.representations import represent

    config = Config(dataset="digits", objective=objective)
    source = data.load("digits", n_train=config.n_train, seed=0)
    inputs = (pretraining.to_unit(v) for v in (source.train_inputs, source.test_inputs))
    settings = ("architecture", "width", "depth", "epochs", "batch_size", "temperature")
    found = represent(
        objective, *inputs, seed=0, network={k: getattr(config, k) for k in settings if getattr(config, k)}
    )
    step, most = 8 / 31, 31
    levels = np.clip(np.rint((np.concatenate([found.train, found.test]) + 4) / step), 0, most)
    return {"dimension": levels.shape[1], "low": -4, "step": step, "levels": packed(levels)}


BANKS = {"digits": digits, "recorded": recorded, "simclr": lambda: learnt("simclr"), "vicreg": lambda: learnt("vicreg")}


def banks(names: Iterable[str] = tuple(BANKS)) -> dict[str, str]:
    """Returns the scripts of banks by name."""
    found = {name: BANKS[name]() for name in names}
    return {k: f"dlLab.banks.{k}={json.dumps(v, separators=(',', ':'))};\n" for k, v in found.items()}


def bare(script: str) -> str:
    """Returns a script with short names of its own variables and no comments: a third of what a browser would load."""
    import minify

    return minify.string("application/javascript", script)


def write(folder: Path, banks: dict[str, str]) -> None:
    """Writes the banks into the folder of the laboratory's scripts, and replaces these by their small form; source/ has them to read."""
    (folder / "banks").mkdir()
    for name, text in banks.items():
        (folder / "banks" / f"{name}.js").write_text(text, "utf8")
    (folder / "source").mkdir()
    for file in list(folder.glob("*.js")):
        shutil.copyfile(file, folder / "source" / file.name)
        file.write_text(bare(file.read_text("utf8")), "utf8")
