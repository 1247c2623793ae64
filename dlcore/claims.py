"""The ledger of claims: what the thesis says, what our records say, and the verdict that follows from the interval."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml

from dlcore import tables
from dlcore.metrics.distributional import knn_flip_rate
from dlcore.metrics.statistics import mean_interval, paired_difference
from dlcore.records import PACKAGED, RecordStore

FILE = Path(__file__).with_name("claims.yml")


class Measured(NamedTuple):
    """A measured value, its 95 % interval and the number of runs behind it."""

    value: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Claim:
    """A row of the ledger; `measured` is None where no record tests it."""

    id: str
    chapter: int
    claim: str
    reference: str
    setting: str
    accept: tuple[float, float]
    measured: Measured | None

    @property
    def verdict(self) -> str:
        """Inside the accepted region: reproduced; overlapping it: partly; outside: not reproduced."""
        if self.measured is None or not np.isfinite(self.measured.value):
            return "not tested at this scale"
        m, (low, high) = self.measured, self.accept
        # one run has no interval: its value alone can at most reproduce in part
        if not (np.isfinite(m.low) and np.isfinite(m.high)):
            return "partly reproduced" if low <= m.value <= high else "not reproduced"
        if low <= m.low and m.high <= high:
            return "reproduced"
        return "partly reproduced" if m.high >= low and m.low <= high else "not reproduced"

    @property
    def ours(self) -> str:
        """The measured value as text."""
        if self.measured is None:
            return "no run"
        m = self.measured
        if not np.isfinite(m.low):
            return f"{m.value:.3f}, one run"
        return f"{m.value:.3f} [{m.low:.3f}, {m.high:.3f}], {m.runs} runs"


Table = pd.DataFrame
_MEASURES: dict[str, Callable[[Table], Measured | None]] = {}


def _measure(name: str) -> Callable:
    def register(function: Callable[[Table], Measured | None]) -> Callable:
        _MEASURES[name] = function
        return function

    return register


def _mean(values: pd.Series) -> Measured | None:
    values = values.dropna()
    return Measured(*mean_interval(values)) if len(values) else None


def _largest(groups: list[pd.Series], absolute: bool = False) -> Measured | None:
    """The largest group mean; the interval's ends are the largest lower and the largest upper limit of any group."""
    found = [mean_interval(g.dropna()) for g in groups if g.notna().sum() > 1]
    if not found:
        return None
    if absolute:
        ends = [
            (abs(i.value), 0.0 if i.low <= 0 <= i.high else min(abs(i.low), abs(i.high)), max(abs(i.low), abs(i.high)))
            for i in found
        ]
    else:
        ends = [(i.value, i.low, i.high) for i in found]
    return Measured(*(max(column) for column in zip(*ends, strict=True)), runs=sum(i.n for i in found))


def _rows(t: Table, usual: bool = True, **where) -> Table:
    for name, value in where.items():
        t = t[t[name].isin(value) if isinstance(value, (list, tuple)) else t[name] == value]
    t = t[~t.feature.astype(bool)]
    return t[t.usual] if usual else t


def _by(t: Table, column: str | pd.Series, *names: str) -> list[pd.Series]:
    values = t[column] if isinstance(column, str) else column
    return [group for _, group in values.groupby([t[n] for n in names])]


@_measure("nn-is-a-sampler")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="digits", family="1-NN")
    return _largest(_by(t, t.flip_rate_test - t.noise, "noise"), absolute=True)


@_measure("knn-binomial")
def _(t):
    t = _rows(t, usual=False, experiment="cyclic", dataset="digits", architecture="knn", noise=0.3)
    t = t[t.neighbours <= 15]
    law = np.array([float(knn_flip_rate(int(k), 0.3)) for k in t.neighbours])
    return _largest(_by(t, t.flip_rate_test - law, "neighbours"), absolute=True)


@_measure("knn-without-interpolation")
def _(t):
    t = _rows(t, usual=False, experiment="cyclic", dataset="digits", architecture="knn", noise=0.3)
    return _largest(_by(t, t.tt_tv - t.tt_null_mean, "neighbours"))


def _subgroup(dataset: str, family: str, **more) -> Callable[[Table], Measured | None]:
    def measure(t):
        found = _rows(t, experiment="subgroup", dataset=dataset, family=family, noise=0.3, **more)
        return _mean(found.flip_rate_test)

    return measure


_MEASURES["cats-become-objects"] = _subgroup("cifar10", "ResNet")
_MEASURES["digits-subgroup-mlp"] = _subgroup("digits", "MLP")
_MEASURES["fashion-subgroup-convnet"] = _subgroup("fashion_mnist", "convnet")
_MEASURES["cats-at-paper-scale"] = _subgroup("cifar10_full", "ResNet-18", preset="gpu")


def _excess(t: Table, family: str, noise: float = 0.3) -> Table:
    """Extra flips of cats and extra error of the other animals above the same seed's run without noise."""
    t = _rows(t, experiment="subgroup", dataset="cifar10", family=family).set_index("seed")
    noisy, clean = t[t.noise == noise], t[t.noise == 0]
    found = noisy[["flip_rate_test", "other_same_error"]] - clean[["flip_rate_test", "other_same_error"]]
    return found.dropna()


@_measure("other-animals-unaffected")
def _(t):
    return _mean(_excess(t, "ResNet").other_same_error)


@_measure("mlp-does-not-localise")
def _(t):
    shares = []
    for family in ("MLP", "ResNet"):
        e = _excess(t, family)
        shares.append(e.other_same_error / e.flip_rate_test)
    both = pd.concat(shares, axis=1, keys=["mlp", "resnet"]).dropna()
    return Measured(*paired_difference(both.mlp, both.resnet)) if len(both) else None


