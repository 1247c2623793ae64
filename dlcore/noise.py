"""Label noise and noise of sentence pairs: every function returns what it made together with what it changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dlcore.config import unknown_choice


class NoisyLabels(NamedTuple):
    """`labels` after the noise, and `mask`, true where the label changed. Both have the shape of the input."""

    labels: np.ndarray
    mask: np.ndarray


def _integers(labels: object) -> np.ndarray:
    values = np.asarray(labels.detach().cpu() if hasattr(labels, "detach") else labels)
    if values.size == 0:
        raise ValueError("labels are empty")
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"labels must be integers, not {values.dtype}")
    return values.astype(np.int64)


def _in_range(values: np.ndarray, bound: int) -> None:
    bad = values[(values < 0) | (values >= bound)]
    if bad.size:
        raise ValueError(f"label {bad.flat[0]} is outside 0..{bound - 1}")


def flip_labels(labels, num_classes: int, rate: float, seed: int) -> NoisyLabels:
    """Flips each label, independently with probability `rate`, to a *different* class, uniformly.

    Shapes: labels (n,) integers in 0..num_classes-1; both results (n,).
    Raises: ValueError for a rate outside [0, 1), a label out of range, fewer than two classes.
    Paper: Bansal, Kaplun, Barak 2021, the noise of the eta-noisy experiment as the released code draws it:
        Pr[y'=k | y] = 1 - eta for k = y, eta/(K-1) otherwise, so that Pr[y' != y] = eta exactly.
    Differs: redrawing from all K classes, another common convention, changes only eta (K-1)/K of the labels.

    >>> flip_labels([0, 1, 1, 0], num_classes=2, rate=0.0, seed=0).mask.any()
    np.False_
    """
    values = _integers(labels)
    if num_classes < 2:
        raise ValueError(f"num_classes = {num_classes}: a flip needs at least two classes")
    if not 0 <= rate < 1:
        raise ValueError(f"rate = {rate} is outside [0, 1)")
    _in_range(values, num_classes)
    rng = np.random.default_rng(seed)
    # drawn for every label, so that a larger rate flips a superset: noise levels are then nested and comparable
    mask = rng.random(values.shape) < rate
    shift = rng.integers(1, num_classes, size=values.shape)
    return NoisyLabels(np.where(mask, (values + shift) % num_classes, values), mask)


def apply_confusion(labels, confusion, seed: int) -> NoisyLabels:
    """Draws a noisy label for each label from its row of a row-stochastic matrix.

    The labels may be finer than the noisy labels: with M rows and K columns, row l is p(y | feature = l). For a
    square matrix the mask marks labels that differ from the input; for M != K it marks labels that differ from
    the most likely one of their row.

    Shapes: labels (n,) integers in 0..M-1; confusion (M, K); both results (n,).
    Raises: ValueError for rows that do not sum to 1, negative entries, a label out of range.
    Paper: Nakkiran and Bansal 2020, section 4: "labels passed through a confusion matrix".

    >>> apply_confusion([0, 1, 2], [[0, 1], [1, 0], [1, 0]], seed=0).labels.tolist()
    [1, 0, 0]
    """
    values = _integers(labels)
    matrix = np.asarray(confusion.detach().cpu() if hasattr(confusion, "detach") else confusion, dtype=float)
    if matrix.ndim != 2 or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError(f"confusion must be a finite, non-negative matrix; its shape is {matrix.shape}")
    sums = matrix.sum(1)
    bad = np.flatnonzero(np.abs(sums - 1) > 1e-6)  # rows of a float32 tensor sum to 1 within 1e-7
    if bad.size:
        raise ValueError(f"confusion row {bad[0]} sums to {sums[bad[0]]:.6g}, not to 1")
    _in_range(values, len(matrix))
    rng = np.random.default_rng(seed)
    edges = np.cumsum(matrix, axis=1)
    edges[:, -1] = 1.0
    drawn = (rng.random(values.shape)[..., None] >= edges[values]).sum(-1)
    usual = np.arange(len(matrix)) if matrix.shape[0] == matrix.shape[1] else matrix.argmax(1)
    return NoisyLabels(drawn, drawn != usual[values])


def subgroup_confusion(grouping, num_classes: int, flipped, target: int, rate: float) -> np.ndarray:
    """Returns p(label | fine class) when the labels are groups of fine classes and some fine classes are noisy.

    Shapes: grouping (M,) the clean label of each fine class; flipped: the noisy fine classes; result (M, K).
    Paper: Nakkiran and Bansal 2020, figure 1: animal or object, with 30 % of the cats labelled object.

    >>> subgroup_confusion([0, 1, 1], 2, flipped=[1], target=0, rate=0.25).tolist()
    [[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]
    """
    if not 0 <= rate < 1:
        raise ValueError(f"rate = {rate} is outside [0, 1)")
    matrix = np.eye(num_classes)[np.asarray(grouping)]
    for row in np.atleast_1d(flipped):
        if matrix[row, target] == 1:
            raise ValueError(f"fine class {row} already has the label {target}: flipping it changes nothing")
        matrix[row] *= 1 - rate
        matrix[row, target] += rate
    return matrix


def cyclic_confusion(num_classes: int, rate: float) -> np.ndarray:
    """Returns the K x K matrix that moves class l to l + 1 (modulo K) with probability `rate`."""
    if not 0 <= rate < 1:
        raise ValueError(f"rate = {rate} is outside [0, 1)")
    return (1 - rate) * np.eye(num_classes) + rate * np.roll(np.eye(num_classes), 1, axis=1)


def sparse_confusion(num_classes: int, rate: float, seed: int, targets: int = 2) -> np.ndarray:
    """Returns a random sparse K x K confusion matrix.

    Each class keeps 1 - r of its mass, r uniform on [0, 2 rate] capped at 0.95, and sends r to `targets` random
    other classes in random proportions; the mean off-diagonal mass is `rate`.

    Paper: Nakkiran and Bansal 2020, figure 2A ("random sparse confusion matrix"). The paper's own pattern was
    not found; this one is ours.
    """
    if not 0 <= rate < 0.475:
        raise ValueError(f"rate = {rate} is outside [0, 0.475)")
    rng = np.random.default_rng(seed)
    moved = rng.uniform(0, 1, num_classes)
    moved = np.minimum(rate * moved / moved.mean(), 0.95)
    matrix = np.diag(1 - moved)
    for row in range(num_classes):
        others = rng.choice(np.delete(np.arange(num_classes), row), size=targets, replace=False)
        matrix[row, others] = moved[row] * rng.dirichlet(np.ones(targets))
    return matrix


class NoisyTexts(NamedTuple):
    """`texts`, pairs (source, target) after the noise, and `changed` (n,), the number of words replaced in each.

    A misaligned pair counts 1.
    """

    texts: list[tuple[str, str]]
    changed: np.ndarray


def _texts(texts: Sequence[tuple[str, str]], rate: float, reference: Sequence[tuple[str, str]] | None) -> Sequence:
    if not 0 <= rate < 1:
        raise ValueError(f"rate = {rate} is outside [0, 1)")
    if not len(texts):
        raise ValueError("there are no sentence pairs")
    return texts if reference is None else reference


def replace_words(
    texts: Sequence[tuple[str, str]],
    rate: float,
    seed: int,
    side: str = "target",
    reference: Sequence[tuple[str, str]] | None = None,
) -> NoisyTexts:
    """Replaces each word of one side, with probability `rate`, by a draw from the words of that side.

    Words are what spaces part; the draw is from the unigram law of `reference` (the texts themselves when None; give
    the whole training pool, so that subsets stay nested), and may be the same word. A larger rate changes a superset.

    Raises: ValueError for a rate outside [0, 1), no pairs, or a side that is neither "source" nor "target".
    Paper: after Bansal et al. 2022, whose noise kinds are published only as "iid synthetic noise"; this one is ours.

    >>> replace_words([("a b", "c d")], 0.0, seed=0).texts
    [('a b', 'c d')]
    """
    pool = _texts(texts, rate, reference)
    if side not in ("source", "target"):
        raise unknown_choice("side", side, ("source", "target"))
    at = ("source", "target").index(side)
    words = [word for pair in pool for word in pair[at].split()]
    lines = [pair[at].split() for pair in texts]
    # two streams, drawn to the end, so that neither the rate nor later sentences move the draws of earlier ones
    count = sum(map(len, lines))
    hits = np.random.default_rng([seed, 31]).random(count) < rate
    drawn = (np.random.default_rng([seed, 32]).random(count) * len(words)).astype(np.int64)
    result, changed, place = [], np.zeros(len(texts), np.int64), 0
    for row, line in enumerate(lines):
        pick = np.flatnonzero(hits[place : place + len(line)])
        new = list(line)
        for k in pick:
            new[k] = words[drawn[place + k]]
        changed[row] = sum(a != b for a, b in zip(new, line, strict=True))
        place += len(line)
        pair = list(texts[row])
        pair[at] = " ".join(new) if len(pick) else pair[at]
        result.append(tuple(pair))
    return NoisyTexts(result, changed)


def misalign(
    texts: Sequence[tuple[str, str]], rate: float, seed: int, reference: Sequence[tuple[str, str]] | None = None
) -> NoisyTexts:
    """Gives each pair, with probability `rate`, the target of a random pair of `reference` (the texts when None).

    Raises: ValueError for a rate outside [0, 1), no pairs, or one pair alone.

    >>> misalign([("a", "b"), ("c", "d")], 0.0, seed=0).changed.tolist()
    [0, 0]
    """
    pool = _texts(texts, rate, reference)
    if len(pool) < 2:
        raise ValueError("misaligning needs at least two pairs to take targets from")
    hits = np.random.default_rng([seed, 33]).random(len(texts)) < rate
    drawn = (np.random.default_rng([seed, 34]).random(len(texts)) * len(pool)).astype(np.int64)
    result = [(s, pool[k][1]) if hit else (s, t) for (s, t), hit, k in zip(texts, hits, drawn, strict=True)]
    changed = [a[1] != b[1] for a, b in zip(result, texts, strict=True)]
    return NoisyTexts(result, np.array(changed, np.int64))
