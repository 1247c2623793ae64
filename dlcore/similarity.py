"""Layer by layer: the linear CKA of all pairs of layers of two networks, from one pass over the inputs of each."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import nn
from tqdm.auto import tqdm

from dlcore import borrowed
from dlcore.arrays import as_inputs, as_whole, typed
from dlcore.config import one_of
from dlcore.results import Result
from dlcore.stitching.halves import stage_names, watching

BLOCK = 2048
SPATIAL = ("flatten", "mean")


class SimilarityMatrix(Result, plot="similarity"):
    """Debiased CKA of the layers of A (rows) and B (columns), as labelled tables.

    `value`, and the limits `low` and `high` of its interval, by a jackknife over batches; `p_value` of the hypothesis that
    the layers are as similar as for inputs paired at random, and `null` the largest of all cells that 95 % of the random
    pairings stay below, both NaN without permutations; `batches` and `inputs` that were used.
    """

    value: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame
    p_value: pd.DataFrame
    null: float
    batches: int
    inputs: int

    def __str__(self) -> str:
        about = f"debiased linear CKA, {self.inputs:,} inputs in {self.batches} batches"
        null = "" if math.isnan(self.null) else f"; random pairings reach {self.null:.3f}"
        return f"{about}{null}\n{self.value.to_string(float_format='{:.3f}'.format, max_rows=16, max_cols=8)}"

    def to_frame(self) -> pd.DataFrame:
        """Returns one row per pair of layers: `layer_a`, `layer_b`, `cka`, `low`, `high`, `p_value`."""
        names = {"cka": self.value, "low": self.low, "high": self.high, "p_value": self.p_value}
        stacked = {name: table.stack() for name, table in names.items()}
        return pd.DataFrame(stacked).rename_axis(["layer_a", "layer_b"]).reset_index()


@typed
@torch.inference_mode(False)
@torch.no_grad()
def matrix(
    model_a: nn.Module,
    model_b: nn.Module,
    inputs,
    layers: Sequence[str] | tuple[Sequence[str], Sequence[str]] | None = None,
    *,
    spatial: str = "flatten",
    batch_size: int = 128,
    permutations: int = 0,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool = False,
) -> SimilarityMatrix:
    """Returns the linear CKA of every layer of A with every layer of B, by unbiased HSICs of random batches.

    A layer's output is reduced to the Gram matrix of its batch when it is made, so that memory holds one activation and
    the Gram matrices of a batch: 16 batch_size^2 bytes a layer. A batch at which any layer of A and of B are compared
    costs batch_size^2 multiplications a pair. The models stay as they are.

    Args:
        inputs: (n, ...), as both networks take them, on any device; their order does not matter.
        layers: names as `named_modules` lists them, for both, or a pair of lists; None takes `stage_names` of each.
        spatial: what becomes of (n, C, H, W) and (n, tokens, C): "flatten" compares channels at positions, as the papers
            do; "mean" averages over positions first, so that networks of different strides are compared by content.
        batch_size: at least 4; 20 batches or more make good intervals.
        permutations: random pairings of the inputs within batches, for the p-values; 0 makes none.
    Raises: ValueError for an unknown layer or one that does not run once, fewer than 4 inputs, NaN or infinity in a layer.
    Paper: Nguyen et al. 2021, "Do wide and deep networks learn the same things?", equations 2 and 3.
    Differs: batches of unequal size are weighted; intervals and p-values are ours.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> found = matrix(net, net, torch.randn(64, 4), ["0", "1"], batch_size=16)
    >>> found.value.round(6).loc["0", "0"]
    np.float64(1.0)
    """
    one_of("spatial", spatial, SPATIAL)
    given = [as_inputs("inputs", inputs, model) for model in (model_a, model_b)]
    n, permutations = len(given[0]), as_whole("permutations", permutations)
    if batch_size < 4 or n < 4 or not 0 < confidence < 1:
        asked = f"{n} inputs, batch_size = {batch_size}, confidence = {confidence}"
        raise ValueError(f"{asked}: at least 4, 4 and within (0, 1) are needed")
    layers = [layers] if isinstance(layers, str) else layers
    two = isinstance(layers, tuple) and len(layers) == 2 and not any(isinstance(part, str) for part in layers)
    named: Any = layers if two else (layers, layers)
    chosen: list[list[str]] = [
        list(part) if part is not None else stage_names(model, rows[:2])
        for part, model, rows in zip(named, (model_a, model_b), given, strict=True)
    ]
    if not all(chosen):
        raise ValueError("no layers: a network all in one part has no other than itself; give names of named_modules()")
    rng = np.random.default_rng(seed)
    # a last batch of fewer than four is spread over the others
    batches = np.array_split(rng.permutation(n), max(1, round(n / batch_size)))
    sums, sides = [], [(model_a, given[0], chosen[0]), (model_b, given[1], chosen[1])]
    if model_b is model_a:  # one pass for both
        sides = [(model_a, given[0], chosen[0] if chosen[1] == chosen[0] else chosen[0] + chosen[1])]
    with contextlib.ExitStack() as stack:
        passes = [stack.enter_context(_grams(*side, spatial)) for side in sides]
        for rows in tqdm(batches, desc="CKA", unit="batch", disable=not progress):
            found = [grams_of(rows) for grams_of in passes]
            a, b = found[0][: len(chosen[0])], found[-1][-len(chosen[1]) :]
            orders = [torch.from_numpy(rng.permutation(len(rows))) for _ in range(permutations)]
            sums.append(_products(a, b.to(a.device), orders) * (1 / (len(rows) - 3)))
    return _result(torch.stack(sums).cpu().numpy(), chosen, confidence, n)


@contextlib.contextmanager
def _grams(model: nn.Module, inputs: torch.Tensor, layers: list[str], spatial: str) -> Iterator[Any]:
    """A block with a function that returns the doubly centred Gram matrices (layers, n, n) of some rows, in float64: the
    products of two of them are n (n - 3) times their unbiased HSIC (Szekely and Rizzo 2014).
    """
    found, powers = {}, {}

    def take(layer: str, out: torch.Tensor) -> None:
        if spatial == "mean" and out.ndim > 2:
            out = out.flatten(2).mean(2) if out.ndim > 3 else out.mean(1)
        out = out.flatten(1)
        if layer not in powers:  # by the first batch; sizes whose fourth powers single precision holds stay as they are
            top = float(out.detach().abs().max())
            powers[layer] = 0 if 1e-6 < top < 1e9 or not 0 < top < math.inf else math.frexp(top)[1]
        if powers[layer]:
            out = (out if out.dtype == torch.float64 else out.float()) * 2.0 ** -powers[layer]
        gram = torch.zeros((len(out),) * 2, dtype=torch.float64, device=out.device)
        for part in out.split(BLOCK, dim=1):
            part = part if part.dtype == torch.float64 else part.float()
            part = part - part.mean(0)
            gram += part @ part.T
        found[layer] = gram

    def grams_of(rows: np.ndarray) -> torch.Tensor:
        found.clear()
        borrowed.run(inner, inputs[torch.from_numpy(rows).to(inputs.device)], where)
        grams = torch.stack([found[layer] for layer in layers])
        if not torch.isfinite(grams).all():
            bad = next(layer for layer in layers if not torch.isfinite(found[layer]).all())
            raise ValueError(f"layer {bad!r} gives NaN or infinity")
        n = grams.shape[-1]
        diagonal = torch.eye(n, dtype=torch.bool, device=grams.device)
        grams = grams.masked_fill(diagonal, 0)
        means = grams.sum(2) / (n - 2)
        grams = grams - means[:, :, None] - means[:, None, :] + (means.sum(1) / (n - 1))[:, None, None]
        return grams.masked_fill(diagonal, 0)

    where = borrowed.device_of(model, inputs.device)
    with borrowed.evaluating(model), borrowed.bare(model) as inner:
        with watching(inner, layers, inputs[:2].to(where), take):
            yield grams_of


def _products(a: torch.Tensor, b: torch.Tensor, orders: list[torch.Tensor]) -> torch.Tensor:
    """Returns products (1 + orders + 2, A, B): of the batch, of its random pairings, and each side with itself."""
    left = a.flatten(1)
    found = [left @ b.flatten(1).T]
    found += [left @ b[:, order][:, :, order].flatten(1).T for order in (o.to(b.device) for o in orders)]
    own = [(v.flatten(1) ** 2).sum(1) for v in (a, b)]
    return torch.stack([*found, own[0][:, None].expand_as(found[0]), own[1][None].expand_as(found[0])])


def _result(sums: np.ndarray, layers: list[list[str]], confidence: float, inputs: int) -> SimilarityMatrix:
    def alignment(totals: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = np.sqrt(np.where(totals[-2:] > 0, totals[-2:], np.nan))
            return totals[:-2] / scale[0] / scale[1]

    def table(values: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(values, index=layers[0], columns=layers[1])

    total, batches = sums.sum(0), len(sums)
    value, *random = alignment(total)
    half = np.full_like(value, np.nan)
    if batches > 1:
        left_out = np.stack([alignment(total - one)[0] for one in sums])
        error = np.sqrt((batches - 1) * np.mean((left_out - left_out.mean(0)) ** 2, axis=0))
        half = stats.t.ppf(0.5 + confidence / 2, batches - 1) * error
    p_value, null = np.full_like(value, np.nan), math.nan
    if random:
        p_value = (1 + np.sum([one >= value for one in random], axis=0)) / (1 + len(random))
        null = float(np.quantile([np.nanmax(one) for one in random], 0.95))
    return SimilarityMatrix(
        table(value), table(value - half), table(value + half), table(p_value), null, batches, inputs
    )