@_measure("tv-below-epsilon")
def _(t):
    t = _rows(t, experiment="four", family=["MLP", "convnet"])
    return _largest(_by(t, t.debiased - t.epsilon, "dataset", "family", "n_train"))


def _all_classes(dataset: str, family: str, column: str) -> Callable[[Table], Measured | None]:
    def measure(t):
        found = _rows(t, experiment="cyclic", dataset=dataset, family=family, noise=0.3)
        return _mean(found.debiased - found.epsilon if column == "excess" else found[column])

    return measure


_MEASURES["mlp-noise-on-all-classes"] = _all_classes("digits", "MLP", "flip_rate_test")
_MEASURES["laplace-kernel-calibrated"] = _all_classes("digits", "Laplace kernel", "excess")
_MEASURES["forest-calibrated"] = _all_classes("digits", "forest", "excess")


@_measure("gaussian-kernel-calibrated")
def _(t):
    t = _rows(t, experiment="subgroup", dataset="digits", family="Gaussian kernel", noise=0.3)
    return _mean(t.debiased - t.epsilon)


@_measure("convnet-between-step-and-diagonal")
def _(t):
    t = _rows(t, experiment="cyclic", dataset="mnist1d", family="convnet")
    t = t[(t.noise > 0) & (t.noise != 0.5)]
    away = (t.flip_rate_test - t.noise).abs().groupby(t.seed).mean()
    step = ((t.noise > 0.5) - t.noise).abs().groupby(t.seed).mean()
    return _mean(away / step)


@_measure("constant-partition")
def _(t):
    return _mean(_rows(t, experiment="imbalance", dataset="fashion_mnist", family="MLP").debiased)


@_measure("constant-partition-families")
def _(t):
    t = _rows(t, experiment="imbalance", dataset="fashion_mnist")
    t = t[~t.family.isin(["forest", "logistic"])]
    return _largest(_by(t, "debiased", "family"))


def _agreement(families: list[str], datasets: list[str]) -> Callable[[Table], Measured | None]:
    def measure(t):
        t = _rows(t, experiment="agreement", family=families, dataset=datasets, noise=0.0)
        return _mean((t.agreement - t.test_accuracy_noisy).abs()) if len(t) else None

    return measure


_MEASURES["agreement-networks"] = _agreement(["MLP", "convnet"], ["digits", "fashion_mnist"])
_MEASURES["agreement-trees"] = _agreement(["tree"], ["digits"])


def _path(architecture: str, bandwidth: float) -> Callable[[Table], Measured | None]:
    def measure(t):
        where = {"experiment": "cyclic", "dataset": "digits", "architecture": architecture, "bandwidth": bandwidth}
        t = _rows(t, usual=False, noise=0.3, **where)
        return _largest(_by(t, t.tt_tv - t.tt_null_mean, "ridge"))

    return measure


_MEASURES["kernel-path-gaussian"] = _path("kernel_gaussian", 0.66)
_MEASURES["kernel-path-laplace"] = _path("kernel_laplace", 1.65)


@_measure("training-time")
def _(t):
    t = _rows(t, experiment="sparse", dataset="fashion_mnist", family="MLP", noise=0.4)
    return _mean(t.largest_train_test_excess) if len(t) else None


@_measure("human-noise")
def _(t):
    t = _rows(t, experiment="human", dataset="cifar10", family="ResNet", annotator="worse")
    return _mean(t.debiased - t.epsilon)


def evaluate(table: pd.DataFrame | None = None) -> list[Claim]:
    """Returns the ledger's rows, measured on the shipped records (or on a table of `dlcore.tables.distributional`).

    Raises: ValueError when claims.yml and the measures do not match one to one.
    """
    entries = yaml.safe_load(FILE.read_text("utf8"))
    if {e["id"] for e in entries} != set(_MEASURES):
        raise ValueError(f"claims.yml and the measures differ: {sorted({e['id'] for e in entries} ^ set(_MEASURES))}")
    table = _shipped() if table is None else table
    return [
        Claim(**{**e, "accept": tuple(e["accept"])}, measured=None if table.empty else _MEASURES[e["id"]](table))
        for e in entries
    ]


@functools.cache
def _shipped() -> pd.DataFrame:
    return tables.distributional(RecordStore(PACKAGED).table("distributional"))


def ledger_html(claims: list[Claim] | None = None) -> str:
    """Returns the ledger as an HTML table for the page."""
    head = "".join(
        f"<th scope='col'>{h}</th>" for h in ("Claim", "Setting here", "Thesis", "Here, 95 % interval", "Verdict")
    )
    rows = []
    for c in evaluate() if claims is None else claims:
        badge = f"<span class='verdict verdict-{c.verdict.replace(' ', '-')}'>{c.verdict}</span>"
        cells = [html.escape(v) for v in (c.claim, c.setting, c.reference, c.ours)]
        rows.append(f"<tr id='{c.id}'>" + "".join(f"<td>{v}</td>" for v in [*cells, badge]) + "</tr>")
    return f"<div class='dl-scroll'><table class='dl-table'><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def ledger_markdown(claims: list[Claim] | None = None) -> str:
    """Returns the ledger as a Markdown table for the README."""
    rows = ["| claim | setting here | thesis | here, 95 % interval | verdict |", "| --- | --- | --- | --- | --- |"]
    for c in evaluate() if claims is None else claims:
        rows.append(f"| {c.claim} | {c.setting} | {c.reference} | {c.ours} | **{c.verdict}** |")
    return "\n".join(rows)
